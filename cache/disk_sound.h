// SPDX-License-Identifier: Apache-2.0
/* Which chunks of some files of the disk tier were written or found sound since the mount began, and have not changed since: of
 * a file whose chunks all were, the kernel may read the content by itself.
 *
 *     not known [disk_sound_open, disk_sound_wrote] -> known, of each chunk whether it was sound
 *         ^------ [too many others are] --------------'  [the last one was, or it has a mark] -> whole -> whole and marked
 *                                                        ^------------- [one was found damaged, or it changed]'
 *
 * A whole one gets a mark (disk_mark.h) once it is on the disk, so that the next mount need not look at it again.
 *
 * A file is known by what its file system tells it from all others by, so that what is made anew at its name is another
 * one; nothing is held that would keep the room of one that was removed. Whoever has changed it is seen by the next
 * disk_sound_open(), which looks at all of it again; so is who found a chunk of it damaged, in whichever mount. While we read
 * it or write to it others that write to it are other mounts, which write what its checksums say.
 * What the disk makes of it later is not seen, unless it is read through us, or it is a day later and another mount.
 *
 * Threads: all functions from any thread. disk_sound_open() works for SOUND_MS at the most, and waits for no content;
 * disk_sound_mark() waits for the disk.
 * Memory: of SOUND_FILES files a bit for each chunk.
 * Errors: 0 or -errno. */
#ifndef CACHE_DISK_SOUND_H
#define CACHE_DISK_SOUND_H

#include "cache/disk_file.h"

enum {
    SOUND_FILES = 64,
    SOUND_CHUNKS = 1 << 20, /* one of more is never looked at */
    SOUND_MS = 100,
    SOUND_MARKS = 8,
    SOUND_BYTES = 320 << 20, /* with more than these to look at it is not begun: programs wait for a first page, too */
};

struct disk_sound;

/* NULL without memory. */
struct disk_sound *disk_sound_new(const char *folder);
/* Takes NULL, returns NULL. */
struct disk_sound *disk_sound_free(struct disk_sound *sound);
/* A descriptor of the content, to be closed, when all of it is sound; what is not known to be and in memory is looked at
 * first. -EAGAIN: not all of it is known to be sound, yet. -EBADMSG: it is not. -EOPNOTSUPP: its file system does not tell
 * files apart. */
int disk_sound_open(struct disk_sound *sound, const struct disk_file *file);
/* A chunk was read from `open`: 0, it was sound, or -EBADMSG; others say nothing. Of files that are known, that is noted. */
void disk_sound_note(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                     int found);
/* A chunk is about to be written by the only thread that writes; then that is over: chunk n was written to `open`, or not. */
void disk_sound_writes(struct disk_sound *sound, const struct disk_file *file);
void disk_sound_wrote(struct disk_sound *sound, const struct disk_open *open, const struct disk_file *file, uint32_t n,
                      int result);
/* Marks SOUND_MARKS whole files at the most, of those that have none. */
void disk_sound_mark(struct disk_sound *sound);

#endif

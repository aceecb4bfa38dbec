// SPDX-License-Identifier: Apache-2.0
/* What a healthy change stream vouches for: that an answer of the database still is what the database has, until a
 * change of it is told.
 *
 *     silent --[coherence_begin]--> vouching --[coherence_end]--> silent
 *
 * A question and a change may cross: an answer that was asked for before a change was told may be from before it,
 * whenever it comes. So who asks takes a moment first, and believes the answer only if nothing crossed it:
 *
 *     moment = coherence_moment(place)   ask   [lock] if (!coherence_crossed(moment)) note that it is vouched for [unlock]
 *     coherence_come(path in the place)        [lock] what is noted there is not vouched for any more             [unlock]
 *
 * Both sides take one lock in the second half, that of the inode table: whichever is first, the note does not outlive the
 * change. Changes are told apart by the directory that they are in, roughly: what is taken for touched is asked again.
 *
 * That nothing is at a path only ends when something comes to it or below it, so for this there is a count of its own, by
 * path. Nothing has to be noted to be taken back, only the moment: it is compared whenever the answer is to be used again.
 *
 * What it is not: it keeps nothing that was answered; inodes have the notes (inode.h), the kernel the answers.
 *
 * Threads: any; it has a lock of its own, of a higher rank. */
#ifndef FS_VFS_COHERENCE_H
#define FS_VFS_COHERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coherence;

struct coherence_moment {
    uint64_t at; /* 0: nothing is vouched for */
    uint32_t place; /* a hash of the directory, or path */
};

/* NULL without memory. */
struct coherence *coherence_new(void);
/* Takes NULL, returns NULL. */
struct coherence *coherence_free(struct coherence *coherence);
void coherence_begin(struct coherence *coherence);
void coherence_end(struct coherence *coherence);
bool coherence_vouches(struct coherence *coherence);
/* A moment, to be taken before the database is asked about something in `directory` (a path), or about its names. */
struct coherence_moment coherence_moment(struct coherence *coherence, const char *directory, size_t size);
/* Something has changed, anywhere. */
void coherence_touch_all(struct coherence *coherence);
/* Whether an answer is not vouched for. */
bool coherence_crossed(struct coherence *coherence, const struct coherence_moment *moment);

/* Something has come to `path`, which begins with no spelling (names.h), or gone from there, and so perhaps from the paths
 * above it: each directory above has changed. */
void coherence_come(struct coherence *coherence, const char *path);
/* Whether an answer that nothing is at a path is not vouched for. The moment is one of that path, in the place of a
 * directory's. */
bool coherence_came(struct coherence *coherence, const struct coherence_moment *moment);
/* Something may have come to any path; and whether that was so since `at`, of a moment. */
void coherence_come_anywhere(struct coherence *coherence);
bool coherence_came_anywhere(struct coherence *coherence, uint64_t at);

#endif

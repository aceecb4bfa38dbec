// SPDX-License-Identifier: Apache-2.0
/* The chunks of one revision in a file on disk: what is read there is what was written there, or nothing.
 *
 *     <32 hex digits of the realm>-<32 of the revision's key>.v2      the content as it is: the kernel may read it there
 *     <the same>.v2h                                                  | head of chunk 0 | head of chunk 1 | ... | tail
 *
 * The only chunk of a small file has its head behind it, so that it is one file.
 *
 * The head has the format, the size and the checksum (XXH3) of the bytes, which is seeded with the name of the file, n
 * and the size. So a place that was never written, was half written when the power went, has rotted or belongs elsewhere
 * is no chunk, and nothing has to be in order or synced. Who writes a place again, or at the same time, writes the same.
 * Another format is another name.
 * The tail is of DISK_FILE_TAIL bytes, which are not looked at here (disk_mark.h).
 * What it is not: it does not say what is in the file. Foreign files are left alone: what is no regular file, has another
 * owner or another name beside this one, or can be changed by everybody.
 *
 * Threads and processes: any number at once on one file.
 * Errors: 0 or -errno. */
#ifndef CACHE_DISK_FILE_H
#define CACHE_DISK_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cache/lru.h"

enum {
    DISK_FORMAT = 2,
    DISK_REALM = 16,
    DISK_FILE_NAME = 80,
    DISK_FILE_TAIL = 48,
};

struct disk_file {
    char name[DISK_FILE_NAME];
    int64_t length;      /* of the content */
    uint32_t chunk_size; /* bytes, > 0 */
};

/* One that is open; {-1, -1}: none. */
struct disk_open {
    int content, heads; /* one descriptor, or two */
};

/* Revisions of one realm, a database of a server, have keys that differ. */
void disk_file_init(struct disk_file *file, const unsigned char realm[DISK_REALM],
                    const unsigned char revision[REVISION_KEY_SIZE], int64_t length, uint32_t chunk_size);
/* Whether it is the name of such a file, of any format, whose heads have the name *ret_heads, if it has such; or that of
 * heads, whose content has the name *ret_content. */
bool disk_file_is_name(const char *name, char ret_heads[DISK_FILE_NAME]);
bool disk_file_is_heads(const char *name, char ret_content[DISK_FILE_NAME]);
uint32_t disk_file_chunks(const struct disk_file *file);
/* How many bytes chunk n has. */
size_t disk_file_chunk(const struct disk_file *file, uint32_t n);
/* How many bytes of the disk `count` > 0 chunks take at the most. */
int64_t disk_file_takes(const struct disk_file *file, uint32_t first, uint32_t count);
/* To be written, it is made. -EPERM: it is foreign. */
int disk_file_open(const char *folder, const struct disk_file *file, bool to_write, struct disk_open *ret_open);
void disk_file_close(struct disk_open *open);
void disk_file_remove(const char *folder, const struct disk_file *file);
/* Of a file of several chunks: where the tail is in the heads, and a descriptor to write there if they exist. */
int64_t disk_file_tail(const struct disk_file *file);
int disk_file_open_heads(const char *folder, const struct disk_file *file);
/* Has the disk begin to read these chunks. */
void disk_file_expect(const struct disk_open *open, const struct disk_file *file, uint32_t first, uint32_t count);
/* -ENOENT: it was never written; -EBADMSG: what stands there is no chunk. `into` may be overwritten then. */
int disk_file_read(const struct disk_open *open, const struct disk_file *file, uint32_t n, void *into);
/* The same without waiting for the disk: -EAGAIN, unless memory has it. */
int disk_file_read_at_once(const struct disk_open *open, const struct disk_file *file, uint32_t n, void *into);
/* What another wrote just now is not written again, which would be a change (disk_sound.h). */
int disk_file_write(const struct disk_open *open, const struct disk_file *file, uint32_t n, const void *bytes);
/* Notes that it was used, by the mtime of its heads: once a minute at the most. The content is not changed by it. */
void disk_file_use(const struct disk_open *open);

static inline void disk_open_cleanup(struct disk_open *open) {
    disk_file_close(open);
}

#define cleanup_disk_open __attribute__((__cleanup__(disk_open_cleanup)))

#endif

/* The chunks of one revision in a file on disk: what is read there is what was written there, or nothing.
 *
 *     <32 hex digits of the realm>-<32 of the revision's key>.v1
 *
 *     | head, bytes of chunk 0 | head, bytes of chunk 1 | ...      chunk n at n * slot; a slot is whole pages
 *
 * The head has the format, the size and the checksum (XXH3) of the bytes, which is seeded with the name of the file, n
 * and the size. So a slot that was never written, was half written when the power went, has rotted or belongs elsewhere
 * is no chunk, and nothing has to be in order or synced. Who writes a slot again, or at the same time, writes the same.
 * Another format is another name.
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
    DISK_FORMAT = 1,
    DISK_REALM = 16,
    DISK_FILE_NAME = 80,
    DISK_FILE_WASTE = 4112, /* bytes that a chunk takes beyond its own, at the most */
};

struct disk_file {
    char name[DISK_FILE_NAME];
    int64_t length;      /* of the content */
    uint32_t chunk_size; /* bytes, > 0 */
};

/* Revisions of one realm, a database of a server, have keys that differ. */
void disk_file_init(struct disk_file *file, const unsigned char realm[DISK_REALM],
                    const unsigned char revision[REVISION_KEY_SIZE], int64_t length, uint32_t chunk_size);
/* Whether it is the name of such a file, of any format. */
bool disk_file_is_name(const char *name);
/* How many bytes chunk n has. */
size_t disk_file_chunk(const struct disk_file *file, uint32_t n);
/* A descriptor. To be written, it is made. -EPERM: it is foreign. */
int disk_file_open(const char *folder, const struct disk_file *file, bool to_write);
/* Has the disk begin to read these chunks. */
void disk_file_expect(int fd, const struct disk_file *file, uint32_t first, uint32_t count);
/* -ENOENT: it was never written; -EBADMSG: what stands there is no chunk. `into` may be overwritten then. */
int disk_file_read(int fd, const struct disk_file *file, uint32_t n, void *into);
int disk_file_write(int fd, const struct disk_file *file, uint32_t n, const void *bytes);
/* Notes that it was used, by its mtime: once a minute at the most. */
void disk_file_use(int fd);

#endif

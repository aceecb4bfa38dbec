// SPDX-License-Identifier: Apache-2.0
/* The disk tier of the chunk cache: a source of chunks that looks into a folder before it asks the source below it, and
 * keeps there what that one gave. It outlives the process.
 *
 *     fetch:  found on disk -------------------------------------------> chunks
 *             not found -> [the source below, in one question] ---------> chunks
 *                                                   '-> disk_writer.h -> disk
 *
 * Readers wait for the disk only where it has what they ask for. While it is slower than the source below (pace.h) they
 * pass it by, and nothing is kept, unless the source fails. What is damaged is never kept, and what is on disk is never trusted without its
 * checksum (disk_file.h): whatever happens to the folder, it costs a fetch. So there is nothing to recover, to sync or to
 * lock; any number of mounts share a folder (disk_folder.h).
 * A file whose chunks were all found sound may be read by the kernel without asking again (disk_sound.h): what the disk
 * makes of it after that is not seen.
 * What it is not: a copy that others can read, or a promise: a chunk may be gone at any moment.
 *
 * Threads: that of the writer; the source from any thread. disk_tick() once a second.
 * Memory: what is read is charged to the budget of who asks; what is written, see disk_writer.h.
 * Errors: of the source below, only.
 * Facts: the files of up to four mounts never take more than `most` bytes. Whatever others write, it writes only while
 *        `least_free` bytes stay free, and gives room back when they do not. A revision longer than `most` is not kept. */
#ifndef CACHE_DISK_H
#define CACHE_DISK_H

#include "cache/chunks.h"
#include "cache/disk_writer.h"

struct disk;

/* What the tier has to know of a source's handle. */
struct disk_content {
    unsigned char revision[REVISION_KEY_SIZE];
    int64_t length;
    uint32_t chunk_size;
};

struct disk_config {
    const char *folder; /* absolute; copied */
    const char *realm;  /* what tells revisions of equal keys apart: server and database */
    struct disk_room room;
    int64_t rest_ms; /* after a failure */
    struct chunk_source below;
    void (*describe)(void *handle, struct disk_content *ret_content);
};

/* Errors as disk_writer_new(). */
int disk_new(const struct disk_config *config, struct disk **ret_disk, char **ret_error);
/* Writes what is queued; the source is not used any more. Takes NULL, returns NULL. */
struct disk *disk_free(struct disk *disk);
/* To be given to chunks_new(). */
struct chunk_source disk_source(struct disk *disk);
/* Now and then gives room back that the file system lacks. Never blocks. */
void disk_tick(struct disk *disk);
struct disk_state disk_state(struct disk *disk);

#endif

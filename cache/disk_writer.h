// SPDX-License-Identifier: Apache-2.0
/* What the disk tier writes: chunks on their way to its folder, and the room for them.
 *
 *     storing -- [a write fails, or there is no room: said in the log, once] --> resting
 *        ^---- [rest_ms later: the folder is made where it is not, and a write goes well] ----'
 *
 * What comes faster than it can be written is not kept. No more is written than the folder may take (disk_folder.h); of
 * what is left of that, a quarter, before the folder is looked at again: other mounts write too.
 *
 * Threads: one of its own, which alone touches the disk; all functions from any thread, and none blocks.
 * Memory: chunks wait within an eighth of their budget, 32 MiB at the most, or one run of them alone; they count in it.
 * Errors: none that matter to who stores; the state tells. */
#ifndef CACHE_DISK_WRITER_H
#define CACHE_DISK_WRITER_H

#include "cache/base/blob.h"
#include "cache/disk_file.h"
#include "cache/disk_folder.h"
#include "cache/disk_sound.h"

struct disk_writer;

/* For status. */
struct disk_state {
    const char *folder; /* lent */
    int64_t used;       /* bytes, as far as known */
    int resting;        /* 0, or the -errno for which nothing is stored now */
    unsigned backlog;   /* how full the queue is, in percent; 0: nothing waits, 100: what comes is not kept */
};

/* `folder`: absolute; copied. -EPERM and the like with *ret_error, a line to be freed, when it is none to be used. When it
 * only cannot be written to now, that is no error: the writer rests. `sound` is lent: it is told what was written. */
int disk_writer_new(const char *folder, const struct disk_room *room, int64_t rest_ms, struct disk_sound *sound,
                    struct disk_writer **ret_writer, char **ret_error);
/* Writes what is queued. Takes NULL, returns NULL. */
struct disk_writer *disk_writer_free(struct disk_writer *writer);
/* Whether it is of use to store something. */
bool disk_writer_takes(struct disk_writer *writer, const struct disk_file *file);
/* Queues `count` chunks, which are all there and sound, and charged to `budget`. Takes references of its own. */
void disk_writer_store(struct disk_writer *writer, const struct disk_file *file, uint32_t first, uint32_t count,
                       struct blob *const *blobs, const struct budget *budget);
/* Gives room back that the file system lacks, and has what is whole and on the disk be marked (disk_sound.h), in a while. */
void disk_writer_look(struct disk_writer *writer);
struct disk_state disk_writer_state(struct disk_writer *writer);

#endif

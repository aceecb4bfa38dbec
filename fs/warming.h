// SPDX-License-Identifier: Apache-2.0
/* Fills the caches of a mount in the background, by globs (-o warm=): a thread that walks and fetches through the vfs, as one
 * more user of it beside the kernel's requests.
 *
 *     idle -- [warming_begin] --> running <-- [the server answers not, and again] --> waiting
 *                                    |-- [all was read] --> done
 *                                    '-- [the next file has no room in the caches] --> full
 *
 * It goes through the vfs and not through the mountpoint: no descriptor in the mount keeps it busy, no request of its own has
 * to be answered at the end, and it needs no rights there. What it fetches is in memory and in cache_dir; the kernel gets its
 * pages from there. It asks for one piece at a time, at the lowest priority, in turns with programs that read, and no faster
 * than cache_dir takes it. It ends before it would push out what it has brought in; what memory has no room for goes
 * to cache_dir without pushing out what programs have read.
 * What it is not: what `gridmount warm` does (fs/tools/warm.h). That one goes through the kernel for its pages' sake, and has
 * descriptors and signals where this has inodes and a flag: the two walks have nothing in common but their order.
 *
 * Threads: one of its own. warming_begin() and warming_state() from any.
 * Memory: a batch of entries, and the path of each directory that is still to be read.
 * Errors: a file that cannot be read is named in the log and counted; a server that is away is waited for. */
#ifndef FS_WARMING_H
#define FS_WARMING_H

#include <stdint.h>

#include "cache/disk.h"
#include "fs/status_text.h"
#include "fs/vfs/vfs.h"

struct warming;

/* All outlive it. */
struct warming_config {
    struct vfs *vfs;
    char *const *globs; /* globs.h; at least one */
    struct disk *disk;  /* NULL: there is none */
    int64_t memory;     /* bytes that the memory keeps; further ones are in cache_dir alone, or they are too many */
    int64_t room;       /* bytes that the caches keep */
};

/* NULL without memory or threads. */
struct warming *warming_new(const struct warming_config *config);
/* The mount is up. Never blocks. */
void warming_begin(struct warming *warming);
struct status_warming warming_state(struct warming *warming);
/* Ends it: what it asks the server just now is waited for, and no more. Takes NULL, returns NULL. */
struct warming *warming_free(struct warming *warming);

#endif

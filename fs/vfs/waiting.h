// SPDX-License-Identifier: Apache-2.0
/* Closed files whose content the database does not have yet: it could not be stored, or (writeback) the close did not wait
 * for that. One mechanism stores both, without anybody's close: never over what others did meanwhile (then it is kept beside
 * that), until it is stored, or the mount ends and the journal has it.
 *
 *     closed [waiting_add] -> due [waiting_go] -> being stored -> gone
 *                              ^                       | it failed, or is being written again by another handle
 *                              '--- [waiting_retry] ---'
 *
 * A file is here once, however often it is closed meanwhile: what is stored is what it is by then. While the server does
 * not answer, one file is tried at a time, and the others are when that was stored.
 * What it is not: it writes no records (journaling.c does), and knows nothing of what an earlier mount left (recovery.h).
 *
 * Threads: all functions from any thread, but waiting_settle() at the end. Files are stored by the threads of
 *          config.uploaders, or, where there are none, by whoever calls waiting_go(), which blocks as the store does then.
 * Memory: an entry holds its inode, as a handle that writes does; so its written side does not go. */
#ifndef FS_VFS_WAITING_H
#define FS_VFS_WAITING_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/lock.h"

struct inode;
struct vfs;
struct waiting_file;

struct waiting {
    struct lock lock; /* guards what follows */
    struct condition changed;
    struct waiting_file *files; /* the first closed first */
    unsigned count, busy;
    uint64_t bytes; /* of all of them */
    bool away;      /* the server did not answer when it was last asked */
    bool ending;    /* then it is asked all the same */
};

void waiting_init(struct waiting *waiting);
void waiting_done(struct waiting *waiting);
/* Whether a file may wait that nobody has tried to store: config.waiting_files and waiting_bytes bound that. */
bool waiting_admits(struct vfs *vfs, struct inode *inode, uint64_t bytes);
/* It waits from now on, for the first try (`error` 0, then it is due) or because that failed. False without memory: then it
 * waits for nothing, and what was written is left to the inode's other handles, or as at a crash. */
bool waiting_add(struct vfs *vfs, struct inode *inode, uint64_t bytes, int error);
bool waiting_has(struct vfs *vfs, const struct inode *inode);
/* Whether the server did not answer when it was last asked. */
bool waiting_is_away(struct vfs *vfs);
/* All that failed is due again. */
void waiting_retry(struct vfs *vfs);
/* What is due is stored. */
void waiting_go(struct vfs *vfs);
/* Tries each once more, waits for that, and lets all go. Nobody adds any more. */
void waiting_settle(struct vfs *vfs);

#endif

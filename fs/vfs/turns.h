// SPDX-License-Identifier: Apache-2.0
/* Changes of one inode's attributes in the database go one after the other: a server whose updates are not atomic
 * (FerretDB) loses one of two at once, and the times of directories are sent whenever it is time.
 *
 * Threads: safe from any thread; turns_begin() waits for whoever has the turn, that is for the store.
 * Memory: none of its own; a turn is the caller's until it ends. */
#ifndef FS_VFS_TURNS_H
#define FS_VFS_TURNS_H

#include "cache/base/lock.h"

struct turn {
    const void *of;
    struct turn *prev, *next;
};

struct turns {
    struct lock lock; /* guards what follows */
    struct condition ended;
    struct turn *taken; /* for each object one at most */
};

void turns_init(struct turns *turns);
void turns_done(struct turns *turns);
void turns_begin(struct turns *turns, struct turn *turn, const void *of);
void turns_end(struct turns *turns, struct turn *turn);

#endif

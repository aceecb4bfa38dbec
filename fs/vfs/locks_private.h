// SPDX-License-Identifier: Apache-2.0
/* What locks.c (who has what) and lock_wait.c (who waits) share; included by them only. */
#ifndef FS_VFS_LOCKS_PRIVATE_H
#define FS_VFS_LOCKS_PRIVATE_H

#include <uthash.h>

#include "fs/vfs/lock_ranges.h"
#include "fs/vfs/vfs_private.h"

enum { LOCK_THREADS = 4, LOCK_WAITS_MOST = 4096 };

/* A file that is locked, or about to be. */
struct locked_file {
    UT_hash_handle hh;
    struct store *store;
    unsigned users;  /* under the lock: threads that want it */
    int64_t left_ms; /* under the lock: when one left it last */
    bool busy;       /* under the lock: one of them has it, and all that follows */
    struct store_hold *hold;
    struct lock_ranges ranges; /* of the owners here */
    struct store_range *held;  /* what the hold has for them */
    uint32_t held_count;
    bool unsettled;            /* the hold may have something else */
    const struct inode *fresh; /* the inode that was moved to the newest content last; compared only */
    char key[];
};

/* One that waits. */
struct lock_waiter {
    struct vfs_lock_wait wait;
    int64_t number;
    bool begun, running, interrupted;
    bool woken; /* since it was tried last */
    int64_t due_ms, delay_ms;
    struct lock_waiter *prev, *next;
    char key[]; /* of the file */
};

struct locks {
    struct vfs *vfs;
    struct lock lock; /* guards all of it */
    struct condition free; /* a file is not busy any more */
    struct locked_file *table;
    /* lock_wait.c: */
    struct condition changed;
    struct lock_waiter *waiters;
    unsigned waiter_count, thread_count;
    int64_t last_number;
    bool told; /* of what others unlock */
    bool stopping;
    pthread_t threads[LOCK_THREADS];
};

/* The key of a handle's file, to be freed; NULL without memory. */
char *locks_key(struct vfs *vfs, struct handle *handle, bool whole);
/* Those that wait for a file try at once. Under the lock. */
void locks_wake_locked(struct locks *locks, const char *key);

#endif

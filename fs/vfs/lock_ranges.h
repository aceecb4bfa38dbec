// SPDX-License-Identifier: Apache-2.0
/* Locks on the bytes of one file as fcntl(2) and flock(2) have them: who holds what, as plain arithmetic.
 *
 * An owner has each byte at most once, shared or exclusive; what it locks again changes, what it unlocks in the middle
 * falls into two. Owners exclude each other where one of them is exclusive. A whole file is [0, INT64_MAX].
 *
 * What it is not: it waits for nobody and knows no files (fs/vfs/locks.h does).
 *
 * Threads: none; the caller synchronises. Memory: lock_ranges_done() frees a list; all zeros is an empty one.
 * Errors: 0, -ENOMEM, or -ENOLCK past LOCK_RANGES_MOST; then nothing was changed.
 * Facts (lock_ranges_check): ranges of one owner do not overlap; start <= end. */
#ifndef FS_VFS_LOCK_RANGES_H
#define FS_VFS_LOCK_RANGES_H

#include <sys/types.h>

#include "fs/store/store.h"

enum { LOCK_RANGES_MOST = 4096 };

struct lock_range {
    uint64_t owner;
    const void *via; /* the open file that it was taken through: with that it goes at the latest */
    pid_t pid;       /* of who took it; told, and nothing else */
    struct store_range range;
};

struct lock_ranges {
    struct lock_range *list;
    uint32_t count;
};

void lock_ranges_done(struct lock_ranges *ranges);
/* `ret_copy` is empty before. */
int lock_ranges_copy(const struct lock_ranges *ranges, struct lock_ranges *ret_copy);
/* The owner has this range, of this kind, from now on. Whether others allow it is asked before. */
int lock_ranges_set(struct lock_ranges *ranges, const struct lock_range *wanted);
/* The owner of `unlocked` has nothing of its range any more. */
int lock_ranges_clear(struct lock_ranges *ranges, const struct lock_range *unlocked);
/* Nothing that was taken through `via` is left. */
void lock_ranges_clear_via(struct lock_ranges *ranges, const void *via);
/* One that another owner has and that excludes `wanted`; lent; NULL: none does. */
const struct lock_range *lock_ranges_conflict(const struct lock_ranges *ranges, const struct lock_range *wanted);
/* Whether the owner has anything of this range. */
bool lock_ranges_touches(const struct lock_ranges *ranges, const struct lock_range *wanted);
bool lock_ranges_has_via(const struct lock_ranges *ranges, const void *via);
/* What all owners together have, in order and apart, exclusive where one is. To be freed; NULL for none. */
int lock_ranges_union(const struct lock_ranges *ranges, struct store_range **ret_list, uint32_t *ret_count);
void lock_ranges_check(const struct lock_ranges *ranges);

#endif

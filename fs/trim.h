// SPDX-License-Identifier: Apache-2.0
/* Keeps the process near what it accounts for: what the allocator holds of freed memory goes back to the system.
 *
 * Content comes and goes in pieces of all sizes, made in one thread and freed in another, so that the allocator is left
 * with far more than the budget: 160 MiB were seen resident of a budget of 64.
 *
 * Threads: one at a time. */
#ifndef FS_TRIM_H
#define FS_TRIM_H

#include <stddef.h>

struct trim {
    size_t least; /* bytes resident beyond those accounted for, right after the last time */
};

/* To be called about once a second. `accounted`: bytes that are rightly held. */
void trim_tick(struct trim *trim, size_t accounted);

#endif

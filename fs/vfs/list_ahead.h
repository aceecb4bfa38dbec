// SPDX-License-Identifier: Apache-2.0
/* A list of a store (store.h), read ahead of who takes its entries: while those at hand are taken, a worker asks for
 * what comes next.
 *
 *     resting --[list_ahead_next: nothing at hand]--> read by the taker, until enough is there to be taken
 *        |                                                             |
 *        '--[list_ahead_next: all that was read is taken out]--> read by a worker, until as much is ahead
 *
 * So a short list costs no change of threads, and a taker never waits for a worker that has not begun.
 *
 * Threads: one taker at a time. list_ahead_free() does not wait for a question under way: the worker that asks it cleans up.
 *          The store must live until the workers have ended.
 * Memory: at most LIST_AHEAD_MOST entries that are being taken, and as many behind them.
 * Errors: those of the store, in their place: what was read before comes first. */
#ifndef FS_VFS_LIST_AHEAD_H
#define FS_VFS_LIST_AHEAD_H

#include "cache/base/workers.h"
#include "fs/store/store.h"

enum { LIST_AHEAD_MOST = 4096 };

struct list_ahead;

/* The entries of `path` from behind `after` (NULL: from the start); both are copied. Asks nothing yet. `workers` NULL:
 * nothing is read ahead. NULL without memory. */
struct list_ahead *list_ahead_new(struct workers *workers, struct store *store, const char *path, const char *after);
/* Takes NULL, returns NULL. */
struct list_ahead *list_ahead_free(struct list_ahead *ahead);
/* As list_next() of a store: 1 and the next entry, owned by the caller; 0 at the end; or -errno, which then stays. */
int list_ahead_next(struct list_ahead *ahead, struct store_item *ret_item);

#endif

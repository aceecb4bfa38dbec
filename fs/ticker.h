// SPDX-License-Identifier: Apache-2.0
/* A thread that calls a function once a second until it is stopped.
 *
 * Threads: `tick` runs in the ticker's thread, never twice at once, without a lock held. ticker_stop() waits for it. */
#ifndef FS_TICKER_H
#define FS_TICKER_H

struct ticker;

/* NULL without memory or threads. */
struct ticker *ticker_new(void (*tick)(void *context), void *context);
/* Takes NULL, returns NULL. */
struct ticker *ticker_stop(struct ticker *ticker);

#endif

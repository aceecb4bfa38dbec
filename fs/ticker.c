// SPDX-License-Identifier: Apache-2.0
#include "fs/ticker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cache/base/lock.h"

enum { PERIOD_MS = 1000 };

struct ticker {
    pthread_t thread;
    void (*tick)(void *context);
    void *context;
    struct lock lock;
    struct condition stopping;
    bool stopped;
};

static void *run(void *argument) {
    struct ticker *ticker = argument;
    for (;;) {
        lock_acquire(&ticker->lock);
        bool woken = true; /* also for no reason */
        while (!ticker->stopped && woken)
            woken = condition_wait_for(&ticker->stopping, &ticker->lock, PERIOD_MS);
        bool stopped = ticker->stopped;
        lock_release(&ticker->lock);
        if (stopped)
            return NULL;
        ticker->tick(ticker->context);
    }
}

struct ticker *ticker_new(void (*tick)(void *context), void *context) {
    struct ticker *ticker = calloc(1, sizeof *ticker);
    if (!ticker)
        return NULL;
    ticker->tick = tick;
    ticker->context = context;
    lock_init(&ticker->lock, LOCK_WORKERS);
    condition_init(&ticker->stopping);
    if (pthread_create(&ticker->thread, NULL, run, ticker) == 0)
        return ticker;
    condition_done(&ticker->stopping);
    lock_done(&ticker->lock);
    free(ticker);
    return NULL;
}

struct ticker *ticker_stop(struct ticker *ticker) {
    if (!ticker)
        return NULL;
    lock_acquire(&ticker->lock);
    ticker->stopped = true;
    condition_broadcast(&ticker->stopping);
    lock_release(&ticker->lock);
    pthread_join(ticker->thread, NULL);
    condition_done(&ticker->stopping);
    lock_done(&ticker->lock);
    free(ticker);
    return NULL;
}

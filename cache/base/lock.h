// SPDX-License-Identifier: Apache-2.0
/* Mutexes that know their place: a lock has a rank (ranks.def), and a thread takes locks only in rising rank.
 *
 * In builds with LOCK_DEBUG a violation aborts and names both locks; otherwise a lock is a plain mutex.
 *
 * Threads: all functions may be called from any thread; lock_release() only by the holder.
 * Errors: none. A mutex that cannot be taken is a bug (CHECK). */
#ifndef CACHE_BASE_LOCK_H
#define CACHE_BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum lock_rank {
#define RANK(name) LOCK_##name,
#include "cache/base/ranks.def"
#undef RANK
    LOCK_RANKS
};

struct lock {
    pthread_mutex_t mutex;
    enum lock_rank rank;
};

/* A condition that is waited for under one lock, with a deadline on the monotonic clock. */
struct condition {
    pthread_cond_t condition;
};

void lock_init(struct lock *lock, enum lock_rank rank);
void lock_done(struct lock *lock);
void lock_acquire(struct lock *lock);
void lock_release(struct lock *lock);

void condition_init(struct condition *condition);
void condition_done(struct condition *condition);
void condition_wait(struct condition *condition, struct lock *lock);
/* Waits at most `milliseconds`. Returns false when the time is over. */
bool condition_wait_for(struct condition *condition, struct lock *lock, int64_t milliseconds);
void condition_signal(struct condition *condition);
void condition_broadcast(struct condition *condition);

#endif

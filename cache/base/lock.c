// SPDX-License-Identifier: Apache-2.0
#include "cache/base/lock.h"

#include <errno.h>
#include <time.h>

#include "cache/base/check.h"

#ifdef LOCK_DEBUG
static const char *const rank_names[] = {
#define RANK(name) #name,
#include "cache/base/ranks.def"
#undef RANK
};
static _Thread_local unsigned held; /* bit r: this thread holds a lock of rank r */

static void note_acquire(enum lock_rank rank) {
    for (unsigned higher = rank; higher < LOCK_RANKS; higher++)
        if (held & (1u << higher)) {
            fprintf(stderr, "gridmount: invariant broken: lock %s taken while %s is held\n", rank_names[rank],
                    rank_names[higher]);
            abort();
        }
    held |= 1u << rank;
}

static void note_release(enum lock_rank rank) {
    CHECK(held & (1u << rank));
    held &= ~(1u << rank);
}
#else
static void note_acquire(enum lock_rank rank) {
    (void)rank;
}

static void note_release(enum lock_rank rank) {
    (void)rank;
}
#endif

void lock_init(struct lock *lock, enum lock_rank rank) {
    CHECK(pthread_mutex_init(&lock->mutex, NULL) == 0);
    lock->rank = rank;
}

void lock_done(struct lock *lock) {
    CHECK(pthread_mutex_destroy(&lock->mutex) == 0);
}

void lock_acquire(struct lock *lock) {
    note_acquire(lock->rank);
    CHECK(pthread_mutex_lock(&lock->mutex) == 0);
}

void lock_release(struct lock *lock) {
    note_release(lock->rank);
    CHECK(pthread_mutex_unlock(&lock->mutex) == 0);
}

void condition_init(struct condition *condition) {
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&condition->condition, &attributes) == 0);
    pthread_condattr_destroy(&attributes);
}

void condition_done(struct condition *condition) {
    CHECK(pthread_cond_destroy(&condition->condition) == 0);
}

void condition_wait(struct condition *condition, struct lock *lock) {
    CHECK(pthread_cond_wait(&condition->condition, &lock->mutex) == 0);
}

bool condition_wait_for(struct condition *condition, struct lock *lock, int64_t milliseconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += milliseconds / 1000;
    until.tv_nsec += milliseconds % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    int error = pthread_cond_timedwait(&condition->condition, &lock->mutex, &until);
    CHECK(error == 0 || error == ETIMEDOUT);
    return error == 0;
}

void condition_signal(struct condition *condition) {
    CHECK(pthread_cond_signal(&condition->condition) == 0);
}

void condition_broadcast(struct condition *condition) {
    CHECK(pthread_cond_broadcast(&condition->condition) == 0);
}

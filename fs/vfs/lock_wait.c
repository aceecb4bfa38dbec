// SPDX-License-Identifier: Apache-2.0
/* Who waits for a lock: a few threads that ask again and again, sooner at first, and at once when they are woken.
 *
 *     prepared [vfs_lock_begin] -> waiting [a thread, when due] -> running -> waiting, or done
 *     waiting [vfs_lock_interrupt, vfs_lock_stop] -> done
 *
 * The delays are as good as random, so that of those who wait in several mounts each has its turn. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/clock.h"
#include "fs/vfs/locks_private.h"

/* What is told may be lost, or never have happened: a host that died unlocks nothing. */
enum { DELAY_LEAST_MS = 2, DELAY_MOST_MS = 100, DELAY_MOST_TOLD_MS = 1000 };

/* Under the lock. */
static void wait_more(struct locks *locks, struct lock_waiter *waiter) {
    int64_t most = locks->told ? DELAY_MOST_TOLD_MS : DELAY_MOST_MS;
    waiter->due_ms = waiter->woken ? 0 : clock_now_ms() + 1 + clock_now_ns() / 16 % waiter->delay_ms;
    waiter->delay_ms = waiter->delay_ms * 2 < most ? waiter->delay_ms * 2 : most;
}

/* The one that is due first of those that no thread tries; NULL: none. */
static struct lock_waiter *first_due(struct locks *locks) {
    struct lock_waiter *waiter, *first = NULL;
    DL_FOREACH(locks->waiters, waiter) {
        if (waiter->begun && !waiter->running && (!first || waiter->due_ms < first->due_ms))
            first = waiter;
    }
    return first;
}

/* Gives up the lock, and comes back with it. */
static void try(struct locks *locks, struct lock_waiter *waiter) {
    int result = waiter->interrupted ? -EINTR : 0;
    bool moved = waiter->wait.moved;
    waiter->running = true;
    waiter->woken = false;
    lock_release(&locks->lock);
    if (result == 0)
        result = vfs_lock(locks->vfs, waiter->wait.handle, &waiter->wait.lock, &moved);
    lock_acquire(&locks->lock);
    waiter->running = false;
    waiter->wait.moved = moved;
    if (result == -EAGAIN && !waiter->wait.once && !waiter->interrupted) {
        wait_more(locks, waiter);
        return;
    }
    DL_DELETE(locks->waiters, waiter);
    locks->waiter_count--;
    lock_release(&locks->lock);
    waiter->wait.done(waiter->wait.context, result == -EAGAIN && waiter->interrupted ? -EINTR : result, moved);
    free(waiter);
    lock_acquire(&locks->lock);
}

static void *serve(void *argument) {
    struct locks *locks = argument;
    lock_acquire(&locks->lock);
    while (!locks->stopping) {
        struct lock_waiter *waiter = first_due(locks);
        int64_t left = waiter ? waiter->due_ms - clock_now_ms() : 0;
        if (!waiter)
            condition_wait(&locks->changed, &locks->lock);
        else if (left > 0)
            (void)condition_wait_for(&locks->changed, &locks->lock, left);
        else
            try(locks, waiter);
    }
    lock_release(&locks->lock);
    return NULL;
}

/* Under the lock. */
static bool start_threads(struct locks *locks) {
    while (locks->thread_count < LOCK_THREADS &&
           pthread_create(&locks->threads[locks->thread_count], NULL, serve, locks) == 0)
        locks->thread_count++;
    return locks->thread_count > 0;
}

int64_t vfs_lock_prepare(struct vfs *vfs, const struct vfs_lock_wait *wait) {
    struct locks *locks = vfs->locks;
    cleanup_free char *key = locks_key(vfs, wait->handle, wait->lock.whole);
    struct lock_waiter *waiter = key ? calloc(1, sizeof *waiter + strlen(key) + 1) : NULL;
    if (!waiter)
        return -ENOMEM;
    waiter->wait = *wait;
    waiter->delay_ms = DELAY_LEAST_MS;
    strcpy(waiter->key, key);
    int64_t number = -ENOLCK;
    lock_acquire(&locks->lock);
    if (!locks->stopping && locks->waiter_count < LOCK_WAITS_MOST && start_threads(locks)) {
        number = waiter->number = ++locks->last_number;
        locks->waiter_count++;
        DL_APPEND(locks->waiters, waiter);
        waiter = NULL;
    }
    lock_release(&locks->lock);
    free(waiter);
    return number;
}

static struct lock_waiter *find(struct locks *locks, int64_t number) {
    struct lock_waiter *waiter;
    DL_FOREACH(locks->waiters, waiter) {
        if (waiter->number == number)
            break;
    }
    return waiter;
}

void vfs_lock_begin(struct vfs *vfs, int64_t number) {
    struct locks *locks = vfs->locks;
    lock_acquire(&locks->lock);
    struct lock_waiter *waiter = find(locks, number);
    if (waiter)
        waiter->begun = true;
    condition_broadcast(&locks->changed);
    lock_release(&locks->lock);
}

void vfs_lock_interrupt(struct vfs *vfs, int64_t number) {
    struct locks *locks = vfs->locks;
    lock_acquire(&locks->lock);
    struct lock_waiter *waiter = find(locks, number);
    if (waiter) {
        waiter->interrupted = true;
        waiter->due_ms = 0;
    }
    condition_broadcast(&locks->changed);
    lock_release(&locks->lock);
}

void vfs_lock_stop(struct vfs *vfs) {
    struct locks *locks = vfs->locks;
    if (!locks)
        return;
    lock_acquire(&locks->lock);
    locks->stopping = true;
    condition_broadcast(&locks->changed);
    lock_release(&locks->lock);
    while (locks->thread_count)
        pthread_join(locks->threads[--locks->thread_count], NULL);
    while (locks->waiters) {
        struct lock_waiter *waiter = locks->waiters;
        DL_DELETE(locks->waiters, waiter);
        waiter->wait.done(waiter->wait.context, -EINTR, false);
        free(waiter);
    }
}

/* It may be tried just now, which is too early. */
static void wake(struct lock_waiter *waiter) {
    waiter->woken = true;
    waiter->due_ms = 0;
}

void locks_wake_locked(struct locks *locks, const char *key) {
    struct lock_waiter *waiter;
    bool any = false;
    DL_FOREACH(locks->waiters, waiter) {
        if (strcmp(waiter->key, key) != 0)
            continue;
        wake(waiter);
        waiter->delay_ms = DELAY_LEAST_MS;
        any = true;
    }
    if (any)
        condition_broadcast(&locks->changed);
}

void locks_set_told(struct locks *locks, bool told) {
    if (!locks)
        return;
    lock_acquire(&locks->lock);
    locks->told = told;
    lock_release(&locks->lock);
}

/* Of any bucket: to try in vain costs little. */
void vfs_locks_wake(struct vfs *vfs, const char *path) {
    struct locks *locks = vfs->locks;
    struct lock_waiter *waiter;
    if (!locks)
        return;
    lock_acquire(&locks->lock);
    DL_FOREACH(locks->waiters, waiter) {
        size_t key = strlen(waiter->key), end = strlen(path);
        if (key > end && waiter->key[key - end - 1] == '/' && strcmp(waiter->key + key - end, path) == 0)
            wake(waiter);
    }
    condition_broadcast(&locks->changed);
    lock_release(&locks->lock);
}

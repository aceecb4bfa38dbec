// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/stats.h"

enum { AGAIN_MOST = 4096 };

/* When the kernel did not know it. */
static const int again_ms[] = {2, 20, 200, 2000};
enum { TRIES = sizeof again_ms / sizeof *again_ms };

struct telling {
    fuse_ino_t number;
    bool listing;
    char *name; /* or a name in it; owned */
    int tries; /* so far */
    int64_t due_ms;
};

/* First in, first out, in a ring. */
struct ring {
    struct telling *slots;
    size_t size, first, count;
};

struct notify {
    struct fuse_session *fuse;
    enum notify_kind kind;
    pthread_t thread;
    struct lock lock; /* guards what follows */
    struct condition changed;
    bool stopped;
    struct ring fresh;
    struct ring again[TRIES]; /* in each all wait for equally long: the first is due first */
};

static bool push(struct ring *ring, const struct telling *telling) {
    if (ring->count == ring->size)
        return false;
    ring->slots[(ring->first + ring->count++) % ring->size] = *telling;
    return true;
}

static struct telling pop(struct ring *ring) {
    struct telling telling = ring->slots[ring->first];
    ring->first = (ring->first + 1) % ring->size;
    ring->count--;
    return telling;
}

/* What is to be told now. Else how long to wait, or -1: for news. */
static bool next_locked(struct notify *notify, struct telling *ret_telling, int64_t *ret_wait_ms) {
    int64_t now = clock_now_ms();
    *ret_wait_ms = -1;
    for (int i = 0; i < TRIES; i++) {
        struct ring *ring = &notify->again[i];
        int64_t left = ring->count ? ring->slots[ring->first].due_ms - now : INT64_MAX;
        if (left <= 0) {
            *ret_telling = pop(ring);
            return true;
        }
        if (left != INT64_MAX && (*ret_wait_ms < 0 || left < *ret_wait_ms))
            *ret_wait_ms = left;
    }
    if (!notify->fresh.count)
        return false;
    bool was_full = notify->fresh.count == notify->fresh.size;
    *ret_telling = pop(&notify->fresh);
    if (was_full)
        condition_broadcast(&notify->changed);
    return true;
}

/* The pages of a directory are its listing; those of a file stay, since an inode has one content. */
static int tell(struct notify *notify, struct telling *telling) {
    if (!telling->name)
        return fuse_lowlevel_notify_inval_inode(notify->fuse, telling->number, telling->listing ? 0 : -1, 0);
    (void)fuse_lowlevel_notify_inval_entry(notify->fuse, telling->number, telling->name, strlen(telling->name));
    free(steal_ptr(&telling->name));
    return 0;
}

static void tell_locked(struct notify *notify, struct telling *telling) {
    lock_release(&notify->lock);
    int result = tell(notify, telling);
    lock_acquire(&notify->lock);
    if (result == 0) {
        stats_add(STAT_kernel_told, 1);
    } else if (result == -ENOENT && telling->tries < TRIES) {
        telling->due_ms = clock_now_ms() + again_ms[telling->tries];
        struct ring *ring = &notify->again[telling->tries++];
        (void)push(ring, telling);
    }
}

/* Leaves open in this thread's table what is there as `session`, and only that. */
static void close_all_but(int session) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int standard = 0; nothing >= 0 && standard < 3; standard++)
        (void)dup3(nothing, standard, O_CLOEXEC);
    (void)syscall(SYS_close_range, 3u, (unsigned)session - 1, 0u);
    (void)syscall(SYS_close_range, (unsigned)session + 1, ~0u, 0u);
}

/* See the header. Where the device cannot be opened once more, it stays with the one there is. */
static void take_own_files(struct notify *notify) {
    int session = fuse_session_fd(notify->fuse); /* where libfuse writes to */
    uint32_t original = (uint32_t)session;
    if (unshare(CLONE_FILES))
        return;
    int device = open("/dev/fuse", O_RDWR | O_CLOEXEC);
    if (device >= 0 && ioctl(device, FUSE_DEV_IOC_CLONE, &original) == 0)
        (void)dup3(device, session, O_CLOEXEC);
    close_all_but(session);
}

static void *run(void *argument) {
    struct notify *notify = argument;
    if (notify->kind == NOTIFY_NAMES)
        take_own_files(notify);
    lock_acquire(&notify->lock);
    while (!notify->stopped) {
        struct telling telling;
        int64_t wait_ms;
        if (next_locked(notify, &telling, &wait_ms))
            tell_locked(notify, &telling);
        else if (wait_ms < 0)
            condition_wait(&notify->changed, &notify->lock);
        else
            (void)condition_wait_for(&notify->changed, &notify->lock, wait_ms);
    }
    lock_release(&notify->lock);
    return NULL;
}

void notify_outdated(struct notify *notify, fuse_ino_t number, bool listing) {
    struct telling telling = {.number = number, .listing = listing};
    lock_acquire(&notify->lock);
    while (!notify->stopped && !push(&notify->fresh, &telling))
        condition_wait(&notify->changed, &notify->lock);
    condition_broadcast(&notify->changed);
    lock_release(&notify->lock);
}

void notify_outdated_name(struct notify *notify, fuse_ino_t directory, const char *name) {
    struct telling telling = {.number = directory, .name = strdup(name)};
    lock_acquire(&notify->lock);
    bool pushed = telling.name && !notify->stopped && push(&notify->fresh, &telling);
    condition_broadcast(&notify->changed);
    lock_release(&notify->lock);
    if (!pushed)
        free(telling.name);
}

static bool make_ring(struct ring *ring, size_t size) {
    ring->slots = calloc(size, sizeof *ring->slots);
    ring->size = ring->slots ? size : 0;
    return ring->slots;
}

static struct notify *notify_free(struct notify *notify) {
    while (notify->fresh.count)
        free(pop(&notify->fresh).name);
    free(notify->fresh.slots);
    for (int i = 0; i < TRIES; i++)
        free(notify->again[i].slots);
    condition_done(&notify->changed);
    lock_done(&notify->lock);
    free(notify);
    return NULL;
}

struct notify *notify_new(struct fuse_session *fuse, enum notify_kind kind) {
    struct notify *notify = calloc(1, sizeof *notify);
    if (!notify)
        return NULL;
    notify->fuse = fuse;
    notify->kind = kind;
    lock_init(&notify->lock, LOCK_NOTIFY);
    condition_init(&notify->changed);
    bool made = make_ring(&notify->fresh, NOTIFY_MOST);
    for (int i = 0; i < TRIES; i++)
        made = made && make_ring(&notify->again[i], AGAIN_MOST);
    if (made && pthread_create(&notify->thread, NULL, run, notify) == 0)
        return notify;
    return notify_free(notify);
}

struct notify *notify_stop(struct notify *notify) {
    if (!notify)
        return NULL;
    lock_acquire(&notify->lock);
    notify->stopped = true;
    condition_broadcast(&notify->changed);
    lock_release(&notify->lock);
    pthread_join(notify->thread, NULL);
    return notify_free(notify);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/list_ahead.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/lock.h"

enum { ENOUGH = 128 }; /* entries that are worth a change of threads */

struct items {
    struct store_item *items; /* [first, count) */
    size_t first, count, capacity;
};

struct list_ahead {
    struct workers *workers;
    struct store *store;
    char *path, *after;
    struct store_list *list; /* of the thread that is reading */
    struct items taken;      /* of the taker */

    struct lock lock; /* guards what follows */
    struct condition changed;
    unsigned references; /* the taker's, and one of a task */
    bool submitted;      /* there is a task */
    bool reading;        /* some thread has the list */
    bool closed;         /* nobody takes any more */
    int state;           /* 1: more may come; 0: that was all; or -errno */
    struct items read;
};

struct list_ahead *list_ahead_new(struct workers *workers, struct store *store, const char *path, const char *after) {
    struct list_ahead *ahead = calloc(1, sizeof *ahead);
    if (!ahead)
        return NULL;
    ahead->workers = workers;
    ahead->store = store;
    ahead->references = 1;
    ahead->state = 1;
    lock_init(&ahead->lock, LOCK_AHEAD);
    condition_init(&ahead->changed);
    ahead->path = strdup(path);
    ahead->after = after ? strdup(after) : NULL;
    return ahead->path && (ahead->after || !after) ? ahead : list_ahead_free(ahead);
}

static void drop(struct items *items) {
    for (size_t i = items->first; i < items->count; i++)
        store_item_done(&items->items[i]);
    free(items->items);
}

static void leave(struct list_ahead *ahead) {
    lock_acquire(&ahead->lock);
    bool last = --ahead->references == 0;
    lock_release(&ahead->lock);
    if (!last)
        return;
    if (ahead->list)
        ahead->store->ops->list_close(ahead->list);
    drop(&ahead->taken);
    drop(&ahead->read);
    condition_done(&ahead->changed);
    lock_done(&ahead->lock);
    free(ahead->path);
    free(ahead->after);
    free(ahead);
}

struct list_ahead *list_ahead_free(struct list_ahead *ahead) {
    if (!ahead)
        return NULL;
    lock_acquire(&ahead->lock);
    ahead->closed = true;
    lock_release(&ahead->lock);
    leave(ahead);
    return NULL;
}

/* ---- reading ---- */

/* 1: it was kept; or -ENOMEM, and it was dropped. */
static int keep(struct items *items, struct store_item *item) {
    if (items->count == items->capacity) {
        size_t capacity = items->capacity ? 2 * items->capacity : 32;
        struct store_item *more = realloc(items->items, capacity * sizeof *more);
        if (!more) {
            store_item_done(item);
            return -ENOMEM;
        }
        items->items = more;
        items->capacity = capacity;
    }
    items->items[items->count++] = *item;
    return 1;
}

static int ask(struct list_ahead *ahead, struct store_item *ret_item) {
    const struct store_ops *ops = ahead->store->ops;
    int result = ahead->list ? 0 : ops->list_open(ahead->store, ahead->path, ahead->after, &ahead->list);
    return result ? result : ops->list_next(ahead->list, ret_item);
}

static bool may_read(const struct list_ahead *ahead) {
    return !ahead->reading && !ahead->closed && ahead->state > 0;
}

/* Reads until so many entries wait to be taken. The lock is held, but not while the store is asked. */
static void read_locked(struct list_ahead *ahead, size_t most) {
    ahead->reading = true;
    while (ahead->state > 0 && !ahead->closed && ahead->read.count < most) {
        struct store_item item;
        lock_release(&ahead->lock);
        int result = ask(ahead, &item);
        lock_acquire(&ahead->lock);
        ahead->state = result > 0 ? keep(&ahead->read, &item) : result;
        if (ahead->read.count == ENOUGH)
            condition_broadcast(&ahead->changed);
    }
    ahead->reading = false;
    condition_broadcast(&ahead->changed);
}

static void read_ahead(void *argument) {
    struct list_ahead *ahead = argument;
    lock_acquire(&ahead->lock);
    if (may_read(ahead))
        read_locked(ahead, LIST_AHEAD_MOST);
    ahead->submitted = false;
    lock_release(&ahead->lock);
    leave(ahead);
}

/* ---- taking ---- */

static void submit_locked(struct list_ahead *ahead) {
    if (!ahead->workers || ahead->submitted || !may_read(ahead) || !workers_submit(ahead->workers, read_ahead, ahead))
        return;
    ahead->submitted = true;
    ahead->references++;
}

/* Takes out all that was read, when it is enough or all there is for now. Returns `state`. */
static int take_all(struct list_ahead *ahead) {
    lock_acquire(&ahead->lock);
    while (ahead->reading && ahead->read.count < ENOUGH)
        condition_wait(&ahead->changed, &ahead->lock);
    if (!ahead->read.count && may_read(ahead))
        read_locked(ahead, ahead->workers ? ENOUGH : 1);
    struct items emptied = ahead->taken;
    emptied.first = emptied.count = 0;
    ahead->taken = ahead->read;
    ahead->read = emptied;
    int state = ahead->state;
    submit_locked(ahead);
    lock_release(&ahead->lock);
    return state;
}

int list_ahead_next(struct list_ahead *ahead, struct store_item *ret_item) {
    if (ahead->taken.first == ahead->taken.count) {
        int state = take_all(ahead);
        if (!ahead->taken.count)
            return state;
    }
    *ret_item = ahead->taken.items[ahead->taken.first++];
    return 1;
}

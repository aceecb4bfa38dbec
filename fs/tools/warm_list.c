// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/warm_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/lock.h"

struct warm_list {
    struct lock lock; /* guards what follows */
    struct condition changed;
    struct warm_queue directories, files, long_files;
    unsigned listing, reading_long; /* how many jobs do */
    struct warm_sum sum;
    bool stopped;
};

struct warm_item *warm_item_new(struct warm_mount *mount, const char *directory, const char *name, int64_t size) {
    size_t space = strlen(directory) + strlen(name) + 2;
    struct warm_item *item = malloc(sizeof *item + space);
    if (!item)
        return NULL;
    *item = (struct warm_item){.mount = mount, .size = size};
    snprintf(item->path, space, "%s%s%s", directory, *name ? "/" : "", name);
    return item;
}

void warm_queue_add(struct warm_queue *queue, struct warm_item *item) {
    item->next = NULL;
    if (queue->last)
        queue->last->next = item;
    else
        queue->first = item;
    queue->last = item;
}

static struct warm_item *take_first(struct warm_queue *queue) {
    struct warm_item *item = queue->first;
    queue->first = item ? item->next : NULL;
    if (!queue->first)
        queue->last = NULL;
    return item;
}

void warm_queue_clear(struct warm_queue *queue) {
    struct warm_item *item;
    while ((item = take_first(queue)))
        free(item);
}

struct warm_list *warm_list_new(void) {
    struct warm_list *list = calloc(1, sizeof *list);
    if (!list)
        return NULL;
    lock_init(&list->lock, LOCK_WORKERS);
    condition_init(&list->changed);
    return list;
}

struct warm_list *warm_list_free(struct warm_list *list) {
    if (!list)
        return NULL;
    warm_queue_clear(&list->directories);
    warm_queue_clear(&list->files);
    warm_queue_clear(&list->long_files);
    condition_done(&list->changed);
    lock_done(&list->lock);
    free(list);
    return NULL;
}

bool warm_list_add(struct warm_list *list, struct warm_queue *directories, struct warm_queue *files) {
    bool too_much = false;
    struct warm_item *item;
    lock_acquire(&list->lock);
    while ((item = take_first(directories)))
        warm_queue_add(&list->directories, item);
    while ((item = take_first(files))) {
        struct warm_mount *mount = item->mount;
        too_much |= mount->bytes <= mount->room && mount->bytes + item->size > mount->room;
        mount->bytes += item->size;
        list->sum.files++;
        list->sum.bytes += item->size;
        warm_queue_add(item->size > WARM_LONG ? &list->long_files : &list->files, item);
    }
    condition_broadcast(&list->changed);
    lock_release(&list->lock);
    return too_much;
}

static enum warm_kind try_to_take(struct warm_list *list, struct warm_item **ret_item) {
    bool takes_long = list->long_files.first && list->reading_long < WARM_LONG_MOST;
    if (list->directories.first && (!list->listing || !(takes_long || list->files.first))) {
        list->listing++;
        *ret_item = take_first(&list->directories);
        return WARM_DIRECTORY;
    }
    if (!takes_long && !list->files.first)
        return WARM_NOTHING;
    list->reading_long += takes_long;
    *ret_item = take_first(takes_long ? &list->long_files : &list->files);
    return WARM_FILE;
}

static bool may_come(const struct warm_list *list) {
    return list->listing || list->directories.first || list->files.first || list->long_files.first;
}

enum warm_kind warm_list_take(struct warm_list *list, struct warm_item **ret_item) {
    enum warm_kind kind = WARM_NOTHING;
    lock_acquire(&list->lock);
    while (!list->stopped && !(kind = try_to_take(list, ret_item)) && may_come(list))
        condition_wait(&list->changed, &list->lock);
    lock_release(&list->lock);
    return kind;
}

void warm_list_done(struct warm_list *list, enum warm_kind kind, struct warm_item *item) {
    lock_acquire(&list->lock);
    if (kind == WARM_DIRECTORY)
        list->listing--;
    else if (item->size > WARM_LONG)
        list->reading_long--;
    condition_broadcast(&list->changed);
    lock_release(&list->lock);
    free(item);
}

struct warm_sum warm_list_sum(struct warm_list *list) {
    lock_acquire(&list->lock);
    struct warm_sum sum = list->sum;
    sum.complete = !list->listing && !list->directories.first;
    lock_release(&list->lock);
    return sum;
}

bool warm_list_sleep(struct warm_list *list, int64_t ms) {
    int64_t until = clock_now_ms() + ms;
    lock_acquire(&list->lock);
    for (int64_t left = ms; !list->stopped && left > 0; left = until - clock_now_ms())
        (void)condition_wait_for(&list->changed, &list->lock, left);
    bool goes_on = !list->stopped;
    lock_release(&list->lock);
    return goes_on;
}

void warm_list_stop(struct warm_list *list) {
    lock_acquire(&list->lock);
    list->stopped = true;
    condition_broadcast(&list->changed);
    lock_release(&list->lock);
}

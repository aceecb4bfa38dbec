// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/file.h"

#include "cache/base/check.h"
#include "cache/base/lock.h"

struct file {
    atomic_uint references;
    struct staged *staged;
    struct ahead ahead;
    struct lock recording; /* guards what follows */
    struct file_record record;
    struct lock lock; /* guards what follows */
    struct condition changed;
    unsigned writers;
    bool publishing;
    struct store_lease *lease;
};

_Static_assert(sizeof(struct hole) == sizeof(struct staged_hole), "a hole is a hole");

struct file *file_new(struct staging *staging, const struct staged_base *base, const struct hole *holes,
                      uint32_t hole_count) {
    struct file *file = calloc(1, sizeof *file);
    if (!file)
        return NULL;
    atomic_init(&file->references, 1);
    lock_init(&file->lock, LOCK_FILE);
    lock_init(&file->recording, LOCK_RECORD);
    ahead_init(&file->ahead);
    condition_init(&file->changed);
    file->staged = staged_new(staging, base, (const struct staged_hole *)holes, hole_count);
    return file->staged ? file : file_unref(file);
}

struct file *file_ref(struct file *file) {
    CHECK(atomic_fetch_add(&file->references, 1) > 0);
    return file;
}

struct file *file_unref(struct file *file) {
    if (!file || atomic_fetch_sub(&file->references, 1) != 1)
        return NULL;
    CHECK(!file->writers && !file->publishing && !file->lease);
    ahead_done(&file->ahead);
    staged_free(file->staged);
    condition_done(&file->changed);
    lock_done(&file->recording);
    lock_done(&file->lock);
    free(file);
    return NULL;
}

struct staged *file_staged(struct file *file) {
    return file->staged;
}

struct ahead *file_ahead(struct file *file) {
    return &file->ahead;
}

struct file_record *file_lock_record(struct file *file) {
    lock_acquire(&file->recording);
    return &file->record;
}

void file_unlock_record(struct file *file) {
    lock_release(&file->recording);
}

void file_enter(struct file *file) {
    lock_acquire(&file->lock);
    while (file->publishing)
        condition_wait(&file->changed, &file->lock);
    file->writers++;
    lock_release(&file->lock);
}

void file_leave(struct file *file) {
    lock_acquire(&file->lock);
    CHECK(file->writers > 0);
    if (--file->writers == 0)
        condition_broadcast(&file->changed);
    lock_release(&file->lock);
}

void file_begin_publishing(struct file *file) {
    lock_acquire(&file->lock);
    while (file->publishing)
        condition_wait(&file->changed, &file->lock);
    file->publishing = true; /* from here on no writer comes in */
    while (file->writers)
        condition_wait(&file->changed, &file->lock);
    lock_release(&file->lock);
}

bool file_try_publishing(struct file *file) {
    lock_acquire(&file->lock);
    bool free = !file->publishing && !file->writers;
    file->publishing |= free;
    lock_release(&file->lock);
    return free;
}

void file_end_publishing(struct file *file) {
    lock_acquire(&file->lock);
    CHECK(file->publishing);
    file->publishing = false;
    condition_broadcast(&file->changed);
    lock_release(&file->lock);
}

void file_set_lease(struct file *file, struct store_lease *lease) {
    lock_acquire(&file->lock);
    CHECK(!file->lease);
    file->lease = lease;
    lock_release(&file->lock);
}

struct store_lease *file_steal_lease(struct file *file) {
    lock_acquire(&file->lock);
    struct store_lease *lease = steal_ptr(&file->lease);
    lock_release(&file->lock);
    return lease;
}

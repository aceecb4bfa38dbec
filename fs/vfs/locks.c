// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/locks.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/vfs/locks_private.h"

enum { IDLE_MS = 5000 };

struct locks *locks_new(struct vfs *vfs) {
    struct locks *locks = calloc(1, sizeof *locks);
    if (!locks)
        return NULL;
    locks->vfs = vfs;
    lock_init(&locks->lock, LOCK_LOCKS);
    condition_init(&locks->free);
    condition_init(&locks->changed);
    return locks;
}

static void free_file(struct locked_file *file) {
    file->store->ops->hold_close(file->store, file->hold);
    lock_ranges_done(&file->ranges);
    free(file->held);
    free(file);
}

struct locks *locks_free(struct locks *locks) {
    if (!locks)
        return NULL;
    struct locked_file *file, *next;
    CHECK(!locks->waiters);
    HASH_ITER(hh, locks->table, file, next) { /* what could not be told to the database ends with the mount */
        HASH_DEL(locks->table, file);
        free_file(file);
    }
    condition_done(&locks->free);
    condition_done(&locks->changed);
    lock_done(&locks->lock);
    free(locks);
    return NULL;
}

/* ---- a file, for one thread at a time ---- */

static char kind_of(bool whole) {
    return whole ? 'w' : 'r'; /* whole files, ranges */
}

static char *path_of(struct vfs *vfs, struct handle *handle) {
    lock_acquire(&vfs->locks->lock);
    bool locked = handle->lock_path != NULL;
    char *path = locked ? strdup(handle->lock_path) : NULL;
    lock_release(&vfs->locks->lock);
    return locked ? path : inode_path(vfs->inodes, handle->inode, NULL);
}

static char *key_of(const struct store *store, bool whole, const char *path) {
    char *key = NULL;
    return asprintf(&key, "%s/%c/%s", store->bucket, kind_of(whole), path) < 0 ? NULL : key;
}

char *locks_key(struct vfs *vfs, struct handle *handle, bool whole) {
    cleanup_free char *path = path_of(vfs, handle);
    return path ? key_of(inode_store(handle->inode), whole, path) : NULL;
}

static struct locked_file *new_file(struct store *store, bool whole, const char *path, const char *key) {
    struct locked_file *file = calloc(1, sizeof *file + strlen(key) + 1);
    if (!file || store->ops->hold_open(store, path, kind_of(whole), &file->hold)) {
        free(file);
        return NULL;
    }
    file->store = store;
    strcpy(file->key, key);
    return file;
}

static struct locked_file *take(struct locks *locks, struct locked_file *file) {
    file->users++;
    while (file->busy)
        condition_wait(&locks->free, &locks->lock);
    file->busy = true;
    return file;
}

/* The file at a path, made if `makes`; NULL when there is none, or no memory. */
static struct locked_file *enter(struct locks *locks, struct store *store, bool whole, const char *path, bool makes) {
    cleanup_free char *key = key_of(store, whole, path);
    struct locked_file *file = NULL;
    if (!key)
        return NULL;
    lock_acquire(&locks->lock);
    HASH_FIND_STR(locks->table, key, file);
    if (!file && makes && (file = new_file(store, whole, path, key)))
        HASH_ADD_KEYPTR(hh, locks->table, file->key, strlen(file->key), file);
    if (file)
        take(locks, file);
    lock_release(&locks->lock);
    return file;
}

/* `wakes`: something of it was unlocked. */
static void leave(struct locks *locks, struct locked_file *file, bool wakes) {
    lock_acquire(&locks->lock);
    file->busy = false;
    condition_broadcast(&locks->free);
    if (wakes)
        locks_wake_locked(locks, file->key);
    file->left_ms = clock_now_ms();
    file->users--;
    lock_release(&locks->lock);
}

/* One that nobody has wanted for a while; until then it is known how many want it. */
static struct locked_file *take_out_idle(struct locks *locks) {
    struct locked_file *file, *next, *idle = NULL;
    lock_acquire(&locks->lock);
    HASH_ITER(hh, locks->table, file, next) {
        bool used = file->users || file->ranges.count || file->unsettled;
        if (!idle && !used && clock_now_ms() - file->left_ms > IDLE_MS)
            idle = file;
    }
    if (idle)
        HASH_DEL(locks->table, idle);
    lock_release(&locks->lock);
    return idle;
}

/* ---- what is held for the owners here ---- */

static bool is_held(const struct locked_file *file, const struct store_range *list, uint32_t count) {
    if (file->unsettled || file->held_count != count)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (file->held[i].start != list[i].start || file->held[i].end != list[i].end ||
            file->held[i].exclusive != list[i].exclusive)
            return false;
    return true;
}

static void forget_all(struct locked_file *file) {
    lock_ranges_done(&file->ranges);
    free(steal_ptr(&file->held));
    file->held_count = 0;
    file->unsettled = false;
    file->fresh = NULL;
}

/* Makes the hold have what these ranges want. */
static int hold(struct locked_file *file, const struct lock_ranges *ranges) {
    cleanup_free struct store_range *list = NULL;
    uint32_t count;
    int result = lock_ranges_union(ranges, &list, &count);
    if (result || is_held(file, list, count))
        return result;
    result = file->store->ops->hold_set(file->store, file->hold, list, count);
    if (result == -ENOLCK)
        forget_all(file);
    else if (result && result != -EAGAIN)
        file->unsettled = true;
    if (result)
        return result;
    free(file->held);
    file->held = steal_ptr(&list);
    file->held_count = count;
    file->unsettled = false;
    return 0;
}

static void install(struct locked_file *file, struct lock_ranges *ranges) {
    lock_ranges_done(&file->ranges);
    file->ranges = *ranges;
    *ranges = (struct lock_ranges){0};
}

/* ---- locking ---- */

static struct lock_range range_of(const struct handle *handle, const struct vfs_lock *lock) {
    return (struct lock_range){
        .owner = lock->owner,
        .via = handle,
        .pid = lock->pid,
        .range = {.start = lock->start, .end = lock->end, .exclusive = lock->kind == VFS_EXCLUSIVE}};
}

/* What was locked here all the time, others cannot have changed. */
static bool is_fresh(const struct locked_file *file, const struct inode *inode, const struct store_range *wanted) {
    bool covered = false;
    for (uint32_t i = 0; !covered && i < file->held_count; i++)
        covered = file->held[i].start <= wanted->start && wanted->end <= file->held[i].end;
    return covered && file->fresh == inode;
}

static int lock_busy(struct vfs *vfs, struct locked_file *file, struct inode *inode, const struct lock_range *wanted,
                     bool *ret_moved) {
    struct lock_ranges next = {0};
    bool fresh = is_fresh(file, inode, &wanted->range);
    if (lock_ranges_conflict(&file->ranges, wanted))
        return -EAGAIN;
    int result = lock_ranges_copy(&file->ranges, &next);
    if (result == 0)
        result = lock_ranges_set(&next, wanted);
    if (result == 0)
        result = hold(file, &next);
    if (result == 0 && !fresh) {
        if (vfs->coherence) /* who locked it before may have made names that are not told yet */
            coherence_come_anywhere(vfs->coherence);
        result = vfs_move_to_newest(vfs, inode, ret_moved);
        file->fresh = result ? NULL : inode;
        if (result && hold(file, &file->ranges))
            file->unsettled = true;
    }
    if (result == 0)
        install(file, &next);
    lock_ranges_done(&next);
    return result;
}

static void remember_path(struct vfs *vfs, struct handle *handle, char **path) {
    lock_acquire(&vfs->locks->lock);
    if (!handle->lock_path)
        handle->lock_path = steal_ptr(path);
    lock_release(&vfs->locks->lock);
}

static bool may_lock(const struct handle *handle) {
    return handle->stored && inode_kind(handle->inode) == INODE_STORED;
}

/* The file's table, entered, and the path that it has it by. */
static int enter_by_handle(struct vfs *vfs, struct handle *handle, bool whole, char **ret_path,
                           struct locked_file **ret_file) {
    if (!may_lock(handle))
        return -ENOLCK;
    *ret_path = path_of(vfs, handle);
    *ret_file = *ret_path ? enter(vfs->locks, inode_store(handle->inode), whole, *ret_path, true) : NULL;
    return *ret_file ? 0 : -ENOMEM;
}

int vfs_lock(struct vfs *vfs, struct handle *handle, const struct vfs_lock *lock, bool *ret_moved) {
    struct lock_range wanted = range_of(handle, lock);
    cleanup_free char *path = NULL;
    struct locked_file *file;
    int result = enter_by_handle(vfs, handle, lock->whole, &path, &file);
    if (result)
        return result;
    remember_path(vfs, handle, &path);
    result = lock_busy(vfs, file, handle->inode, &wanted, ret_moved);
    leave(vfs->locks, file, result == 0 && lock->kind == VFS_SHARED); /* it may have been exclusive before */
    return result == -EACCES || result == -EROFS ? -ENOLCK : result; /* fcntl's EACCES means that somebody has it */
}

int vfs_find_lock(struct vfs *vfs, struct handle *handle, const struct vfs_lock *lock, struct vfs_lock *ret_found) {
    struct lock_range wanted = range_of(handle, lock);
    cleanup_free char *path = NULL;
    struct locked_file *file;
    int result = enter_by_handle(vfs, handle, lock->whole, &path, &file);
    if (result)
        return result;
    const struct lock_range *own = lock_ranges_conflict(&file->ranges, &wanted);
    struct store_range found = own ? own->range : (struct store_range){0};
    pid_t pid = own ? own->pid : 0;
    result = own ? 1 : file->store->ops->hold_find(file->store, file->hold, &wanted.range, &found);
    leave(vfs->locks, file, false);
    if (result >= 0)
        *ret_found = (struct vfs_lock){.kind = !result           ? VFS_UNLOCKED
                                               : found.exclusive ? VFS_EXCLUSIVE
                                                                 : VFS_SHARED,
                                       .pid = pid,
                                       .start = found.start,
                                       .end = found.end};
    return result < 0 ? result : 0;
}

/* ---- unlocking ---- */

/* What goes: of an owner, or, with `via` alone, of whoever took it through a handle. */
struct unlocking {
    struct handle *handle;
    bool whole, all_via;
    struct lock_range range;
};

static bool has_any(const struct locked_file *file, const struct unlocking *unlocking) {
    return unlocking->all_via ? lock_ranges_has_via(&file->ranges, unlocking->handle)
                              : lock_ranges_touches(&file->ranges, &unlocking->range);
}

/* What the database cannot be told now, it is told later, or it hears nothing of this mount any more. */
static void unlock_busy(struct locked_file *file, const struct unlocking *unlocking) {
    struct lock_ranges next = {0};
    int result = lock_ranges_copy(&file->ranges, &next);
    if (result == 0 && unlocking->all_via)
        lock_ranges_clear_via(&next, unlocking->handle);
    else if (result == 0)
        result = lock_ranges_clear(&next, &unlocking->range);
    if (result == 0) {
        result = hold(file, &next);
        if (result != -ENOLCK)
            install(file, &next);
        file->unsettled = result && result != -ENOLCK;
    }
    lock_ranges_done(&next);
}

/* 0, or what kept it from being published: then, unless `anyway`, nothing is unlocked. */
static int unlock(struct vfs *vfs, const struct unlocking *unlocking, bool anyway) {
    struct inode *inode = unlocking->handle->inode;
    if (!may_lock(unlocking->handle))
        return 0;
    lock_acquire(&vfs->locks->lock);
    bool none = !vfs->locks->table;
    lock_release(&vfs->locks->lock);
    cleanup_free char *path = none ? NULL : path_of(vfs, unlocking->handle);
    struct locked_file *file = path ? enter(vfs->locks, inode_store(inode), unlocking->whole, path, false) : NULL;
    bool any = file && has_any(file, unlocking);
    if (file)
        leave(vfs->locks, file, false);
    if (!any)
        return 0;
    bool tried = anyway && unlocking->handle->writable; /* by who closes it */
    int result = tried ? 0 : vfs_publish(vfs, inode);
    if (result && !anyway)
        return result;
    file = enter(vfs->locks, inode_store(inode), unlocking->whole, path, false);
    if (file) {
        unlock_busy(file, unlocking);
        leave(vfs->locks, file, true);
    }
    return result;
}

int vfs_unlock(struct vfs *vfs, struct handle *handle, const struct vfs_lock *lock) {
    struct unlocking unlocking = {.handle = handle, .whole = lock->whole, .range = range_of(handle, lock)};
    return unlock(vfs, &unlocking, false);
}

void vfs_unlock_owner(struct vfs *vfs, struct handle *handle, uint64_t owner) {
    struct unlocking unlocking = {.handle = handle, .range = {.owner = owner, .range = {.end = INT64_MAX}}};
    (void)unlock(vfs, &unlocking, true); /* it was said by the flush */
}

void locks_close(struct vfs *vfs, struct handle *handle) {
    struct unlocking ranges = {.handle = handle, .all_via = true}, whole = ranges;
    whole.whole = true;
    (void)unlock(vfs, &ranges, true);
    (void)unlock(vfs, &whole, true);
    free(handle->lock_path);
    handle->lock_path = NULL;
}

/* ---- what may go wrong ---- */

bool locks_were_lost(struct vfs *vfs, struct inode *inode) {
    bool lost = false;
    if (!vfs->locks)
        return false;
    lock_acquire(&vfs->locks->lock);
    bool none = !vfs->locks->table;
    lock_release(&vfs->locks->lock);
    cleanup_free char *path = none ? NULL : inode_path(vfs->inodes, inode, NULL);
    for (int whole = 0; path && whole < 2; whole++) {
        struct locked_file *file = enter(vfs->locks, inode_store(inode), whole, path, false);
        if (!file)
            continue;
        if (file->held_count && file->store->ops->hold_check(file->store, file->hold) == -ENOLCK)
            lost = true;
        leave(vfs->locks, file, false);
    }
    return lost;
}

static struct locked_file *next_unsettled(struct locks *locks) {
    struct locked_file *file, *next, *found = NULL;
    lock_acquire(&locks->lock);
    HASH_ITER(hh, locks->table, file, next) {
        if (!found && !file->busy && file->unsettled)
            found = take(locks, file);
    }
    lock_release(&locks->lock);
    return found;
}

void locks_settle(struct locks *locks) {
    struct locked_file *file;
    bool settled = true;
    while (settled && (file = next_unsettled(locks))) {
        int result = hold(file, &file->ranges);
        if (result == -EAGAIN) { /* what is locked here is another's by now */
            log_error("locks of '%s' were lost", file->key);
            forget_all(file);
        }
        settled = !file->unsettled;
        leave(locks, file, settled);
    }
    while ((file = take_out_idle(locks)))
        free_file(file);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/waiting.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/base/workers.h"
#include "fs/vfs/vfs_private.h"

enum { TASKS_MOST = 16 }; /* more than there are threads to do them */

struct waiting_file {
    struct inode *inode; /* a reference */
    uint64_t bytes;      /* written of it when it was last closed */
    bool failed;         /* the last try did */
    bool due, busy;
    bool renewed; /* closed again while it was busy */
    struct waiting_file *prev, *next;
};

void waiting_init(struct waiting *waiting) {
    *waiting = (struct waiting){0};
    lock_init(&waiting->lock, LOCK_HANDLE);
    condition_init(&waiting->changed);
}

void waiting_done(struct waiting *waiting) {
    CHECK(!waiting->files && !waiting->busy);
    condition_done(&waiting->changed);
    lock_done(&waiting->lock);
}

/* ---- the list; under the lock ---- */

static struct waiting_file *find_locked(struct waiting *waiting, const struct inode *inode) {
    struct waiting_file *file;
    DL_FOREACH(waiting->files, file) {
        if (file->inode == inode)
            return file;
    }
    return NULL;
}

/* A file is counted as what it is now; once before it changes (-1), once after (1). */
static void count_locked(struct waiting *waiting, const struct waiting_file *file, int change) {
    uint64_t bytes = change < 0 ? -file->bytes : file->bytes;
    waiting->count += (unsigned)change;
    waiting->bytes += bytes;
    stats_add(file->failed ? STAT_unsaved_files : STAT_waiting_files, (uint64_t)(int64_t)change);
    if (!file->failed)
        stats_add(STAT_waiting_bytes, bytes);
}

static void close_again_locked(struct waiting *waiting, struct waiting_file *file, uint64_t bytes, int error) {
    count_locked(waiting, file, -1);
    file->bytes = bytes;
    file->failed |= error != 0;
    count_locked(waiting, file, 1);
    file->renewed = file->busy;
    if (!error && !file->busy)
        file->due = !waiting->away;
}

static struct waiting_file *next_locked(struct waiting *waiting) {
    struct waiting_file *file;
    if (waiting->away && waiting->busy && !waiting->ending)
        return NULL;
    DL_FOREACH(waiting->files, file) {
        if (file->due && !file->busy)
            return file;
    }
    return NULL;
}

static void set_due_locked(struct waiting *waiting, bool due) {
    struct waiting_file *file;
    DL_FOREACH(waiting->files, file) {
        file->due = due && !file->busy;
    }
}

bool waiting_admits(struct vfs *vfs, struct inode *inode, uint64_t bytes) {
    struct waiting *waiting = &vfs->waiting;
    lock_acquire(&waiting->lock);
    const struct waiting_file *file = find_locked(waiting, inode);
    unsigned count = waiting->count - (file ? 1 : 0);
    uint64_t before = waiting->bytes - (file ? file->bytes : 0);
    lock_release(&waiting->lock);
    return count < vfs->config.waiting_files && before + bytes <= vfs->config.waiting_bytes;
}

bool waiting_has(struct vfs *vfs, const struct inode *inode) {
    lock_acquire(&vfs->waiting.lock);
    bool has = find_locked(&vfs->waiting, inode);
    lock_release(&vfs->waiting.lock);
    return has;
}

static void release(struct vfs *vfs, struct waiting_file *file) {
    inode_writer(vfs->inodes, file->inode, -1);
    inode_closed(vfs->inodes, file->inode);
    inode_release(vfs->inodes, file->inode);
    free(file);
}

bool waiting_add(struct vfs *vfs, struct inode *inode, uint64_t bytes, int error) {
    struct waiting *waiting = &vfs->waiting;
    struct waiting_file *fresh = malloc(sizeof *fresh);
    if (!fresh)
        return false;
    *fresh = (struct waiting_file){.inode = inode, .bytes = bytes, .failed = error};
    inode_hold(vfs->inodes, inode);
    inode_opened(vfs->inodes, inode);
    inode_writer(vfs->inodes, inode, 1);
    lock_acquire(&waiting->lock);
    struct waiting_file *file = find_locked(waiting, inode);
    if (file) {
        close_again_locked(waiting, file, bytes, error);
    } else {
        fresh->due = !error && !waiting->away;
        DL_APPEND(waiting->files, fresh);
        count_locked(waiting, fresh, 1);
    }
    lock_release(&waiting->lock);
    if (file)
        release(vfs, fresh);
    return true;
}

/* ---- storing one ---- */

/* What it was created under goes with it. */
static void give_up_claim(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    struct store *store = inode_store(inode);
    if (file)
        store->ops->release(store, file_steal_lease(file));
}

/* A claim that ran out while the server was away, taken again unless somebody else has made the file. */
static int claim_again(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    struct store *store = inode_store(inode);
    struct store_lease *lease = NULL;
    give_up_claim(vfs, inode);
    int result = file && path ? store->ops->reserve(store, path, &lease) : -ENOMEM;
    if (result == 0)
        file_set_lease(file, lease);
    return result;
}

/* Somebody else's content is at its name now, and stays: what was not stored in time is kept beside it. */
static int recover(struct vfs *vfs, struct inode *inode) {
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    int64_t now_ms = vfs_now_ns() / 1000000;
    int result = path ? -EEXIST : -ENOMEM;
    for (unsigned number = 0; result == -EEXIST && number < RECOVERED_MOST; number++) {
        cleanup_free char *recovered = recovery_path(path, now_ms, number);
        result = recovered ? vfs_publish_beside(vfs, inode, recovered) : -ENOMEM;
        if (result == 0) {
            stats_add(STAT_recovered_files, 1);
            log_warning("'%s' was replaced or removed by others before its content could be stored: that is in '%s'",
                        path, recovered);
        }
    }
    if (result == -ENOENT) /* removed here meanwhile */
        return 0;
    if (result)
        log_error("'%s' was replaced or removed by others, and what was written to it cannot be kept beside it yet: %s",
                  path ? path : "?", strerror(-result));
    return result;
}

static int store_again(struct vfs *vfs, struct inode *inode) {
    int result = vfs_publish_again(vfs, inode);
    if (result == -EEXIST && (result = claim_again(vfs, inode)) == 0)
        result = vfs_publish_again(vfs, inode);
    return result == -EEXIST || result == -ESTALE ? recover(vfs, inode) : result;
}

/* Once it was said that it could not be. */
static void say_stored(struct vfs *vfs, struct inode *inode) {
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    if (path && !inode_is_removed(vfs->inodes, inode))
        log_info("file '%s' is stored now", path);
}

/* A server that is away would let each wait for as long as the first. -EBUSY says nothing about it. At the end each is
 * tried once, whatever it says. */
static void note_answer_locked(struct waiting *waiting, int result) {
    bool away = result == -EBUSY ? waiting->away : result == -ETIMEDOUT;
    if (!waiting->ending && (away || waiting->away))
        set_due_locked(waiting, !away);
    waiting->away = away;
}

/* It was tried. Returns whether the server was away, and is there again. */
static bool end_try(struct vfs *vfs, struct waiting_file *file, int result) {
    struct waiting *waiting = &vfs->waiting;
    bool failed = file->failed, gone = false;
    lock_acquire(&waiting->lock);
    bool was_away = waiting->away;
    note_answer_locked(waiting, result);
    waiting->busy--;
    count_locked(waiting, file, -1);
    file->busy = false;
    gone = result == 0 && !file->renewed;
    if (gone)
        DL_DELETE(waiting->files, file);
    file->due = file->renewed && !waiting->away;
    file->renewed = false;
    file->failed = result == -EBUSY ? failed : result != 0;
    if (!gone)
        count_locked(waiting, file, 1);
    bool back = was_away && !waiting->away;
    condition_broadcast(&waiting->changed);
    lock_release(&waiting->lock);
    if (result == 0 && failed)
        say_stored(vfs, file->inode);
    if (gone)
        release(vfs, file);
    return back;
}

static void store_due(void *context) {
    struct vfs *vfs = context;
    struct waiting *waiting = &vfs->waiting;
    for (;;) {
        lock_acquire(&waiting->lock);
        struct waiting_file *file = next_locked(waiting);
        if (file) {
            file->due = false;
            file->busy = true;
            waiting->busy++;
        }
        lock_release(&waiting->lock);
        if (!file)
            return;
        if (end_try(vfs, file, store_again(vfs, file->inode)) && vfs->config.uploaders)
            waiting_go(vfs);
    }
}

/* ---- when ---- */

bool waiting_is_away(struct vfs *vfs) {
    lock_acquire(&vfs->waiting.lock);
    bool away = vfs->waiting.away;
    lock_release(&vfs->waiting.lock);
    return away;
}

void waiting_retry(struct vfs *vfs) {
    lock_acquire(&vfs->waiting.lock);
    set_due_locked(&vfs->waiting, true);
    lock_release(&vfs->waiting.lock);
}

void waiting_go(struct vfs *vfs) {
    struct waiting *waiting = &vfs->waiting;
    lock_acquire(&waiting->lock);
    unsigned tasks = next_locked(waiting) ? waiting->count - waiting->busy : 0;
    lock_release(&waiting->lock);
    if (!vfs->config.uploaders)
        store_due(vfs);
    else /* a task for which there is no room is not needed: those before it have not begun yet */
        for (unsigned i = 0; i < tasks && i < TASKS_MOST && workers_submit(vfs->config.uploaders, store_due, vfs);)
            i++;
}

static void say_what_is_left(const struct vfs *vfs, const struct waiting *waiting) {
    if (waiting->count)
        log_error("%u files with %llu bytes written could not be stored before the end%s", waiting->count,
                  (unsigned long long)waiting->bytes,
                  vfs->config.journal ? "; the next mount with this staging_dir and mountpoint stores them" : "");
}

void waiting_settle(struct vfs *vfs) {
    struct waiting *waiting = &vfs->waiting;
    struct waiting_file *file, *next;
    lock_acquire(&waiting->lock);
    waiting->ending = true;
    lock_release(&waiting->lock);
    waiting_retry(vfs);
    waiting_go(vfs);
    store_due(vfs); /* too */
    lock_acquire(&waiting->lock);
    while (waiting->busy)
        condition_wait(&waiting->changed, &waiting->lock);
    lock_release(&waiting->lock);
    say_what_is_left(vfs, waiting);
    DL_FOREACH_SAFE(waiting->files, file, next) {
        DL_DELETE(waiting->files, file);
        count_locked(waiting, file, -1);
        give_up_claim(vfs, file->inode);
        release(vfs, file);
    }
}

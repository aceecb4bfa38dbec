// SPDX-License-Identifier: Apache-2.0
/* What is done later, once a second: times of directories are sent; and when it is time for what else is. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

enum { RETRY_TICKS = 10 };

/* Puts an inode on a list, once, with a reference. False when it is there, or without memory: then the chore is not
 * done, and a time is lost, or content as at a crash. */
static bool put_on(struct vfs *vfs, struct chore **list, struct inode *inode) {
    struct chore *chore = malloc(sizeof *chore), *other;
    if (!chore)
        return false;
    *chore = (struct chore){.inode = inode};
    inode_hold(vfs->inodes, inode);
    lock_acquire(&vfs->lock);
    LL_FOREACH(*list, other) {
        if (other->inode == inode)
            break;
    }
    if (!other)
        LL_PREPEND(*list, chore);
    lock_release(&vfs->lock);
    if (!other)
        return true;
    free(chore);
    inode_release(vfs->inodes, inode);
    return false;
}

static struct chore *take_all(struct vfs *vfs, struct chore **list) {
    lock_acquire(&vfs->lock);
    struct chore *all = steal_ptr(list);
    lock_release(&vfs->lock);
    return all;
}

void vfs_touch_directory(struct vfs *vfs, struct inode *directory) {
    int64_t now = vfs_now_ns();
    struct attributes times = {.has = ATTRIBUTES_MTIME | ATTRIBUTES_CTIME, .mtime_ns = now, .ctime_ns = now};
    (void)inode_change(vfs->inodes, directory, &times);
    struct attributes known = inode_attributes(vfs->inodes, directory);
    bool made = known.has & (ATTRIBUTES_MODE | ATTRIBUTES_FILE);
    if (!made && !inode_is_kept(vfs->inodes, directory))
        return; /* it shows when its files came, which the database knows */
    (void)put_on(vfs, &vfs->touched, directory);
}

static void send_times(struct vfs *vfs, struct inode *directory) {
    cleanup_free char *path = inode_path(vfs->inodes, directory, NULL);
    struct attributes times = inode_attributes(vfs->inodes, directory);
    struct store *store = inode_store(directory);
    if (!path || inode_is_removed(vfs->inodes, directory))
        return;
    times.has &= ATTRIBUTES_MTIME | ATTRIBUTES_CTIME;
    struct store_object object = vfs_object(directory, path, NULL);
    struct turn turn;
    turns_begin(&vfs->turns, &turn, directory);
    (void)store->ops->set_attributes(store, &object, &times, NULL);
    turns_end(&vfs->turns, &turn);
}

static void send_all_times(struct vfs *vfs) {
    struct chore *chore, *next, *all = take_all(vfs, &vfs->touched);
    LL_FOREACH_SAFE(all, chore, next) {
        send_times(vfs, chore->inode);
        inode_release(vfs->inodes, chore->inode);
        free(chore);
    }
}

/* Whoever wrote it was told that it is refused: it goes, and with it what it was created under. */
static void give_up(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    struct store *store = inode_store(inode);
    if (file)
        store->ops->release(store, file_steal_lease(file));
    inode_abandon(vfs->inodes, inode);
}

void chores_keep_unsaved(struct vfs *vfs, struct inode *inode, int error) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    bool refused = error == -EACCES || error == -EROFS;
    if (refused)
        give_up(vfs, inode);
    else if (file)
        (void)waiting_add(vfs, inode, staged_bytes(file_staged(file)), error);
}

void vfs_tick(struct vfs *vfs) {
    send_all_times(vfs);
    if (vfs->locks)
        locks_settle(vfs->locks);
    bool asks = vfs->config.uploaders && waiting_is_away(vfs); /* in a thread of theirs, that waits for an answer */
    if (++vfs->ticks % RETRY_TICKS == 0 || asks)
        waiting_retry(vfs);
    waiting_go(vfs);
}

static void free_revisions(struct revision **revisions, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        revision_unref(revisions[i]);
    free(revisions);
}

/* How many of them, which it puts first, are of the same store as the first. */
static uint32_t gather(struct revision **revisions, uint32_t count) {
    uint32_t same = 1;
    for (uint32_t i = 1; i < count; i++) {
        struct revision *each = revisions[i];
        if (each->store != revisions[0]->store)
            continue;
        revisions[i] = revisions[same];
        revisions[same++] = each;
    }
    return same;
}

void vfs_keep_open(struct vfs *vfs) {
    struct revision **open;
    uint32_t count;
    if (inode_open_revisions(vfs->inodes, NULL, &open, &count))
        return;
    for (uint32_t first = 0, same; first < count; first += same) {
        struct store *store = open[first]->store;
        same = gather(open + first, count - first);
        (void)store->ops->keep(store, open + first, same);
    }
    free_revisions(open, count);
    recovery_keep(vfs);
}

enum { STORES_MOST = 64 };

void vfs_tidy(struct vfs *vfs) {
    struct store *stores[STORES_MOST];
    uint32_t count = inode_stores(vfs->inodes, stores, STORES_MOST);
    for (uint32_t i = 0; i < count; i++) {
        struct revision **open;
        uint32_t opened;
        if (inode_open_revisions(vfs->inodes, stores[i], &open, &opened))
            return;
        (void)stores[i]->ops->tidy(stores[i], open, opened);
        free_revisions(open, opened);
    }
}

void chores_settle(struct vfs *vfs) {
    send_all_times(vfs);
    waiting_settle(vfs);
}

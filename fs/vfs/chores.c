/* What is done later: times of directories, once a second; content that could not be published, until it can. */
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

/* It stays a writer with an open handle, so that its written side does not go. */
static void end_keeping(struct vfs *vfs, struct inode *inode) {
    inode_writer(vfs->inodes, inode, -1);
    inode_closed(vfs->inodes, inode);
}

static void keep_unsaved(struct vfs *vfs, struct inode *inode) {
    inode_opened(vfs->inodes, inode);
    inode_writer(vfs->inodes, inode, 1);
    if (put_on(vfs, &vfs->unsaved, inode))
        stats_add(STAT_unsaved_files, 1);
    else
        end_keeping(vfs, inode);
}

/* What it was created under goes with it. */
static void give_up_claim(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    struct store *store = inode_store(inode);
    if (file)
        store->ops->release(store, file_steal_lease(file));
}

void chores_keep_unsaved(struct vfs *vfs, struct inode *inode, int error) {
    bool refused = error == -EACCES || error == -EROFS;
    if (!refused) {
        keep_unsaved(vfs, inode);
        return;
    }
    give_up_claim(vfs, inode);
    inode_abandon(vfs->inodes, inode);
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

/* The number of files that could not be stored. A server that is away would let each wait for as long as the first; at
 * the end it is asked all the same. */
static unsigned retry_unsaved(struct vfs *vfs, bool at_the_end) {
    struct chore *chore, *next, *all = take_all(vfs, &vfs->unsaved);
    unsigned failed = 0;
    bool away = false;
    LL_FOREACH_SAFE(all, chore, next) {
        struct inode *inode = chore->inode;
        free(chore);
        int result = away ? -ETIMEDOUT : store_again(vfs, inode);
        away = result == -ETIMEDOUT && !at_the_end;
        stats_subtract(STAT_unsaved_files, 1); /* when it is stored, or counted anew */
        if (result) {
            failed++;
            chores_keep_unsaved(vfs, inode, result);
        } else {
            say_stored(vfs, inode);
        }
        end_keeping(vfs, inode);
        inode_release(vfs->inodes, inode);
    }
    return failed;
}

void vfs_tick(struct vfs *vfs) {
    send_all_times(vfs);
    if (vfs->locks)
        locks_settle(vfs->locks);
    if (++vfs->ticks % RETRY_TICKS == 0)
        retry_unsaved(vfs, false);
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
    unsigned failed = retry_unsaved(vfs, true);
    if (failed)
        log_error("%u files could not be stored before the end%s", failed,
                  vfs->config.journal ? "; the next mount with this staging_dir and mountpoint stores them" : "");
    struct chore *chore, *next;
    LL_FOREACH_SAFE(vfs->unsaved, chore, next) {
        stats_subtract(STAT_unsaved_files, 1);
        give_up_claim(vfs, chore->inode);
        end_keeping(vfs, chore->inode);
        inode_release(vfs->inodes, chore->inode);
        free(chore);
    }
    vfs->unsaved = NULL;
}

// SPDX-License-Identifier: Apache-2.0
/* Attributes: mode, owner, times, and the size as one of them. */
#include <errno.h>
#include <string.h>

#include "fs/vfs/vfs_private.h"

/* As far as nanoseconds go, from 1677 to 2262: a time beyond is the last one that can be kept, as on other filesystems. */
static int64_t nanoseconds(struct timespec time) {
    enum { BILLION = 1000000000 };
    if (time.tv_sec >= INT64_MAX / BILLION)
        return INT64_MAX;
    if (time.tv_sec <= INT64_MIN / BILLION)
        return INT64_MIN;
    return (int64_t)time.tv_sec * BILLION + time.tv_nsec;
}

static struct attributes changes_of(const struct vfs_change *change) {
    struct attributes changes = {.has = ATTRIBUTES_CTIME, .ctime_ns = vfs_now_ns()};
    if (change->set & VFS_MODE) {
        changes.mode = change->mode & 07777;
        changes.has |= ATTRIBUTES_MODE;
    }
    if (change->set & VFS_UID) {
        changes.uid = change->uid;
        changes.has |= ATTRIBUTES_UID;
    }
    if (change->set & VFS_GID) {
        changes.gid = change->gid;
        changes.has |= ATTRIBUTES_GID;
    }
    if (change->set & VFS_ATIME) {
        changes.atime_ns = nanoseconds(change->atime);
        changes.has |= ATTRIBUTES_ATIME;
    }
    if (change->set & VFS_MTIME) {
        changes.mtime_ns = nanoseconds(change->mtime);
        changes.has |= ATTRIBUTES_MTIME;
    }
    return changes;
}

int vfs_change_stored(struct vfs *vfs, struct inode *inode, const struct attributes *changes) {
    if (inode_is_unpublished(vfs->inodes, inode) || inode_is_removed(vfs->inodes, inode))
        return inode_written(vfs->inodes, inode, changes);
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode), *changed = NULL;
    if (!path)
        return -ENOMEM;
    struct store_object object = vfs_object(inode, path, revision);
    struct turn turn;
    turns_begin(&vfs->turns, &turn, inode);
    int result = store->ops->set_attributes(store, &object, changes, &changed);
    turns_end(&vfs->turns, &turn);
    if (result == 0)
        result = inode_change(vfs->inodes, inode, changes);
    if (result == 0 && inode_type(inode) == STORE_DIRECTORY)
        inode_keep(vfs->inodes, inode);
    return result;
}

static int try_to_change(struct vfs *vfs, struct inode *inode, const struct attributes *changes) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (file)
        file_enter(file); /* a publication would carry the attributes of before */
    int result = vfs_change_stored(vfs, inode, changes);
    if (file)
        file_leave(file);
    return result;
}

static int change_attributes(struct vfs *vfs, struct inode *inode, const struct attributes *changes) {
    int result = -ENOENT;
    for (int i = 0; result == -ENOENT && i < REPLACED_TRIES; i++) {
        cleanup_with(revision_unref) struct revision *asked = inode_revision(vfs->inodes, inode);
        result = try_to_change(vfs, inode, changes);
        if (result == -ENOENT && !vfs_was_replaced(vfs, inode, asked))
            break;
    }
    if (result == 0)
        journaling_refresh(vfs, inode);
    return result;
}

/* Without a handle it is an open, a change and a close. */
static int cut(struct vfs *vfs, struct inode *inode, int64_t size, bool publish) {
    cleanup_with(file_unref) struct file *file = NULL;
    if (inode_type(inode) != STORE_FILE)
        return inode_type(inode) == STORE_DIRECTORY ? -EISDIR : -EINVAL;
    int result = publish ? vfs_revalidate(vfs, inode) : 0;
    if (result == 0 && publish && size > 0)
        result = vfs_check_damage(vfs, inode);
    if (result)
        return result;
    inode_opened(vfs->inodes, inode);
    inode_writer(vfs->inodes, inode, 1);
    result = vfs_file(vfs, inode, &file);
    if (result == 0)
        result = vfs_cut(vfs, inode, file, size);
    if (result == 0 && publish)
        result = vfs_publish_later(vfs, inode);
    if (result && file && staged_dirty(file_staged(file)))
        chores_keep_unsaved(vfs, inode, result);
    inode_writer(vfs->inodes, inode, -1);
    inode_closed(vfs->inodes, inode);
    return result;
}

int vfs_change(struct vfs *vfs, struct inode *inode, struct handle *handle, const struct vfs_change *change,
               struct stat *ret_attributes) {
    int result = vfs_may_change(vfs, inode);
    if (result == 0 && change->set & VFS_SIZE)
        result = cut(vfs, inode, change->size, !handle);
    if (result == 0 && change->set & ~(unsigned)VFS_SIZE) {
        struct attributes changes = changes_of(change);
        result = change_attributes(vfs, inode, &changes);
    }
    if (result == 0)
        vfs_fill_inode(vfs, inode, ret_attributes);
    return result;
}

// SPDX-License-Identifier: Apache-2.0
/* Handles keep their revision, but who gets a lock across mounts has the newest: the inode goes over to it, with all
 * that is open of it. */
#include <errno.h>

#include "fs/vfs/vfs_private.h"

/* What is written of the inode, if it is clean, goes over to the revision together with it. */
static int move_inode(struct vfs *vfs, struct inode *inode, struct revision *newest, bool *ret_moved) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    cleanup_with(published_unref) struct published *published = NULL;
    if (!file) {
        *ret_moved |= inode_move(vfs->inodes, inode, newest);
        return 0;
    }
    published = published_new(vfs->config.chunks, newest);
    if (!published)
        return -ENOMEM;
    struct staged_base base = published_base(published);
    int result = 0;
    file_begin_publishing(file); /* nobody writes meanwhile */
    bool clean = !staged_dirty(file_staged(file));
    if (clean) /* first: what is written over the base of before must not replace what came after it */
        result = staged_move(file_staged(file), &base, (const struct staged_hole *)newest->holes, newest->hole_count);
    if (clean && result == 0 && inode_move(vfs->inodes, inode, newest)) {
        *ret_moved = true;
        inode_store(inode)->ops->release(inode_store(inode), file_steal_lease(file));
    }
    file_end_publishing(file);
    return result;
}

int vfs_move_to_newest(struct vfs *vfs, struct inode *inode, bool *ret_moved) {
    if (inode_is_removed(vfs->inodes, inode))
        return 0;
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    cleanup_with(revision_unref) struct revision *newest = NULL;
    int result = path ? store->ops->newest(store, path, &newest) : -ENOMEM;
    if (result == -ENOENT)
        return 0; /* removed by others: it goes on here, as it does in one mount */
    return result ? result : move_inode(vfs, inode, newest, ret_moved);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/recall.h"

#include <errno.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"

static bool is_healthy(struct vfs *vfs) {
    return vfs->config.server->ops->healthy(vfs->config.server);
}

bool recall_is_due(struct vfs *vfs) {
    if (atomic_load(&vfs->away) && is_healthy(vfs))
        atomic_store(&vfs->away, false);
    return atomic_load(&vfs->away);
}

bool recall_may(struct vfs *vfs, int result) {
    if (result != -ETIMEDOUT || !vfs->config.recalls || is_healthy(vfs))
        return false;
    if (!atomic_exchange(&vfs->away, true))
        log_warning("the server is away: known names and listings are shown as they were");
    return true;
}

bool recall_name(struct vfs *vfs, struct inode *parent, const char *stored, struct inode **ret_inode) {
    bool known = inode_recall(vfs->inodes, parent, stored, ret_inode);
    stats_add(STAT_recalled, known);
    return known;
}

bool recall_listing(struct vfs *vfs, struct handle *handle) {
    cleanup_with(keys_unref) struct keys *keys = inode_last_listing(vfs->inodes, handle->inode, &handle->moment);
    if (!keys || directory_recall(handle->directory, keys))
        return false;
    stats_add(STAT_recalled, 1);
    handle->recalled = true;
    return true;
}

bool recall_entry(struct vfs *vfs, struct handle *handle, const char *stored, const struct store_item *item,
                  bool with_inode, struct vfs_entry *ret_entry) {
    struct inode *directory = handle->inode;
    bool changed = inode_changed_since(vfs->inodes, directory, stored, handle->moment);
    struct inode *inode = inode_at(vfs->inodes, directory, stored);
    if (!inode && changed) /* removed here */
        return false;
    if (inode) {
        vfs_fill_inode(vfs, inode, &ret_entry->attributes);
        if (with_inode)
            (void)inode_recall(vfs->inodes, directory, stored, &ret_entry->inode);
        inode_release(vfs->inodes, inode);
        return true;
    }
    vfs_fill(vfs, item->entry.kind, inode_number_at(directory, stored, NULL), NULL, NULL, &ret_entry->attributes);
    if (item->entry.kind != STORE_DIRECTORY)
        ret_entry->attributes.st_mode &= ~(mode_t)S_IFMT; /* not known any more */
    return true;
}

// SPDX-License-Identifier: Apache-2.0
/* Close-to-open: whether the content that an inode stands for is the newest, asked at each open (DESIGN.md, §4). */
#include <errno.h>

#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

static bool is_trusted(struct vfs *vfs, struct inode *inode) {
    return vfs->config.trust_opens &&
           clock_now_ms() - inode_checked_ms(vfs->inodes, inode) < vfs->config.trust_ms;
}

static int revalidate_at(struct vfs *vfs, struct inode *inode, const char *path) {
    struct store *store = inode_store(inode);
    cleanup_with(revision_unref) struct revision *newest = NULL;
    cleanup_with(revision_unref) struct revision *mine = inode_revision(vfs->inodes, inode);
    uint64_t moment = inode_moment(vfs->inodes);
    int result = store->ops->newest(store, path, &newest);
    if (result && result != -ENOENT)
        return result;
    cleanup_with(revision_unref) struct revision *now = inode_revision(vfs->inodes, inode);
    if (inode_is_ours(vfs->inodes, inode) || !revision_same_content(mine, now)) /* published here meanwhile */
        return 0;
    if (result == -ENOENT || !revision_same_content(newest, mine)) {
        inode_drop_path(vfs->inodes, inode, path, moment);
        return -ESTALE;
    }
    inode_refresh(vfs->inodes, inode, newest);
    return 0;
}

/* The kernel says which inode it opens, not by which name: each is asked about. */
static int revalidate_all(struct vfs *vfs, struct inode *inode) {
    char **paths = inode_paths(vfs->inodes, inode);
    int result = paths ? 0 : -ENOMEM;
    for (char **path = paths; path && *path && (result == 0 || result == -ESTALE); path++) {
        int one = revalidate_at(vfs, inode, *path);
        result = one ? one : result;
    }
    server_free_names(paths);
    if (result == -ESTALE)
        stats_add(STAT_stale_opens, 1);
    return result;
}

int vfs_revalidate(struct vfs *vfs, struct inode *inode) {
    if (inode_is_abandoned(vfs->inodes, inode))
        return -ESTALE;
    if (inode_kind(inode) == INODE_BY_ID || inode_is_ours(vfs->inodes, inode) || is_trusted(vfs, inode))
        return 0;
    return revalidate_all(vfs, inode);
}

int vfs_open_newest(struct vfs *vfs, struct inode *inode, const struct vfs_caller *caller) {
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    if (!path)
        return -ENOMEM;
    if (retries_take(&vfs->retries, caller->pid, path, inode_checked_ms(vfs->inodes, inode)))
        return 0;
    int result = vfs_revalidate(vfs, inode);
    if (result == -ESTALE)
        retries_expect(&vfs->retries, caller->pid, path);
    return result;
}

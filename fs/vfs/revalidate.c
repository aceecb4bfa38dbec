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
    int result = store->ops->newest(store, path, &newest);
    if (result && result != -ENOENT)
        return result;
    cleanup_with(revision_unref) struct revision *now = inode_revision(vfs->inodes, inode);
    if (inode_is_ours(vfs->inodes, inode) || !revision_same_content(mine, now)) /* published here meanwhile */
        return 0;
    if (result == -ENOENT || !revision_same_content(newest, mine))
        return -ESTALE;
    inode_refresh(vfs->inodes, inode, newest);
    return 0;
}

static int revalidate_all(struct vfs *vfs, struct inode *inode, char **paths) {
    int result = 0;
    if (inode_is_abandoned(vfs->inodes, inode) || inode_is_parted(vfs->inodes, inode))
        return -ESTALE;
    if (inode_kind(inode) == INODE_BY_ID || inode_is_ours(vfs->inodes, inode) || is_trusted(vfs, inode))
        return 0;
    uint64_t moment = inode_moment(vfs->inodes);
    for (char **path = paths; result == 0 && *path; path++) {
        result = revalidate_at(vfs, inode, *path);
        if (result == -ESTALE)
            vfs_doubt_name(vfs, inode, *path, moment);
    }
    if (result == -ESTALE)
        stats_add(STAT_stale_opens, 1);
    return result;
}

static char **paths_of(struct vfs *vfs, struct inode *inode) {
    return inode_paths(vfs->inodes, inode, vfs->config.trust_ms);
}

int vfs_revalidate(struct vfs *vfs, struct inode *inode) {
    char **paths = paths_of(vfs, inode);
    int result = paths ? revalidate_all(vfs, inode, paths) : -ENOMEM;
    server_free_names(paths);
    return result;
}

/* When it is stale the kernel looks up the path it came by, whichever that was. */
int vfs_open_newest(struct vfs *vfs, struct inode *inode, const struct vfs_caller *caller) {
    char **paths = paths_of(vfs, inode);
    int result = paths ? 0 : -ENOMEM;
    if (paths && !retries_take(&vfs->retries, caller->pid, paths[0], inode_checked_ms(vfs->inodes, inode)))
        result = revalidate_all(vfs, inode, paths);
    for (char **path = paths; result == -ESTALE && *path; path++)
        retries_expect(&vfs->retries, caller->pid, *path);
    server_free_names(paths);
    return result;
}

// SPDX-License-Identifier: Apache-2.0
/* What was found one after the other in a directory. */
#include "fs/vfs/inode_private.h"

static bool is_plain(const struct inode *inode) {
    bool ours = inode->unpublished || inode->publishing || inode->removed;
    return inode->kind == INODE_STORED && inode->type == STORE_FILE && inode->revision && inode->names && !ours;
}

uint64_t inode_serial(const struct inode *inode) {
    return inode->serial;
}

unsigned inode_neighbours(struct inodes *inodes, const struct inode *inode, unsigned most, uint64_t *ret_serials,
                          struct revision **ret_revisions) {
    unsigned count = 0, left = 2 * most;
    lock_acquire(&inodes->lock);
    const struct inode *parent = is_plain(inode) ? inode->names->key.parent : NULL;
    for (const struct inode *one = parent ? inode : NULL; one && count < most && left; one = one->next, left--) {
        if (!is_plain(one) || one->names->key.parent != parent)
            continue;
        ret_serials[count] = one->serial;
        ret_revisions[count++] = revision_ref(one->revision);
    }
    lock_release(&inodes->lock);
    return count;
}

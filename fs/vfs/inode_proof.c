// SPDX-License-Identifier: Apache-2.0
/* What is known of an inode's content and the SHA-256 that is recorded of it. */
#include "fs/vfs/inode_private.h"

enum inode_proof inode_proof(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    enum inode_proof proof = inode->proof;
    lock_release(&inodes->lock);
    return proof;
}

void inode_set_proof(struct inodes *inodes, struct inode *inode, const struct revision *revision, enum inode_proof proof) {
    lock_acquire(&inodes->lock);
    if (inode->revision && revision_same_content(inode->revision, revision))
        inode->proof = proof;
    lock_release(&inodes->lock);
}

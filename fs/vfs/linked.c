// SPDX-License-Identifier: Apache-2.0
/* Hard-linked files by their identity: all names of one lead to one inode. */
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include "fs/vfs/inode_private.h"

static void linked_key(struct store *store, const struct attributes *attributes, struct linked_key *ret_key) {
    memset(ret_key, 0, sizeof *ret_key);
    ret_key->store = store;
    memcpy(ret_key->file, attributes->file, sizeof ret_key->file);
}

static struct linked *find_linked(struct inodes *inodes, struct store *store, const struct attributes *attributes) {
    struct linked_key key;
    struct linked *linked;
    linked_key(store, attributes, &key);
    HASH_FIND(hh, inodes->linked, &key, sizeof key, linked);
    return linked;
}

struct inode *linked_find(struct inodes *inodes, struct store *store, const struct attributes *attributes) {
    if (!attributes || !(attributes->has & ATTRIBUTES_FILE) || attributes->links < 2)
        return NULL;
    struct linked *linked = find_linked(inodes, store, attributes);
    return linked ? linked->inode : NULL;
}

/* From now on other names of this file lead here. Without memory they get inodes of their own, as on two mounts. */
void linked_add(struct inodes *inodes, struct inode *inode) {
    const struct attributes *attributes = inode_known(inode);
    if (!attributes || !(attributes->has & ATTRIBUTES_FILE) || attributes->links < 2)
        return;
    struct linked *linked = find_linked(inodes, inode->store, attributes);
    if (!linked) {
        linked = calloc(1, sizeof *linked);
        if (!linked)
            return;
        linked_key(inode->store, attributes, &linked->key);
        HASH_ADD(hh, inodes->linked, key, sizeof linked->key, linked);
        if (linked->lost) {
            free(linked);
            return;
        }
    }
    if (linked->inode)
        linked->inode->linked = false;
    linked->inode = inode;
    inode->linked = true;
}

void linked_drop(struct inodes *inodes, struct inode *inode) {
    struct linked *linked, *next;
    if (!inode->linked)
        return;
    HASH_ITER(hh, inodes->linked, linked, next) {
        if (linked->inode == inode) {
            HASH_DEL(inodes->linked, linked);
            free(linked);
            break;
        }
    }
    inode->linked = false;
}

// SPDX-License-Identifier: Apache-2.0
/* The names of directories as they were last listed: what is told while the server is away. */
#include <string.h>

#include "fs/store/names.h"
#include "fs/vfs/inode_private.h"

enum { KNOWN_MOST = 100000 }; /* names of one directory */

void known_drop(struct inode *directory) {
    if (directory->known)
        keys_unref(directory->known->keys);
    free(directory->known);
    directory->known = NULL;
}

void known_name(struct inode *directory, const char *name) {
    char key[NAMES_STORED_MOST + 2];
    size_t size = strlen(name);
    if (!directory->known || size > NAMES_STORED_MOST)
        return;
    memcpy(key, name, size);
    key[size] = '/';
    const struct keys *keys = directory->known->keys;
    if (!keys_have(keys, key, size) && !keys_have(keys, key, size + 1))
        known_drop(directory);
}

void inode_listed_all(struct inodes *inodes, struct inode *directory, struct keys *keys, uint64_t moment) {
    if (keys_count(keys) > KNOWN_MOST)
        return;
    lock_acquire(&inodes->lock);
    known_drop(directory);
    if (directory->changed <= moment && (directory->known = malloc(sizeof *directory->known)))
        *directory->known = (struct known){.keys = keys_ref(keys), .moment = moment};
    lock_release(&inodes->lock);
}

struct keys *inode_last_listing(struct inodes *inodes, const struct inode *directory, uint64_t *ret_moment) {
    lock_acquire(&inodes->lock);
    const struct known *known = directory->known;
    struct keys *keys = known ? keys_ref(known->keys) : NULL;
    if (known)
        *ret_moment = known->moment;
    lock_release(&inodes->lock);
    return keys;
}

bool inode_recall(struct inodes *inodes, struct inode *parent, const char *name, struct inode **ret_inode) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, parent, name);
    if (dentry) {
        dentry->inode->lookups++;
        *ret_inode = dentry->inode;
    }
    lock_release(&inodes->lock);
    return dentry;
}

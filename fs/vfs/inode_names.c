// SPDX-License-Identifier: Apache-2.0
/* The names of an inode as paths. Only a hard-linked file has several. */
#include <stdlib.h>
#include <string.h>

#include "fs/vfs/inode_private.h"

/* Whether the name is a part of a path in a bucket, or of one whose revisions are shown; or in the mount. */
static bool counts(const struct dentry *dentry, bool in_mount) {
    if (!dentry || in_mount)
        return dentry;
    return dentry->key.parent->kind == INODE_STORED || dentry->key.parent->kind == INODE_HISTORY;
}

/* With `name` behind it, unless NULL. */
static char *path_by(const struct dentry *last, const char *name, bool in_mount) {
    size_t size = 0, more = name ? strlen(name) + 1 : 0;
    for (const struct dentry *dentry = last; counts(dentry, in_mount); dentry = dentry->key.parent->names)
        size += strlen(dentry->key.name) + 1;
    char *path = calloc(1, size + more + 1);
    if (!path)
        return NULL;
    size_t end = size;
    for (const struct dentry *dentry = last; counts(dentry, in_mount); dentry = dentry->key.parent->names) {
        size_t part = strlen(dentry->key.name);
        end -= part + 1;
        memcpy(path + end, dentry->key.name, part);
        path[end + part] = '/';
    }
    if (name)
        strcpy(path + size, name);
    else if (size)
        path[size - 1] = '\0';
    return path;
}

char *inode_path(struct inodes *inodes, const struct inode *inode, const char *name) {
    lock_acquire(&inodes->lock);
    char *path = path_by(inode->names, name, false);
    lock_release(&inodes->lock);
    return path;
}

char *inode_path_in_mount(struct inodes *inodes, const struct inode *inode, const char *name) {
    lock_acquire(&inodes->lock);
    char *path = path_by(inode->names, name, true);
    lock_release(&inodes->lock);
    return path;
}

char **inode_paths(struct inodes *inodes, const struct inode *inode) {
    size_t count = 2, used = 0;
    lock_acquire(&inodes->lock);
    for (const struct dentry *dentry = inode->names; dentry; dentry = dentry->next)
        count++;
    char **paths = calloc(count, sizeof *paths);
    bool lost = !paths || !(paths[used++] = path_by(inode->names, NULL, false));
    for (const struct dentry *dentry = inode->names ? inode->names->next : NULL; !lost && dentry; dentry = dentry->next)
        lost = !(paths[used++] = path_by(dentry, NULL, false));
    lock_release(&inodes->lock);
    if (!lost)
        return paths;
    server_free_names(paths);
    return NULL;
}

static struct dentry *name_at(const struct inode *inode, const char *path) {
    struct dentry *found = NULL;
    for (struct dentry *dentry = inode->names; dentry && !found; dentry = dentry->next) {
        cleanup_free char *is = path_by(dentry, NULL, false);
        if (is && strcmp(is, path) == 0)
            found = dentry;
    }
    return found;
}

void inode_drop_path(struct inodes *inodes, struct inode *inode, const char *path, uint64_t since) {
    lock_acquire(&inodes->lock);
    bool several = inode->names && inode->names->next && inode->type == STORE_FILE;
    struct dentry *dentry = several ? name_at(inode, path) : NULL;
    if (dentry && !dentry_changed(inodes, dentry->key.parent, dentry->key.name, &since))
        dentry_unhash(inodes, dentry);
    lock_release(&inodes->lock);
}

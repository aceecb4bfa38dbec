/* The names of an inode as paths. Only a hard-linked file has several. */
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/clock.h"
#include "fs/vfs/inode_private.h"

/* Whether the name is a part of a path in a bucket. */
static bool counts(const struct dentry *dentry) {
    return dentry && dentry->key.parent->kind == INODE_STORED;
}

char *dentry_path(const struct dentry *last, const char *name) {
    size_t size = 0, more = name ? strlen(name) + 1 : 0;
    for (const struct dentry *dentry = last; counts(dentry); dentry = dentry->key.parent->names)
        size += strlen(dentry->key.name) + 1;
    char *path = calloc(1, size + more + 1);
    if (!path)
        return NULL;
    size_t end = size;
    for (const struct dentry *dentry = last; counts(dentry); dentry = dentry->key.parent->names) {
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
    char *path = dentry_path(inode->names, name);
    lock_release(&inodes->lock);
    return path;
}

/* Until the reply with a name has reached the kernel, which believes it from then on. */
enum { REPLY_MS = 1000 };

char **inode_paths(struct inodes *inodes, const struct inode *inode, int64_t trust_ms) {
    size_t count = 2, used = 0;
    lock_acquire(&inodes->lock);
    int64_t since_ms = clock_now_ms() - trust_ms - REPLY_MS;
    for (const struct dentry *dentry = inode->names; dentry; dentry = dentry->next)
        count++;
    char **paths = calloc(count, sizeof *paths);
    bool lost = !paths || !(paths[used++] = dentry_path(inode->names, NULL));
    for (const struct dentry *dentry = inode->names; !lost && dentry; dentry = dentry->next)
        if (dentry != inode->names && ((inode->believed && !dentry->told_gone) || dentry->given_ms >= since_ms))
            lost = !(paths[used++] = dentry_path(dentry, NULL));
    lock_release(&inodes->lock);
    if (!lost)
        return paths;
    server_free_names(paths);
    return NULL;
}

void dentry_give(struct dentry *dentry) {
    struct inode *inode = dentry->inode;
    dentry->given_ms = clock_now_ms();
    dentry->told_gone = false;
    if (dentry != inode->names) {
        LL_DELETE(inode->names, dentry);
        LL_PREPEND(inode->names, dentry);
    }
}

bool inode_is_parted(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool parted = inode->parted;
    lock_release(&inodes->lock);
    return parted;
}

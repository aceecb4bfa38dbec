/* What is known of an inode: its path, its revision and attributes, its reader. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "fs/vfs/inode_private.h"

static size_t path_size(const struct inode *inode) {
    size_t size = 0;
    for (; inode && inode->parent && inode->parent->kind == INODE_STORED; inode = inode->parent)
        size += strlen(inode->key.name) + 1;
    return size;
}

char *inode_path(struct inodes *inodes, const struct inode *inode, const char *name) {
    lock_acquire(&inodes->lock);
    size_t size = path_size(inode), more = name ? strlen(name) + 1 : 0;
    char *path = calloc(1, size + more + 1);
    size_t end = size;
    for (const struct inode *at = inode; path && end > 0; at = at->parent) {
        size_t part = strlen(at->key.name);
        end -= part + 1;
        memcpy(path + end, at->key.name, part);
        path[end + part] = '/';
    }
    lock_release(&inodes->lock);
    if (path && name)
        strcpy(path + size, name);
    else if (path && size)
        path[size - 1] = '\0';
    return path;
}

struct revision *inode_revision(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    struct revision *revision = inode->revision ? revision_ref(inode->revision) : NULL;
    lock_release(&inodes->lock);
    return revision;
}

void inode_refresh(struct inodes *inodes, struct inode *inode, struct revision *revision) {
    lock_acquire(&inodes->lock);
    CHECK(inode->revision && revision_same_content(inode->revision, revision));
    struct revision *before = inode->revision;
    inode->revision = revision_ref(revision);
    inode->checked_ms = clock_now_ms();
    lock_release(&inodes->lock);
    revision_unref(before);
}

int64_t inode_checked_ms(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    int64_t checked_ms = inode->checked_ms;
    lock_release(&inodes->lock);
    return checked_ms;
}

struct attributes inode_attributes(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    struct attributes attributes = {0};
    if (inode->revision)
        attributes = inode->revision->attributes;
    else if (inode->attributes)
        attributes = *inode->attributes;
    lock_release(&inodes->lock);
    return attributes;
}

static char *copy_text(const struct inode *inode, enum store_kind type) {
    return inode && inode->type == type && inode->text ? strdup(inode->text) : NULL;
}

char *inode_target(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    char *target = copy_text(inode, STORE_SYMLINK);
    lock_release(&inodes->lock);
    return target;
}

char *inode_witness(struct inodes *inodes, struct inode *parent, const char *name) {
    lock_acquire(&inodes->lock);
    char *witness = copy_text(inode_find(inodes, parent, name), STORE_DIRECTORY);
    lock_release(&inodes->lock);
    return witness;
}

void inode_begin_listing(struct inodes *inodes, struct inode *directory) {
    lock_acquire(&inodes->lock);
    if (directory->siblings)
        siblings_clear(directory->siblings);
    lock_release(&inodes->lock);
}

void inode_listed(struct inodes *inodes, struct inode *directory, struct inode *inode) {
    lock_acquire(&inodes->lock);
    if (!directory->siblings)
        directory->siblings = siblings_new();
    if (directory->siblings && inode->revision)
        inode->place = siblings_add(directory->siblings, inode->revision);
    lock_release(&inodes->lock);
}

unsigned inode_follow(struct inodes *inodes, struct inode *inode, struct revision *ret_revisions[SIBLINGS_PLAN]) {
    lock_acquire(&inodes->lock);
    struct siblings *siblings = inode->parent ? inode->parent->siblings : NULL;
    unsigned count = siblings ? siblings_follow(siblings, inode->place, ret_revisions) : 0;
    lock_release(&inodes->lock);
    return count;
}

int inode_open_reader(struct inodes *inodes, struct inode *inode, struct chunks *chunks, struct reader **ret_reader) {
    lock_acquire(&inodes->lock);
    if (!inode->reader) {
        const struct revision *revision = inode->revision;
        bool single = revision->length > 0 && revision->length < revision->chunk_size;
        struct chunk_file file = {.chunk_size = single ? (uint32_t)revision->length : revision->chunk_size,
                                  .handle = inode->revision};
        memcpy(file.revision, revision->key, sizeof file.revision);
        inode->reader = reader_new(chunks, &file, revision->length);
    }
    int result = inode->reader ? 0 : -ENOMEM;
    if (result == 0) {
        inode->readers++;
        *ret_reader = inode->reader;
    }
    lock_release(&inodes->lock);
    return result;
}

void inode_close_reader(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    CHECK(inode->readers > 0);
    if (--inode->readers == 0)
        inode->reader = reader_free(inode->reader);
    lock_release(&inodes->lock);
}

// SPDX-License-Identifier: Apache-2.0
/* Extended attributes: user.* of the database; other namespaces are answered without asking it. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "fs/vfs/vfs_private.h"

static bool is_kept(const char *name) {
    return strncmp(name, "user.", 5) == 0 && name[5];
}

static int object_of(struct vfs *vfs, struct inode *inode, char **ret_path, struct revision **ret_revision,
                     struct store_object *ret_object) {
    if (inode_is_removed(vfs->inodes, inode))
        return -ENODATA;
    *ret_path = inode_path(vfs->inodes, inode, NULL);
    if (!*ret_path)
        return -ENOMEM;
    *ret_revision = inode_revision(vfs->inodes, inode);
    *ret_object = vfs_object(inode, *ret_path, *ret_revision);
    return 0;
}

static bool has_any(const struct inode *inode) {
    return inode_kind(inode) == INODE_STORED || inode_kind(inode) == INODE_BY_ID;
}

static int all(struct vfs *vfs, struct inode *inode, struct store_xattr **ret_first) {
    struct store *store = inode_store(inode);
    int result = -ENOENT;
    for (int i = 0; result == -ENOENT && i < REPLACED_TRIES; i++) {
        cleanup_free char *path = NULL;
        cleanup_with(revision_unref) struct revision *revision = NULL;
        struct store_object object;
        if (inode_is_unpublished(vfs->inodes, inode) || inode_is_removed(vfs->inodes, inode)) {
            *ret_first = NULL;
            return 0;
        }
        result = object_of(vfs, inode, &path, &revision, &object);
        if (result == 0)
            result = store->ops->xattrs(store, &object, ret_first);
        if (result == -ENOENT && !vfs_was_replaced(vfs, inode, revision))
            break;
    }
    return result;
}

static bool is_of_content(const char *name) {
    return strcmp(name, "user.gridfs.sha256") == 0 || strcmp(name, "user.gridfs.revision") == 0;
}

/* What was written since is not what these are of. */
static void drop_outdated(struct vfs *vfs, struct inode *inode, struct store_xattr **first) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (!file || !vfs_is_unstored(vfs, inode, file))
        return;
    for (struct store_xattr *each; (each = *first);) {
        if (!is_of_content(each->name)) {
            first = &each->next;
            continue;
        }
        *first = each->next;
        free(each);
    }
}

ssize_t vfs_get_xattr(struct vfs *vfs, struct inode *inode, const char *name, void *value, size_t size) {
    struct store_xattr *first = NULL;
    if (!is_kept(name))
        return -EOPNOTSUPP;
    int result = has_any(inode) ? all(vfs, inode, &first) : 0;
    if (result)
        return result;
    drop_outdated(vfs, inode, &first);
    const struct store_xattr *found = first;
    while (found && strcmp(found->name, name) != 0)
        found = found->next;
    ssize_t needed = found ? (ssize_t)found->size : -ENODATA;
    if (found && size && size < found->size)
        needed = -ERANGE;
    else if (found && size)
        memcpy(value, found->value, found->size);
    store_xattrs_free(first);
    return needed;
}

/* As many as there is room for. Returns what all need. */
static size_t put_names(const struct store_xattr *first, char *names, size_t size) {
    size_t needed = 0;
    for (const struct store_xattr *xattr = first; xattr; xattr = xattr->next) {
        if (!is_kept(xattr->name)) /* others write in the database, but capabilities and ACLs it does not give */
            continue;
        size_t more = strlen(xattr->name) + 1;
        if (needed + more <= size)
            memcpy(names + needed, xattr->name, more);
        needed += more;
    }
    return needed;
}

static bool take_noted(struct vfs *vfs, struct inode *inode, char *names, size_t size, ssize_t *ret_size) {
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    return revision && !inode_is_ours(vfs->inodes, inode) &&
           xattr_ahead_take(vfs->xattr_ahead, inode_serial(inode), revision, names, size, ret_size);
}

static void note(struct vfs *vfs, uint64_t serial, struct revision *revision, const struct store_xattr *first, uint64_t moment) {
    size_t size = put_names(first, NULL, 0), value_bytes = 0;
    char *names = size && size <= XATTR_AHEAD_SIZE ? malloc(size + 1) : NULL;
    for (const struct store_xattr *xattr = first; xattr; xattr = xattr->next)
        value_bytes += xattr->size;
    if (!names)
        return;
    put_names(first, names, size);
    xattr_ahead_note(vfs->xattr_ahead, serial, revision, names, size, value_bytes, moment);
}

/* With those that are likely to be asked for next. False: nothing came of it. */
static bool ask_ahead(struct vfs *vfs, struct inode *inode, struct store_xattr **ret_first) {
    struct store *store = inode_store(inode);
    uint64_t serials[STORE_XATTRS_MOST], moment = xattr_ahead_moment(vfs->xattr_ahead);
    struct revision *revisions[STORE_XATTRS_MOST];
    struct store_xattr *firsts[STORE_XATTRS_MOST];
    unsigned count = xattr_ahead_follow(vfs->xattr_ahead, inode_serial(inode));
    count = count > 1 ? inode_neighbours(vfs->inodes, inode, count, serials, revisions) : 0;
    bool asked = count > 1 && store->ops->xattrs_of(store, revisions, count, firsts) == 0;
    if (asked)
        *ret_first = firsts[0];
    for (unsigned i = 0; i < count; i++) {
        if (asked && i) {
            note(vfs, serials[i], revisions[i], firsts[i], moment);
            store_xattrs_free(firsts[i]);
        }
        revision_unref(revisions[i]);
    }
    return *ret_first != NULL;
}

ssize_t vfs_list_xattrs(struct vfs *vfs, struct inode *inode, char *names, size_t size) {
    struct store_xattr *first = NULL;
    ssize_t noted;
    bool file = inode_kind(inode) == INODE_STORED && inode_type(inode) == STORE_FILE;
    if (file && take_noted(vfs, inode, names, size, &noted))
        return noted;
    int result = has_any(inode) && !(file && ask_ahead(vfs, inode, &first)) ? all(vfs, inode, &first) : 0;
    if (result)
        return result;
    drop_outdated(vfs, inode, &first);
    size_t needed = put_names(first, names, size);
    store_xattrs_free(first);
    return size && needed > size ? -ERANGE : (ssize_t)needed;
}

/* What is asked for. */
struct wish {
    const char *name;
    const void *value;
    size_t size;
    enum store_xattr_how how;
};

static int set_stored(struct vfs *vfs, struct inode *inode, const struct wish *wish) {
    cleanup_free char *path = NULL;
    cleanup_with(revision_unref) struct revision *revision = NULL;
    struct store *store = inode_store(inode);
    struct store_object object;
    int result = object_of(vfs, inode, &path, &revision, &object);
    struct turn turn;
    if (result)
        return result;
    turns_begin(&vfs->turns, &turn, inode);
    result = store->ops->set_xattr(store, &object, wish->name, wish->value, wish->size, wish->how);
    turns_end(&vfs->turns, &turn);
    return result;
}

static int try_to_set(struct vfs *vfs, struct inode *inode, const struct wish *wish) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (file)
        file_enter(file); /* a publication would carry those of before */
    int result = set_stored(vfs, inode, wish);
    if (file)
        file_leave(file);
    return result;
}

static int set(struct vfs *vfs, struct inode *inode, const struct wish *wish) {
    int result = vfs_may_change(vfs, inode);
    if (result == 0 && !is_kept(wish->name))
        result = -EOPNOTSUPP;
    if (result == 0) /* the store knows what is published */
        result = inode_is_unpublished(vfs->inodes, inode) ? vfs_publish(vfs, inode) : 0;
    if (result)
        return result;
    result = -ENOENT;
    for (int i = 0; result == -ENOENT && i < REPLACED_TRIES; i++) {
        cleanup_with(revision_unref) struct revision *asked = inode_revision(vfs->inodes, inode);
        result = try_to_set(vfs, inode, wish);
        if (result == -ENOENT && !vfs_was_replaced(vfs, inode, asked))
            break;
    }
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    if (revision)
        xattr_ahead_forget(vfs->xattr_ahead, revision->id, revision->id_size);
    struct attributes now = {.has = ATTRIBUTES_CTIME, .ctime_ns = vfs_now_ns()};
    return result ? result : inode_change(vfs->inodes, inode, &now);
}

int vfs_set_xattr(struct vfs *vfs, struct inode *inode, const char *name, const void *value, size_t size, int flags) {
    enum { MOST = 64 << 10 }; /* XATTR_SIZE_MAX of the kernel */
    if (size > MOST)
        return -E2BIG;
    const struct wish wish = {name, value, size,
                              flags & XATTR_CREATE    ? STORE_XATTR_CREATE
                              : flags & XATTR_REPLACE ? STORE_XATTR_REPLACE
                                                      : STORE_XATTR_ANY};
    return set(vfs, inode, &wish);
}

int vfs_remove_xattr(struct vfs *vfs, struct inode *inode, const char *name) {
    return set(vfs, inode, &(struct wish){.name = name, .how = STORE_XATTR_REMOVE});
}

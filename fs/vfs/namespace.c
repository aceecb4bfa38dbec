// SPDX-License-Identifier: Apache-2.0
/* Names: made, removed, renamed. The kernel serialises changes of one directory by this mount. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "fs/vfs/vfs_private.h"

/* The stored form of a name that may be changed in `parent`. */
static int check_name(struct vfs *vfs, struct inode *parent, const char *name,
                      char ret_stored[NAMES_STORED_MOST + 1]) {
    int result = vfs_may_change(vfs, parent);
    if (result == 0 && control_is(vfs, parent, name))
        result = -EPERM;
    return result ? result : names_encode(name, ret_stored);
}

int vfs_known(struct vfs *vfs, struct inode *parent, const char *name, char ret_stored[NAMES_STORED_MOST + 1],
              struct inode **ret_inode) {
    int result = check_name(vfs, parent, name, ret_stored);
    if (result)
        return result;
    struct inode *inode = inode_at(vfs->inodes, parent, ret_stored);
    if (!inode && inode_is_missing(vfs->inodes, parent, ret_stored))
        return 0;
    if (!inode) { /* the kernel has looked it up, but it was lost meanwhile, or nothing was believed to be there */
        result = vfs_ask(vfs, parent, ret_stored, &inode);
        if (result)
            return result == -ENOENT ? 0 : result;
        vfs_note_there(vfs, parent, ret_stored);
        inode_hold(vfs->inodes, inode);
        inode_forget(vfs->inodes, inode, 1);
    }
    *ret_inode = inode;
    return 1;
}

/* What has kept a name from being made is found by who looks next. */
static int in_the_way(struct vfs *vfs, struct inode *parent, const char *stored, int result) {
    if (result == -EEXIST)
        vfs_note_there(vfs, parent, stored);
    return result;
}

/* A directory that exists only by its files would go with the last of them. */
int vfs_keep_directory(struct vfs *vfs, struct inode *directory) {
    if (inode_is_bucket(vfs->inodes, directory) || inode_is_kept(vfs->inodes, directory))
        return 0;
    struct store *store = inode_store(directory);
    cleanup_free char *path = inode_path(vfs->inodes, directory, NULL);
    int result = path ? store->ops->keep_directory(store, path) : -ENOMEM;
    if (result == 0)
        inode_keep(vfs->inodes, directory);
    return result;
}

/* What a new inode has; its group is the directory's where that is setgid. */
static struct attributes new_attributes(struct vfs *vfs, struct inode *parent, mode_t mode,
                                        const struct vfs_caller *caller) {
    struct stat above;
    int64_t now = vfs_now_ns();
    vfs_fill_inode(vfs, parent, &above);
    bool inherits = above.st_mode & S_ISGID;
    struct attributes attributes = {
        .has = ATTRIBUTES_MODE | ATTRIBUTES_UID | ATTRIBUTES_GID | ATTRIBUTES_ATIME | ATTRIBUTES_MTIME | ATTRIBUTES_CTIME,
        .mode = (mode & 07777) | (inherits && S_ISDIR(mode) ? S_ISGID : 0),
        .uid = caller->uid,
        .gid = inherits ? above.st_gid : caller->gid,
        .atime_ns = now,
        .mtime_ns = now,
        .ctime_ns = now,
    };
    attributes_new_file(&attributes);
    return attributes;
}

/* ---- regular files ---- */

static int create(struct vfs *vfs, struct inode *parent, const char *stored, mode_t mode, bool exclusive,
                  const struct vfs_caller *caller, struct inode **ret_inode, struct file **ret_file) {
    struct store *store = inode_store(parent);
    struct store_lease *lease = NULL;
    cleanup_free char *path = inode_path(vfs->inodes, parent, stored);
    int result = path ? 0 : -ENOMEM;
    if (result == 0 && exclusive)
        result = store->ops->reserve(store, path, &lease);
    if (result)
        return in_the_way(vfs, parent, stored, result);
    struct staged_base nothing = {0};
    struct attributes attributes = new_attributes(vfs, parent, S_IFREG | mode, caller);
    struct file *file = file_new(vfs->config.staging, &nothing, NULL, 0);
    struct inode *inode;
    result = file ? inode_create(vfs->inodes, parent, stored, store, &attributes, file, &inode) : -ENOMEM;
    if (result) {
        file_unref(file);
        store->ops->release(store, lease);
        return result;
    }
    file_set_lease(file, lease);
    *ret_inode = inode;
    *ret_file = file_ref(file);
    return 0;
}

/* A lookup that was not asked is none for O_CREAT, which is to open what is there: ESTALE has the kernel look again. */
static int check_missing(struct vfs *vfs, struct inode *parent, const char *stored) {
    struct inode *inode;
    if (!vfs->coherence || inode_is_missing(vfs->inodes, parent, stored))
        return 0;
    int result = vfs_ask(vfs, parent, stored, &inode);
    if (result)
        return result == -ENOENT ? 0 : result;
    vfs_note_there(vfs, parent, stored);
    inode_forget(vfs->inodes, inode, 1);
    return -ESTALE;
}

int vfs_create(struct vfs *vfs, struct inode *parent, const char *name, mode_t mode, int flags,
               const struct vfs_caller *caller, struct vfs_entry *ret_entry, struct handle **ret_handle) {
    char stored[NAMES_STORED_MOST + 1];
    int result = check_name(vfs, parent, name, stored);
    struct handle handle = {.stored = true, .writable = true, .writers = {caller->pid}, .writer_count = 1};
    if (result == 0 && !(flags & O_EXCL)) /* which asks when it reserves the name */
        result = check_missing(vfs, parent, stored);
    if (result == 0)
        result = create(vfs, parent, stored, mode, flags & O_EXCL, caller, &handle.inode, &handle.file);
    if (result)
        return result;
    inode_opened(vfs->inodes, handle.inode);
    inode_writer(vfs->inodes, handle.inode, 1);
    result = vfs_keep_handle(vfs, &handle, ret_handle);
    if (result) {
        vfs_forget(vfs, handle.inode, 1);
        return result;
    }
    vfs_touch_directory(vfs, parent);
    ret_entry->inode = handle.inode;
    vfs_fill_inode(vfs, handle.inode, &ret_entry->attributes);
    return 0;
}

/* A regular file by mknod: there is no descriptor whose close would publish it. */
static int make_file(struct vfs *vfs, struct inode *parent, const char *stored, mode_t mode,
                     const struct vfs_caller *caller, struct inode **ret_inode) {
    cleanup_with(file_unref) struct file *file = NULL;
    struct inode *inode;
    int result = create(vfs, parent, stored, mode, true, caller, &inode, &file);
    if (result)
        return result;
    inode_opened(vfs->inodes, inode);
    inode_writer(vfs->inodes, inode, 1);
    result = vfs_publish(vfs, inode);
    if (result) {
        struct store *store = inode_store(inode);
        store->ops->release(store, file_steal_lease(file));
        inode_removed(vfs->inodes, parent, stored);
    }
    inode_closed(vfs->inodes, inode);
    inode_writer(vfs->inodes, inode, -1);
    if (result)
        vfs_forget(vfs, inode, 1);
    else
        *ret_inode = inode;
    return result;
}

/* ---- all else ---- */

static int make_node(struct vfs *vfs, struct inode *parent, const char *stored, struct store_entry *entry,
                     struct inode **ret_inode) {
    struct store *store = inode_store(parent);
    cleanup_free char *path = inode_path(vfs->inodes, parent, stored);
    int result = path ? store->ops->make(store, path, entry) : -ENOMEM;
    if (result)
        return in_the_way(vfs, parent, stored, result);
    inode_note_change(vfs->inodes, parent, stored);
    inode_drop(vfs->inodes, parent, stored, NULL); /* what was there before is not this */
    struct inode_found found = {.kind = INODE_STORED, .store = store, .entry = entry};
    return inode_adopt(vfs->inodes, parent, stored, &found, ret_inode);
}

static int make(struct vfs *vfs, struct inode *parent, const char *name, enum store_kind kind,
                const char *target, mode_t mode, dev_t device, const struct vfs_caller *caller,
                struct vfs_entry *ret_entry) {
    char stored[NAMES_STORED_MOST + 1];
    struct inode *inode;
    int result = check_name(vfs, parent, name, stored);
    if (result)
        return result;
    struct store_entry entry = {.kind = kind, .attributes = new_attributes(vfs, parent, mode, caller)};
    entry.attributes.device = (uint32_t)device;
    if (target && !(entry.target = names_encode_target(target)))
        return -ENOMEM;
    result = kind == STORE_FILE ? make_file(vfs, parent, stored, mode, caller, &inode)
                                : make_node(vfs, parent, stored, &entry, &inode);
    store_entry_done(&entry);
    if (result)
        return result;
    if (kind == STORE_DIRECTORY)
        inode_keep(vfs->inodes, inode);
    vfs_touch_directory(vfs, parent);
    ret_entry->inode = inode;
    vfs_fill_inode(vfs, inode, &ret_entry->attributes);
    return 0;
}

int vfs_mknod(struct vfs *vfs, struct inode *parent, const char *name, mode_t mode, dev_t device,
              const struct vfs_caller *caller, struct vfs_entry *ret_entry) {
    enum store_kind kind = S_ISFIFO(mode)   ? STORE_FIFO
                           : S_ISSOCK(mode) ? STORE_SOCKET
                           : S_ISCHR(mode)  ? STORE_CHARACTER_DEVICE
                           : S_ISBLK(mode)  ? STORE_BLOCK_DEVICE
                                            : STORE_FILE;
    return make(vfs, parent, name, kind, NULL, mode, device, caller, ret_entry);
}

int vfs_mkdir(struct vfs *vfs, struct inode *parent, const char *name, mode_t mode, const struct vfs_caller *caller,
              struct vfs_entry *ret_entry) {
    return make(vfs, parent, name, STORE_DIRECTORY, NULL, S_IFDIR | mode, 0, caller, ret_entry);
}

int vfs_symlink(struct vfs *vfs, struct inode *parent, const char *name, const char *target,
                const struct vfs_caller *caller, struct vfs_entry *ret_entry) {
    return make(vfs, parent, name, STORE_SYMLINK, target, S_IFLNK | 0777, 0, caller, ret_entry);
}

/* ---- further names ---- */

/* Keeps publications of a file away while its name changes; NULL when nothing is written of it. */
struct file *vfs_shut(struct vfs *vfs, struct inode *inode) {
    struct file *file = inode ? inode_file(vfs->inodes, inode) : NULL;
    if (file)
        file_begin_publishing(file);
    return file;
}

void vfs_reopen(struct file *file) {
    if (file)
        file_end_publishing(file);
    file_unref(file);
}

static int link_stored(struct vfs *vfs, struct inode *inode, struct inode *parent, const char *stored,
                       int64_t ctime_ns) {
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    cleanup_free char *new_path = inode_path(vfs->inodes, parent, stored);
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode), *linked = NULL;
    struct store_object object = vfs_object(inode, path, revision);
    object.ctime_ns = ctime_ns;
    int result = path && new_path ? store->ops->link(store, &object, new_path, &linked) : -ENOMEM;
    return result ? in_the_way(vfs, parent, stored, result) : inode_linked(vfs->inodes, inode, parent, stored, linked);
}

int vfs_link(struct vfs *vfs, struct inode *inode, struct inode *parent, const char *name,
             struct vfs_entry *ret_entry) {
    char stored[NAMES_STORED_MOST + 1];
    int result = check_name(vfs, parent, name, stored);
    if (result == 0)
        result = vfs_may_change(vfs, inode);
    if (result == 0 && inode_store(inode) != inode_store(parent))
        result = -EXDEV;
    if (result == 0)
        result = vfs_publish(vfs, inode);
    if (result)
        return result;
    struct file *file = vfs_shut(vfs, inode); /* the count of links is told of the revision that is there */
    struct attributes now = {.has = ATTRIBUTES_CTIME, .ctime_ns = vfs_now_ns()};
    result = inode_is_removed(vfs->inodes, inode) ? -ENOENT : link_stored(vfs, inode, parent, stored, now.ctime_ns);
    vfs_reopen(file);
    if (result)
        return result;
    (void)inode_change(vfs->inodes, inode, &now);
    vfs_touch_directory(vfs, parent);
    ret_entry->inode = inode;
    vfs_fill_inode(vfs, inode, &ret_entry->attributes);
    return 0;
}

/* ---- removing ---- */

/* Takes a name that the database does not know yet away. */
void vfs_drop_unpublished(struct vfs *vfs, struct inode *inode, struct file *file, struct inode *parent,
                             const char *stored) {
    struct store *store = inode_store(inode);
    store->ops->release(store, file_steal_lease(file));
    inode_removed(vfs->inodes, parent, stored);
}

void vfs_drop_removed(struct vfs *vfs, struct inode *inode, struct file *file) {
    if (!file || !inode_is_removed(vfs->inodes, inode))
        return;
    ahead_end(file_ahead(file));
    journaling_drop(vfs, file);
}

static int remove_stored(struct vfs *vfs, struct inode *inode, struct inode *parent, const char *stored) {
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, parent, stored);
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    int result = path ? vfs_keep_directory(vfs, parent) : -ENOMEM;
    if (result)
        return result;
    struct attributes now = {.has = ATTRIBUTES_CTIME, .ctime_ns = vfs_now_ns()};
    struct store_object object = vfs_object(inode, path, revision);
    object.ctime_ns = now.ctime_ns;
    result = object.kind == STORE_DIRECTORY ? store->ops->remove_directory(store, path)
                                            : store->ops->remove(store, &object);
    if (result == 0 || result == -ENOENT)
        inode_removed(vfs->inodes, parent, stored);
    if (result == 0)
        (void)inode_change(vfs->inodes, inode, &now);
    return result;
}

int vfs_check_empty(struct vfs *vfs, struct inode *directory) {
    char **names = NULL;
    int result = inode_unpublished_in(vfs->inodes, directory, &names);
    if (result == 0 && names)
        result = -ENOTEMPTY;
    server_free_names(names);
    return result;
}

static int remove_name(struct vfs *vfs, struct inode *parent, const char *name, bool directory) {
    char stored[NAMES_STORED_MOST + 1];
    struct inode *inode;
    int result = vfs_known(vfs, parent, name, stored, &inode);
    if (result <= 0)
        return result < 0 ? result : -ENOENT;
    struct file *file = vfs_shut(vfs, inode);
    result = 0;
    if (directory != (inode_type(inode) == STORE_DIRECTORY))
        result = directory ? -ENOTDIR : -EISDIR;
    if (result == 0 && directory)
        result = vfs_check_empty(vfs, inode);
    if (result == 0 && inode_is_unpublished(vfs->inodes, inode))
        vfs_drop_unpublished(vfs, inode, file, parent, stored);
    else if (result == 0)
        result = remove_stored(vfs, inode, parent, stored);
    vfs_drop_removed(vfs, inode, file);
    vfs_reopen(file);
    inode_release(vfs->inodes, inode);
    if (result == 0)
        vfs_touch_directory(vfs, parent);
    return result;
}

int vfs_unlink(struct vfs *vfs, struct inode *parent, const char *name) {
    return remove_name(vfs, parent, name, false);
}

int vfs_rmdir(struct vfs *vfs, struct inode *parent, const char *name) {
    return remove_name(vfs, parent, name, true);
}

// SPDX-License-Identifier: Apache-2.0
/* The operations that change something. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "fs/fuse/request.h"

/* Between the kernel's look at the size and this, a lock may have moved the file: then its pages are wrong as well. */
static void append(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size, off_t offset,
                   struct fuse_file_info *info) {
    struct vfs_caller caller = request_caller(request);
    struct fuse_session *session = request_context(request)->fuse;
    int64_t at = vfs_append(request_vfs(request), request_handle(info), bytes, size, &caller);
    if (at < 0)
        request_fail(request, (int)at);
    else
        fuse_reply_write(request, size);
    if (at >= 0 && at != offset) /* after the answer, which the kernel waits for with the pages */
        (void)fuse_lowlevel_notify_inval_inode(session, number, 0, 0);
}

void do_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size, off_t offset,
              struct fuse_file_info *info) {
    struct vfs_caller caller = request_caller(request);
    if (request_context(request)->cluster_locks && info->flags & O_APPEND && !info->writepage) {
        append(request, number, bytes, size, offset, info);
        return;
    }
    if (info->writepage)
        caller.pid = 0; /* the kernel writes pages back, for whomever */
    int result = vfs_write(request_vfs(request), request_handle(info), offset, bytes, size, &caller);
    if (result)
        request_fail(request, result);
    else
        fuse_reply_write(request, size);
}

void do_copy_file_range(fuse_req_t request, fuse_ino_t from_number, off_t offset, struct fuse_file_info *from,
                        fuse_ino_t to_number, off_t to_offset, struct fuse_file_info *to, size_t size, int flags) {
    enum { MOST = 1 << 30 }; /* the answer has 32 bits, which some kernels do not heed; programs ask for the rest */
    (void)from_number, (void)to_number, (void)flags; /* there are no flags yet */
    struct vfs_caller caller = request_caller(request);
    int64_t result = vfs_copy(request_vfs(request), request_handle(from), offset, request_handle(to), to_offset,
                              size < MOST ? (int64_t)size : MOST, &caller);
    if (result < 0)
        request_fail(request, (int)result);
    else
        fuse_reply_write(request, (size_t)result);
}

void do_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info) {
    (void)number;
    struct vfs_caller caller = request_caller(request);
    int result = vfs_flush(request_vfs(request), request_handle(info), &caller);
    if (request_context(request)->cluster_locks)
        vfs_unlock_owner(request_vfs(request), request_handle(info), info->lock_owner);
    request_done(request, result);
}

void do_fsync(fuse_req_t request, fuse_ino_t number, int only_data, struct fuse_file_info *info) {
    (void)number;
    (void)only_data;
    request_done(request, vfs_sync(request_vfs(request), request_handle(info)));
}

void do_fallocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset, off_t size,
                  struct fuse_file_info *info) {
    (void)number;
    request_done(request, vfs_allocate(request_vfs(request), request_handle(info), mode, offset, size));
}

void do_lseek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence, struct fuse_file_info *info) {
    (void)number;
    int64_t result = vfs_seek(request_vfs(request), request_handle(info), offset, whence);
    if (result < 0)
        request_fail(request, (int)result);
    else
        fuse_reply_lseek(request, result);
}

static struct vfs_change change_of(const struct stat *wanted, int set) {
    static const struct {
        int from;
        unsigned to;
    } bits[] = {{FUSE_SET_ATTR_MODE, VFS_MODE}, {FUSE_SET_ATTR_UID, VFS_UID},         {FUSE_SET_ATTR_GID, VFS_GID},
                {FUSE_SET_ATTR_SIZE, VFS_SIZE}, {FUSE_SET_ATTR_ATIME, VFS_ATIME},     {FUSE_SET_ATTR_MTIME, VFS_MTIME},
                {FUSE_SET_ATTR_ATIME_NOW, VFS_ATIME}, {FUSE_SET_ATTR_MTIME_NOW, VFS_MTIME}};
    struct vfs_change change = {.mode = wanted->st_mode,
                                .uid = wanted->st_uid,
                                .gid = wanted->st_gid,
                                .size = wanted->st_size,
                                .atime = wanted->st_atim,
                                .mtime = wanted->st_mtim};
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        change.set |= set & bits[i].from ? bits[i].to : 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (set & FUSE_SET_ATTR_ATIME_NOW)
        change.atime = now;
    if (set & FUSE_SET_ATTR_MTIME_NOW)
        change.mtime = now;
    return change;
}

void do_setattr(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int set, struct fuse_file_info *info) {
    struct vfs_change change = change_of(wanted, set);
    struct stat attributes;
    int result = vfs_change(request_vfs(request), request_inode(request, number), info ? request_handle(info) : NULL,
                            &change, &attributes);
    if (result)
        request_fail(request, result);
    else
        fuse_reply_attr(request, &attributes, request_context(request)->trust);
}

void do_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info) {
    struct vfs_caller caller = request_caller(request);
    struct vfs_entry found = {0};
    struct handle *handle;
    struct vfs *vfs = request_vfs(request);
    int result = vfs_create(vfs, request_inode(request, parent), name, mode, info->flags, &caller,
                            &found, &handle);
    if (result) {
        request_fail(request, result);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)handle;
    info->keep_cache = 1;
    struct fuse_entry_param entry = request_entry(request, &found);
    if (fuse_reply_create(request, &entry, info)) {
        vfs_close(vfs, handle);
        vfs_forget(vfs, found.inode, 1);
    }
}

void do_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device) {
    struct vfs_caller caller = request_caller(request);
    struct vfs_entry found = {0};
    int result = vfs_mknod(request_vfs(request), request_inode(request, parent), name, mode, device, &caller, &found);
    request_give_entry(request, result, &found);
}

void do_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode) {
    struct vfs_caller caller = request_caller(request);
    struct vfs_entry found = {0};
    int result = vfs_mkdir(request_vfs(request), request_inode(request, parent), name, mode, &caller, &found);
    request_give_entry(request, result, &found);
}

void do_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name) {
    struct vfs_caller caller = request_caller(request);
    struct vfs_entry found = {0};
    int result = vfs_symlink(request_vfs(request), request_inode(request, parent), name, target, &caller, &found);
    request_give_entry(request, result, &found);
}

void do_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name) {
    struct vfs_entry found = {0};
    int result = vfs_link(request_vfs(request), request_inode(request, number), request_inode(request, parent), name,
                          &found);
    request_give_entry(request, result, &found);
}

void do_unlink(fuse_req_t request, fuse_ino_t parent, const char *name) {
    request_done(request, vfs_unlink(request_vfs(request), request_inode(request, parent), name));
}

void do_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name) {
    request_done(request, vfs_rmdir(request_vfs(request), request_inode(request, parent), name));
}

void do_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
               unsigned flags) {
    request_done(request, vfs_rename(request_vfs(request), request_inode(request, parent), name,
                                     request_inode(request, new_parent), new_name, flags));
}

/* A size of 0 asks how much there is. */
static void give_xattr(fuse_req_t request, ssize_t result, const char *value, size_t size) {
    if (result < 0)
        fuse_reply_err(request, (int)-result);
    else if (size == 0)
        fuse_reply_xattr(request, (size_t)result);
    else
        fuse_reply_buf(request, value, (size_t)result);
}

void do_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t size) {
    cleanup_free char *value = malloc(size + 1);
    ssize_t result = -ENOMEM;
    if (value)
        result = vfs_get_xattr(request_vfs(request), request_inode(request, number), name, value, size);
    give_xattr(request, result, value, size);
}

void do_listxattr(fuse_req_t request, fuse_ino_t number, size_t size) {
    cleanup_free char *names = malloc(size + 1);
    ssize_t result = -ENOMEM;
    if (names)
        result = vfs_list_xattrs(request_vfs(request), request_inode(request, number), names, size);
    give_xattr(request, result, names, size);
}

void do_setxattr(fuse_req_t request, fuse_ino_t number, const char *name, const char *value, size_t size, int flags) {
    struct vfs *vfs = request_vfs(request);
    struct inode *inode = request_inode(request, number);
    struct vfs_caller caller = request_caller(request);
    request_done(request, strcmp(name, VFS_RESTORE) == 0 ? vfs_restore(vfs, inode, value, size, &caller)
                                                         : vfs_set_xattr(vfs, inode, name, value, size, flags));
}

void do_removexattr(fuse_req_t request, fuse_ino_t number, const char *name) {
    request_done(request, vfs_remove_xattr(request_vfs(request), request_inode(request, number), name));
}

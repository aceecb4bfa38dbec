// SPDX-License-Identifier: Apache-2.0
/* What every FUSE operation needs: a request unpacked, and answered once. Included by this folder only.
 *
 * A request is gone once it is answered. An answer that fails was not waited for (see orphans.h): what it would have
 * handed out is taken back. */
#ifndef FS_FUSE_REQUEST_H
#define FS_FUSE_REQUEST_H

#include "fs/fuse/operations.h"
#include "fs/vfs/vfs.h"

struct operations_context *request_context(fuse_req_t request);
struct vfs *request_vfs(fuse_req_t request);
struct inode *request_inode(fuse_req_t request, fuse_ino_t number);
struct handle *request_handle(const struct fuse_file_info *info);
struct vfs_caller request_caller(fuse_req_t request);
/* How many seconds the kernel may believe what it is given. */
double request_trust(fuse_req_t request, bool believed);
struct fuse_entry_param request_entry(fuse_req_t request, const struct vfs_entry *found);

void request_fail(fuse_req_t request, int error);
/* 0 or -errno. */
void request_done(fuse_req_t request, int result);
/* -errno, or an entry with a lookup that is taken back when the kernel is gone. */
void request_give_entry(fuse_req_t request, int result, const struct vfs_entry *found);

/* The operations that change something, in changes.c; the others are in operations.c. */
void do_write(fuse_req_t request, fuse_ino_t number, const char *bytes, size_t size, off_t offset,
              struct fuse_file_info *info);
void do_copy_file_range(fuse_req_t request, fuse_ino_t from_number, off_t offset, struct fuse_file_info *from,
                        fuse_ino_t to_number, off_t to_offset, struct fuse_file_info *to, size_t size, int flags);
void do_flush(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
void do_fsync(fuse_req_t request, fuse_ino_t number, int only_data, struct fuse_file_info *info);
void do_fallocate(fuse_req_t request, fuse_ino_t number, int mode, off_t offset, off_t size,
                  struct fuse_file_info *info);
void do_lseek(fuse_req_t request, fuse_ino_t number, off_t offset, int whence, struct fuse_file_info *info);
void do_setattr(fuse_req_t request, fuse_ino_t number, struct stat *wanted, int set, struct fuse_file_info *info);
void do_create(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, struct fuse_file_info *info);
void do_mknod(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void do_mkdir(fuse_req_t request, fuse_ino_t parent, const char *name, mode_t mode);
void do_symlink(fuse_req_t request, const char *target, fuse_ino_t parent, const char *name);
void do_link(fuse_req_t request, fuse_ino_t number, fuse_ino_t parent, const char *name);
void do_unlink(fuse_req_t request, fuse_ino_t parent, const char *name);
void do_rmdir(fuse_req_t request, fuse_ino_t parent, const char *name);
void do_rename(fuse_req_t request, fuse_ino_t parent, const char *name, fuse_ino_t new_parent, const char *new_name,
               unsigned flags);
void do_getxattr(fuse_req_t request, fuse_ino_t number, const char *name, size_t size);
void do_listxattr(fuse_req_t request, fuse_ino_t number, size_t size);
void do_setxattr(fuse_req_t request, fuse_ino_t number, const char *name, const char *value, size_t size, int flags);
void do_removexattr(fuse_req_t request, fuse_ino_t number, const char *name);

/* Those of locks, in locking.c. */
void do_getlk(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, struct flock *wanted);
void do_setlk(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, struct flock *wanted, int waits);
void do_flock(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, int operation);

#endif

/* What the files of fs/vfs share; included by them only. */
#ifndef FS_VFS_VFS_PRIVATE_H
#define FS_VFS_VFS_PRIVATE_H

#include "cache/base/lock.h"
#include "fs/vfs/directory.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/vfs.h"

/* An open file or directory. */
struct handle {
    struct inode *inode;
    struct reader *reader;       /* of a stored file */
    struct blob *text;           /* of a status file */
    struct directory *directory; /* of a directory */
    struct handle *prev, *next;  /* in vfs->handles */
};

struct vfs {
    struct vfs_config config;
    struct inodes *inodes;
    struct lock lock;       /* guards the list of handles */
    struct handle *handles; /* open; at unmount some may never have been released */
    time_t started; /* the time of directories that have none of their own */
};

/* st_* of what was found, with the mount's defaults. `attributes` and `revision` may be NULL. */
void vfs_fill(const struct vfs *vfs, enum store_kind type, uint64_t number, const struct attributes *attributes,
              const struct revision *revision, struct stat *ret_stat);
/* The same of an inode. */
void vfs_fill_inode(const struct vfs *vfs, struct inode *inode, struct stat *ret_stat);

/* Gives an opened handle to the caller. `handle` is copied. */
int vfs_keep_handle(struct vfs *vfs, const struct handle *handle, struct handle **ret_handle);

/* .gridfs and the directory of all buckets: names that no bucket holds. */
int control_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode);
/* 1 when `inode` has names of its own, and their keys (directory.h) in *ret_names; 0 when a bucket has them. */
int control_names(struct vfs *vfs, struct inode *inode, char ***ret_names);
/* Whether `name` in `parent` is the control directory. */
bool control_is(const struct vfs *vfs, struct inode *parent, const char *name);

#endif

/* The filesystem as plain functions on inodes and handles. No FUSE in it.
 *
 * It promises what a reader sees: one revision per open file, whole or an error; open() of the newest in the modes
 * that ask; directories in a stable order. It is read-only.
 *
 * Threads: all functions from any thread; they block as the store does. No lock is held meanwhile.
 * Memory: inodes live by lookup counts (vfs_forget) and handles; handles are the caller's to close, those left over are closed
 *         by vfs_free().
 * Errors: 0 or -errno, out-parameters untouched on failure. ESTALE from vfs_open(): look the name up again. */
#ifndef FS_VFS_VFS_H
#define FS_VFS_VFS_H

#include <sys/stat.h>
#include <sys/statvfs.h>

#include "cache/reader.h"
#include "fs/store/store.h"

struct vfs;
struct inode;
struct handle;

struct vfs_config {
    struct server *server;
    const char *bucket; /* "*": all, each a top directory */
    struct chunks *chunks;
    uid_t uid;
    gid_t gid;
    mode_t umask;
    /* How long names and attributes may be believed, in milliseconds, and whether open() believes them too. */
    int64_t trust_ms;
    bool trust_opens;
    /* The text of .gridfs/status, to be freed; NULL without memory. */
    char *(*status)(void *context, bool json);
    void *status_context;
};

/* A name that was looked up. */
struct vfs_entry {
    struct inode *inode;
    struct stat attributes;
};

/* Takes entries of a directory. */
struct vfs_taker {
    void *context;
    /* Whether one more entry of this name fits. */
    bool (*fits)(void *context, const char *name);
    /* `entry->inode` is set when inodes were asked for: it has one more lookup. `next`: where to go on behind it. */
    void (*take)(void *context, const char *name, const struct vfs_entry *entry, uint64_t next);
};

int vfs_new(const struct vfs_config *config, struct vfs **ret_vfs);
/* Takes NULL, returns NULL. */
struct vfs *vfs_free(struct vfs *vfs);
struct inode *vfs_root(struct vfs *vfs);

/* What is at a name, with one more lookup of its inode. -ENOENT: nothing is. */
int vfs_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct vfs_entry *ret_entry);
void vfs_forget(struct vfs *vfs, struct inode *inode, uint64_t lookups);
int vfs_attributes(struct vfs *vfs, struct inode *inode, struct stat *ret_attributes);
/* To be freed. */
int vfs_readlink(struct vfs *vfs, struct inode *inode, char **ret_target);

/* *ret_live: the content is made at each open and has no size yet. */
int vfs_open(struct vfs *vfs, struct inode *inode, struct handle **ret_handle, bool *ret_live);
int vfs_read(struct vfs *vfs, struct handle *handle, int64_t offset, size_t size, struct reader_view *ret_views,
             unsigned *ret_count);
/* Of a file or a directory. */
void vfs_close(struct vfs *vfs, struct handle *handle);

int vfs_open_directory(struct vfs *vfs, struct inode *inode, struct handle **ret_handle);
/* Gives entries from `offset` on (0: from the start, with what is there now) until one does not fit. */
int vfs_read_directory(struct vfs *vfs, struct handle *handle, uint64_t offset, bool with_inodes,
                       const struct vfs_taker *taker);

/* What df shows: a database has no size, so a large one, the same each time. Never blocks. */
void vfs_statistics(struct vfs *vfs, struct statvfs *ret_statistics);
void vfs_check(struct vfs *vfs);

#endif

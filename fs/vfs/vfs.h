// SPDX-License-Identifier: Apache-2.0
/* The filesystem as plain functions on inodes and handles. No FUSE in it.
 *
 * It promises what a reader sees: one revision per open file, whole or an error; open() of the newest in the modes
 * that ask; directories in a stable order. And a writer: what vfs_flush() or vfs_sync() answered with 0 is stored for
 * good and what the next open() anywhere sees; what it answered with an error is kept and tried again, if need be by the
 * next mount. With writeback vfs_flush() only answers for that, and for what is seen in this mount.
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

/* What .gridfs has to say of the mount. */
enum vfs_text { VFS_STATUS, VFS_STATUS_JSON, VFS_METRICS, VFS_PAGE };

struct vfs_config {
    struct server *server;
    const char *bucket; /* "*": all, each a top directory */
    struct chunks *chunks;
    struct workers *listers; /* read directories ahead; NULL: none do. They end before the server does */
    struct staging *staging; /* NULL: read-only, every change is -EROFS */
    struct journal *journal; /* keeps what cannot be stored for the next mount; NULL: nothing does */
    struct workers *uploaders; /* store what waits, beside each other; NULL: vfs_tick() does. They end before vfs_free() */
    bool writeback;            /* a close does not wait for the server, see vfs_flush() */
    unsigned waiting_files;    /* how many may wait that nobody has tried to store, and of how many bytes */
    uint64_t waiting_bytes;
    int64_t max_file_size;   /* bytes; -EFBIG beyond */
    uid_t uid;
    gid_t gid;
    mode_t umask;
    uid_t owner; /* who mounted: whose .gridfs is */
    gid_t owner_group;
    /* How long names and attributes may be believed, in milliseconds, and whether open() believes them too. */
    int64_t trust_ms;
    bool trust_opens;
    bool shows_control; /* .gridfs is in listings */
    bool recalls; /* names and listings that are known are told also while the server is away */
    /* Whether the store of the bucket tells vfs_listener() of changes, as far as its server does. Then names and
     * attributes may be believed until `outdated` is called: for an inode that the kernel was given as `believed`, or the
     * `listing` of a directory that it keeps. It may be gone by then. Called by the store's thread, under no lock of the vfs. */
    bool told;
    void (*outdated)(void *context, const struct inode *inode, bool listing);
    /* Likewise, by any thread: of a name in a directory, which leads to an open file still, or to something again. Does not
     * block. */
    void (*outdated_name)(void *context, const struct inode *directory, const char *name);
    void *outdated_context;
    bool verify; /* what is read from first to last byte is compared with the SHA-256 that is recorded of it */
    bool cluster_locks; /* locks of programs exclude across mounts, and come here: see below */
    /* What .gridfs has to say of the mount, to be freed; NULL without memory. */
    char *(*text)(void *context, enum vfs_text which);
    void *text_context;
};

/* A name that was looked up, or listed. */
struct vfs_entry {
    struct inode *inode;
    struct stat attributes;
    bool believed; /* names and attributes may be believed until `outdated` is called */
    bool old; /* of a listing only: it was read longer ago than names and attributes may be believed */
};

/* Takes entries of a directory. */
struct vfs_taker {
    void *context;
    /* Whether one more entry of this name fits. */
    bool (*fits)(void *context, const char *name);
    /* `entry->inode` is set when inodes were asked for: it has one more lookup. `next`: where to go on behind it. */
    void (*take)(void *context, const char *name, const struct vfs_entry *entry, uint64_t next);
};

/* Who asks. */
struct vfs_caller {
    uid_t uid;
    gid_t gid;
    pid_t pid; /* 0: unknown, the kernel itself */
    mode_t umask;
};

/* What vfs_change() sets, as `set` says. */
struct vfs_change {
    enum {
        VFS_MODE = 1,
        VFS_UID = 2,
        VFS_GID = 4,
        VFS_SIZE = 8,
        VFS_ATIME = 16,
        VFS_MTIME = 32,
    } set;
    mode_t mode;
    uid_t uid;
    gid_t gid;
    int64_t size;
    struct timespec atime, mtime;
};

int vfs_new(const struct vfs_config *config, struct vfs **ret_vfs);
/* The kernel is gone: closes what is open and publishes what is left. */
void vfs_settle(struct vfs *vfs);
/* Settles it first, if that was not done. Takes NULL, returns NULL. */
struct vfs *vfs_free(struct vfs *vfs);
struct inode *vfs_root(struct vfs *vfs);
/* Whether an inode, or with a `name` what is there in it, is of the status: of this nothing is asked of the server. */
bool vfs_is_status(const struct vfs *vfs, struct inode *inode, const char *name);
/* Who is to be told of changes of the bucket, until vfs_free(); and whether it is just now. */
struct store_listener vfs_listener(struct vfs *vfs);
bool vfs_is_told(struct vfs *vfs);
/* Milliseconds since when changes may have been made that were not told yet; -1: none ever were. */
int64_t vfs_told_lag_ms(struct vfs *vfs);

/* Where an inode is in the mount, or (unless NULL) `name` in it, in stored form (names.h), to be freed; "": the root. NULL
 * without memory. For people: the names may change at once. */
char *vfs_path(const struct vfs *vfs, const struct inode *inode, const char *name);

/* The i-th of the files that are read most, and how much of late (busiest.h), to be freed; NULL: there are not so many. */
char *vfs_busiest(struct vfs *vfs, unsigned i, uint64_t *ret_bytes);

/* What is at a name, with one more lookup of its inode. -ENOENT: nothing is, or, as with what is `believed`, nothing was
 * when the database was asked, and nothing has come there as far as was told. */
int vfs_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct vfs_entry *ret_entry);
/* To be said of a lookup that found nothing: the call of this thread that it is part of opens nothing any more. */
void vfs_looked_in_vain(struct vfs *vfs, const struct vfs_caller *caller);
void vfs_forget(struct vfs *vfs, struct inode *inode, uint64_t lookups);
/* To be called before the attributes of an inode are told by its name: asks, if it was given as `believed` and is so no
 * more. -ESTALE: look the name up again. *ret_believed: they may be believed until `outdated` is called. */
int vfs_confirm(struct vfs *vfs, struct inode *inode, bool *ret_believed);
int vfs_attributes(struct vfs *vfs, struct inode *inode, struct stat *ret_attributes);
/* To be freed. */
int vfs_readlink(struct vfs *vfs, struct inode *inode, char **ret_target);

/* `flags` are those of open(2). *ret_live: the content is made at each open and has no size yet. */
int vfs_open(struct vfs *vfs, struct inode *inode, int flags, const struct vfs_caller *caller,
             struct handle **ret_handle, bool *ret_live);
/* Whether the kernel may go on using what it kept of the file's content. */
bool vfs_may_keep(const struct handle *handle);
/* With `verify`, -EIO: all would be given now, and is not as recorded. */
int vfs_read(struct vfs *vfs, struct handle *handle, int64_t offset, size_t size, struct reader_view *ret_views,
             unsigned *ret_count);
/* Has what is published of [offset, offset + size) in the caches, for whoever reads it later: see reader_fetch(). */
int vfs_fetch(struct vfs *vfs, struct handle *handle, int64_t offset, size_t size, bool stays);
/* A descriptor of all that handles of its inode read, to be closed by the caller: the kernel may read it instead. -errno: there
 * is none, as where the file may be written to, its handles may be moved to a newer revision, or it is being compared. */
int vfs_whole(struct vfs *vfs, struct handle *handle);
/* Of a file or a directory. */
void vfs_close(struct vfs *vfs, struct handle *handle);

int vfs_open_directory(struct vfs *vfs, struct inode *inode, struct handle **ret_handle);
/* What may be done with a copy of the directory's entries. To be called once, before entries are read. */
enum vfs_listing {
    VFS_LISTING_ASKED, /* neither use nor make one */
    VFS_LISTING_FRESH, /* drop what there is, and make a new one until `outdated` is called */
    VFS_LISTING_KEPT,  /* it may be used, and added to */
};
enum vfs_listing vfs_open_listing(struct vfs *vfs, struct handle *handle);
/* Gives entries from `offset` on (0: from the start, with what is there now) until one does not fit. */
int vfs_read_directory(struct vfs *vfs, struct handle *handle, uint64_t offset, bool with_inodes,
                       const struct vfs_taker *taker);

/* ---- content ---- */

int vfs_write(struct vfs *vfs, struct handle *handle, int64_t offset, const void *bytes, size_t size,
              const struct vfs_caller *caller);
/* The same at the end of the file, wherever the kernel takes that to be: where it was written, or -errno. */
int64_t vfs_append(struct vfs *vfs, struct handle *handle, const void *bytes, size_t size,
                   const struct vfs_caller *caller);
/* Copies a range between two open files, which may be one: the number of bytes, or -errno. It may be less than `size`:
 * 0 at the end of `from`. What can be is copied by the database when `to` is published. -EINVAL: the ranges overlap.
 * -EOPNOTSUPP: `from` is to be read. */
int64_t vfs_copy(struct vfs *vfs, struct handle *from, int64_t offset, struct handle *to, int64_t to_offset,
                 int64_t size, const struct vfs_caller *caller);
/* A descriptor is closed: publishes what is written, unless the closer neither opened the handle nor wrote through it. With
 * writeback it is in the journal when this returns, and is published soon, never over what others did meanwhile; but at
 * once where the journal does not take it, or too much waits. */
int vfs_flush(struct vfs *vfs, struct handle *handle, const struct vfs_caller *caller);
/* Publishes what is written. */
int vfs_sync(struct vfs *vfs, struct handle *handle);
/* `mode` as fallocate(2) has it: 0, and FALLOC_FL_KEEP_SIZE, _PUNCH_HOLE, _ZERO_RANGE. */
int vfs_allocate(struct vfs *vfs, struct handle *handle, int mode, int64_t offset, int64_t size);
/* SEEK_DATA or SEEK_HOLE: the offset, or -errno. */
int64_t vfs_seek(struct vfs *vfs, struct handle *handle, int64_t offset, int whence);

/* ---- names and attributes ---- */

/* Sets attributes. A size without `handle` (NULL) is published before this returns. */
int vfs_change(struct vfs *vfs, struct inode *inode, struct handle *handle, const struct vfs_change *change,
               struct stat *ret_attributes);
/* -ESTALE: something is there already, which a lookup did not ask about: look the name up again. */
int vfs_create(struct vfs *vfs, struct inode *parent, const char *name, mode_t mode, int flags,
               const struct vfs_caller *caller, struct vfs_entry *ret_entry, struct handle **ret_handle);
/* A regular file, FIFO, socket or device node, as mode says. */
int vfs_mknod(struct vfs *vfs, struct inode *parent, const char *name, mode_t mode, dev_t device,
              const struct vfs_caller *caller, struct vfs_entry *ret_entry);
int vfs_mkdir(struct vfs *vfs, struct inode *parent, const char *name, mode_t mode, const struct vfs_caller *caller,
              struct vfs_entry *ret_entry);
int vfs_symlink(struct vfs *vfs, struct inode *parent, const char *name, const char *target,
                const struct vfs_caller *caller, struct vfs_entry *ret_entry);
int vfs_link(struct vfs *vfs, struct inode *inode, struct inode *parent, const char *name, struct vfs_entry *ret_entry);
int vfs_unlink(struct vfs *vfs, struct inode *parent, const char *name);
int vfs_rmdir(struct vfs *vfs, struct inode *parent, const char *name);
/* `flags`: 0, RENAME_NOREPLACE or RENAME_EXCHANGE. */
int vfs_rename(struct vfs *vfs, struct inode *parent, const char *name, struct inode *new_parent, const char *new_name,
               unsigned flags);

/* Extended attributes: the value's size, and as much of the value as `size` has room for; -ERANGE when it has not but
 * is not 0. -ENODATA, -EOPNOTSUPP: not in a namespace that is kept. */
ssize_t vfs_get_xattr(struct vfs *vfs, struct inode *inode, const char *name, void *value, size_t size);
/* Names, each with its NUL; likewise. */
ssize_t vfs_list_xattrs(struct vfs *vfs, struct inode *inode, char *names, size_t size);
/* `flags` as setxattr(2) has them. */
int vfs_set_xattr(struct vfs *vfs, struct inode *inode, const char *name, const void *value, size_t size, int flags);
int vfs_remove_xattr(struct vfs *vfs, struct inode *inode, const char *name);

/* An extended attribute that can only be set, by who mounted or root, and does something: the file `inode` gets the content
 * of one of its revisions as a new one. The value is the name of that below .gridfs/revisions. Of a directory it is
 * NAME/that, and NAME, which is not there any more, comes back. All is stored, or nothing; none of the other revisions is
 * retired by it. Who has the file open goes on with what it has.
 * -ENOENT: no such revision is to be had. -EBUSY: the file is being written here. -EEXIST: NAME is there. -ESTALE: others
 * replaced it right now. The revision should be open meanwhile (.gridfs/revisions): else it may go. */
#define VFS_RESTORE "user.gridfs.restore"
int vfs_restore(struct vfs *vfs, struct inode *inode, const char *value, size_t size, const struct vfs_caller *caller);

/* The revisions of a file, as store.h orders them, of either sort no more than `most`, a list for store_pasts_free(). `path`:
 * in the mount, as GridFS has it (names.h). It may have been removed. -ENOENT: none is known. */
int vfs_history(struct vfs *vfs, const char *path, uint32_t most, struct store_past **ret_list, uint32_t *ret_count);

/* ---- locks, with cluster_locks (fs/vfs/locks.h) ---- */

struct vfs_lock {
    enum { VFS_UNLOCKED, VFS_SHARED, VFS_EXCLUSIVE } kind;
    uint64_t owner;
    pid_t pid;
    bool whole;         /* of flock(2), which fcntl(2) does not exclude */
    int64_t start, end; /* the last byte; INT64_MAX: all that follow */
};

/* One try. -EAGAIN: somebody excludes it. -ENOLCK: it cannot be had, or all that was locked was lost. *ret_moved: the
 * inode has other content than before, and the kernel is to be told before the lock is given. */
int vfs_lock(struct vfs *vfs, struct handle *handle, const struct vfs_lock *lock, bool *ret_moved);
/* Publishes first; when that fails, nothing is unlocked. */
int vfs_unlock(struct vfs *vfs, struct handle *handle, const struct vfs_lock *lock);
/* A process closes a descriptor of the file, and was flushed: what it locked with fcntl(2) is unlocked in any case. */
void vfs_unlock_owner(struct vfs *vfs, struct handle *handle, uint64_t owner);
/* What excludes `lock`, or VFS_UNLOCKED. Of another mount's no pid is known (0). */
int vfs_find_lock(struct vfs *vfs, struct handle *handle, const struct vfs_lock *lock, struct vfs_lock *ret_found);

/* Tries in a thread that waits, until the lock can be had; then `done` is called, in that thread. */
struct vfs_lock_wait {
    struct handle *handle; /* stays open until then */
    struct vfs_lock lock;
    bool once;  /* -EAGAIN is an answer */
    bool moved; /* the inode was moved before */
    void (*done)(void *context, int result, bool moved);
    void *context;
};

/* Prepares to wait: the number by which the wait is known, or -errno (-ENOLCK: too many wait). */
int64_t vfs_lock_prepare(struct vfs *vfs, const struct vfs_lock_wait *wait);
/* Begins. `done` may be called before this returns. */
void vfs_lock_begin(struct vfs *vfs, int64_t number);
/* The wait ends with -EINTR, unless it has ended, or was never prepared. */
void vfs_lock_interrupt(struct vfs *vfs, int64_t number);
/* No more is waited: all that wait get -EINTR. Before handles are closed at the end. */
void vfs_lock_stop(struct vfs *vfs);
/* Others may have unlocked the file at `path`: who waits for it tries at once. */
void vfs_locks_wake(struct vfs *vfs, const char *path);

/* To be called once a second, by one thread: sends times of directories, tries again what could not be published. */
void vfs_tick(struct vfs *vfs);
/* Writes what is not stored yet into the journal, also what no program has closed. Returns whether all of it is there.
 * From any thread, until vfs_settle() has ended; waits for the disk only. */
bool vfs_keep_unstored(struct vfs *vfs);
/* To be called every few seconds, by one thread: stores what earlier mounts could not, if it is time to try again. May
 * take long. */
void vfs_recover(struct vfs *vfs);
/* From here on vfs_recover() begins nothing more. */
void vfs_stop_recovering(struct vfs *vfs);
/* To be called every STORE_KEEP_SECONDS: what is open here stays, although others may have replaced or removed it. */
void vfs_keep_open(struct vfs *vfs);
/* To be called about once a minute: the housekeeping of the stores in use. May take long. */
void vfs_tidy(struct vfs *vfs);

/* What df shows: a database has no size, so a large one, the same each time. Never blocks. */
void vfs_statistics(struct vfs *vfs, struct statvfs *ret_statistics);
void vfs_check(struct vfs *vfs);

#endif

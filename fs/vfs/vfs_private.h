// SPDX-License-Identifier: Apache-2.0
/* What the files of fs/vfs share; included by them only. */
#ifndef FS_VFS_VFS_PRIVATE_H
#define FS_VFS_VFS_PRIVATE_H

#include <stdatomic.h>

#include "cache/base/lock.h"
#include "fs/store/names.h"
#include "fs/vfs/busiest.h"
#include "fs/vfs/directory.h"
#include "fs/vfs/inode.h"
#include "fs/vfs/locks.h"
#include "fs/vfs/recovery.h"
#include "fs/vfs/retries.h"
#include "fs/vfs/turns.h"
#include "fs/vfs/vfs.h"
#include "fs/vfs/waiting.h"
#include "fs/vfs/xattr_ahead.h"

enum { HANDLE_WRITERS = 8 };

/* An open file or directory. */
struct handle {
    struct inode *inode;
    bool fresh;                  /* what the kernel kept of it was not compared: see proving.c */
    bool stored;                 /* of a stored file: content is read and written through the inode */
    bool writable;               /* it is counted among the inode's writers */
    struct file *file;           /* of a writable one; a reference */
    struct blob *text;           /* of a status file */
    struct directory *directory; /* of a directory */
    uint64_t moment;             /* of a directory: when its entries were asked for */
    struct coherence_moment asked; /* likewise */
    bool recalled;                 /* of a directory: its entries are those of a listing before, of `moment` */
    bool caching;                  /* of a directory: the kernel may keep what is read */
    char **unpublished;          /* of a directory: files of this mount that it had at the start */
    pid_t writers[HANDLE_WRITERS]; /* processes that opened it or wrote through it; under vfs->lock */
    char *lock_path; /* under which it was locked first; under the lock of vfs->locks; NULL: it never was */
    unsigned writer_count;         /* more than HANDLE_WRITERS: too many to tell */
    struct handle *prev, *next;    /* in vfs->handles */
};

/* A directory with something to be done about it later. */
struct chore {
    struct inode *inode; /* a reference */
    struct chore *next;
};

enum { REPLACED_TRIES = 16 };

struct vfs {
    struct vfs_config config;
    struct inodes *inodes;
    struct coherence *coherence; /* NULL: nothing is told */
    atomic_int_least64_t heard_ms; /* until when all is told; 0: nothing was yet */
    struct busiest *busiest;
    struct xattr_ahead *xattr_ahead;
    struct lock lock;       /* guards the list of handles */
    struct handle *handles; /* open; at unmount some may never have been released */
    struct retries retries;
    struct turns turns; /* of changes of attributes in the database */
    struct recovery recovery;
    struct locks *locks;    /* NULL: the kernel's */
    struct chore *touched;  /* directories whose times the database does not have */
    struct waiting waiting; /* closed files that are not stored */
    unsigned ticks;         /* of vfs_tick(); its thread only */
    atomic_bool away; /* the server, when a question last found out */
    time_t started; /* the time of directories that have none of their own */
};

/* st_* of what was found, with the mount's defaults. `attributes` and `revision` may be NULL. */
void vfs_fill(const struct vfs *vfs, enum store_kind type, uint64_t number, const struct attributes *attributes,
              const struct revision *revision, struct stat *ret_stat);
/* The same of an inode. */
void vfs_fill_inode(const struct vfs *vfs, struct inode *inode, struct stat *ret_stat);

/* Gives an opened handle to the caller. `handle` is copied. */
int vfs_keep_handle(struct vfs *vfs, struct handle *handle, struct handle **ret_handle);

/* What the store knows an inode by. `path` and `revision` are references of the caller's that outlive the object. */
struct store_object vfs_object(const struct inode *inode, const char *path, const struct revision *revision);
/* Asks whether the content that is newest now is the one this inode stands for, at each of its names: -ESTALE when it is
 * not, and names that lead elsewhere are dropped. */
int vfs_revalidate(struct vfs *vfs, struct inode *inode);
/* The same for an open(), which the kernel tries once more when it is stale. */
int vfs_open_newest(struct vfs *vfs, struct inode *inode, const struct vfs_caller *caller);
/* What others have published since is what all handles of the inode have from now on, unless it is written here. Sets
 * *ret_moved when it is another content than before: then the kernel is to be told. */
int vfs_move_to_newest(struct vfs *vfs, struct inode *inode, bool *ret_moved);
/* With `verify` (proving.c): a file is opened to be read; and its content from `offset` on is about to be given: 0, or -EIO,
 * logged, and the views are released. */
int proving_open(struct vfs *vfs, struct handle *handle);
int proving_read(struct vfs *vfs, struct inode *inode, struct published *published, int64_t offset,
                 struct reader_view *views, unsigned count);
/* -EIO, logged, when what is published cannot be read. */
int vfs_check_damage(struct vfs *vfs, struct inode *inode);
/* The written side of an inode that counts its caller as a writer, made when it has none; a reference. */
int vfs_file(struct vfs *vfs, struct inode *inode, struct file **ret_file);
/* A written side that is no inode's, clean over what is published. NULL without memory. */
struct file *vfs_file_over(struct vfs *vfs, struct published *published);
/* Its content was changed: times that are to be published go with it; where nothing was changed after all, they are
 * told at once. Between file_enter() and file_leave(). */
int vfs_touch(struct vfs *vfs, struct inode *inode, struct file *file);
/* A process writes through a handle. */
void vfs_note_writer(struct vfs *vfs, struct handle *handle, pid_t pid);
/* What the files document will say of it: all it has, and what it needs. Each try says the same, and the journal, so that
 * one whose answer was lost is known again. */
struct attributes vfs_attributes_to_put(struct vfs *vfs, struct inode *inode);
/* Puts the content of a file as it is now. `put` says where to, with what attributes and under which conditions. */
int vfs_put_content(struct store *store, struct file *file, struct store_put *put, struct revision **ret_revision);
/* Whether anything is written of a file that the database does not have. */
bool vfs_is_unstored(struct vfs *vfs, struct inode *inode, struct file *file);
/* Publishes what is written, if anything is. */
int vfs_publish(struct vfs *vfs, struct inode *inode);
/* The same at a close: with writeback it is in the journal then, and waits (waiting.h). */
int vfs_publish_later(struct vfs *vfs, struct inode *inode);
/* The same without anybody's close: -ESTALE or -EEXIST when somebody else replaced or made the file meanwhile, -EBUSY
 * while another handle is writing to it. */
int vfs_publish_again(struct vfs *vfs, struct inode *inode);
/* Publishes it as a new file at a free path, and lets the inode go: its names are those of whoever replaced it. -EEXIST:
 * the path is not free; -ENOENT: nothing is to be published any more. */
int vfs_publish_beside(struct vfs *vfs, struct inode *inode, const char *path);
/* Whether a publication of this mount put another revision in the place of the one (or NULL) that the database, being
 * asked about it, had no more: then the question is to be put again. Waits for a publication that goes on, so no writer
 * may have entered the file. */
bool vfs_was_replaced(struct vfs *vfs, struct inode *inode, const struct revision *asked);
/* Sets attributes: in the database where it has the inode, else with what will be published. */
int vfs_change_stored(struct vfs *vfs, struct inode *inode, const struct attributes *changes);
/* An entry of a directory changed now: its times, which go to the database later. */
void vfs_touch_directory(struct vfs *vfs, struct inode *directory);
/* Sets the length of a written file. */
int vfs_cut(struct vfs *vfs, struct inode *inode, struct file *file, int64_t length);
/* Asks what is at a name (stored form), with one more lookup of its inode; again when this mount changed it meanwhile. */
int vfs_ask(struct vfs *vfs, struct inode *parent, const char *stored, struct inode **ret_inode);
/* This mount has met something at a name (stored form), maybe before it was told: nobody is to be told any more that
 * nothing is there. */
void vfs_note_there(struct vfs *vfs, struct inode *parent, const char *stored);
/* This mount has put something at a path as another client does it: no inode of its own stands for it. */
void vfs_note_put(struct vfs *vfs, const char *path);
/* The kernel is to ask for a name again, of which it may believe for long that nothing is there. */
void vfs_tell_of_name(struct vfs *vfs, const struct inode *parent, const char *stored);
/* 1 and what is at a name as this mount last saw it, with a reference, or 0; or -errno. `ret_stored`: the stored name. */
int vfs_known(struct vfs *vfs, struct inode *parent, const char *name, char ret_stored[NAMES_STORED_MOST + 1],
              struct inode **ret_inode);
/* For changes of names: a directory that exists only by its files stays without them; -ENOTEMPTY when files that are
 * not published yet are in a directory; and a name that the database does not know is removed. */
int vfs_keep_directory(struct vfs *vfs, struct inode *directory);
int vfs_check_empty(struct vfs *vfs, struct inode *directory);
void vfs_drop_unpublished(struct vfs *vfs, struct inode *inode, struct file *file, struct inode *parent,
                          const char *stored);
/* What has lost its last name is not stored any more. */
void vfs_drop_removed(struct vfs *vfs, struct inode *inode, struct file *file);
/* Keeps publications of a file away while its name changes; NULL when nothing is written of it. */
struct file *vfs_shut(struct vfs *vfs, struct inode *inode);
void vfs_reopen(struct file *file);
/* The last handle is gone and content is left over that could not be published, for this reason. It is kept and tried
 * again; but where the user may not write, and was told so, it goes. */
void chores_keep_unsaved(struct vfs *vfs, struct inode *inode, int error);
/* What is written of a file could not be stored: it goes into the journal, or the log says why not; and it was stored,
 * or is to be no more: it goes out of it. Returns whether it is there. While nobody writes to it. */
bool journaling_keep(struct vfs *vfs, struct inode *inode, struct file *file);
void journaling_drop(struct vfs *vfs, struct file *file);
/* Its attributes or its path were changed, or those of many: records that say the old ones are written anew. */
void journaling_refresh(struct vfs *vfs, struct inode *inode);
void journaling_refresh_all(struct vfs *vfs);
/* Whether there is a record, which has all that is written; or has not, for it was written to since. */
bool journaling_is_current(struct file *file);
bool journaling_is_older(struct file *file);
/* All that is left over is sent and stored, before the end. */
void chores_settle(struct vfs *vfs);
int64_t vfs_now_ns(void);
/* A moment before something in a directory is asked for, or, in its place, whether anything is at a path; or what is at a
 * path. */
struct coherence_moment vfs_moment_in(struct vfs *vfs, const char *directory, size_t size);
struct coherence_moment vfs_moment_above(struct vfs *vfs, const char *path);
/* 0, or why nothing may be changed at or below this inode. */
int vfs_may_change(const struct vfs *vfs, const struct inode *inode);

/* .gridfs and the directory of all buckets: names that no bucket holds. */
int control_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode);
/* 1 when `inode` has names of its own, and their keys (directory.h) in *ret_names; 0 when a bucket has them. */
int control_names(struct vfs *vfs, struct inode *inode, char ***ret_names);
/* The store of a bucket that there is, or -ENOENT. */
int control_bucket(struct vfs *vfs, const char *name, struct store **ret_store);
/* The same of .gridfs/revisions and what is below. */
int history_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode);
int history_names(struct vfs *vfs, struct inode *inode, char ***ret_names);
/* The revision of the file `path` that is called so there, a reference; -ENOENT. */
int history_find(struct store *store, const char *path, const char *name, struct revision **ret_revision);
/* Whether `name` in `parent` is the control directory. */
bool control_is(const struct vfs *vfs, struct inode *parent, const char *name);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Inodes: what the kernel holds on to by lookup count, and the names (dentries) that lead to them.
 *
 * An inode is what was found at a path. When another revision of a file is found that this mount has not written, a
 * new inode takes the name over and the old one goes on for those who hold it: so a kernel inode has one size and one
 * set of pages, and ESTALE from open() on the old one makes the kernel look again. What this mount publishes itself
 * keeps its inode.
 *
 *     found   [inode_adopt] ----------------> named
 *     created [inode_create] -> unpublished [inode_end_publishing] -> named
 *     named [inode_adopt of another content, inode_drop] -> unnamed: its path is the last it had
 *     named, unpublished [inode_removed of the last name] -> removed: it is never published again
 *     unnamed, removed -> freed [last lookup and reference]
 *
 * Threads: safe from any thread; one lock, never held across a store call. Because a question to the database and a
 * change by this mount may cross, answers are only believed when inode_changed_since() says that nothing did.
 * Memory: an inode lives while the kernel has lookups of it, a handle or a child refers to it. About 400 bytes each.
 * Facts (inodes_check): a hashed dentry is found by its parent and name; the parent of a dentry outlives it. */
#ifndef FS_VFS_INODE_H
#define FS_VFS_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "fs/store/store.h"
#include "fs/vfs/coherence.h"
#include "fs/vfs/published.h"
#include "fs/vfs/file.h"
#include "fs/vfs/keys.h"
#include "fs/vfs/siblings.h"

enum inode_kind {
    INODE_STORED,      /* an entry of a bucket */
    INODE_BUCKETS,     /* the root, of a mount that shows all buckets */
    INODE_CONTROL,     /* .gridfs */
    INODE_IDS,         /* .gridfs/id */
    INODE_HISTORY,     /* .gridfs/revisions, and each directory below it */
    INODE_BY_ID,       /* a file below one of these: it is one revision, whatever others put */
    INODE_STATUS,      /* .gridfs/status; from here on: texts of the mount itself, in the order of vfs.h */
    INODE_STATUS_JSON, /* .gridfs/status.json */
    INODE_METRICS,     /* .gridfs/metrics */
    INODE_PAGE,        /* .gridfs/page */
};

static inline bool inode_kind_is_text(enum inode_kind kind) {
    return kind >= INODE_STATUS;
}

struct inode;
struct inodes;

/* How an inode is made. `entry` is taken over on success and left alone on failure. */
struct inode_found {
    enum inode_kind kind;
    struct store *store; /* NULL outside of buckets */
    struct store_entry *entry;
    const uint64_t *since; /* a moment before the database was asked; NULL: nothing can have crossed */
    const struct coherence_moment *asked; /* likewise; NULL: it was not, and nothing is vouched for */
};

struct inodes *inodes_new(const struct inode_found *root);
/* To be called before all else, if at all: what vouches for answers. Lent. */
void inodes_set_coherence(struct inodes *inodes, struct coherence *coherence);
/* Takes NULL, returns NULL. The kernel is gone by then. */
struct inodes *inodes_free(struct inodes *inodes);
struct inode *inodes_root(struct inodes *inodes);

/* ---- names ---- */

/* The inode of what was found at `name` (stored form) in `parent`, with one more lookup. What is unpublished or being
 * published here, or was changed here since it was asked for, stays, whatever was found. */
int inode_adopt(struct inodes *inodes, struct inode *parent, const char *name, const struct inode_found *found,
                struct inode **ret_inode);
/* The name is not there any more; unless it was changed here `since` then (NULL: it cannot have been). */
void inode_drop(struct inodes *inodes, struct inode *parent, const char *name, const uint64_t *since);
/* What is known at a name, with a reference; NULL when nothing is. */
struct inode *inode_at(struct inodes *inodes, struct inode *parent, const char *name);
/* Whether an unpublished file is at a name; with one more lookup. */
bool inode_find_unpublished(struct inodes *inodes, struct inode *parent, const char *name, struct inode **ret_inode);
/* A moment, to be taken before the database is asked. */
uint64_t inode_moment(struct inodes *inodes);
/* This mount is changing what is at a name. */
void inode_note_change(struct inodes *inodes, struct inode *parent, const char *name);
/* Whether this mount may have changed the name, or what is there, since then. */
bool inode_changed_since(struct inodes *inodes, const struct inode *parent, const char *name, uint64_t moment);

/* ---- names that are not there (absences.c) ---- */

/* The database, asked at `moment`, has nothing at a name. `asked`: a moment (coherence.h) for its path. Remembered are the
 * last few thousand such names. */
void inode_note_missing(struct inodes *inodes, struct inode *parent, const char *name, uint64_t moment,
                        const struct coherence_moment *asked);
/* Whether a change stream vouches for nothing being at a name: it was asked, or is not in a listing that is kept, and
 * nothing came to it since, as far as was told. To be asked of a lookup only, which then is answered so. */
bool inode_believe_missing(struct inodes *inodes, const struct inode *parent, const char *name);
/* Whether the last lookup of the name asked, just now, and found nothing, and this mount has not changed the name since:
 * before it makes or renames to a name the kernel looks it up, under the lock with which it then does. */
bool inode_is_missing(struct inodes *inodes, const struct inode *parent, const char *name);

/* ---- changes of names ---- */

/* A file that this mount creates, with one lookup. It has `attributes` (with ATTRIBUTES_FILE) and `file`, whose
 * reference is taken over on success. */
int inode_create(struct inodes *inodes, struct inode *parent, const char *name, struct store *store,
                 const struct attributes *attributes, struct file *file, struct inode **ret_inode);
/* A name was removed here. */
void inode_removed(struct inodes *inodes, struct inode *parent, const char *name);
/* A name was renamed here, onto whatever had the other one. */
void inode_moved(struct inodes *inodes, struct inode *from, const char *name, struct inode *to, const char *new_name);
void inode_exchanged(struct inodes *inodes, struct inode *one, const char *name, struct inode *other,
                     const char *other_name);
/* One more name was made here, with one more lookup. `revision` of a file: as it is now. */
int inode_linked(struct inodes *inodes, struct inode *inode, struct inode *parent, const char *name,
                 struct revision *revision);
/* What is known at a name, with one more lookup; false when nothing is. */
bool inode_recall(struct inodes *inodes, struct inode *parent, const char *name, struct inode **ret_inode);
/* All entries of a directory were listed, having been asked for at `moment`: their keys (directory.h), of which it takes a
 * reference; unless names in it were changed here since. */
void inode_listed_all(struct inodes *inodes, struct inode *directory, struct keys *keys, uint64_t moment);
/* The last such keys, a reference, and their moment; NULL when there are none, or names came here that they lack. */
struct keys *inode_last_listing(struct inodes *inodes, const struct inode *directory, uint64_t *ret_moment);
/* The names of unpublished files in a directory, NULL-terminated (server_free_names()); *ret_names NULL: none. */
int inode_unpublished_in(struct inodes *inodes, const struct inode *directory, char ***ret_names);

/* The kernel forgets so many lookups. */
void inode_forget(struct inodes *inodes, struct inode *inode, uint64_t lookups);
/* A reference of a handle. */
void inode_hold(struct inodes *inodes, struct inode *inode);
void inode_release(struct inodes *inodes, struct inode *inode);

/* ---- what an inode is; fixed for its life ---- */

enum inode_kind inode_kind(const struct inode *inode);
struct store *inode_store(const struct inode *inode);
enum store_kind inode_type(const struct inode *inode);
uint64_t inode_number(const struct inode *inode);
/* Whether it is the top directory of a bucket. */
bool inode_is_bucket(struct inodes *inodes, const struct inode *inode);
bool inode_parent_is(struct inodes *inodes, const struct inode *inode, const struct inode *parent);
/* The st_ino of what would be at `name` in `parent`. */
uint64_t inode_number_at(const struct inode *parent, const char *name, const struct store_entry *entry);

/* ---- what is known of it ---- */

/* The path in its bucket (stored form, "" for the bucket itself), to be freed; with `name` behind it unless NULL. Of an
 * INODE_HISTORY: that of which it shows the revisions. */
char *inode_path(struct inodes *inodes, const struct inode *inode, const char *name);
/* The path in the mount, of whatever kind it is, likewise. */
char *inode_path_in_mount(struct inodes *inodes, const struct inode *inode, const char *name);
/* The paths of all its names that are known, a hard-linked file's too, to be freed with server_free_names(). NULL without
 * memory. */
char **inode_paths(struct inodes *inodes, const struct inode *inode);
/* The database, asked at the moment `since`, has another content at one of several paths of a file: that name leads there
 * no more. */
void inode_drop_path(struct inodes *inodes, struct inode *inode, const char *path, uint64_t since);
/* A reference to a file's revision; NULL for others, and while it is unpublished. */
struct revision *inode_revision(struct inodes *inodes, const struct inode *inode);
/* The same content was seen again, with these attributes. */
void inode_refresh(struct inodes *inodes, struct inode *inode, struct revision *revision);
/* When the database was last asked about it, on the monotonic clock. */
int64_t inode_checked_ms(struct inodes *inodes, const struct inode *inode);
/* What it was asked for before counts no more: the next open asks. */
void inode_set_unchecked(struct inodes *inodes, struct inode *inode);
/* As this mount knows them: of a written file, with what its next publication will say. */
struct attributes inode_attributes(struct inodes *inodes, const struct inode *inode);
/* This mount changed all that `changes` has, in the database too, or will (times of directories). */
int inode_change(struct inodes *inodes, struct inode *inode, const struct attributes *changes);
/* A file was written: its next publication will say this. Until then it is not taken from the database. */
int inode_written(struct inodes *inodes, struct inode *inode, const struct attributes *changes);
/* A symlink's target, to be freed. */
char *inode_target(struct inodes *inodes, const struct inode *inode);
/* What is known at `name` in `parent`, as the witness of a lookup of `path` there, to be freed; NULL when nothing is. */
char *inode_witness(struct inodes *inodes, struct inode *parent, const char *name, const char *path);
/* No other inode of this mount has this number, or ever had. */
uint64_t inode_serial(const struct inode *inode);
/* The published files of a directory, `most` at the most, from this one on in the order in which they were found: their
 * serials and, references of the caller's, revisions. Returns how many; 0: it is none. */
unsigned inode_neighbours(struct inodes *inodes, const struct inode *inode, unsigned most, uint64_t *ret_serials,
                          struct revision **ret_revisions);
/* Whether its last name was removed here. */
bool inode_is_removed(struct inodes *inodes, const struct inode *inode);
/* The subdirectories of a directory that this mount knows of now. */
uint32_t inode_directories(struct inodes *inodes, const struct inode *inode);
/* Whether a directory is known to stay without entries; and that it is now. */
bool inode_is_kept(struct inodes *inodes, const struct inode *inode);
void inode_keep(struct inodes *inodes, struct inode *inode);

/* ---- content ---- */

/* A handle is opened, and closed. */
void inode_opened(struct inodes *inodes, struct inode *inode);
void inode_closed(struct inodes *inodes, struct inode *inode);
/* The content as published, with a reference; shared by the handles. */
int inode_published(struct inodes *inodes, struct inode *inode, struct chunks *chunks, struct published **ret_published);
/* What is known of that content and the SHA-256 recorded of it. */
enum inode_proof {
    INODE_PROOF_UNKNOWN,
    INODE_PROOF_NONE,  /* none is recorded */
    INODE_PROOF_SOUND, /* all of it was read once, and is as recorded */
};
enum inode_proof inode_proof(struct inodes *inodes, const struct inode *inode);
/* Of this revision's; nothing, if it is another's by now. */
void inode_set_proof(struct inodes *inodes, struct inode *inode, const struct revision *revision, enum inode_proof proof);
/* What is written of it, with a reference; NULL: nothing. */
struct file *inode_file(struct inodes *inodes, const struct inode *inode);
/* Gives it `file` as its written side, unless another thread was faster; returns the one it has, with a reference. */
struct file *inode_attach_file(struct inodes *inodes, struct inode *inode, struct file *file);
/* One more handle that may write (1), or less (-1). With the last one a written side that is clean goes. */
void inode_writer(struct inodes *inodes, struct inode *inode, int change);
uint32_t inode_writers(struct inodes *inodes, const struct inode *inode);
/* What is written of it will never be stored: its names lead to what the database has, and it to nothing new. */
void inode_abandon(struct inodes *inodes, struct inode *inode);
bool inode_is_abandoned(struct inodes *inodes, const struct inode *inode);
/* Whether the database does not have it yet; and whether so, or it is being published or was removed here: whatever
 * the database says now is not about it. */
bool inode_is_unpublished(struct inodes *inodes, const struct inode *inode);
bool inode_is_ours(struct inodes *inodes, const struct inode *inode);
/* A publication begins: until its end, what is found at the name does not replace the inode. */
void inode_begin_publishing(struct inodes *inodes, struct inode *inode);
/* It ended: with the new revision, or without (NULL). It takes its name again if that was lost meanwhile. */
void inode_end_publishing(struct inodes *inodes, struct inode *inode, struct revision *revision);
/* Its content is another revision's from now on, for all who have it open: whether so, or it was before. Nothing is
 * written of it; one that this mount was about to create is the one that others made. For who then tells the kernel,
 * which knows one size and one set of pages. */
bool inode_move(struct inodes *inodes, struct inode *inode, struct revision *revision);
/* The stores that inodes are of; at most `most`. */
uint32_t inode_stores(struct inodes *inodes, struct store **ret_stores, uint32_t most);
/* The inodes of open files that have a written side: references in a list, all of it the caller's. */
int inode_written_files(struct inodes *inodes, struct inode ***ret_inodes, uint32_t *ret_count);
/* The revisions that are open here, or lie under what is written, of one store or (NULL) of all: references in a list, all
 * of it the caller's. */
int inode_open_revisions(struct inodes *inodes, const struct store *store, struct revision ***ret_revisions,
                         uint32_t *ret_count);

/* ---- what is vouched for: see coherence.h and doubts.h ---- */

/* An inode is given to the kernel: whether it may believe for long that names lead to it, until it is told. */
bool inode_believe(struct inodes *inodes, struct inode *inode);
/* Whether the kernel may still believe so although nothing vouches for it any more: then it is to be confirmed. */
bool inode_is_doubtful(struct inodes *inodes, const struct inode *inode);
/* What is at the path of a doubtful inode was asked for: it is the same and is taken over (0), or -ESTALE. `found` is left
 * to the caller. */
int inode_confirm(struct inodes *inodes, struct inode *inode, const struct inode_found *found);

/* What the kernel is to do with its copy of a listing. */
enum inode_listing {
    INODE_LISTING_ASKED, /* neither use nor make one */
    INODE_LISTING_FRESH, /* make a new one */
    INODE_LISTING_KEPT,  /* use what it has */
};

/* A directory is opened. *ret_keys, when its listing is kept: the keys that it is numbered by, a reference. */
enum inode_listing inode_open_listing(struct inodes *inodes, struct inode *directory, struct keys **ret_keys);
/* A listing of a handle that may be kept, asked for at that moment, has ended with these keys, of which it takes a
 * reference if it is kept. */
void inode_end_listing(struct inodes *inodes, struct inode *directory, struct keys *keys,
                       const struct coherence_moment *asked);
/* The keys of the listing that is kept, a reference; NULL: none is. */
struct keys *inode_listing(struct inodes *inodes, const struct inode *directory);
/* It is closed; unless the opening said ASKED. */
void inode_close_listing(struct inodes *inodes, struct inode *directory);

/* ---- small files in directory order ---- */

/* A listing of a directory begins; `inode` is its next entry. So that small files read in this order come in batches. */
void inode_begin_listing(struct inodes *inodes, struct inode *directory);
void inode_listed(struct inodes *inodes, struct inode *directory, struct inode *inode);
/* A file is opened: the files around it whose content is worth fetching now, references of the caller's. */
unsigned inode_follow(struct inodes *inodes, struct inode *inode, struct revision *ret_revisions[SIBLINGS_PLAN]);

void inodes_check(struct inodes *inodes);

#endif

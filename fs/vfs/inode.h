/* Inodes: what the kernel holds on to, by name and by lookup count.
 *
 * An inode is a path together with what was found there; a file's content never changes while it lives. When another
 * revision of the name is found, a new inode takes the name over and the old one goes on for those who hold it: so a
 * kernel inode has one size and one set of pages, and ESTALE from open() on the old one makes the kernel look again.
 *
 *     named [inode_adopt] -> unnamed [inode_adopt of another content, inode_drop] -> freed [last lookup and reference]
 *
 * Threads: safe from any thread; one lock, never held across a store call.
 * Memory: an inode lives while the kernel has lookups of it, a handle or a child refers to it. About 350 bytes each.
 * Facts (inodes_check): a named inode is found by its parent and name; the parent of an inode outlives it. */
#ifndef FS_VFS_INODE_H
#define FS_VFS_INODE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "cache/reader.h"
#include "fs/store/store.h"
#include "fs/vfs/siblings.h"

enum inode_kind {
    INODE_STORED,      /* an entry of a bucket */
    INODE_BUCKETS,     /* the root, of a mount that shows all buckets */
    INODE_CONTROL,     /* .gridfs */
    INODE_IDS,         /* .gridfs/id */
    INODE_BY_ID,       /* a file in there */
    INODE_STATUS,      /* .gridfs/status */
    INODE_STATUS_JSON, /* .gridfs/status.json */
};

struct inode;
struct inodes;

/* How an inode is made. `entry` is taken over on success and left alone on failure. */
struct inode_found {
    enum inode_kind kind;
    struct store *store; /* NULL outside of buckets */
    struct store_entry *entry;
};

struct inodes *inodes_new(const struct inode_found *root);
/* Takes NULL, returns NULL. The kernel is gone by then. */
struct inodes *inodes_free(struct inodes *inodes);
struct inode *inodes_root(struct inodes *inodes);

/* The inode of what was found at `name` (stored form) in `parent`, with one more lookup. */
int inode_adopt(struct inodes *inodes, struct inode *parent, const char *name, const struct inode_found *found,
                struct inode **ret_inode);
/* The name is not there any more. */
void inode_drop(struct inodes *inodes, struct inode *parent, const char *name);
/* The kernel forgets so many lookups. */
void inode_forget(struct inodes *inodes, struct inode *inode, uint64_t lookups);
/* A reference of a handle. */
void inode_hold(struct inodes *inodes, struct inode *inode);
void inode_release(struct inodes *inodes, struct inode *inode);

/* Fixed for the life of an inode. */
enum inode_kind inode_kind(const struct inode *inode);
struct store *inode_store(const struct inode *inode);
enum store_kind inode_type(const struct inode *inode);
uint64_t inode_number(const struct inode *inode);
/* Whether it is the top directory of a bucket. */
bool inode_is_bucket(const struct inode *inode);
bool inode_parent_is(const struct inode *inode, const struct inode *parent);
/* The st_ino of what would be at `name` in `parent`. */
uint64_t inode_number_at(const struct inode *parent, const char *name, const struct store_entry *entry);

/* The path in its bucket (stored form, "" for the bucket itself), to be freed; with `name` behind it unless NULL. */
char *inode_path(struct inodes *inodes, const struct inode *inode, const char *name);
/* A reference to a file's revision; NULL for others. */
struct revision *inode_revision(struct inodes *inodes, const struct inode *inode);
/* The same content was seen again, with these attributes. */
void inode_refresh(struct inodes *inodes, struct inode *inode, struct revision *revision);
/* When the database was last asked about it, on the monotonic clock. */
int64_t inode_checked_ms(struct inodes *inodes, const struct inode *inode);
struct attributes inode_attributes(struct inodes *inodes, const struct inode *inode);
/* A symlink's target or a directory's witness at `name` in `parent` (NULL: of the inode itself), to be freed. */
char *inode_target(struct inodes *inodes, const struct inode *inode);
char *inode_witness(struct inodes *inodes, struct inode *parent, const char *name);

/* A listing of a directory begins; `inode` is its next entry. So that small files read in this order come in batches. */
void inode_begin_listing(struct inodes *inodes, struct inode *directory);
void inode_listed(struct inodes *inodes, struct inode *directory, struct inode *inode);
/* A file is opened: the files around it whose content is worth fetching now, references of the caller's. */
unsigned inode_follow(struct inodes *inodes, struct inode *inode, struct revision *ret_revisions[SIBLINGS_PLAN]);

/* The reader that all handles of a file share; made by the first, freed by the last. */
int inode_open_reader(struct inodes *inodes, struct inode *inode, struct chunks *chunks, struct reader **ret_reader);
void inode_close_reader(struct inodes *inodes, struct inode *inode);

void inodes_check(struct inodes *inodes);

#endif

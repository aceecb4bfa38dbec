// SPDX-License-Identifier: Apache-2.0
/* What inodes, dentries and their table are made of; included by inode*.c and dentry.c only. */
#ifndef FS_VFS_INODE_PRIVATE_H
#define FS_VFS_INODE_PRIVATE_H

#include <uthash.h>

#include "cache/base/lock.h"
#include "fs/vfs/coherence.h"
#include "fs/vfs/inode.h"

/* One name of an inode. */
struct dentry {
    struct inode *inode;
    struct dentry *next; /* further names of the inode */
    bool hashed;         /* the name leads to the inode; else it only was its last */
    bool lost;           /* no memory to hash it */
    UT_hash_handle hh;
    struct dentry_name {
        struct inode *parent; /* a reference */
        char name[];
    } key;
};

struct inode {
    /* fixed */
    struct store *store;
    uint64_t number; /* st_ino */
    uint64_t serial; /* no other inode of this mount has it, or ever had */
    unsigned char kind, type;
    /* under the lock */
    bool unpublished; /* created here, not in the database yet */
    bool publishing;
    bool removed; /* its last name was removed here */
    bool abandoned; /* removed, because it could not be stored */
    bool kept;    /* a directory of its own */
    bool linked;  /* in the table of hard-linked files */
    bool of_id;   /* in that of revisions */
    bool put_here; /* its revision was put by this mount */
    bool vouched;  /* what is known of it is what the database has, as far as was told */
    bool listing;  /* of a directory: so is what the kernel keeps of its listing */
    bool believed; /* the kernel may believe for long what leads to it: it is to be told when that is over */
    unsigned char proof; /* enum inode_proof, of its revision's content */
    uint32_t place;      /* of a file: among its siblings */
    uint32_t directories; /* names of it that lead to directories */
    uint32_t references; /* of handles and children */
    uint32_t opens, writers; /* handles */
    uint32_t caching;        /* of a directory: handles that the kernel may keep a listing of */
    uint64_t lookups;    /* of the kernel */
    int64_t checked_ms;
    struct dentry *names; /* the first is its path; NULL: the root */
    struct revision *revision;
    struct attributes *attributes; /* of a file: what the revision does not say yet; of others NULL: none */
    char *text;                    /* a symlink's target, a directory's witness */
    struct published *published;
    struct file *file;
    struct siblings *siblings; /* of a directory: its files as last listed */
    struct known *known;       /* of a directory: its names when it was last listed; NULL: not all are known */
    uint64_t changed;          /* of a directory: when a name in it was last changed here */
    struct keys *keys;         /* of a directory with `listing`: of what the kernel keeps, once it is whole */
    uint64_t listed;           /* when they were asked for, by the coherence */
    struct inode *prev, *next; /* in the list of all inodes */
    struct inode *prev_opened, *next_opened; /* in that of those with `opens`; of a directory: in `noted` */
    struct inode *next_of_id;
};

/* The names in a directory. */
struct known {
    struct keys *keys;
    uint64_t moment; /* when they were asked for */
};

/* A hard-linked file by its identity: its names lead to one inode. */
struct linked {
    UT_hash_handle hh;
    bool lost; /* no memory to hash it */
    struct inode *inode;
    struct linked_key {
        struct store *store;
        unsigned char file[ATTRIBUTES_FILE_SIZE];
        unsigned char padding[4];
    } key;
};

enum { CHANGES = 1024, ABSENCES = 1 << 14 };

struct inodes {
    struct lock lock;
    struct dentry *table; /* the hashed */
    struct linked *linked;
    struct inode *all; /* the unpublished first */
    struct inode *opened; /* what handles are open of, among all those that the kernel only knows the names of */
    struct inode *noted;  /* directories that are vouched for, or their listing */
    struct inode *root;
    struct coherence *coherence; /* lent, or NULL: nothing is vouched for */
    struct inode **ids;          /* chains of those with a revision, by its _id */
    uint32_t id_slots, id_count;
    uint64_t gone[256]; /* hashes of _ids that this mount took away */
    uint32_t unpublished, opened_count; /* how many */
    uint64_t serial; /* the last that was given */
    uint64_t moment;
    uint64_t changes[CHANGES]; /* when a name that falls here was last changed */
    struct absence *absences[ABSENCES]; /* the last name that was not there, of those that fall here */
};

/* All under the lock. */
struct dentry *dentry_find(struct inodes *inodes, const struct inode *parent, const char *name);
/* A name leads to `inode` from now on; nothing has it. False without memory. */
bool dentry_add(struct inodes *inodes, struct inode *inode, struct inode *parent, const char *name);
/* The name leads nowhere from now on. The inode keeps it as its last when it has no other. */
void dentry_unhash(struct inodes *inodes, struct dentry *dentry);
void dentry_hash(struct inodes *inodes, struct dentry *dentry);
void dentry_take_out(struct inodes *inodes, struct dentry *dentry);
/* Whether the name was changed here since then; NULL: no. */
bool dentry_changed(struct inodes *inodes, const struct inode *parent, const char *name, const uint64_t *since);
void dentry_note_change(struct inodes *inodes, struct inode *parent, const char *name);
/* It has so many more names, or less. */
void inode_count_links(struct inode *inode, int change);
/* It is published, or never will be. */
void inode_set_published(struct inodes *inodes, struct inode *inode);
/* Its attributes as this mount knows them; NULL when there are none. */
const struct attributes *inode_known(const struct inode *inode);
/* The revision that it has, as it was found now: takes the reference. A later ctime is kept, since not all that changes it
 * is told to the database. */
void inode_take_revision(struct inode *inode, struct revision *revision);
/* The inode of a hard-linked file; what leads there from now on; and that nothing does. */
struct inode *linked_find(struct inodes *inodes, struct store *store, const struct attributes *attributes);
void linked_add(struct inodes *inodes, struct inode *inode);
void linked_drop(struct inodes *inodes, struct inode *inode);

/* An inode with a revision, found by its _id from now on, and no more. */
void ids_add(struct inodes *inodes, struct inode *inode);
void ids_take_out(struct inodes *inodes, struct inode *inode);
/* Whether an inode's revision has this _id; and the first, or next, of those. */
bool ids_is(const struct inode *inode, const void *id, uint32_t size);
struct inode *ids_next(struct inodes *inodes, const struct inode *after, const void *id, uint32_t size);
/* Whether an inode with a revision is found so. */
bool ids_has(struct inodes *inodes, const struct inode *inode);
/* This mount took a revision away (NULL: none); and whether it has, of late. */
void ids_note_gone(struct inodes *inodes, const struct revision *revision);
bool ids_was_gone(const struct inodes *inodes, const void *id, uint32_t size);
/* Sets what is vouched for. */
void vouch_set(struct inodes *inodes, struct inode *inode, bool vouched, bool listing);
/* What is known of an inode is the answer to a question of that moment (NULL: of none). */
void vouch_answer(struct inodes *inodes, struct inode *inode, const struct coherence_moment *asked);

/* A name is there, whatever was found before; and no name is known not to be. */
void absence_drop(struct inodes *inodes, const struct inode *parent, const char *name);
void absences_free(struct inodes *inodes);

/* A name is in a directory, which ends that all its names are known unless it is one of them; and in any case. */
void known_name(struct inode *directory, const char *name);
void known_drop(struct inode *directory);

/* Frees it if nobody holds it, and the parents that only it held. */
void inode_free_unheld(struct inodes *inodes, struct inode *inode);

#endif

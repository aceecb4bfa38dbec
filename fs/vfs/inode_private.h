/* What an inode and their table are made of; included by inode*.c only. */
#ifndef FS_VFS_INODE_PRIVATE_H
#define FS_VFS_INODE_PRIVATE_H

#include <uthash.h>

#include "cache/base/lock.h"
#include "fs/vfs/inode.h"

struct inode {
    /* fixed */
    struct inode *parent; /* a reference; NULL for the root */
    struct store *store;
    uint64_t number; /* st_ino */
    unsigned char kind, type;
    /* under the lock */
    bool named, lost;
    uint32_t references; /* of handles and children */
    uint32_t readers;    /* handles that share the reader */
    uint64_t lookups;    /* of the kernel */
    int64_t checked_ms;
    struct revision *revision;
    struct attributes *attributes; /* NULL: none but the defaults */
    char *text;                    /* a symlink's target, a directory's witness */
    struct reader *reader;
    struct inode *prev, *next; /* in the list of unnamed ones */
    struct siblings *siblings; /* of a directory: its files as last listed */
    uint32_t place;            /* of a file: among its siblings */
    UT_hash_handle hh;
    struct inode_name {
        const struct inode *parent;
        char name[];
    } key;
};

struct inodes {
    struct lock lock;
    struct inode *table;   /* the named */
    struct inode *unnamed; /* replaced or gone, but held */
    struct inode *root;
};

/* The named inode of a name; under the lock. */
struct inode *inode_find(struct inodes *inodes, const struct inode *parent, const char *name);

#endif

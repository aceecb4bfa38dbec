// SPDX-License-Identifier: Apache-2.0
/* Entries of an open directory of a vfs, some at a time, for who walks it and has the vfs to himself no longer than that.
 *
 * Threads: none of its own. Memory: an entry has its name and a lookup of its inode, until entry_done().
 * Errors: 0 or -errno; after one the next call goes on from where it was. */
#ifndef FS_ENTRIES_H
#define FS_ENTRIES_H

#include "fs/vfs/vfs.h"

enum { ENTRIES_MOST = 128 };

struct entry {
    char *name;          /* NULL: there was no memory for it */
    mode_t mode;
    struct inode *inode; /* NULL: it is not looked up */
};

/* Zeros are the start of a directory. */
struct entries {
    unsigned count;
    uint64_t next; /* where to go on */
    struct entry list[ENTRIES_MOST];
};

/* The next ones, without "." and ".."; *ret_more: there may be others. */
int entries_read(struct vfs *vfs, struct handle *handle, struct entries *entries, bool *ret_more);
/* What has its name now, which may be another inode. */
int entry_look_up(struct vfs *vfs, struct inode *directory, struct entry *entry);
void entry_done(struct vfs *vfs, struct entry *entry);

#endif

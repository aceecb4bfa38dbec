// SPDX-License-Identifier: Apache-2.0
/* What a change that was told makes doubtful: notes of inodes (inode.h, "what is vouched for") that go, and the inodes of
 * which the kernel is to be told, since it was allowed to believe them for long.
 *
 * A change of this mount's own comes back too. As far as it can be told to be that, it says nothing new.
 *
 * Threads: one list is one thread's. The functions take the inode table's lock.
 * Memory: the list holds no references: to the kernel an inode that is gone by then is just a number. */
#ifndef FS_VFS_DOUBTS_H
#define FS_VFS_DOUBTS_H

#include "fs/vfs/inode.h"

struct doubts {
    struct doubt {
        const struct inode *inode;
        bool listing; /* of a directory: its listing, which the kernel keeps */
        char *name;   /* or what it believes this name in the directory leads to; stored form, owned */
    } *list;
    size_t count, capacity;
    bool lost; /* there was no memory for all of it */
};

void doubts_done(struct doubts *doubts);

/* Something came to `path`: the file `id`, or (NULL) what is none. Directories above it may have come with it. */
void doubts_came(struct inodes *inodes, const char *path, const void *id, uint32_t id_size, struct doubts *doubts);
/* The attributes of what is at `path` have changed; or of the file `id`. */
void doubts_changed(struct inodes *inodes, const char *path, struct doubts *doubts);
void doubts_changed_id(struct inodes *inodes, const void *id, uint32_t id_size, struct doubts *doubts);
/* What was at `path` is gone; or the file `id`, from where it was, unless that is `now` (NULL: nowhere). Directories above
 * it may have gone with it. */
void doubts_went(struct inodes *inodes, const char *path, struct doubts *doubts);
void doubts_went_id(struct inodes *inodes, const void *id, uint32_t id_size, const char *now, struct doubts *doubts);
/* The file is not what its names lead to any more. Whether handles are open of it, whose attributes then stay; the kernel
 * is to be told of the names. */
bool doubts_names(struct inodes *inodes, struct inode *inode, struct doubts *doubts);
/* Anything may have changed. */
void doubts_all(struct inodes *inodes, struct doubts *doubts);

#endif

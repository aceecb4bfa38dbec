// SPDX-License-Identifier: Apache-2.0
/* A mount without a kernel: a vfs over a server in memory, with its cache. Its bucket fs stands behind a store that
 * fails and waits when it is told to.
 *
 * Threads: as the vfs. Every function fails the test when it does not get what it expects. */
#ifndef TESTS_FAKE_MEMORY_MOUNT_H
#define TESTS_FAKE_MEMORY_MOUNT_H

#include "cache/staging.h"
#include "fs/store/names.h"
#include "fs/vfs/vfs.h"
#include "tests/fake/faulty_store.h"
#include "tests/fake/memory_store.h"

struct memory_mount {
    struct server front; /* what the vfs sees */
    struct server *server;
    struct memory_store *memory; /* bucket fs */
    struct faulty_store faulty;  /* in front of it */
    struct budget budget;
    struct workers *workers;
    struct chunks *chunks;
    struct staging *staging;
    char folder[32]; /* where it stages */
    struct vfs_config config; /* for further mounts of the same database */
    struct vfs *vfs;          /* NULL: unmounted */
};

/* Who opens files here: the owner of all, of no process. */
extern const struct vfs_caller memory_mount_caller;

/* With owner 7, group 8, umask 022; the bucket of this name, or "*". */
struct memory_mount *memory_mount_new(const char *name, int64_t trust_ms, bool trust_opens);
void memory_mount_done(struct memory_mount *mount);
/* The end of the vfs: what it leaves is in the store then. */
void memory_mount_unmount(struct memory_mount *mount);
/* Lets what is fetched ahead come in. */
void memory_mount_settle(struct memory_mount *mount);
/* A file of the bucket fs, in chunks of 4 bytes. */
void memory_mount_put(struct memory_mount *mount, const char *path, const char *content);
/* What is at a path from the root. One more lookup on the last; those on the way are forgotten. */
int memory_mount_look_up(struct memory_mount *mount, const char *path, struct vfs_entry *ret_entry);
/* The same of what must be there. */
struct vfs_entry memory_mount_found(struct memory_mount *mount, const char *path);
struct handle *memory_mount_opened(struct memory_mount *mount, struct inode *inode);
/* The same with flags of open(2). */
struct handle *memory_mount_opened_as(struct memory_mount *mount, struct inode *inode, int flags);
/* A file that is not there yet, of mode 0644. */
struct handle *memory_mount_created(struct memory_mount *mount, struct inode *parent, const char *name, int flags,
                                    struct vfs_entry *ret_entry);
void memory_mount_write(struct memory_mount *mount, struct handle *handle, int64_t offset, const char *text);
/* As a program does that empties the file, writes and closes it. */
void memory_mount_overwrite(struct memory_mount *mount, const char *path, const char *text);
/* The first 99 bytes. */
int memory_mount_read(struct memory_mount *mount, struct handle *handle, char ret_text[100]);
void memory_mount_expect_text(struct memory_mount *mount, struct handle *handle, const char *expected);
/* Looks up, opens, reads, closes, forgets. */
void memory_mount_expect_file(struct memory_mount *mount, const char *path, const char *expected);
/* What the database has under a path; NULL: nothing. */
void memory_mount_expect_stored(struct memory_mount *mount, const char *path, const char *expected);
/* The one name in the root that something was recovered as; "": there is none. */
void memory_mount_find_recovered(struct memory_mount *mount, char ret_name[NAMES_COMPONENT_MOST + 1]);

#endif

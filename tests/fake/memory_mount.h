/* A mount without a kernel: a vfs over a server in memory, with its cache.
 *
 * Threads: as the vfs. Every function fails the test when it does not get what it expects. */
#ifndef TESTS_FAKE_MEMORY_MOUNT_H
#define TESTS_FAKE_MEMORY_MOUNT_H

#include "fs/vfs/vfs.h"
#include "tests/fake/memory_store.h"

struct memory_mount {
    struct server *server;
    struct memory_store *memory; /* bucket fs */
    struct budget budget;
    struct workers *workers;
    struct chunks *chunks;
    struct vfs *vfs;
};

/* With owner 7, group 8, umask 022; `bucket` may be "*". */
struct memory_mount *memory_mount_new(const char *bucket, int64_t trust_ms, bool trust_opens);
void memory_mount_done(struct memory_mount *mount);
/* Lets what is fetched ahead come in. */
void memory_mount_settle(struct memory_mount *mount);
/* A file of the bucket fs, in chunks of 4 bytes. */
void memory_mount_put(struct memory_mount *mount, const char *path, const char *content);
/* What is at a path from the root. One more lookup on the last; those on the way are forgotten. */
int memory_mount_look_up(struct memory_mount *mount, const char *path, struct vfs_entry *ret_entry);
/* The same of what must be there. */
struct vfs_entry memory_mount_found(struct memory_mount *mount, const char *path);
struct handle *memory_mount_opened(struct memory_mount *mount, struct inode *inode);
/* The first 99 bytes. */
int memory_mount_read(struct memory_mount *mount, struct handle *handle, char ret_text[100]);
void memory_mount_expect_text(struct memory_mount *mount, struct handle *handle, const char *expected);
/* Looks up, opens, reads, closes, forgets. */
void memory_mount_expect_file(struct memory_mount *mount, const char *path, const char *expected);

#endif

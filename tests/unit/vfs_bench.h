// SPDX-License-Identifier: Apache-2.0
/* What the programs about a vfs begin with: a mount in memory, fresh for each test. */
#ifndef TESTS_UNIT_VFS_BENCH_H
#define TESTS_UNIT_VFS_BENCH_H

#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

static struct memory_mount *mount;
static struct inode *root;

static int set_up(void **state) {
    (void)state;
    mount = memory_mount_new("fs", 1000, false);
    root = vfs_root(mount->vfs);
    return 0;
}

/* Claims that are left, inodes that are held and bytes that are staged fail the test here. */
static int tear_down(void **state) {
    (void)state;
    memory_mount_done(mount);
    return 0;
}

static inline int flush(struct handle *handle) {
    return vfs_flush(mount->vfs, handle, &memory_mount_caller);
}

static inline void close_and_forget(struct handle *handle, struct inode *inode) {
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, inode, 1);
}

#endif

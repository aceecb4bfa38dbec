// SPDX-License-Identifier: Apache-2.0
/* Revisions that are brought back. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "fs/vfs/vfs.h"
#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

/* As the memory store dates them, 1 ms apart. */
#define REVISION(id) "2023-11-14T22:13:20.00" id "Z-id-" id

static const struct vfs_caller owner = {.uid = 7, .gid = 8, .pid = 1};

static int restore(struct memory_mount *mount, const char *path, const char *value, const struct vfs_caller *caller) {
    struct vfs_entry entry = {.inode = vfs_root(mount->vfs)};
    if (*path)
        entry = memory_mount_found(mount, path);
    int result = vfs_restore(mount->vfs, entry.inode, value, strlen(value), caller);
    if (*path)
        vfs_forget(mount->vfs, entry.inode, 1);
    return result;
}

static int open_again(struct memory_mount *mount, struct inode *inode) {
    struct handle *handle;
    bool live;
    int result = vfs_open(mount->vfs, inode, O_RDONLY, &owner, &handle, &live);
    if (result == 0)
        vfs_close(mount->vfs, handle);
    return result;
}

static void a_revision_is_brought_back_as_a_new_one(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 3600000, true); /* as ttl:3600 */
    memory_mount_put(mount, "f", "good content");
    memory_mount_overwrite(mount, "f", "bad");
    struct vfs_entry before = memory_mount_found(mount, "f");
    struct handle *reader = memory_mount_opened(mount, before.inode);
    unsigned puts = memory_store_puts(mount->memory);
    assert_int_equal(restore(mount, "f", REVISION("1"), &owner), 0);
    assert_int_equal(memory_store_puts(mount->memory), puts + 1);
    memory_mount_expect_stored(mount, "f", "good content");
    memory_mount_expect_text(mount, reader, "bad");
    assert_int_equal(open_again(mount, before.inode), -ESTALE); /* the kernel looks again */
    memory_mount_expect_file(mount, "f", "good content");
    assert_int_equal(restore(mount, "f", REVISION("3"), &owner), 0); /* which it is */
    assert_int_equal(memory_store_puts(mount->memory), puts + 1);
    vfs_close(mount->vfs, reader);
    vfs_forget(mount->vfs, before.inode, 1);
    memory_mount_done(mount);
}

static void a_removed_file_comes_back(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_store_node(mount->memory, "d", STORE_DIRECTORY, NULL);
    memory_mount_put(mount, "d/f", "content");
    struct vfs_entry directory = memory_mount_found(mount, "d"), entry;
    assert_int_equal(vfs_unlink(mount->vfs, directory.inode, "f"), 0);
    vfs_forget(mount->vfs, directory.inode, 1);
    assert_int_equal(memory_mount_look_up(mount, "d/f", &entry), -ENOENT);
    assert_int_equal(restore(mount, "d", "f/" REVISION("1"), &owner), 0);
    memory_mount_expect_file(mount, "d/f", "content");
    assert_int_equal(restore(mount, "d", "f/" REVISION("1"), &owner), -EEXIST);
    assert_int_equal(restore(mount, "d", "g/" REVISION("1"), &owner), -ENOENT);
    memory_mount_done(mount);
}

static void what_cannot_be_restored_stays_as_it_is(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "f", "first");
    memory_mount_put(mount, "other", "other");
    memory_mount_overwrite(mount, "f", "second");
    assert_int_equal(restore(mount, "f", REVISION("2"), &owner), -ENOENT);
    assert_int_equal(restore(mount, "f", REVISION("9"), &owner), -ENOENT);
    assert_int_equal(restore(mount, "f", "none", &owner), -ENOENT);
    assert_int_equal(restore(mount, "f", "id-1", &owner), -ENOENT);
    /* of that _id is another now */
    assert_int_equal(restore(mount, "f", "2023-11-14T22:13:20.000Z-id-1", &owner), -ENOENT);
    assert_int_equal(vfs_restore(mount->vfs, vfs_root(mount->vfs), "x/y\0z", 5, &owner), -EINVAL);
    assert_int_equal(restore(mount, "f", REVISION("1"), &(struct vfs_caller){.uid = 9}), -EPERM);
    assert_int_equal(restore(mount, "", "f", &owner), -EINVAL);
    assert_int_equal(restore(mount, "", "../" REVISION("1"), &owner), -EINVAL);
    assert_int_equal(restore(mount, "", ".gridfs/" REVISION("1"), &owner), -EPERM);
    assert_int_equal(restore(mount, ".gridfs", "f/" REVISION("1"), &owner), -EROFS);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(restore(mount, "f", REVISION("1"), &owner), -ETIMEDOUT);
    struct vfs_entry entry = memory_mount_found(mount, "f");
    struct handle *writer = memory_mount_opened_as(mount, entry.inode, O_WRONLY);
    assert_int_equal(restore(mount, "f", REVISION("1"), &owner), -EBUSY);
    vfs_close(mount->vfs, writer);
    memory_mount_expect_stored(mount, "f", "second");
    memory_store_damage_file(mount->memory, "other", "no length");
    assert_int_equal(restore(mount, "other", REVISION("2"), &owner), -EIO);
    assert_int_equal(restore(mount, "f", REVISION("1"), &(struct vfs_caller){.uid = 0}), 0);
    memory_mount_expect_stored(mount, "f", "first");
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revision_is_brought_back_as_a_new_one),
        cmocka_unit_test(a_removed_file_comes_back),
        cmocka_unit_test(what_cannot_be_restored_stays_as_it_is),
    };
    return cmocka_run_group_tests_name("vfs_restore", tests, NULL, NULL);
}

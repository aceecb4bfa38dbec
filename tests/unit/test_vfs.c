// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <string.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

static void a_file_is_read_by_its_path(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "a/b/file", "hello world");
    memory_mount_put(mount, "empty", "");
    memory_mount_expect_file(mount, "a/b/file", "hello world");
    memory_mount_expect_file(mount, "empty", "");
    memory_mount_done(mount);
}

static void attributes_are_the_mounts_defaults_or_the_databases(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "d/file", "12345");
    struct vfs_entry entry = memory_mount_found(mount, "d/file"), directory = memory_mount_found(mount, "d");
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0644);
    assert_int_equal(directory.attributes.st_mode, S_IFDIR | 0755);
    assert_int_equal(entry.attributes.st_uid, 7);
    assert_int_equal(entry.attributes.st_gid, 8);
    assert_int_equal(entry.attributes.st_size, 5);
    assert_int_equal(entry.attributes.st_blocks, 1);
    assert_int_equal(entry.attributes.st_nlink, 1);
    assert_int_equal(entry.attributes.st_mtim.tv_sec, 1700000000);
    assert_int_equal(entry.attributes.st_mtim.tv_nsec, 1000000);
    vfs_forget(mount->vfs, entry.inode, 1);
    vfs_forget(mount->vfs, directory.inode, 1);
    struct attributes own = {.has = ATTRIBUTES_MODE | ATTRIBUTES_UID | ATTRIBUTES_MTIME, .mode = 0600, .uid = 99,
                             .mtime_ns = -1};
    memory_store_set_attributes(mount->memory, "d/file", &own);
    entry = memory_mount_found(mount, "d/file");
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0600);
    assert_int_equal(entry.attributes.st_uid, 99);
    assert_int_equal(entry.attributes.st_gid, 8);
    assert_int_equal(entry.attributes.st_mtim.tv_sec, -1);
    assert_int_equal(entry.attributes.st_mtim.tv_nsec, 999999999);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void names_that_cannot_be_are_not_there(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_entry entry;
    char name[300];
    memset(name, 'x', sizeof name);
    name[299] = '\0';
    assert_int_equal(memory_mount_look_up(mount, "nothing", &entry), -ENOENT);
    assert_int_equal(memory_mount_look_up(mount, "no/thing", &entry), -ENOENT);
    assert_int_equal(memory_mount_look_up(mount, name, &entry), -ENAMETOOLONG);
    memory_mount_done(mount);
}

static void bytes_that_are_no_utf8_are_found_under_their_escape(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "caf\xEE\xBF\xA9", "latin"); /* U+EFE9 for the byte E9 */
    memory_mount_expect_file(mount, "caf\xE9", "latin");
    memory_mount_done(mount);
}

static void a_replaced_file_is_stale_for_its_old_inode_and_new_for_the_name(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry old = memory_mount_found(mount, "file");
    struct handle *handle = memory_mount_opened(mount, old.inode), *again;
    bool live;
    memory_mount_expect_text(mount, handle, "0123456789");
    memory_mount_put(mount, "file", "01234567890123456789");
    uint64_t stale = stats_get(STAT_stale_opens);
    assert_int_equal(vfs_open(mount->vfs, old.inode, O_RDONLY, &memory_mount_caller, &again, &live), -ESTALE);
    assert_int_equal(stats_get(STAT_stale_opens), stale + 1);
    struct vfs_entry fresh = memory_mount_found(mount, "file");
    assert_ptr_not_equal(fresh.inode, old.inode);
    assert_true(fresh.attributes.st_ino == old.attributes.st_ino);
    assert_int_equal(fresh.attributes.st_size, 20);
    memory_mount_expect_text(mount, handle, "0123456789"); /* the open handle keeps its revision */
    again = memory_mount_opened(mount, fresh.inode);
    memory_mount_expect_text(mount, again, "01234567890123456789");
    vfs_close(mount->vfs, again);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, old.inode, 1);
    vfs_forget(mount->vfs, fresh.inode, 1);
    memory_mount_done(mount);
}

static void a_removed_file_is_stale_and_not_found(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "file", "x");
    struct vfs_entry entry = memory_mount_found(mount, "file"), none;
    struct handle *handle;
    bool live;
    memory_store_remove(mount->memory, "file");
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_RDONLY, &memory_mount_caller, &handle, &live), -ESTALE);
    assert_int_equal(memory_mount_look_up(mount, "file", &none), -ENOENT);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

/* The kernel of a thread: an open() that is answered ESTALE is followed by a lookup and another open() of one call. */
static void a_lookup_of_an_earlier_call_is_no_reason_not_to_ask(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_caller thread = memory_mount_caller;
    struct handle *handle;
    bool live;
    thread.pid = 7;
    memory_mount_put(mount, "file", "first");
    struct vfs_entry first = memory_mount_found(mount, "file"), second;
    memory_store_remove(mount->memory, "file");
    assert_int_equal(vfs_open(mount->vfs, first.inode, O_RDONLY, &thread, &handle, &live), -ESTALE);
    assert_int_equal(memory_mount_look_up(mount, "file", &second), -ENOENT);
    vfs_looked_in_vain(mount->vfs, &thread);
    memory_mount_put(mount, "file", "second");
    second = memory_mount_found(mount, "file");
    memory_mount_put(mount, "file", "third");
    assert_int_equal(vfs_open(mount->vfs, second.inode, O_RDONLY, &thread, &handle, &live), -ESTALE);
    struct vfs_entry third = memory_mount_found(mount, "file");
    memory_mount_put(mount, "file", "fourth");
    assert_int_equal(vfs_open(mount->vfs, third.inode, O_RDONLY, &thread, &handle, &live), 0); /* one call: it gets in */
    memory_mount_expect_text(mount, handle, "third");
    vfs_close(mount->vfs, handle);
    assert_int_equal(vfs_open(mount->vfs, third.inode, O_RDONLY, &thread, &handle, &live), -ESTALE);
    vfs_forget(mount->vfs, first.inode, 1);
    vfs_forget(mount->vfs, second.inode, 1);
    vfs_forget(mount->vfs, third.inode, 1);
    memory_mount_done(mount);
}

static void an_open_after_a_chmod_elsewhere_keeps_the_inode(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "file", "x");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct attributes own = {.has = ATTRIBUTES_MODE, .mode = 0400};
    memory_store_set_attributes(mount->memory, "file", &own);
    struct handle *handle = memory_mount_opened(mount, entry.inode);
    struct stat attributes;
    assert_int_equal(vfs_attributes(mount->vfs, entry.inode, &attributes), 0);
    assert_int_equal(attributes.st_mode, S_IFREG | 0400);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void trusted_opens_ask_nobody(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 3600000, true);
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    memory_mount_put(mount, "file", "new content");
    struct handle *handle = memory_mount_opened(mount, entry.inode);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
    mount = memory_mount_new("fs", 0, true); /* trust that is over asks again */
    memory_mount_put(mount, "file", "old");
    entry = memory_mount_found(mount, "file");
    memory_mount_put(mount, "file", "new content");
    bool live;
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_RDONLY, &memory_mount_caller, &handle, &live), -ESTALE);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void damage_is_an_error(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char text[100];
    memory_mount_put(mount, "chunk", "0123456789");
    memory_mount_put(mount, "document", "x");
    memory_store_damage_chunk(mount->memory, "chunk", 1, -EIO);
    memory_store_damage_file(mount->memory, "document", "its length is a poem");
    struct vfs_entry entry = memory_mount_found(mount, "chunk");
    struct handle *handle = memory_mount_opened(mount, entry.inode);
    assert_int_equal(memory_mount_read(mount, handle, text), -EIO);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, entry.inode, 1);
    entry = memory_mount_found(mount, "document");
    bool live;
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_RDONLY, &memory_mount_caller, &handle, &live), -EIO);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void a_symlink_has_a_target_and_others_have_none(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "file", "x");
    memory_store_node(mount->memory, "link", STORE_SYMLINK, "file");
    struct vfs_entry link = memory_mount_found(mount, "link"), file = memory_mount_found(mount, "file");
    cleanup_free char *target = NULL;
    char *none;
    assert_int_equal(link.attributes.st_mode, S_IFLNK | 0777);
    assert_int_equal(link.attributes.st_size, 4);
    assert_int_equal(vfs_readlink(mount->vfs, link.inode, &target), 0);
    assert_string_equal(target, "file");
    assert_int_equal(vfs_readlink(mount->vfs, file.inode, &none), -EINVAL);
    vfs_forget(mount->vfs, link.inode, 1);
    vfs_forget(mount->vfs, file.inode, 1);
    memory_mount_done(mount);
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_by_its_path),
        cmocka_unit_test(attributes_are_the_mounts_defaults_or_the_databases),
        cmocka_unit_test(names_that_cannot_be_are_not_there),
        cmocka_unit_test(bytes_that_are_no_utf8_are_found_under_their_escape),
        cmocka_unit_test(a_replaced_file_is_stale_for_its_old_inode_and_new_for_the_name),
        cmocka_unit_test(a_removed_file_is_stale_and_not_found),
        cmocka_unit_test(a_lookup_of_an_earlier_call_is_no_reason_not_to_ask),
        cmocka_unit_test(an_open_after_a_chmod_elsewhere_keeps_the_inode),
        cmocka_unit_test(trusted_opens_ask_nobody),
        cmocka_unit_test(damage_is_an_error),
        cmocka_unit_test(a_symlink_has_a_target_and_others_have_none),
    };
    return cmocka_run_group_tests_name("vfs", tests, be_quiet, NULL);
}

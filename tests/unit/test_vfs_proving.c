// SPDX-License-Identifier: Apache-2.0
/* With verify: what is recorded of a file that is opened is found, and what is read is compared with it. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/stats.h"
#include "tests/unit/vfs_bench.h"

#define DIGITS "84d89877f0d4041efb6bf91a16f0248f2fd573e6af05c19f96bedb9f882f7882" /* of "0123456789" */

static int set_up_verifying(void **state) {
    set_up(state);
    memory_mount_unmount(mount);
    mount->config.verify = true;
    assert_int_equal(vfs_new(&mount->config, &mount->vfs), 0);
    root = vfs_root(mount->vfs);
    return 0;
}

static void put(const char *content, const char *digits) {
    memory_mount_put(mount, "file", content);
    if (digits)
        memory_store_record(mount->memory, "file", digits);
}

static int read_at(struct handle *handle, int64_t offset, size_t size) {
    struct reader_view views[READER_VIEWS];
    unsigned count = 0;
    int result = vfs_read(mount->vfs, handle, offset, size, views, &count);
    if (result == 0)
        reader_release(views, count);
    return result;
}

static void what_is_as_recorded_is_believed_from_then_on(void **state) {
    (void)state;
    put("0123456789", DIGITS);
    uint64_t sound = stats_get(STAT_sound_reads);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct handle *handle = memory_mount_opened(mount, entry.inode);
    assert_false(vfs_may_keep(handle));
    memory_mount_expect_text(mount, handle, "0123456789");
    assert_int_equal(stats_get(STAT_sound_reads), sound + 1);
    vfs_close(mount->vfs, handle);
    uint64_t asked = mount->faulty.calls[FAULTY_XATTRS];
    handle = memory_mount_opened(mount, entry.inode);
    assert_true(vfs_may_keep(handle));
    assert_int_equal(mount->faulty.calls[FAULTY_XATTRS], asked);
    close_and_forget(handle, entry.inode);
}

static void what_is_not_is_never_given_whole(void **state) {
    (void)state;
    put("0123456780", DIGITS);
    uint64_t wrong = stats_get(STAT_wrong_reads);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    for (int i = 0; i < 2; i++) {
        struct handle *handle = memory_mount_opened(mount, entry.inode);
        assert_false(vfs_may_keep(handle));
        assert_int_equal(read_at(handle, 0, 6), 0);
        assert_int_equal(read_at(handle, 6, 4), -EIO);
        assert_int_equal(read_at(handle, 9, 1), -EIO);
        assert_int_equal(read_at(handle, 2, 4), 0);
        assert_int_equal(read_at(handle, 10, 4), 0);
        assert_int_equal(stats_get(STAT_wrong_reads), wrong + 1 + (unsigned)i);
        vfs_close(mount->vfs, handle);
    }
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void handles_of_a_file_are_one_reader(void **state) {
    (void)state;
    put("0123456780", DIGITS);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct handle *one = memory_mount_opened(mount, entry.inode);
    assert_int_equal(read_at(one, 0, 6), 0);
    struct handle *other = memory_mount_opened(mount, entry.inode);
    assert_true(vfs_may_keep(other)); /* what the kernel has so far was followed */
    assert_int_equal(read_at(other, 6, 4), -EIO);
    vfs_close(mount->vfs, one);
    close_and_forget(other, entry.inode);
}

static void nothing_is_compared_where_nothing_is_recorded(void **state) {
    (void)state;
    put("0123456789", NULL);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct handle *handle = memory_mount_opened(mount, entry.inode);
    assert_true(vfs_may_keep(handle));
    memory_mount_expect_text(mount, handle, "0123456789");
    vfs_close(mount->vfs, handle);
    uint64_t asked = mount->faulty.calls[FAULTY_XATTRS];
    handle = memory_mount_opened(mount, entry.inode);
    assert_int_equal(mount->faulty.calls[FAULTY_XATTRS], asked);
    close_and_forget(handle, entry.inode);
}

static void what_is_written_here_is_compared_when_it_is_opened_next(void **state) {
    (void)state;
    put("0123456789", DIGITS);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    memory_mount_expect_file(mount, "file", "0123456789");
    struct handle *handle = memory_mount_opened_as(mount, entry.inode, O_RDWR);
    assert_true(vfs_may_keep(handle)); /* found sound */
    memory_mount_write(mount, handle, 9, "0");
    memory_mount_expect_text(mount, handle, "0123456780");
    assert_int_equal(flush(handle), 0);
    vfs_close(mount->vfs, handle);
    memory_store_record(mount->memory, "file", DIGITS); /* not of the new content */
    handle = memory_mount_opened(mount, entry.inode);
    assert_false(vfs_may_keep(handle));
    assert_int_equal(read_at(handle, 0, 99), -EIO);
    close_and_forget(handle, entry.inode);
}

static void a_question_that_fails_fails_the_open(void **state) {
    (void)state;
    put("0123456789", DIGITS);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct handle *handle;
    bool live;
    faulty_store_fail(&mount->faulty, FAULTY_XATTRS, 1, -ETIMEDOUT);
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_RDONLY, &memory_mount_caller, &handle, &live), -ETIMEDOUT);
    handle = memory_mount_opened(mount, entry.inode);
    memory_mount_expect_text(mount, handle, "0123456789");
    close_and_forget(handle, entry.inode);
}

#define PROVING_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_verifying, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        PROVING_TEST(what_is_as_recorded_is_believed_from_then_on),
        PROVING_TEST(what_is_not_is_never_given_whole),
        PROVING_TEST(handles_of_a_file_are_one_reader),
        PROVING_TEST(nothing_is_compared_where_nothing_is_recorded),
        PROVING_TEST(what_is_written_here_is_compared_when_it_is_opened_next),
        PROVING_TEST(a_question_that_fails_fails_the_open),
    };
    return cmocka_run_group_tests_name("vfs_proving", tests, NULL, NULL);
}

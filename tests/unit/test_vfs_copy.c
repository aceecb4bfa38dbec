// SPDX-License-Identifier: Apache-2.0
/* copy_file_range through a vfs: what is read meanwhile, and what the copy is when it is published. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "tests/unit/vfs_bench.h"

/* Two open files, "from" and "to". */
struct pair {
    struct vfs_entry from_entry, to_entry;
    struct handle *from, *to;
};

static struct pair pair_of(const char *content) {
    struct pair pair;
    memory_mount_put(mount, "from", content);
    pair.from_entry = memory_mount_found(mount, "from");
    pair.from = memory_mount_opened(mount, pair.from_entry.inode);
    pair.to = memory_mount_created(mount, root, "to", 0, &pair.to_entry);
    return pair;
}

static void pair_done(struct pair *pair) {
    close_and_forget(pair->from, pair->from_entry.inode);
    close_and_forget(pair->to, pair->to_entry.inode);
}

static int64_t copy(struct handle *from, int64_t offset, struct handle *to, int64_t to_offset, int64_t size) {
    return vfs_copy(mount->vfs, from, offset, to, to_offset, size, &memory_mount_caller);
}

static unsigned fetches(void) {
    return atomic_load(&mount->faulty.calls[FAULTY_FETCH]) + atomic_load(&mount->faulty.calls[FAULTY_FETCH_HEADS]);
}

static void a_copy_reads_nothing(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    struct stat attributes;
    unsigned before = fetches();
    assert_int_equal(copy(pair.from, 0, pair.to, 0, INT64_MAX / 2), 10);
    assert_int_equal(copy(pair.from, 10, pair.to, 10, 99), 0);
    assert_int_equal(vfs_attributes(mount->vfs, pair.to_entry.inode, &attributes), 0);
    assert_int_equal(attributes.st_size, 10);
    assert_int_equal(flush(pair.to), 0);
    assert_int_equal(fetches(), before);
    memory_mount_expect_stored(mount, "to", "0123456789");
    memory_mount_expect_text(mount, pair.to, "0123456789");
    pair_done(&pair);
}

static void a_copy_is_what_the_source_handle_reads(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    struct handle *writer = memory_mount_opened_as(mount, pair.from_entry.inode, O_WRONLY);
    memory_mount_write(mount, writer, 4, "WRITTEN");
    assert_int_equal(copy(pair.from, 0, pair.to, 0, 99), 11);
    memory_mount_write(mount, writer, 0, "later");
    memory_mount_expect_text(mount, pair.to, "0123WRITTEN");
    assert_int_equal(flush(pair.to), 0);
    memory_mount_expect_stored(mount, "to", "0123WRITTEN");
    memory_mount_expect_stored(mount, "from", "0123456789");
    vfs_close(mount->vfs, writer);
    pair_done(&pair);
}

static void pieces_go_anywhere(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    memory_mount_write(mount, pair.to, 0, "abcdefghijkl");
    assert_int_equal(copy(pair.from, 3, pair.to, 5, 4), 4);
    memory_mount_expect_text(mount, pair.to, "abcde3456jkl");
    assert_int_equal(copy(pair.from, 8, pair.to, 11, 99), 2);
    assert_int_equal(copy(pair.to, 0, pair.to, 3, 3), 3); /* within one file */
    assert_int_equal(flush(pair.to), 0);
    memory_mount_expect_stored(mount, "to", "abcabc456jk89");
    pair_done(&pair);
}

static void a_copy_over_an_old_file_keeps_its_name_and_attributes(void **state) {
    (void)state;
    struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0604};
    memory_mount_put(mount, "old", "content of before");
    memory_store_set_attributes(mount->memory, "old", &attributes);
    struct pair pair = pair_of("0123456789");
    struct vfs_entry old = memory_mount_found(mount, "old");
    struct handle *handle = memory_mount_opened_as(mount, old.inode, O_WRONLY | O_TRUNC);
    assert_int_equal(copy(pair.from, 0, handle, 0, 99), 10);
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "old", "0123456789");
    close_and_forget(handle, old.inode);
    old = memory_mount_found(mount, "old");
    assert_int_equal(old.attributes.st_mode & 0777, 0604);
    vfs_forget(mount->vfs, old.inode, 1);
    pair_done(&pair);
}

static void what_is_not_to_be_copied_is_refused(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    memory_mount_write(mount, pair.to, 0, "abcdef");
    assert_int_equal(copy(pair.to, 0, pair.from, 0, 1), -EBADF);
    assert_int_equal(copy(pair.to, 0, pair.to, 2, 3), -EINVAL);
    assert_int_equal(copy(pair.to, 2, pair.to, 0, 3), -EINVAL);
    assert_int_equal(copy(pair.to, 4, pair.to, 0, 9), 2); /* what is there does not overlap */
    assert_int_equal(copy(pair.from, 0, pair.to, mount->config.max_file_size - 9, 10), -EFBIG);
    memory_mount_expect_text(mount, pair.to, "efcdef");
    pair_done(&pair);
}

static void a_status_file_is_to_be_read(void **state) {
    (void)state;
    struct vfs_entry entry, status = memory_mount_found(mount, ".gridfs/status");
    struct handle *to = memory_mount_created(mount, root, "to", 0, &entry);
    struct handle *from = memory_mount_opened(mount, status.inode);
    assert_int_equal(copy(from, 0, to, 0, 99), -EOPNOTSUPP);
    close_and_forget(from, status.inode);
    close_and_forget(to, entry.inode);
}

static void a_source_without_content_gives_none(void **state) {
    (void)state;
    struct pair pair = pair_of("");
    assert_int_equal(copy(pair.from, 0, pair.to, 0, 99), 0);
    assert_int_equal(copy(pair.to, 0, pair.to, 0, 99), 0);
    pair_done(&pair);
}

/* Nobody has the source open any more, and its grace is over. */
static void what_a_copy_lies_over_is_kept_until_it_is_stored(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    assert_int_equal(copy(pair.from, 0, pair.to, 0, 99), 10);
    assert_int_equal(vfs_unlink(mount->vfs, root, "from"), 0);
    close_and_forget(pair.from, pair.from_entry.inode);
    memory_store_end_grace(mount->memory);
    vfs_tidy(mount->vfs);
    memory_mount_expect_text(mount, pair.to, "0123456789");
    close_and_forget(pair.to, pair.to_entry.inode);
    memory_mount_expect_stored(mount, "to", "0123456789");
}

static void a_source_that_is_replaced_meanwhile_gives_what_it_was(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    assert_int_equal(copy(pair.from, 0, pair.to, 0, 4), 4);
    struct handle *writer = memory_mount_opened_as(mount, pair.from_entry.inode, O_WRONLY | O_TRUNC);
    memory_mount_write(mount, writer, 0, "replaced by this mount");
    vfs_close(mount->vfs, writer);
    memory_store_end_grace(mount->memory);
    vfs_tidy(mount->vfs);
    memory_mount_expect_text(mount, pair.to, "0123");
    assert_int_equal(copy(pair.from, 4, pair.to, 4, 99), 18);
    assert_int_equal(flush(pair.to), 0);
    memory_mount_expect_stored(mount, "to", "0123aced by this mount");
    pair_done(&pair);
}

/* Another client deletes chunks at once. Nothing short is published; what was copied is kept and tried again. */
static void a_source_whose_chunks_are_gone_is_an_error(void **state) {
    (void)state;
    struct pair pair = pair_of("0123456789");
    assert_int_equal(copy(pair.from, 0, pair.to, 0, 99), 10);
    assert_true(memory_store_remove(mount->memory, "from"));
    assert_true(flush(pair.to) < 0);
    memory_mount_expect_stored(mount, "to", NULL);
    assert_int_equal(vfs_unlink(mount->vfs, root, "to"), 0);
    pair_done(&pair);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_copy_reads_nothing),
        TEST(a_copy_is_what_the_source_handle_reads),
        TEST(pieces_go_anywhere),
        TEST(a_copy_over_an_old_file_keeps_its_name_and_attributes),
        TEST(what_is_not_to_be_copied_is_refused),
        TEST(a_status_file_is_to_be_read),
        TEST(a_source_without_content_gives_none),
        TEST(what_a_copy_lies_over_is_kept_until_it_is_stored),
        TEST(a_source_that_is_replaced_meanwhile_gives_what_it_was),
        TEST(a_source_whose_chunks_are_gone_is_an_error),
    };
    return cmocka_run_group_tests_name("vfs_copy", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Content that cannot be stored: what the mount keeps, tries again, and keeps beside what others made meanwhile. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/log.h"
#include "fs/store/names.h"
#include "tests/unit/vfs_bench.h"

enum { RETRY_TICKS = 10 }; /* as fs/vfs/chores.c has it */

static struct handle *created(const char *name, int flags, struct vfs_entry *ret_entry) {
    return memory_mount_created(mount, root, name, flags, ret_entry);
}

static struct handle *opened(const char *path, int flags, struct vfs_entry *ret_entry) {
    *ret_entry = memory_mount_found(mount, path);
    return memory_mount_opened_as(mount, ret_entry->inode, flags);
}

static int truncated(struct inode *inode, struct handle *handle, int64_t size) {
    struct vfs_change change = {.set = VFS_SIZE, .size = size};
    struct stat attributes;
    return vfs_change(mount->vfs, inode, handle, &change, &attributes);
}

static void tick(unsigned times) {
    while (times--)
        vfs_tick(mount->vfs);
}

/* ---- the same name is still free, or still the base's ---- */

static void what_could_not_be_stored_shows_and_is_stored_by_the_next_flush(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "new");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    memory_mount_expect_text(mount, handle, "new");
    memory_mount_expect_stored(mount, "file", "old");
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "file", "new");
    close_and_forget(handle, entry.inode);
}

static void what_could_not_be_stored_at_the_close_is_tried_again(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "kept");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_file(mount, "file", "kept"); /* the kernel forgot it; the mount did not */
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", NULL);
    memory_mount_expect_file(mount, "file", "kept");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "kept");
    tick(RETRY_TICKS);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static void what_is_left_is_tried_once_more_at_the_end(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "kept");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    close_and_forget(handle, entry.inode);
    memory_mount_unmount(mount);
    memory_mount_expect_stored(mount, "file", "kept");
}

static void what_fails_to_the_end_leaves_no_claim(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "kept");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    vfs_close(mount->vfs, handle); /* the kernel still holds the inode */
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    memory_mount_unmount(mount);
    memory_mount_expect_stored(mount, "file", NULL);
}

static void what_fails_to_the_end_and_was_forgotten_leaves_no_claim(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    close_and_forget(handle, entry.inode);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    memory_mount_unmount(mount);
    memory_mount_expect_stored(mount, "file", NULL);
}

static void a_claim_that_was_lost_is_not_forgotten(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    memory_store_lose_lease(mount->memory, "file"); /* this host slept, and another one was faster */
    memory_mount_put(mount, "file", "theirs");
    assert_int_equal(flush(handle), -EEXIST);
    assert_int_equal(flush(handle), -EEXIST);
    close_and_forget(handle, entry.inode);
    tick(RETRY_TICKS);
    memory_mount_unmount(mount);
    memory_mount_expect_stored(mount, "file", "theirs");
}

static void a_put_whose_answer_was_lost_is_put_again(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "file", "content");
    close_and_forget(handle, entry.inode);
}

static void a_truncation_that_could_not_be_stored_is_tried_again(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(truncated(entry.inode, NULL, 3), -ETIMEDOUT);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_expect_stored(mount, "file", "0123456789");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "012");
}

/* ---- somebody else was there meanwhile ---- */

static void expect_recovered(const char *prefix, const char *content) {
    char name[NAMES_COMPONENT_MOST + 1];
    memory_mount_find_recovered(mount, name);
    assert_memory_equal(name, prefix, strlen(prefix));
    memory_mount_expect_stored(mount, name, content);
    memory_mount_expect_file(mount, name, content);
}

static void expect_nothing_recovered(void) {
    char name[NAMES_COMPONENT_MOST + 1];
    memory_mount_find_recovered(mount, name);
    assert_string_equal(name, "");
}

static void fail_and_close(struct handle *handle, struct inode *inode) {
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, inode);
}

static void what_was_replaced_meanwhile_stays_and_ours_is_kept_beside(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    fail_and_close(handle, entry.inode);
    memory_mount_put(mount, "file", "theirs");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "theirs");
    memory_mount_expect_file(mount, "file", "theirs");
    expect_recovered("file.recovered-2", "ours456789");
    tick(RETRY_TICKS); /* and that was all */
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static void what_was_removed_meanwhile_does_not_come_back_under_its_name(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "new");
    fail_and_close(handle, entry.inode);
    memory_store_remove(mount->memory, "file");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", NULL);
    expect_recovered("file.recovered-2", "new");
}

static void a_new_file_whose_name_was_made_by_another_is_kept_beside(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", 0, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    fail_and_close(handle, entry.inode);
    memory_mount_put(mount, "file", "theirs");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "theirs");
    expect_recovered("file.recovered-2", "ours");
}

static void an_exclusive_file_that_lost_its_name_is_kept_beside(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    fail_and_close(handle, entry.inode);
    memory_store_lose_lease(mount->memory, "file");
    memory_mount_put(mount, "file", "theirs");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "theirs");
    expect_recovered("file.recovered-2", "ours");
}

static void a_new_file_whose_claim_ran_out_claims_its_free_name_again(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    fail_and_close(handle, entry.inode);
    memory_store_lose_lease(mount->memory, "file");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "ours");
    expect_nothing_recovered();
}

static void an_earlier_try_that_arrived_is_not_somebody_else(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "new");
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, entry.inode);
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "new");
    expect_nothing_recovered();
}

static void a_name_that_is_long_is_cut_where_a_character_begins(void **state) {
    (void)state;
    char name[NAMES_COMPONENT_MOST + 1] = "", recovered[NAMES_COMPONENT_MOST + 1];
    for (int i = 0; i < 127; i++)
        strcat(name, "\xc3\xa9");
    memory_mount_put(mount, name, "old");
    struct vfs_entry entry;
    struct handle *handle = opened(name, O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "new");
    fail_and_close(handle, entry.inode);
    memory_mount_put(mount, name, "theirs");
    tick(RETRY_TICKS);
    memory_mount_find_recovered(mount, recovered);
    size_t kept = (size_t)(strstr(recovered, ".recovered-") - recovered);
    assert_true(strlen(recovered) <= NAMES_COMPONENT_MOST && kept % 2 == 0 && kept > 200);
    assert_memory_equal(recovered, name, kept);
    memory_mount_expect_stored(mount, recovered, "new");
}

static void who_has_it_open_still_reads_what_was_kept_beside_and_writes_no_more(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry, again;
    struct handle *handle = opened("file", O_RDWR, &entry), *other = opened("file", O_RDWR, &again);
    memory_mount_write(mount, handle, 0, "new");
    fail_and_close(handle, entry.inode);
    memory_mount_put(mount, "file", "theirs");
    tick(RETRY_TICKS);
    memory_mount_expect_text(mount, other, "new");
    expect_recovered("file.recovered-2", "new");
    close_and_forget(other, again.inode);
    memory_mount_expect_stored(mount, "file", "theirs");
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_could_not_be_stored_shows_and_is_stored_by_the_next_flush),
        TEST(what_could_not_be_stored_at_the_close_is_tried_again),
        TEST(what_is_left_is_tried_once_more_at_the_end),
        TEST(what_fails_to_the_end_leaves_no_claim),
        TEST(what_fails_to_the_end_and_was_forgotten_leaves_no_claim),
        TEST(a_claim_that_was_lost_is_not_forgotten),
        TEST(a_put_whose_answer_was_lost_is_put_again),
        TEST(a_truncation_that_could_not_be_stored_is_tried_again),
        TEST(what_was_replaced_meanwhile_stays_and_ours_is_kept_beside),
        TEST(what_was_removed_meanwhile_does_not_come_back_under_its_name),
        TEST(a_new_file_whose_name_was_made_by_another_is_kept_beside),
        TEST(an_exclusive_file_that_lost_its_name_is_kept_beside),
        TEST(a_new_file_whose_claim_ran_out_claims_its_free_name_again),
        TEST(an_earlier_try_that_arrived_is_not_somebody_else),
        TEST(a_name_that_is_long_is_cut_where_a_character_begins),
        TEST(who_has_it_open_still_reads_what_was_kept_beside_and_writes_no_more),
    };
    return cmocka_run_group_tests_name("vfs_unsaved", tests, be_quiet, NULL);
}

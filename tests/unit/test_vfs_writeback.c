// SPDX-License-Identifier: Apache-2.0
/* Writeback: a close leaves what was written in the journal, and it is stored later: the newest, once, under the name that
 * the file has by then, never over what others did. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/base/workers.h"
#include "cache/journal.h"
#include "fs/store/names.h"
#include "fs/vfs/unstored.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/vfs_bench.h"

enum { RETRY_TICKS = 10 }; /* as fs/vfs/chores.c has it */

static struct journal *journal;

static void remount(void) {
    if (mount->vfs)
        memory_mount_unmount(mount);
    journal_free(journal);
    assert_int_equal(journal_open(mount->folder, &journal), 0);
    mount->config.journal = journal;
    assert_int_equal(vfs_new(&mount->config, &mount->vfs), 0);
    root = vfs_root(mount->vfs);
}

/* Without uploaders: what waits is stored by the next tick. */
static int set_up_writeback(void **state) {
    set_up(state);
    mount->config.writeback = true;
    mount->config.waiting_files = 100;
    mount->config.waiting_bytes = 1 << 20;
    remount();
    return 0;
}

static int tear_down_writeback(void **state) {
    unsigned count;
    if (mount->vfs)
        memory_mount_unmount(mount);
    journal_free(journal);
    assert_int_equal(journal_open(mount->folder, &journal), 0);
    const uint64_t *left = journal_found(journal, &count);
    for (unsigned i = 0; i < count; i++)
        journal_remove(journal, left[i]);
    journal = journal_free(journal);
    bool counted = stats_get(STAT_waiting_files) || stats_get(STAT_waiting_bytes) || stats_get(STAT_unsaved_files);
    return tear_down(state) || count > 0 || counted;
}

static unsigned records(void) {
    struct journal *look;
    unsigned count;
    assert_int_equal(journal_open(mount->folder, &look), 0);
    journal_found(look, &count);
    journal_free(look);
    return count;
}

static void expect_waiting(unsigned files, unsigned failed) {
    assert_int_equal(stats_get(STAT_waiting_files), files);
    assert_int_equal(stats_get(STAT_unsaved_files), failed);
    assert_int_equal(records(), files + failed);
}

static void tick(unsigned times) {
    while (times--)
        vfs_tick(mount->vfs);
}

static struct handle *created(const char *name, int flags, struct vfs_entry *ret_entry) {
    return memory_mount_created(mount, root, name, flags, ret_entry);
}

static struct handle *opened(const char *path, int flags, struct vfs_entry *ret_entry) {
    *ret_entry = memory_mount_found(mount, path);
    return memory_mount_opened_as(mount, ret_entry->inode, flags);
}

static void close_it(struct handle *handle, struct inode *inode) {
    assert_int_equal(flush(handle), 0);
    close_and_forget(handle, inode);
}

static void write_file(const char *name, const char *content) {
    struct vfs_entry entry;
    struct handle *handle = created(name, 0, &entry);
    memory_mount_write(mount, handle, 0, content);
    close_it(handle, entry.inode);
}

static void write_over(const char *path, const char *content) {
    struct vfs_entry entry;
    struct handle *handle = opened(path, O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, content);
    close_it(handle, entry.inode);
}

static unsigned asked_to_put(void) {
    return atomic_load(&mount->faulty.calls[FAULTY_PUT]);
}

/* The server does not answer the end of this mount; what then happens to its journal. */
static void leave_to_the_next_mount(void) {
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    memory_mount_unmount(mount);
    assert_int_equal(records(), 1);
    remount();
    vfs_recover(mount->vfs);
    assert_int_equal(records(), 0);
}

static void expect_recovered(const char *content) {
    char name[NAMES_COMPONENT_MOST + 1];
    memory_mount_find_recovered(mount, name);
    assert_memory_equal(name, "file.recovered-2", 16);
    memory_mount_expect_stored(mount, name, content);
}

static void expect_nothing_recovered(void) {
    char name[NAMES_COMPONENT_MOST + 1];
    memory_mount_find_recovered(mount, name);
    assert_string_equal(name, "");
}

/* ---- close, and then ---- */

static void a_close_asks_the_server_nothing_and_what_was_written_is_there(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    assert_int_equal(flush(handle), 0);
    expect_waiting(1, 0);
    assert_int_equal(stats_get(STAT_waiting_bytes), 7);
    close_and_forget(handle, entry.inode);
    expect_waiting(1, 0);
    assert_int_equal(asked_to_put(), 0);
    memory_mount_expect_file(mount, "file", "content");
    tick(1);
    memory_mount_expect_stored(mount, "file", "content");
    expect_waiting(0, 0);
    assert_int_equal(stats_get(STAT_waiting_bytes), 0);
}

static void a_sync_waits_for_the_server(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    assert_int_equal(vfs_sync(mount->vfs, handle), -EIO);
    assert_int_equal(vfs_sync(mount->vfs, handle), 0);
    memory_mount_expect_stored(mount, "file", "content");
    assert_int_equal(records(), 0);
    close_it(handle, entry.inode);
    expect_waiting(0, 0);
}

static void an_empty_file_waits_as_well(void **state) {
    (void)state;
    write_file("file", "");
    expect_waiting(1, 0);
    tick(1);
    memory_mount_expect_stored(mount, "file", "");
}

static void a_truncation_by_name_waits_as_well(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct vfs_change change = {.set = VFS_SIZE, .size = 3};
    struct stat attributes;
    assert_int_equal(vfs_change(mount->vfs, entry.inode, NULL, &change, &attributes), 0);
    vfs_forget(mount->vfs, entry.inode, 1);
    expect_waiting(1, 0);
    memory_mount_expect_file(mount, "file", "012");
    tick(1);
    memory_mount_expect_stored(mount, "file", "012");
}

static void of_several_closes_the_last_is_stored_once(void **state) {
    (void)state;
    write_file("file", "first");
    write_over("file", "other");
    write_over("file", "third");
    expect_waiting(1, 0);
    tick(1);
    memory_mount_expect_stored(mount, "file", "third");
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static void what_is_being_written_again_is_not_stored_half(void **state) {
    (void)state;
    write_file("file", "whole");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "ha");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", NULL);
    expect_waiting(1, 0);
    memory_mount_write(mount, handle, 2, "lf no more");
    close_it(handle, entry.inode);
    tick(1);
    memory_mount_expect_stored(mount, "file", "half no more");
}

static void what_is_open_and_not_written_does_not_keep_it_waiting(void **state) {
    (void)state;
    write_file("file", "whole");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    tick(1);
    memory_mount_expect_stored(mount, "file", "whole");
    close_it(handle, entry.inode);
}

static void the_end_stores_what_waits(void **state) {
    (void)state;
    write_file("one", "1");
    write_file("two", "2");
    memory_mount_unmount(mount);
    memory_mount_expect_stored(mount, "one", "1");
    memory_mount_expect_stored(mount, "two", "2");
    assert_int_equal(records(), 0);
}

/* ---- what does not wait ---- */

static void what_the_journal_does_not_take_is_stored_by_the_close(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    atomic_store(&fake_disk.full, true);
    assert_int_equal(flush(handle), 0);
    atomic_store(&fake_disk.full, false);
    memory_mount_expect_stored(mount, "file", "content");
    expect_waiting(0, 0);
    close_and_forget(handle, entry.inode);
}

static void what_would_be_too_much_is_stored_by_the_close(void **state) {
    (void)state;
    mount->config.waiting_files = 1;
    mount->config.waiting_bytes = 10;
    remount();
    write_file("one", "1");
    write_file("two", "2");
    memory_mount_expect_stored(mount, "two", "2");
    write_over("one", "eleven byte");
    memory_mount_expect_stored(mount, "one", "eleven byte");
    assert_int_equal(records(), 0);
    write_over("one", "ten bytes!");
    expect_waiting(1, 0);
}

/* ---- failures ---- */

static void what_cannot_be_stored_is_said_and_tried_again(void **state) {
    (void)state;
    write_file("file", "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    tick(1);
    expect_waiting(0, 1);
    memory_mount_expect_file(mount, "file", "content");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "content");
    expect_waiting(0, 0);
}

static void what_is_refused_after_the_close_is_kept(void **state) {
    (void)state;
    write_file("file", "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EACCES);
    tick(1);
    expect_waiting(0, 1);
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "content");
}

static void a_silent_server_is_asked_for_one_file_at_a_time(void **state) {
    (void)state;
    for (char name[] = "a"; *name <= 'e'; ++*name)
        write_file(name, name);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    tick(1);
    assert_int_equal(asked_to_put(), 1);
    write_file("late", "late");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    tick(RETRY_TICKS);
    assert_int_equal(asked_to_put(), 2);
    expect_waiting(5, 1);
    tick(RETRY_TICKS);
    assert_int_equal(asked_to_put(), 2 + 6);
    expect_waiting(0, 0);
    memory_mount_expect_stored(mount, "e", "e");
    memory_mount_expect_stored(mount, "late", "late");
}

static void the_next_mount_stores_what_this_one_could_not(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", "new");
    leave_to_the_next_mount();
    memory_mount_expect_stored(mount, "file", "new3456789");
}

/* What is closed after a put whose answer was lost, and which another open has found. */
static void close_after_a_lost_answer(void) {
    memory_mount_put(mount, "file", "before");
    write_over("file", "first!");
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    tick(1);
    expect_waiting(0, 1);
    memory_mount_expect_stored(mount, "file", "first!");
    write_over("file", "second, and last");
}

static void a_try_that_arrived_unheard_of_is_nobody_else(void **state) {
    (void)state;
    close_after_a_lost_answer();
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    tick(RETRY_TICKS); /* the first is known to be there, the second fails */
    expect_waiting(0, 1);
    memory_mount_expect_file(mount, "file", "second, and last");
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "second, and last");
    assert_int_equal(memory_store_puts(mount->memory), 2);
    expect_nothing_recovered();
}

static void a_try_of_the_mount_before_is_nobody_else(void **state) {
    (void)state;
    close_after_a_lost_answer();
    leave_to_the_next_mount();
    memory_mount_expect_stored(mount, "file", "second, and last");
    expect_nothing_recovered();
}

/* The same through one handle, which finds nothing. */
static void flush_after_a_lost_answer(void) {
    memory_mount_put(mount, "file", "before");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "first!");
    assert_int_equal(flush(handle), 0);
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    tick(1);
    memory_mount_expect_stored(mount, "file", "first!");
    memory_mount_write(mount, handle, 0, "second, and last");
    close_it(handle, entry.inode);
}

static void a_try_with_less_of_it_is_nobody_else(void **state) {
    (void)state;
    flush_after_a_lost_answer();
    tick(RETRY_TICKS);
    memory_mount_expect_stored(mount, "file", "second, and last");
    expect_nothing_recovered();
}

static void a_try_of_the_mount_before_with_less_of_it_is_nobody_else(void **state) {
    (void)state;
    flush_after_a_lost_answer();
    leave_to_the_next_mount();
    memory_mount_expect_stored(mount, "file", "second, and last");
    expect_nothing_recovered();
}

static void a_record_says_all_before_anybody_has_tried(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "before"); /* as another application does, which gives it no identity */
    write_over("file", "after");
    struct journal *look;
    cleanup_with(journal_record_free) struct journal_record *record = NULL;
    struct unstored unstored;
    unsigned count;
    size_t size;
    assert_int_equal(journal_open(mount->folder, &look), 0);
    const uint64_t *numbers = journal_found(look, &count);
    assert_int_equal(count, 1);
    assert_int_equal(journal_read(look, numbers[0], &record), 0);
    const void *facts = journal_record_facts(record, &size);
    assert_int_equal(unstored_decode(facts, size, &unstored), 0);
    unstored_done(&unstored);
    journal_free(look);
    tick(1);
}

/* ---- others ---- */

static void what_others_put_meanwhile_stays_and_ours_is_kept_beside(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", "ours");
    memory_mount_put(mount, "file", "theirs");
    tick(1);
    memory_mount_expect_stored(mount, "file", "theirs");
    memory_mount_expect_file(mount, "file", "theirs");
    expect_recovered("ours456789");
}

static void a_new_file_that_another_made_meanwhile_is_kept_beside(void **state) {
    (void)state;
    write_file("file", "ours");
    memory_mount_put(mount, "file", "theirs");
    tick(1);
    memory_mount_expect_stored(mount, "file", "theirs");
    expect_recovered("ours");
}

/* ---- names ---- */

static void what_was_removed_is_not_stored(void **state) {
    (void)state;
    memory_mount_put(mount, "old", "before");
    write_file("file", "content");
    write_over("old", "after");
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
    assert_int_equal(vfs_unlink(mount->vfs, root, "old"), 0);
    assert_int_equal(records(), 0);
    tick(1);
    memory_mount_expect_stored(mount, "file", NULL);
    memory_mount_expect_stored(mount, "old", NULL);
    assert_int_equal(asked_to_put(), 0);
    expect_nothing_recovered();
}

static void what_was_replaced_by_a_rename_is_not_stored(void **state) {
    (void)state;
    memory_mount_put(mount, "other", "other");
    memory_mount_put(mount, "file", "before");
    write_over("file", "after");
    assert_int_equal(vfs_rename(mount->vfs, root, "other", root, "file", 0), 0);
    assert_int_equal(records(), 0);
    tick(1);
    memory_mount_expect_stored(mount, "file", "other");
    assert_int_equal(asked_to_put(), 0);
    expect_nothing_recovered();
}

static void a_new_file_that_is_renamed_is_stored_under_its_name(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "before");
    write_file("temporary", "after");
    assert_int_equal(vfs_rename(mount->vfs, root, "temporary", root, "file", 0), 0);
    tick(1);
    memory_mount_expect_stored(mount, "file", "after");
    memory_mount_expect_stored(mount, "temporary", NULL);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static void a_change_of_a_renamed_file_is_stored_under_its_new_name(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "before");
    write_over("file", "after!");
    assert_int_equal(vfs_rename(mount->vfs, root, "file", root, "moved", 0), 0);
    tick(1);
    memory_mount_expect_stored(mount, "moved", "after!");
    memory_mount_expect_stored(mount, "file", NULL);
}

static void the_next_mount_knows_the_directory_by_its_new_name(void **state) {
    (void)state;
    struct vfs_entry directory, entry;
    assert_int_equal(vfs_mkdir(mount->vfs, root, "old", 0755, &memory_mount_caller, &directory), 0);
    struct handle *handle = memory_mount_created(mount, directory.inode, "file", 0, &entry);
    memory_mount_write(mount, handle, 0, "content");
    close_it(handle, entry.inode);
    assert_int_equal(vfs_rename(mount->vfs, root, "old", root, "new", 0), 0);
    vfs_forget(mount->vfs, directory.inode, 1);
    leave_to_the_next_mount();
    memory_mount_expect_stored(mount, "new/file", "content");
    memory_mount_expect_stored(mount, "old/file", NULL);
}

static void the_next_mount_knows_of_a_chmod_after_the_close(void **state) {
    (void)state;
    write_file("file", "content");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct vfs_change change = {.set = VFS_MODE, .mode = 0600};
    struct stat attributes;
    assert_int_equal(vfs_change(mount->vfs, entry.inode, NULL, &change, &attributes), 0);
    vfs_forget(mount->vfs, entry.inode, 1);
    leave_to_the_next_mount();
    entry = memory_mount_found(mount, "file");
    assert_int_equal(entry.attributes.st_mode & 07777, 0600);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void a_hard_link_is_one_of_what_was_closed(void **state) {
    (void)state;
    write_file("file", "content");
    struct vfs_entry entry = memory_mount_found(mount, "file"), further;
    assert_int_equal(vfs_link(mount->vfs, entry.inode, root, "further", &further), 0);
    memory_mount_expect_stored(mount, "file", "content");
    assert_int_equal(further.attributes.st_nlink, 2);
    vfs_forget(mount->vfs, entry.inode, 2);
    tick(1);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

/* ---- with uploaders ---- */

static struct workers *uploaders;

static void start_uploaders(void) {
    mount->config.uploaders = uploaders = workers_new(2, 8);
    remount();
}

static void stop_uploaders(void) {
    vfs_settle(mount->vfs);
    uploaders = workers_free(uploaders);
    memory_mount_unmount(mount);
}

static void several_are_stored_at_once_and_none_is_waited_for(void **state) {
    (void)state;
    struct gate *gate = &mount->faulty.gates[FAULTY_PUT];
    start_uploaders();
    gate_shut(gate);
    for (char name[] = "a"; *name <= 'd'; ++*name)
        write_file(name, name);
    gate_await(gate, 2);
    expect_waiting(4, 0);
    memory_mount_expect_file(mount, "a", "a");
    assert_int_equal(vfs_unlink(mount->vfs, root, "d"), 0); /* it is not under way yet */
    gate_open(gate);
    stop_uploaders();
    memory_mount_expect_stored(mount, "a", "a");
    memory_mount_expect_stored(mount, "c", "c");
    memory_mount_expect_stored(mount, "d", NULL);
}

static void *write_again(void *context) {
    (void)context;
    write_over("file", "newer");
    return NULL;
}

static void what_is_closed_while_it_is_being_stored_is_stored_after_it(void **state) {
    (void)state;
    struct gate *gate = &mount->faulty.gates[FAULTY_PUT];
    pthread_t thread;
    start_uploaders();
    gate_shut(gate);
    write_file("file", "older");
    gate_await(gate, 1);
    assert_int_equal(pthread_create(&thread, NULL, write_again, NULL), 0);
    gate_open(gate);
    assert_int_equal(pthread_join(thread, NULL), 0);
    stop_uploaders();
    memory_mount_expect_stored(mount, "file", "newer");
    assert_int_equal(records(), 0);
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_writeback, tear_down_writeback)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_close_asks_the_server_nothing_and_what_was_written_is_there),
        TEST(a_sync_waits_for_the_server),
        TEST(an_empty_file_waits_as_well),
        TEST(a_truncation_by_name_waits_as_well),
        TEST(of_several_closes_the_last_is_stored_once),
        TEST(what_is_being_written_again_is_not_stored_half),
        TEST(what_is_open_and_not_written_does_not_keep_it_waiting),
        TEST(the_end_stores_what_waits),
        TEST(what_the_journal_does_not_take_is_stored_by_the_close),
        TEST(what_would_be_too_much_is_stored_by_the_close),
        TEST(what_cannot_be_stored_is_said_and_tried_again),
        TEST(what_is_refused_after_the_close_is_kept),
        TEST(a_silent_server_is_asked_for_one_file_at_a_time),
        TEST(the_next_mount_stores_what_this_one_could_not),
        TEST(a_try_that_arrived_unheard_of_is_nobody_else),
        TEST(a_try_of_the_mount_before_is_nobody_else),
        TEST(a_try_with_less_of_it_is_nobody_else),
        TEST(a_try_of_the_mount_before_with_less_of_it_is_nobody_else),
        TEST(a_record_says_all_before_anybody_has_tried),
        TEST(what_others_put_meanwhile_stays_and_ours_is_kept_beside),
        TEST(a_new_file_that_another_made_meanwhile_is_kept_beside),
        TEST(what_was_removed_is_not_stored),
        TEST(what_was_replaced_by_a_rename_is_not_stored),
        TEST(a_new_file_that_is_renamed_is_stored_under_its_name),
        TEST(a_change_of_a_renamed_file_is_stored_under_its_new_name),
        TEST(the_next_mount_knows_the_directory_by_its_new_name),
        TEST(the_next_mount_knows_of_a_chmod_after_the_close),
        TEST(a_hard_link_is_one_of_what_was_closed),
        TEST(several_are_stored_at_once_and_none_is_waited_for),
        TEST(what_is_closed_while_it_is_being_stored_is_stored_after_it),
    };
    return cmocka_run_group_tests_name("vfs_writeback", tests, be_quiet, NULL);
}

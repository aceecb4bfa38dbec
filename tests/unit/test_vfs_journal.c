// SPDX-License-Identifier: Apache-2.0
/* Content that cannot be stored while the mount lives: what the next one makes of it. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "cache/journal.h"
#include "fs/store/names.h"
#include "fs/vfs/unstored.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/vfs_bench.h"

enum { RETRY_TICKS = 10 }; /* as fs/vfs/chores.c has it */

static struct journal *journal;

/* The next mount of the same database, with the same staging directory. */
static void remount(void) {
    if (mount->vfs)
        memory_mount_unmount(mount);
    journal_free(journal);
    assert_int_equal(journal_open(mount->folder, &journal), 0);
    mount->config.journal = journal;
    assert_int_equal(vfs_new(&mount->config, &mount->vfs), 0);
    root = vfs_root(mount->vfs);
}

static int set_up_journal(void **state) {
    set_up(state);
    remount();
    return 0;
}

/* A record that is left fails the test, but not those to come. */
static int tear_down_journal(void **state) {
    unsigned count;
    if (mount->vfs)
        memory_mount_unmount(mount);
    journal_free(journal);
    assert_int_equal(journal_open(mount->folder, &journal), 0);
    const uint64_t *left = journal_found(journal, &count);
    for (unsigned i = 0; i < count; i++)
        journal_remove(journal, left[i]);
    journal = journal_free(journal);
    return tear_down(state) || count > 0;
}

static uint64_t unsaved(void) {
    return stats_get(STAT_unsaved_files);
}

static unsigned records(void) {
    struct journal *look;
    unsigned count;
    assert_int_equal(journal_open(mount->folder, &look), 0);
    journal_found(look, &count);
    journal_free(look);
    return count;
}

static struct handle *created(const char *name, int flags, struct vfs_entry *ret_entry) {
    return memory_mount_created(mount, root, name, flags, ret_entry);
}

static struct handle *opened(const char *path, int flags, struct vfs_entry *ret_entry) {
    *ret_entry = memory_mount_found(mount, path);
    return memory_mount_opened_as(mount, ret_entry->inode, flags);
}

/* The close, the try of the last close and that of the unmount fail; then the mount is gone. */
static void fail_to_the_end(struct handle *handle, struct inode *inode) {
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    assert_int_equal(records(), 1); /* before the close returned */
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, inode);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    memory_mount_unmount(mount);
    assert_int_equal(records(), 1);
}

static void recover(void) {
    remount();
    vfs_recover(mount->vfs);
}

static void write_over(const char *path, int64_t offset, const char *text) {
    struct vfs_entry entry;
    struct handle *handle = opened(path, O_RDWR, &entry);
    memory_mount_write(mount, handle, offset, text);
    fail_to_the_end(handle, entry.inode);
}

/* What is beside `file`; NULL: nothing. */
static void expect_recovered(const char *expected, size_t size) {
    char name[NAMES_COMPONENT_MOST + 1];
    memory_mount_find_recovered(mount, name);
    if (!expected) {
        assert_string_equal(name, "");
        return;
    }
    size_t length = 0;
    const char *content = memory_store_content(mount->memory, name, &length);
    assert_memory_equal(name, "file.recovered-2", 16);
    assert_non_null(content);
    assert_int_equal(length, size);
    assert_memory_equal(content, expected, size);
}

/* ---- nobody else was there ---- */

static void a_change_is_stored_by_the_next_mount(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", 2, "new");
    memory_mount_expect_stored(mount, "file", "0123456789");
    remount();
    assert_int_equal(unsaved(), 1);
    vfs_recover(mount->vfs);
    memory_mount_expect_stored(mount, "file", "01new56789");
    memory_mount_expect_file(mount, "file", "01new56789");
    assert_int_equal(unsaved(), 0);
    assert_int_equal(records(), 0);
    expect_recovered(NULL, 0);
}

static void a_new_file_is_stored_by_the_next_mount(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    fail_to_the_end(handle, entry.inode);
    memory_mount_expect_stored(mount, "file", NULL);
    recover();
    memory_mount_expect_stored(mount, "file", "content");
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static void what_was_stored_after_all_leaves_no_record(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    assert_int_equal(flush(handle), -EIO);
    assert_int_equal(records(), 1);
    assert_int_equal(flush(handle), 0);
    assert_int_equal(records(), 0);
    close_and_forget(handle, entry.inode);
}

static void the_record_is_of_what_was_written_last(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    assert_int_equal(flush(handle), -EIO);
    memory_mount_write(mount, handle, 3, "fused");
    fail_to_the_end(handle, entry.inode);
    recover();
    memory_mount_expect_stored(mount, "file", "confused");
}

static void what_is_open_is_kept_when_the_end_is_near(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry, reading;
    struct handle *handle = opened("file", O_RDWR, &entry), *other = opened("file", O_RDONLY, &reading);
    assert_true(vfs_keep_unstored(mount->vfs));
    assert_int_equal(records(), 0);
    memory_mount_write(mount, handle, 2, "new");
    assert_true(vfs_keep_unstored(mount->vfs));
    assert_int_equal(records(), 1);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, entry.inode);
    close_and_forget(other, reading.inode);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    recover();
    memory_mount_expect_stored(mount, "file", "01new56789");
}

static void what_is_kept_and_stored_all_the_same_leaves_no_record(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    assert_true(vfs_keep_unstored(mount->vfs));
    assert_int_equal(records(), 1);
    vfs_settle(mount->vfs);
    assert_int_equal(records(), 0);
    memory_mount_expect_stored(mount, "file", "content");
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void a_full_disk_keeps_nothing_at_the_end(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    atomic_store(&fake_disk.full, true);
    assert_false(vfs_keep_unstored(mount->vfs));
    atomic_store(&fake_disk.full, false);
    close_and_forget(handle, entry.inode);
}

static void *flush_it(void *handle) {
    return (void *)(intptr_t)flush(handle);
}

static void what_is_being_stored_is_kept_when_the_end_is_near(void **state) {
    (void)state;
    struct vfs_entry entry;
    pthread_t thread;
    void *result;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    gate_shut(&mount->faulty.gates[FAULTY_PUT]);
    assert_int_equal(pthread_create(&thread, NULL, flush_it, handle), 0);
    gate_await(&mount->faulty.gates[FAULTY_PUT], 1);
    assert_true(vfs_keep_unstored(mount->vfs));
    assert_int_equal(records(), 1);
    gate_open(&mount->faulty.gates[FAULTY_PUT]);
    assert_int_equal(pthread_join(thread, &result), 0);
    assert_null(result);
    assert_int_equal(records(), 0);
    close_and_forget(handle, entry.inode);
}

static ino_t record_file(void) {
    char path[100];
    struct stat status;
    snprintf(path, sizeof path, "%s/0000000000000001.record", mount->folder);
    assert_int_equal(stat(path, &status), 0);
    return status.st_ino;
}

static void a_record_is_written_again_only_when_it_would_say_something_else(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct vfs_change change = {.set = VFS_MODE, .mode = 0600};
    struct stat attributes;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    ino_t first = record_file(), second;
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    assert_int_equal(record_file(), first);
    memory_mount_write(mount, handle, 0, "C");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    assert_int_not_equal(second = record_file(), first);
    assert_int_equal(vfs_change(mount->vfs, entry.inode, handle, &change, &attributes), 0);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, entry.inode);
    assert_int_not_equal(record_file(), second);
    for (int i = 0; i < RETRY_TICKS; i++)
        vfs_tick(mount->vfs);
    memory_mount_expect_stored(mount, "file", "Content");
}

static void mode_and_times_come_along(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    struct vfs_change change = {.set = VFS_MODE | VFS_MTIME, .mode = 0600, .mtime = {.tv_sec = 1234, .tv_nsec = 5}};
    struct stat attributes;
    memory_mount_write(mount, handle, 0, "content");
    assert_int_equal(vfs_change(mount->vfs, entry.inode, handle, &change, &attributes), 0);
    fail_to_the_end(handle, entry.inode);
    recover();
    entry = memory_mount_found(mount, "file");
    assert_int_equal(entry.attributes.st_mode & 07777, 0600);
    assert_int_equal(entry.attributes.st_mtim.tv_sec, 1234);
    assert_int_equal(entry.attributes.st_mtim.tv_nsec, 5);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void what_was_removed_is_not_stored_again(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EIO);
    assert_int_equal(flush(handle), -EIO);
    assert_int_equal(records(), 1);
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
    assert_int_equal(records(), 0);
    close_and_forget(handle, entry.inode);
}

static void who_may_not_write_leaves_no_record(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EACCES);
    assert_int_equal(flush(handle), -EACCES);
    assert_int_equal(records(), 0);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -EACCES);
    close_and_forget(handle, entry.inode);
}

static void what_was_stored_just_before_the_end_is_stored_over_itself(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 2, "new");
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, entry.inode);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    recover();
    memory_mount_expect_stored(mount, "file", "01new56789");
    expect_recovered(NULL, 0);
}

static void a_new_file_stored_just_before_the_end_is_stored_over_itself(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "content");
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, entry.inode);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    recover();
    memory_mount_expect_stored(mount, "file", "content");
    expect_recovered(NULL, 0);
}

/* ---- somebody else was ---- */

static void what_was_replaced_stays_and_ours_is_kept_beside(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", 2, "ours");
    memory_mount_put(mount, "file", "theirs");
    uint64_t before = stats_get(STAT_recovered_files);
    recover();
    memory_mount_expect_stored(mount, "file", "theirs");
    expect_recovered("01ours6789", 10);
    assert_int_equal(stats_get(STAT_recovered_files), before + 1);
}

static void a_new_file_whose_name_was_taken_is_kept_beside(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", 0, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    fail_to_the_end(handle, entry.inode);
    memory_store_node(mount->memory, "file", STORE_DIRECTORY, NULL);
    recover();
    expect_recovered("ours", 4);
}

static void a_name_that_is_claimed_is_waited_for(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", 0, &entry);
    struct store_lease *lease;
    memory_mount_write(mount, handle, 0, "ours");
    fail_to_the_end(handle, entry.inode);
    struct store *store = memory_store_store(mount->memory);
    assert_int_equal(store->ops->reserve(store, "file", &lease), 0); /* the mount that died had one */
    recover();
    expect_recovered(NULL, 0);
    assert_int_equal(unsaved(), 1);
    store->ops->release(store, lease);
    recover();
    memory_mount_expect_stored(mount, "file", "ours");
    expect_recovered(NULL, 0);
}

static void what_lay_under_it_and_was_deleted_is_zeros_beside(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", 2, "ours");
    memory_store_remove(mount->memory, "file");
    recover();
    memory_mount_expect_stored(mount, "file", NULL);
    expect_recovered("\0\0ours\0\0\0\0", 10);
}

static void what_needs_nothing_of_a_deleted_file_is_whole(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR | O_TRUNC, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    fail_to_the_end(handle, entry.inode);
    memory_store_remove(mount->memory, "file");
    recover();
    expect_recovered("ours", 4);
}

static void who_died_after_keeping_it_beside_keeps_it_once(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", 2, "ours");
    memory_mount_put(mount, "file", "theirs");
    faulty_store_lose_answer(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    recover();
    assert_int_equal(records(), 1);
    recover();
    expect_recovered("01ours6789", 10);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

/* ---- what fails ---- */

static void what_cannot_be_stored_yet_stays_for_the_mount_after_next(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    write_over("file", 2, "new");
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    recover();
    assert_int_equal(unsaved(), 1);
    unsigned keeps = atomic_load(&mount->faulty.calls[FAULTY_KEEP]);
    vfs_keep_open(mount->vfs); /* what it is a change of is needed still */
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_KEEP]), keeps + 1);
    vfs_recover(mount->vfs); /* too early */
    memory_mount_expect_stored(mount, "file", "0123456789");
    remount();
    vfs_stop_recovering(mount->vfs);
    vfs_recover(mount->vfs);
    memory_mount_expect_stored(mount, "file", "0123456789");
    recover();
    memory_mount_expect_stored(mount, "file", "01new56789");
}

static void a_full_disk_is_counted_and_the_file_is_still_tried_again(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_EXCL, &entry);
    uint64_t before = stats_get(STAT_failed_records);
    memory_mount_write(mount, handle, 0, "content");
    atomic_store(&fake_disk.full, true);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    atomic_store(&fake_disk.full, false);
    assert_int_equal(records(), 0);
    assert_int_equal(stats_get(STAT_failed_records), before + 1);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    close_and_forget(handle, entry.inode);
    assert_int_equal(records(), 1);
    for (int i = 0; i < RETRY_TICKS; i++)
        vfs_tick(mount->vfs);
    memory_mount_expect_stored(mount, "file", "content");
    assert_int_equal(records(), 0);
}

static void put_record(const char *name, const void *bytes, size_t size) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s", mount->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

static void remove_bad(const char *name) {
    char path[100];
    snprintf(path, sizeof path, "%s/%s", mount->folder, name);
    assert_int_equal(unlink(path), 0);
}

static void a_damaged_record_is_set_aside_and_shown(void **state) {
    (void)state;
    uint64_t before = stats_get(STAT_damaged_records);
    put_record("0000000000000007.record", "garbage", 7);
    recover();
    assert_int_equal(records(), 0);
    assert_int_equal(unsaved(), 0);
    assert_int_equal(stats_get(STAT_damaged_records), before + 1);
    remove_bad("0000000000000007.bad");
}

static void sound_facts_that_make_no_sense_are_set_aside(void **state) {
    (void)state;
    const struct staged_base none = {0};
    struct staged *staged = staged_new(mount->staging, &none, NULL, 0);
    assert_int_equal(journal_write(journal, 9, "no facts", 8, staged), 0);
    staged_free(staged);
    recover();
    assert_int_equal(records(), 0);
    remove_bad("0000000000000009.bad");
}

/* ---- facts ---- */

static struct revision *some_revision(void) {
    struct revision *revision = revision_new("an id of any kind", 17);
    memcpy(revision->key, "0123456789abcdef", REVISION_KEY);
    revision->length = 1000;
    revision->date_ms = -5;
    revision->content_date_ms = INT64_MIN;
    revision->chunk_size = 255 << 10;
    revision->posix = POSIX_OWN;
    revision->attributes = (struct attributes){.has = ATTRIBUTES_MODE | ATTRIBUTES_LINKS, .mode = 0640, .links = 3};
    revision->holes = calloc(2, sizeof *revision->holes);
    revision->hole_count = 2;
    revision->holes[0] = (struct hole){.offset = 0, .length = 10};
    revision->holes[1] = (struct hole){.offset = 900, .length = 100};
    return revision;
}

static struct unstored some_facts(struct revision *base) {
    struct unstored unstored = {.bucket = "fs", .path = "a/b", .failed_ms = 77, .base = base};
    attributes_new_file(&unstored.attributes);
    unstored.attributes.mtime_ns = 123;
    memset(unstored.beside, 'b', sizeof unstored.beside);
    return unstored;
}

static void facts_come_back_as_they_were(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *base = some_revision();
    struct unstored unstored = some_facts(base), back;
    cleanup_free void *bytes = NULL, *again = NULL;
    size_t size, size_again;
    assert_int_equal(unstored_encode(&unstored, &bytes, &size), 0);
    assert_int_equal(unstored_decode(bytes, size, &back), 0);
    assert_string_equal(back.bucket, "fs");
    assert_string_equal(back.path, "a/b");
    assert_null(back.under);
    assert_true(revision_same_content(back.base, base));
    assert_int_equal(back.base->hole_count, 2);
    assert_int_equal(back.base->content_date_ms, INT64_MIN);
    assert_memory_equal(back.attributes.file, unstored.attributes.file, ATTRIBUTES_FILE_SIZE);
    assert_int_equal(back.attributes.identity, unstored.attributes.identity);
    assert_int_equal(unstored_encode(&back, &again, &size_again), 0);
    assert_int_equal(size_again, size);
    assert_memory_equal(again, bytes, size);
    unstored_done(&back);
}

static void marks_of_tries_come_back_as_they_were(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *base = some_revision();
    struct unstored unstored = some_facts(base), back;
    cleanup_free char *bytes = NULL;
    size_t size;
    for (int i = 0; i < MARKS_MOST + 2; i++)
        marks_add(&unstored.unheard, &(struct mark){.length = i, .mtime_ns = -i, .ctime_ns = 99});
    assert_int_equal(unstored_encode(&unstored, (void **)&bytes, &size), 0);
    assert_int_equal(unstored_decode(bytes, size, &back), 0);
    assert_int_equal(back.unheard.count, MARKS_MOST);
    assert_int_equal(back.unheard.list[0].length, 2);
    assert_int_equal(back.unheard.list[MARKS_MOST - 1].mtime_ns, -MARKS_MOST - 1);
    assert_int_equal(back.unheard.list[1].ctime_ns, 99);
    unstored_done(&back);
    assert_int_equal(unstored_decode(bytes, size - 1, &back), -EBADMSG);
}

static void facts_that_are_cut_or_longer_are_refused(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *base = some_revision();
    struct unstored unstored = some_facts(base), back;
    cleanup_free char *bytes = NULL;
    size_t size;
    assert_int_equal(unstored_encode(&unstored, (void **)&bytes, &size), 0);
    for (size_t end = 0; end < size; end++)
        assert_int_equal(unstored_decode(bytes, end, &back), -EBADMSG);
    bytes = realloc(bytes, size + 1);
    bytes[size] = 0;
    assert_int_equal(unstored_decode(bytes, size + 1, &back), -EBADMSG);
}

static void expect_refused(const struct unstored *unstored) {
    cleanup_free void *bytes = NULL;
    size_t size;
    struct unstored back;
    assert_int_equal(unstored_encode(unstored, &bytes, &size), 0);
    assert_int_equal(unstored_decode(bytes, size, &back), -EBADMSG);
}

static void facts_that_cannot_be_are_refused(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *base = some_revision();
    struct unstored sound = some_facts(base), bad = sound;
    bad.path = "../up";
    expect_refused(&bad);
    bad.path = "/a";
    expect_refused(&bad);
    bad.path = "";
    expect_refused(&bad);
    bad = sound;
    bad.bucket = "";
    expect_refused(&bad);
    bad = sound;
    bad.attributes.has = 0;
    expect_refused(&bad);
    base->holes[1].length = 101;
    expect_refused(&sound);
    base->holes[1].length = 100;
    base->chunk_size = 0;
    expect_refused(&sound);
    base->chunk_size = 1;
    base->length = -1;
    expect_refused(&sound);
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up_journal, tear_down_journal)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_change_is_stored_by_the_next_mount),
        TEST(a_new_file_is_stored_by_the_next_mount),
        TEST(what_was_stored_after_all_leaves_no_record),
        TEST(the_record_is_of_what_was_written_last),
        TEST(what_is_open_is_kept_when_the_end_is_near),
        TEST(what_is_kept_and_stored_all_the_same_leaves_no_record),
        TEST(a_full_disk_keeps_nothing_at_the_end),
        TEST(what_is_being_stored_is_kept_when_the_end_is_near),
        TEST(a_record_is_written_again_only_when_it_would_say_something_else),
        TEST(mode_and_times_come_along),
        TEST(what_was_removed_is_not_stored_again),
        TEST(who_may_not_write_leaves_no_record),
        TEST(what_was_stored_just_before_the_end_is_stored_over_itself),
        TEST(a_new_file_stored_just_before_the_end_is_stored_over_itself),
        TEST(what_was_replaced_stays_and_ours_is_kept_beside),
        TEST(a_new_file_whose_name_was_taken_is_kept_beside),
        TEST(a_name_that_is_claimed_is_waited_for),
        TEST(what_lay_under_it_and_was_deleted_is_zeros_beside),
        TEST(what_needs_nothing_of_a_deleted_file_is_whole),
        TEST(who_died_after_keeping_it_beside_keeps_it_once),
        TEST(what_cannot_be_stored_yet_stays_for_the_mount_after_next),
        TEST(a_full_disk_is_counted_and_the_file_is_still_tried_again),
        TEST(a_damaged_record_is_set_aside_and_shown),
        TEST(sound_facts_that_make_no_sense_are_set_aside),
        cmocka_unit_test(facts_come_back_as_they_were),
        cmocka_unit_test(marks_of_tries_come_back_as_they_were),
        cmocka_unit_test(facts_that_are_cut_or_longer_are_refused),
        cmocka_unit_test(facts_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("vfs_journal", tests, be_quiet, NULL);
}

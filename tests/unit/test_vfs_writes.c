// SPDX-License-Identifier: Apache-2.0
/* Content that is written through a vfs: when it is published. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/log.h"
#include "tests/unit/vfs_bench.h"

static struct handle *created(const char *name, int flags, struct vfs_entry *ret_entry) {
    return memory_mount_created(mount, root, name, flags, ret_entry);
}

static struct handle *opened(const char *path, int flags, struct vfs_entry *ret_entry) {
    *ret_entry = memory_mount_found(mount, path);
    return memory_mount_opened_as(mount, ret_entry->inode, flags);
}

static off_t size_of(struct inode *inode) {
    struct stat attributes;
    assert_int_equal(vfs_attributes(mount->vfs, inode, &attributes), 0);
    return attributes.st_size;
}

static int truncated(struct inode *inode, struct handle *handle, int64_t size) {
    struct vfs_change change = {.set = VFS_SIZE, .size = size};
    struct stat attributes;
    int result = vfs_change(mount->vfs, inode, handle, &change, &attributes);
    if (result == 0)
        assert_int_equal(attributes.st_size, size);
    return result;
}

/* ---- when it is published ---- */

static void a_new_file_is_published_by_its_first_flush_and_once(void **state) {
    (void)state;
    struct vfs_entry entry, other;
    struct handle *handle = created("new", 0, &entry);
    memory_mount_write(mount, handle, 0, "hello");
    memory_mount_expect_stored(mount, "new", NULL);
    memory_mount_expect_text(mount, handle, "hello");
    assert_int_equal(size_of(entry.inode), 5);
    other = memory_mount_found(mount, "new"); /* this mount knows it already */
    assert_ptr_equal(other.inode, entry.inode);
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "new", "hello");
    assert_int_equal(flush(handle), 0);
    assert_int_equal(vfs_sync(mount->vfs, handle), 0);
    vfs_close(mount->vfs, handle);
    assert_int_equal(memory_store_puts(mount->memory), 1);
    memory_mount_expect_file(mount, "new", "hello");
    other = memory_mount_found(mount, "new");
    assert_ptr_equal(other.inode, entry.inode); /* what this mount publishes keeps its inode */
    assert_true(other.attributes.st_ino == entry.attributes.st_ino);
    vfs_forget(mount->vfs, entry.inode, 3);
}

static void a_file_created_without_a_write_is_published_empty(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("empty", 0, &entry);
    memory_mount_expect_text(mount, handle, "");
    memory_mount_expect_stored(mount, "empty", NULL);
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "empty", "");
    close_and_forget(handle, entry.inode);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

static void a_closed_handle_publishes_what_is_left(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("left", 0, &entry);
    assert_int_equal(flush(handle), 0);
    memory_mount_write(mount, handle, 0, "pages of mmap");
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "left", "pages of mmap");
}

static void handles_left_at_the_end_are_published(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("left", O_EXCL, &entry);
    memory_mount_write(mount, handle, 0, "never closed");
    memory_mount_unmount(mount);
    memory_mount_expect_stored(mount, "left", "never closed");
}

static void what_is_written_lies_over_what_was_there(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 2, "ab");
    memory_mount_write(mount, handle, 10, "X");
    memory_mount_expect_text(mount, handle, "01ab456789X");
    memory_mount_expect_stored(mount, "file", "0123456789");
    assert_int_equal(vfs_sync(mount->vfs, handle), 0);
    memory_mount_expect_stored(mount, "file", "01ab456789X");
    memory_mount_write(mount, handle, 0, "Y"); /* over what was just published */
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "file", "Y1ab456789X");
    memory_mount_expect_file(mount, "file", "Y1ab456789X");
}

static void an_open_for_writing_alone_publishes_nothing(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "as it was");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_expect_text(mount, handle, "as it was");
    assert_int_equal(flush(handle), 0);
    close_and_forget(handle, entry.inode);
    handle = opened("file", O_RDONLY, &entry);
    assert_int_equal(vfs_write(mount->vfs, handle, 0, "x", 1, &memory_mount_caller), -EBADF);
    assert_int_equal(vfs_allocate(mount->vfs, handle, 0, 0, 1), -EBADF);
    assert_int_equal(flush(handle), 0);
    close_and_forget(handle, entry.inode);
    assert_int_equal(memory_store_puts(mount->memory), 0);
}

static void two_handles_see_each_others_writes(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry one, other, reader;
    struct handle *first = opened("file", O_RDWR, &one), *second = opened("file", O_WRONLY, &other);
    struct handle *third = opened("file", O_RDONLY, &reader);
    assert_ptr_equal(one.inode, other.inode);
    memory_mount_write(mount, first, 0, "first");
    memory_mount_write(mount, second, 5, "other and more");
    memory_mount_expect_text(mount, third, "firstother and more");
    assert_int_equal(size_of(reader.inode), 19);
    assert_int_equal(flush(second), 0); /* publishes both, as a local disk would */
    memory_mount_expect_stored(mount, "file", "firstother and more");
    close_and_forget(first, one.inode);
    close_and_forget(second, other.inode);
    memory_mount_expect_text(mount, third, "firstother and more");
    close_and_forget(third, reader.inode);
    assert_int_equal(memory_store_puts(mount->memory), 1);
}

/* ---- sizes ---- */

static void a_truncation_without_a_handle_is_published_at_once(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    assert_int_equal(truncated(entry.inode, NULL, 3), 0);
    memory_mount_expect_stored(mount, "file", "012");
    assert_int_equal(truncated(entry.inode, NULL, 3), 0); /* nothing to do */
    assert_int_equal(memory_store_puts(mount->memory), 1);
    assert_int_equal(truncated(entry.inode, NULL, 5), 0);
    size_t size;
    assert_memory_equal(memory_store_content(mount->memory, "file", &size), "012\0\0", 5);
    assert_int_equal(size, 5);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void a_truncation_by_a_handle_waits_for_the_flush(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    assert_int_equal(truncated(entry.inode, handle, 4), 0);
    memory_mount_expect_text(mount, handle, "0123");
    memory_mount_expect_stored(mount, "file", "0123456789");
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "file", "0123");
    close_and_forget(handle, entry.inode);
}

static void only_files_have_a_size_to_set(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    memory_store_node(mount->memory, "fifo", STORE_FIFO, NULL);
    struct vfs_entry entry = memory_mount_found(mount, "d");
    assert_int_equal(truncated(entry.inode, NULL, 0), -EISDIR);
    vfs_forget(mount->vfs, entry.inode, 1);
    entry = memory_mount_found(mount, "fifo");
    assert_int_equal(truncated(entry.inode, NULL, 0), -EINVAL);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void a_truncation_of_what_was_replaced_elsewhere_is_stale(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old content");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    memory_mount_put(mount, "file", "new content");
    assert_int_equal(truncated(entry.inode, NULL, 3), -ESTALE); /* the kernel looks the name up and asks again */
    memory_mount_expect_stored(mount, "file", "new content");
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void damage_is_not_published_as_content(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    memory_store_damage_file(mount->memory, "file", "its length is a poem");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    assert_int_equal(truncated(entry.inode, NULL, 3), -EIO);
    assert_int_equal(memory_store_puts(mount->memory), 0);
    assert_int_equal(truncated(entry.inode, NULL, 0), 0); /* nothing of it is wanted */
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_put(mount, "chunk", "0123456789");
    memory_store_damage_chunk(mount->memory, "chunk", 1, -EIO);
    struct handle *handle = opened("chunk", O_RDWR, &entry);
    memory_mount_write(mount, handle, 4, "x"); /* the rest of its chunk cannot be read */
    assert_int_equal(flush(handle), -EIO);
    memory_mount_write(mount, handle, 4, "abcd");
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "chunk", "0123abcd89");
    close_and_forget(handle, entry.inode);
}

static void an_open_that_truncates_shows_at_once_and_is_published_by_its_flush(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_WRONLY | O_TRUNC, &entry);
    assert_int_equal(size_of(entry.inode), 0);
    memory_mount_expect_stored(mount, "file", "0123456789");
    memory_mount_write(mount, handle, 0, "new");
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "file", "new");
    close_and_forget(handle, entry.inode);
}

static void beyond_the_largest_size_nothing_is_written(void **state) {
    (void)state;
    int64_t most = mount->config.max_file_size;
    struct vfs_entry entry;
    struct handle *handle = created("file", 0, &entry);
    memory_mount_write(mount, handle, 0, "small");
    assert_int_equal(vfs_write(mount->vfs, handle, most, "x", 1, &memory_mount_caller), -EFBIG);
    assert_int_equal(vfs_write(mount->vfs, handle, most - 1, "xy", 2, &memory_mount_caller), -EFBIG);
    assert_int_equal(vfs_write(mount->vfs, handle, INT64_MAX, "x", 1, &memory_mount_caller), -EFBIG);
    assert_int_equal(truncated(entry.inode, handle, most + 1), -EFBIG);
    assert_int_equal(truncated(entry.inode, NULL, most + 1), -EFBIG);
    assert_int_equal(vfs_allocate(mount->vfs, handle, 0, most, 1), -EFBIG);
    assert_int_equal(vfs_allocate(mount->vfs, handle, 0, INT64_MAX, INT64_MAX), -EFBIG);
    assert_int_equal(truncated(entry.inode, handle, most), 0);
    assert_int_equal(truncated(entry.inode, handle, 5), 0);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "file", "small");
}

static void holes_are_made_found_and_filled(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", 0, &entry);
    memory_mount_write(mount, handle, 0, "0123456789");
    assert_int_equal(vfs_allocate(mount->vfs, handle, FALLOC_FL_COLLAPSE_RANGE, 0, 1), -EOPNOTSUPP);
    assert_int_equal(vfs_allocate(mount->vfs, handle, FALLOC_FL_KEEP_SIZE, 0, 100), 0);
    assert_int_equal(size_of(entry.inode), 10);
    assert_int_equal(truncated(entry.inode, handle, 1 << 20), 0);
    int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    assert_int_equal(vfs_allocate(mount->vfs, handle, punch, 4096, 2 << 20), 0);
    assert_int_equal(size_of(entry.inode), 1 << 20);
    for (int published = 0; published < 2; published++) {
        assert_int_equal(vfs_seek(mount->vfs, handle, 0, SEEK_DATA), 0);
        assert_int_equal(vfs_seek(mount->vfs, handle, 0, SEEK_HOLE), 10);
        assert_int_equal(vfs_seek(mount->vfs, handle, 10, SEEK_DATA), -ENXIO);
        assert_int_equal(vfs_seek(mount->vfs, handle, 1 << 20, SEEK_HOLE), -ENXIO);
        assert_int_equal(vfs_seek(mount->vfs, handle, -1, SEEK_HOLE), -ENXIO);
        if (!published)
            assert_int_equal(flush(handle), 0);
    }
    close_and_forget(handle, entry.inode);
    handle = opened("file", O_RDONLY, &entry); /* now the revision says it */
    assert_int_equal(vfs_seek(mount->vfs, handle, 0, SEEK_DATA), 0);
    assert_int_equal(vfs_seek(mount->vfs, handle, 0, SEEK_HOLE), 10);
    assert_int_equal(vfs_seek(mount->vfs, handle, 11, SEEK_HOLE), 11);
    assert_int_equal(vfs_seek(mount->vfs, handle, 10, SEEK_DATA), -ENXIO);
    close_and_forget(handle, entry.inode);
}

/* ---- attributes ---- */

static void attributes_changed_while_staged_survive_the_put(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry, other;
    struct handle *handle = opened("file", O_RDWR, &entry), *fresh = created("fresh", 0, &other);
    memory_mount_write(mount, handle, 0, "new");
    struct vfs_change change = {.set = VFS_MODE | VFS_UID | VFS_GID | VFS_MTIME | VFS_ATIME,
                                .mode = 0640,
                                .uid = 1,
                                .gid = 2,
                                .mtime = {.tv_sec = 3, .tv_nsec = 4},
                                .atime = {.tv_sec = -1, .tv_nsec = 999999999}};
    struct stat attributes;
    assert_int_equal(vfs_change(mount->vfs, entry.inode, handle, &change, &attributes), 0);
    assert_int_equal(vfs_change(mount->vfs, other.inode, NULL, &change, &attributes), 0);
    memory_mount_expect_stored(mount, "fresh", NULL); /* the size alone is published at once */
    assert_int_equal(vfs_set_xattr(mount->vfs, entry.inode, "user.kept", "value", 5, 0), 0);
    close_and_forget(handle, entry.inode);
    close_and_forget(fresh, other.inode);
    static const char *const paths[] = {"file", "fresh"};
    for (unsigned i = 0; i < 2; i++) {
        entry = memory_mount_found(mount, paths[i]);
        assert_int_equal(entry.attributes.st_mode, S_IFREG | 0640);
        assert_int_equal(entry.attributes.st_uid, 1);
        assert_int_equal(entry.attributes.st_gid, 2);
        assert_int_equal(entry.attributes.st_mtim.tv_sec, 3);
        assert_int_equal(entry.attributes.st_mtim.tv_nsec, 4);
        assert_int_equal(entry.attributes.st_atim.tv_sec, -1);
        if (i == 0)
            assert_int_equal(vfs_get_xattr(mount->vfs, entry.inode, "user.kept", NULL, 0), 5);
        vfs_forget(mount->vfs, entry.inode, 1);
    }
    memory_mount_expect_stored(mount, "file", "new");
}

static void a_write_changes_the_times(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    struct stat written, published;
    memory_mount_write(mount, handle, 0, "new");
    assert_int_equal(vfs_attributes(mount->vfs, entry.inode, &written), 0);
    assert_true(written.st_mtim.tv_sec > entry.attributes.st_mtim.tv_sec);
    assert_int_equal(flush(handle), 0);
    assert_int_equal(vfs_attributes(mount->vfs, entry.inode, &published), 0);
    assert_true(published.st_mtim.tv_sec == written.st_mtim.tv_sec);
    assert_true(published.st_mtim.tv_nsec == written.st_mtim.tv_nsec);
    close_and_forget(handle, entry.inode);
}

/* ---- a read-only mount ---- */

static void a_read_only_mount_changes_nothing(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    struct vfs_config config = mount->config;
    config.staging = NULL;
    struct vfs *vfs = NULL;
    struct vfs_entry directory, file, none;
    struct handle *handle;
    bool live;
    struct stat attributes;
    struct vfs_change mode = {.set = VFS_MODE, .mode = 0600}, size = {.set = VFS_SIZE};
    const struct vfs_caller *caller = &memory_mount_caller;
    assert_int_equal(vfs_new(&config, &vfs), 0);
    root = vfs_root(vfs);
    assert_int_equal(vfs_lookup(vfs, root, "d", &directory), 0);
    assert_int_equal(vfs_lookup(vfs, directory.inode, "file", &file), 0);
    assert_int_equal(vfs_open(vfs, file.inode, O_WRONLY, caller, &handle, &live), -EROFS);
    assert_int_equal(vfs_open(vfs, file.inode, O_RDONLY | O_TRUNC, caller, &handle, &live), -EROFS);
    assert_int_equal(vfs_create(vfs, root, "new", 0644, O_EXCL, caller, &none, &handle), -EROFS);
    assert_int_equal(vfs_mknod(vfs, root, "new", S_IFREG | 0644, 0, caller, &none), -EROFS);
    assert_int_equal(vfs_mkdir(vfs, root, "new", 0755, caller, &none), -EROFS);
    assert_int_equal(vfs_symlink(vfs, root, "new", "target", caller, &none), -EROFS);
    assert_int_equal(vfs_link(vfs, file.inode, root, "new", &none), -EROFS);
    assert_int_equal(vfs_unlink(vfs, directory.inode, "file"), -EROFS);
    assert_int_equal(vfs_rmdir(vfs, root, "d"), -EROFS);
    assert_int_equal(vfs_rename(vfs, root, "d", root, "e", 0), -EROFS);
    assert_int_equal(vfs_change(vfs, file.inode, NULL, &mode, &attributes), -EROFS);
    assert_int_equal(vfs_change(vfs, file.inode, NULL, &size, &attributes), -EROFS);
    assert_int_equal(vfs_set_xattr(vfs, file.inode, "user.x", "", 0, 0), -EROFS);
    assert_int_equal(vfs_remove_xattr(vfs, file.inode, "user.x"), -EROFS);
    assert_int_equal(vfs_open(vfs, file.inode, O_RDONLY, caller, &handle, &live), 0);
    assert_int_equal(vfs_write(vfs, handle, 0, "x", 1, caller), -EBADF);
    assert_int_equal(vfs_flush(vfs, handle, caller), 0);
    assert_int_equal(vfs_sync(vfs, handle), 0);
    vfs_close(vfs, handle);
    vfs_tick(vfs);
    vfs_forget(vfs, file.inode, 1);
    vfs_forget(vfs, directory.inode, 1);
    vfs_free(vfs);
    for (int call = FAULTY_PUT; call < FAULTY_CALLS; call++)
        assert_int_equal(mount->faulty.calls[call], call == FAULTY_RELEASE ? mount->faulty.calls[call] : 0);
}

/* The kernel's lookup of the new name is a part of its rename. */
static void a_rename_asks_for_its_new_name_once(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    struct vfs_entry file = memory_mount_found(mount, "d/file"), directory = memory_mount_found(mount, "d"), none, now;
    assert_int_equal(vfs_lookup(mount->vfs, root, "new", &none), -ENOENT);
    unsigned asked = mount->faulty.calls[FAULTY_LOOKUP];
    assert_int_equal(vfs_rename(mount->vfs, directory.inode, "file", root, "new", 0), 0);
    assert_int_equal(mount->faulty.calls[FAULTY_LOOKUP], asked);
    assert_int_equal(vfs_rename(mount->vfs, root, "new", root, "newer", 0), 0); /* not looked up: it has to ask */
    assert_int_equal(mount->faulty.calls[FAULTY_LOOKUP], asked + 1);
    assert_int_equal(vfs_lookup(mount->vfs, root, "new", &none), -ENOENT);
    assert_int_equal(vfs_symlink(mount->vfs, root, "new", "target", &memory_mount_caller, &now), 0);
    assert_int_equal(vfs_rename(mount->vfs, root, "newer", root, "new", RENAME_NOREPLACE), -EEXIST);
    vfs_forget(mount->vfs, now.inode, 1);
    vfs_forget(mount->vfs, file.inode, 1);
    vfs_forget(mount->vfs, directory.inode, 1);
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_new_file_is_published_by_its_first_flush_and_once),
        TEST(a_file_created_without_a_write_is_published_empty),
        TEST(a_closed_handle_publishes_what_is_left),
        TEST(handles_left_at_the_end_are_published),
        TEST(what_is_written_lies_over_what_was_there),
        TEST(an_open_for_writing_alone_publishes_nothing),
        TEST(two_handles_see_each_others_writes),
        TEST(a_truncation_without_a_handle_is_published_at_once),
        TEST(a_truncation_by_a_handle_waits_for_the_flush),
        TEST(only_files_have_a_size_to_set),
        TEST(a_truncation_of_what_was_replaced_elsewhere_is_stale),
        TEST(damage_is_not_published_as_content),
        TEST(an_open_that_truncates_shows_at_once_and_is_published_by_its_flush),
        TEST(beyond_the_largest_size_nothing_is_written),
        TEST(holes_are_made_found_and_filled),
        TEST(attributes_changed_while_staged_survive_the_put),
        TEST(a_write_changes_the_times),
        TEST(a_read_only_mount_changes_nothing),
        TEST(a_rename_asks_for_its_new_name_once),
    };
    return cmocka_run_group_tests_name("vfs_writes", tests, be_quiet, NULL);
}

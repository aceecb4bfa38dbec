// SPDX-License-Identifier: Apache-2.0
/* Listings with files that are not published yet, times of directories, extended attributes. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/xattr.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "tests/unit/vfs_bench.h"

static struct handle *created_in(struct inode *parent, const char *name, int flags, const char *text,
                                 struct vfs_entry *ret_entry) {
    struct handle *handle = memory_mount_created(mount, parent, name, flags, ret_entry);
    memory_mount_write(mount, handle, 0, text);
    return handle;
}

static struct handle *created(const char *name, int flags, const char *text, struct vfs_entry *ret_entry) {
    return created_in(root, name, flags, text, ret_entry);
}

static void forget(const struct vfs_entry *entry) {
    vfs_forget(mount->vfs, entry->inode, 1);
}

static struct vfs_entry made_directory(struct inode *parent, const char *name) {
    struct vfs_entry entry;
    assert_int_equal(vfs_mkdir(mount->vfs, parent, name, 0755, &memory_mount_caller, &entry), 0);
    return entry;
}

static void expect_nothing_at(const char *path) {
    struct vfs_entry entry;
    assert_int_equal(memory_mount_look_up(mount, path, &entry), -ENOENT);
    memory_mount_expect_stored(mount, path, NULL);
}

/* ---- listings ---- */

struct taken {
    unsigned room, count;
    char names[64][32];
    uint64_t next;
    struct inode *inodes[64];
    bool old[64];
};

static bool fits(void *context, const char *name) {
    (void)name;
    const struct taken *taken = context;
    return taken->count < taken->room;
}

static void take(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    struct taken *taken = context;
    snprintf(taken->names[taken->count], sizeof taken->names[0], "%s", name);
    taken->old[taken->count] = entry->old;
    taken->inodes[taken->count++] = entry->inode;
    taken->next = next;
}

/* Reads `room` more entries into a listing of names separated by blanks; false at the end. */
static bool read_some(struct handle *handle, unsigned room, bool with_inodes, uint64_t *offset, char *listing) {
    struct taken taken = {.room = room, .next = *offset};
    struct vfs_taker taker = {.context = &taken, .fits = fits, .take = take};
    assert_int_equal(vfs_read_directory(mount->vfs, handle, *offset, with_inodes, &taker), 0);
    for (unsigned i = 0; i < taken.count; i++) {
        strcat(strcat(listing, taken.names[i]), " ");
        if (taken.inodes[i])
            vfs_forget(mount->vfs, taken.inodes[i], 1);
    }
    *offset = taken.next;
    return taken.count > 0;
}

/* Whether an entry that was read, but not given for so long, is old where names are believed for `trust_ms`. */
static bool becomes_old(int64_t trust_ms, int64_t waited_ms) {
    struct memory_mount *other = memory_mount_new("fs", trust_ms, false);
    struct handle *directory;
    memory_mount_put(other, "a", "x");
    memory_mount_put(other, "b", "x");
    assert_int_equal(vfs_open_directory(other->vfs, vfs_root(other->vfs), &directory), 0);
    struct taken taken = {.room = 3};
    struct vfs_taker taker = {.context = &taken, .fits = fits, .take = take};
    assert_int_equal(vfs_read_directory(other->vfs, directory, 0, true, &taker), 0); /* b does not fit */
    for (int64_t until = clock_now_ms() + waited_ms; clock_now_ms() <= until;)
        ;
    taken.room = 4;
    assert_int_equal(vfs_read_directory(other->vfs, directory, taken.next, true, &taker), 0);
    assert_string_equal(taken.names[3], "b");
    for (unsigned i = 2; i < 4; i++)
        vfs_forget(other->vfs, taken.inodes[i], 1);
    vfs_close(other->vfs, directory);
    memory_mount_done(other);
    return taken.old[3];
}

static void what_was_read_long_before_it_is_given_is_not_believed(void **state) {
    (void)state;
    assert_true(becomes_old(10, 11));
    assert_false(becomes_old(600000, 11));
}

static void a_listing_shows_unpublished_files_once(void **state) {
    (void)state;
    struct vfs_entry b, y;
    struct handle *directory;
    memory_mount_put(mount, "a", "x");
    memory_mount_put(mount, "c", "x");
    struct handle *first = created("b", O_EXCL, "b", &b), *second = created("y", O_EXCL, "y", &y);
    for (unsigned room = 1; room < 8; room++)
        for (int with_inodes = 0; with_inodes < 2; with_inodes++) {
            char listing[256] = "";
            uint64_t offset = 0;
            assert_int_equal(vfs_open_directory(mount->vfs, root, &directory), 0);
            while (read_some(directory, room, with_inodes, &offset, listing))
                ;
            bool either = strcmp(listing, ". .. a c b y ") == 0 || strcmp(listing, ". .. a c y b ") == 0;
            assert_true(either);
            vfs_close(mount->vfs, directory);
        }
    close_and_forget(first, b.inode);
    close_and_forget(second, y.inode);
}

/* A file is published after so many entries were read. */
static void list_and_publish(unsigned after, bool before_all) {
    struct vfs_entry b;
    struct handle *directory;
    char listing[256] = "";
    uint64_t offset = 0;
    const char *name = before_all ? "A" : "y";
    struct handle *handle = created(name, O_EXCL, "text", &b);
    assert_int_equal(vfs_open_directory(mount->vfs, root, &directory), 0);
    for (unsigned i = 0; i < after; i++)
        read_some(directory, 1, true, &offset, listing);
    assert_int_equal(vfs_flush(mount->vfs, handle, &memory_mount_caller), 0);
    while (read_some(directory, 1, true, &offset, listing))
        ;
    vfs_close(mount->vfs, directory);
    unsigned shown = 0;
    for (const char *at = listing; (at = strstr(at, name)); at++)
        shown++;
    if (shown != 1)
        fail_msg("after %u entries: %s", after, listing);
    close_and_forget(handle, b.inode);
    assert_int_equal(vfs_unlink(mount->vfs, root, name), 0);
}

static void a_file_published_in_mid_listing_is_shown_once(void **state) {
    (void)state;
    memory_mount_put(mount, "a", "x");
    memory_mount_put(mount, "c", "x");
    for (unsigned after = 0; after < 6; after++) {
        list_and_publish(after, true);
        list_and_publish(after, false);
    }
}

static void a_listing_after_a_removal_does_not_show_it(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *directory, *handle = created("b", O_EXCL, "b", &entry);
    char listing[64] = "";
    uint64_t offset = 0;
    assert_int_equal(vfs_open_directory(mount->vfs, root, &directory), 0);
    read_some(directory, 1, true, &offset, listing);
    assert_int_equal(vfs_unlink(mount->vfs, root, "b"), 0);
    while (read_some(directory, 1, true, &offset, listing))
        ;
    assert_string_equal(listing, ". .. ");
    vfs_close(mount->vfs, directory);
    close_and_forget(handle, entry.inode);
}

/* ---- times of directories ---- */

static void times_of_directories_are_sent_later_and_only_of_their_own(void **state) {
    (void)state;
    memory_mount_put(mount, "implied/file", "x");
    struct vfs_entry made = made_directory(root, "made"), implied = memory_mount_found(mount, "implied"), entry;
    struct handle *handle = created_in(implied.inode, "a", 0, "x", &entry);
    close_and_forget(handle, entry.inode);
    vfs_tick(mount->vfs);
    assert_int_equal(mount->faulty.calls[FAULTY_SET_ATTRIBUTES], 0);
    assert_int_equal(mount->faulty.calls[FAULTY_KEEP_DIRECTORY], 0);
    handle = created_in(made.inode, "a", 0, "x", &entry);
    close_and_forget(handle, entry.inode);
    handle = created_in(made.inode, "b", 0, "x", &entry);
    close_and_forget(handle, entry.inode);
    struct stat shown;
    assert_int_equal(vfs_attributes(mount->vfs, made.inode, &shown), 0);
    assert_int_equal(mount->faulty.calls[FAULTY_SET_ATTRIBUTES], 0);
    vfs_tick(mount->vfs);
    vfs_tick(mount->vfs);
    assert_int_equal(mount->faulty.calls[FAULTY_SET_ATTRIBUTES], 1);
    forget(&made);
    made = memory_mount_found(mount, "made"); /* as the database has it */
    assert_true(made.attributes.st_mtim.tv_sec == shown.st_mtim.tv_sec);
    assert_true(made.attributes.st_mtim.tv_nsec == shown.st_mtim.tv_nsec);
    assert_int_equal(vfs_unlink(mount->vfs, implied.inode, "file"), 0); /* makes it one of its own */
    vfs_tick(mount->vfs);
    assert_int_equal(mount->faulty.calls[FAULTY_SET_ATTRIBUTES], 2);
    forget(&made);
    forget(&implied);
}

static void times_of_a_removed_directory_are_not_sent(void **state) {
    (void)state;
    struct vfs_entry made = made_directory(root, "made"), entry;
    struct handle *handle = created_in(made.inode, "a", 0, "x", &entry);
    assert_int_equal(vfs_unlink(mount->vfs, made.inode, "a"), 0);
    close_and_forget(handle, entry.inode);
    assert_int_equal(vfs_rmdir(mount->vfs, root, "made"), 0);
    vfs_tick(mount->vfs);
    expect_nothing_at("made");
    forget(&made);
}

/* ---- extended attributes ---- */

static ssize_t value_of(struct inode *inode, const char *name, char ret_value[16]) {
    memset(ret_value, 0, 16);
    return vfs_get_xattr(mount->vfs, inode, name, ret_value, 15);
}

static void extended_attributes_are_kept(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "x");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    struct inode *inode = entry.inode;
    struct vfs *vfs = mount->vfs;
    char value[16], names[64];
    assert_int_equal(vfs_get_xattr(vfs, inode, "user.a", NULL, 0), -ENODATA);
    assert_int_equal(vfs_set_xattr(vfs, inode, "user.a", "one", 3, XATTR_REPLACE), -ENODATA);
    assert_int_equal(vfs_set_xattr(vfs, inode, "user.a", "one", 3, XATTR_CREATE), 0);
    assert_int_equal(vfs_set_xattr(vfs, inode, "user.a", "two", 3, XATTR_CREATE), -EEXIST);
    assert_int_equal(vfs_set_xattr(vfs, inode, "user.a", "three", 5, XATTR_REPLACE), 0);
    assert_int_equal(vfs_set_xattr(vfs, inode, "user.empty", "", 0, 0), 0);
    assert_int_equal(value_of(inode, "user.a", value), 5);
    assert_string_equal(value, "three");
    assert_int_equal(vfs_get_xattr(vfs, inode, "user.a", value, 4), -ERANGE);
    assert_int_equal(vfs_get_xattr(vfs, inode, "user.a", NULL, 0), 5);
    assert_int_equal(vfs_get_xattr(vfs, inode, "user.empty", value, 1), 0);
    ssize_t size = vfs_list_xattrs(vfs, inode, NULL, 0);
    assert_int_equal(size, sizeof "user.gridfs.id" + sizeof "user.a" + sizeof "user.empty");
    assert_int_equal(vfs_list_xattrs(vfs, inode, names, (size_t)size - 1), -ERANGE);
    assert_int_equal(vfs_list_xattrs(vfs, inode, names, sizeof names), size);
    assert_memory_equal(names, "user.gridfs.id\0user.a\0user.empty", size);
    assert_int_equal(vfs_remove_xattr(vfs, inode, "user.a"), 0);
    assert_int_equal(vfs_remove_xattr(vfs, inode, "user.a"), -ENODATA);
    assert_int_equal(value_of(inode, "user.a", value), -ENODATA);
    forget(&entry);
}

static void extended_attributes_have_limits(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "x");
    struct vfs_entry entry = memory_mount_found(mount, "file"), control = memory_mount_found(mount, ".gridfs");
    struct vfs *vfs = mount->vfs;
    static char large[(64 << 10) + 1];
    static const char *const others[] = {"user.", "user", "trusted.x", "security.capability", "system.x"};
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        assert_int_equal(vfs_set_xattr(vfs, entry.inode, others[i], "x", 1, 0), -EOPNOTSUPP);
        assert_int_equal(vfs_get_xattr(vfs, entry.inode, others[i], NULL, 0), -EOPNOTSUPP);
        assert_int_equal(vfs_remove_xattr(vfs, entry.inode, others[i]), -EOPNOTSUPP);
    }
    assert_int_equal(mount->faulty.calls[FAULTY_XATTRS] + mount->faulty.calls[FAULTY_SET_XATTR], 0); /* no question */
    assert_int_equal(vfs_set_xattr(vfs, entry.inode, "user.x", large, sizeof large, 0), -E2BIG);
    assert_int_equal(vfs_set_xattr(vfs, entry.inode, "user.x", large, sizeof large - 1, 0), 0);
    assert_int_equal(vfs_set_xattr(vfs, entry.inode, "user.gridfs.id", "x", 1, 0), -EPERM);
    assert_int_equal(vfs_set_xattr(vfs, control.inode, "user.x", "x", 1, 0), -EROFS);
    assert_int_equal(vfs_get_xattr(vfs, control.inode, "user.x", NULL, 0), -ENODATA);
    assert_int_equal(vfs_list_xattrs(vfs, control.inode, NULL, 0), 0);
    faulty_store_fail(&mount->faulty, FAULTY_XATTRS, 1, -ETIMEDOUT);
    assert_int_equal(vfs_get_xattr(vfs, entry.inode, "user.x", NULL, 0), -ETIMEDOUT);
    faulty_store_fail(&mount->faulty, FAULTY_SET_XATTR, 1, -EACCES);
    assert_int_equal(vfs_set_xattr(vfs, entry.inode, "user.x", "x", 1, 0), -EACCES);
    forget(&entry);
    forget(&control);
}

static void extended_attributes_go_with_directories_and_unpublished_files(void **state) {
    (void)state;
    memory_mount_put(mount, "d/file", "x");
    struct vfs_entry directory = memory_mount_found(mount, "d"), entry;
    struct handle *handle = created("new", O_EXCL, "text", &entry);
    char value[16];
    assert_int_equal(vfs_set_xattr(mount->vfs, directory.inode, "user.x", "d", 1, 0), 0);
    assert_int_equal(value_of(directory.inode, "user.x", value), 1);
    assert_int_equal(vfs_get_xattr(mount->vfs, entry.inode, "user.x", NULL, 0), -ENODATA);
    memory_mount_expect_stored(mount, "new", NULL);
    assert_int_equal(vfs_set_xattr(mount->vfs, entry.inode, "user.x", "f", 1, 0), 0); /* no other place for it */
    memory_mount_expect_stored(mount, "new", "text");
    memory_mount_write(mount, handle, 0, "TEXT");
    assert_int_equal(vfs_flush(mount->vfs, handle, &memory_mount_caller), 0);
    assert_int_equal(value_of(entry.inode, "user.x", value), 1);
    assert_int_equal(vfs_unlink(mount->vfs, root, "new"), 0);
    assert_int_equal(vfs_list_xattrs(mount->vfs, entry.inode, NULL, 0), 0);
    close_and_forget(handle, entry.inode);
    forget(&directory);
}

static void expect_names(struct inode *inode, const char *expected, size_t expected_size) {
    char names[64];
    assert_int_equal(vfs_list_xattrs(mount->vfs, inode, names, sizeof names), expected_size);
    assert_memory_equal(names, expected, expected_size);
}

/* As `ls -l` does; what is changed meanwhile is seen. */
static void extended_attributes_of_file_after_file_come_in_batches(void **state) {
    (void)state;
    enum { FILES = 300, ALL = FAULTY_XATTRS, OF = FAULTY_XATTRS_OF };
    static const char id[] = "user.gridfs.id", more[] = "user.gridfs.id\0user.a";
    struct vfs_entry entries[FILES];
    for (unsigned i = 0; i < FILES; i++) {
        char name[8];
        snprintf(name, sizeof name, "%03u", i);
        memory_mount_put(mount, name, "x");
        entries[i] = memory_mount_found(mount, name);
    }
    for (unsigned i = 0; i < FILES; i++) {
        if (i == 150)
            assert_int_equal(vfs_set_xattr(mount->vfs, entries[200].inode, "user.a", "", 0, 0), 0);
        expect_names(entries[i].inode, i == 200 ? more : id, i == 200 ? sizeof more : sizeof id);
    }
    assert_in_range(mount->faulty.calls[ALL] + mount->faulty.calls[OF], 3, 20);
    unsigned before = mount->faulty.calls[ALL];
    expect_names(entries[200].inode, more, sizeof more); /* again: it is asked for again */
    assert_int_equal(mount->faulty.calls[ALL], before + 1);
    for (unsigned i = 0; i < FILES; i++)
        forget(&entries[i]);
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_was_read_long_before_it_is_given_is_not_believed),
        TEST(a_listing_shows_unpublished_files_once),
        TEST(a_file_published_in_mid_listing_is_shown_once),
        TEST(a_listing_after_a_removal_does_not_show_it),
        TEST(times_of_directories_are_sent_later_and_only_of_their_own),
        TEST(times_of_a_removed_directory_are_not_sent),
        TEST(extended_attributes_are_kept),
        TEST(extended_attributes_have_limits),
        TEST(extended_attributes_go_with_directories_and_unpublished_files),
        TEST(extended_attributes_of_file_after_file_come_in_batches),
    };
    return cmocka_run_group_tests_name("vfs_listings", tests, be_quiet, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Directories of a vfs, its control directory and its buckets. */
#include <fcntl.h>
#include <errno.h>
#include <string.h>

#include "fs/vfs/vfs.h"
#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

struct taken {
    unsigned room, count;
    char names[64][32];
    struct vfs_entry entries[64];
    uint64_t next;
};

static bool fits(void *context, const char *name) {
    (void)name;
    struct taken *taken = context;
    return taken->count < taken->room;
}

static void take(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    struct taken *taken = context;
    snprintf(taken->names[taken->count], sizeof taken->names[0], "%s", name);
    taken->entries[taken->count++] = *entry;
    taken->next = next;
}

/* Lists a directory, `room` entries at a time, and compares with names separated by blanks. */
static void expect_listing(struct memory_mount *mount, struct inode *inode, unsigned room, bool with_inodes,
                           const char *expected) {
    struct handle *handle;
    char listing[1024] = "";
    uint64_t offset = 0;
    assert_int_equal(vfs_open_directory(mount->vfs, inode, &handle), 0);
    for (;;) {
        struct taken taken = {.room = room, .next = offset};
        struct vfs_taker taker = {.context = &taken, .fits = fits, .take = take};
        assert_int_equal(vfs_read_directory(mount->vfs, handle, offset, with_inodes, &taker), 0);
        for (unsigned i = 0; i < taken.count; i++) {
            strcat(strcat(listing, taken.names[i]), " ");
            if (taken.entries[i].inode)
                vfs_forget(mount->vfs, taken.entries[i].inode, 1);
        }
        if (!taken.count)
            break;
        offset = taken.next;
    }
    assert_string_equal(listing, expected);
    vfs_close(mount->vfs, handle);
}

static void a_directory_is_listed_whatever_fits_at_a_time(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "b/c", "x");
    memory_mount_put(mount, "a", "x");
    memory_mount_put(mount, "caf\xEE\xBF\xA9", "x");
    memory_mount_put(mount, "bad//name", "x");
    for (unsigned room = 1; room < 8; room++) {
        expect_listing(mount, vfs_root(mount->vfs), room, false, ". .. a b bad caf\xE9 ");
        expect_listing(mount, vfs_root(mount->vfs), room, true, ". .. a b bad caf\xE9 ");
    }
    memory_mount_done(mount);
}

static void a_listing_says_the_number_that_a_lookup_says(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    memory_mount_put(mount, "d/file", "x");
    struct vfs_entry directory = memory_mount_found(mount, "d"), file = memory_mount_found(mount, "d/file");
    struct handle *handle;
    assert_int_equal(vfs_open_directory(mount->vfs, directory.inode, &handle), 0);
    for (int with_inodes = 0; with_inodes < 2; with_inodes++) {
        struct taken taken = {.room = 64};
        struct vfs_taker taker = {.context = &taken, .fits = fits, .take = take};
        assert_int_equal(vfs_read_directory(mount->vfs, handle, 0, with_inodes, &taker), 0);
        assert_int_equal(taken.count, 3);
        assert_true(taken.entries[2].attributes.st_ino == file.attributes.st_ino);
        assert_int_equal(taken.entries[2].attributes.st_size, 1);
        assert_true((taken.entries[2].inode == file.inode) == with_inodes);
        if (with_inodes)
            vfs_forget(mount->vfs, file.inode, 1);
    }
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, file.inode, 1);
    vfs_forget(mount->vfs, directory.inode, 1);
    memory_mount_done(mount);
}

/* ---- .gridfs and buckets ---- */

static void the_control_directory_is_hidden_but_there(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_entry entry;
    unsigned id = memory_store_put(mount->memory, "..//no path", "by id", 5, 4);
    char path[64];
    snprintf(path, sizeof path, ".gridfs/id/id-%u", id);
    memory_mount_expect_file(mount, path, "by id");
    memory_mount_expect_file(mount, ".gridfs/status", "state ok");
    memory_mount_expect_file(mount, ".gridfs/status.json", "{}");
    assert_int_equal(memory_mount_look_up(mount, ".gridfs/nothing", &entry), -ENOENT);
    assert_int_equal(memory_mount_look_up(mount, ".gridfs/id/no id", &entry), -ENOENT);
    assert_int_equal(memory_mount_look_up(mount, ".gridfs/id/id-999", &entry), -ENOENT);
    entry = memory_mount_found(mount, ".gridfs");
    assert_int_equal(entry.attributes.st_mode, S_IFDIR | 0500);
    expect_listing(mount, entry.inode, 64, true, ". .. id metrics status status.json ");
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void the_status_is_made_at_each_open(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_entry entry = memory_mount_found(mount, ".gridfs/status");
    struct handle *handle;
    bool live = false;
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0400);
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_RDONLY, &memory_mount_caller, &handle, &live), 0);
    assert_true(live);
    struct reader_view views[READER_VIEWS];
    unsigned count;
    assert_int_equal(vfs_read(mount->vfs, handle, 6, 1, views, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(views[0].size, 1);
    assert_int_equal(views[0].bytes[0], 'o');
    reader_release(views, count);
    assert_int_equal(vfs_read(mount->vfs, handle, 1000, 1, views, &count), 0);
    assert_int_equal(count, 0);
    vfs_close(mount->vfs, handle);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void what_no_path_can_name_is_listed_by_id(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    oddities_note(memory_store_store(mount->memory)->oddities, "id-77", "..", "no path");
    struct vfs_entry entry = memory_mount_found(mount, ".gridfs/id");
    expect_listing(mount, entry.inode, 64, true, ". .. id-77 ");
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void all_buckets_are_top_directories(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("*", 1000, false);
    struct memory_store *photos = memory_server_bucket(mount->server, "photos");
    memory_store_put(photos, "a/b", "photo", 5, 4);
    memory_mount_put(mount, "a/b", "file");
    expect_listing(mount, vfs_root(mount->vfs), 64, true, ". .. fs photos ");
    memory_mount_expect_file(mount, "fs/a/b", "file");
    memory_mount_expect_file(mount, "photos/a/b", "photo");
    memory_mount_expect_file(mount, ".gridfs/status", "state ok");
    struct vfs_entry entry;
    assert_int_equal(memory_mount_look_up(mount, "none", &entry), -ENOENT);
    assert_int_equal(memory_mount_look_up(mount, ".gridfs/id", &entry), -ENOENT);
    assert_int_equal(memory_mount_look_up(mount, "photos/.gridfs/status", &entry), -ENOENT);
    entry = memory_mount_found(mount, "photos/.gridfs/id");
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_done(mount);
}

static void df_shows_the_same_each_time(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct statvfs statistics;
    vfs_statistics(mount->vfs, &statistics);
    assert_int_equal(statistics.f_namemax, 255);
    assert_true(statistics.f_blocks > 0);
    memory_mount_done(mount);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_directory_is_listed_whatever_fits_at_a_time),
        cmocka_unit_test(a_listing_says_the_number_that_a_lookup_says),
        cmocka_unit_test(the_control_directory_is_hidden_but_there),
        cmocka_unit_test(the_status_is_made_at_each_open),
        cmocka_unit_test(what_no_path_can_name_is_listed_by_id),
        cmocka_unit_test(all_buckets_are_top_directories),
        cmocka_unit_test(df_shows_the_same_each_time),
    };
    return cmocka_run_group_tests_name("vfs_directories", tests, NULL, NULL);
}

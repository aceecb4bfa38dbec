// SPDX-License-Identifier: Apache-2.0
/* Directories of a vfs, its control directory and its buckets. */
#include <fcntl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "cache/base/check.h"
#include "fs/vfs/vfs.h"
#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

struct taken {
    unsigned room, count;
    char names[64][64];
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
    expect_listing(mount, entry.inode, 64, true, ". .. id metrics page revisions status status.json ");
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

/* ---- .gridfs/revisions ---- */

/* Of the n-th revision that the memory store made: its dates are 1 ms apart. */
static const char *revision_path(const char *path, unsigned id, char into[128]) {
    snprintf(into, 128, ".gridfs/revisions/%s/2023-11-14T22:13:20.%03uZ-id-%u", path, id, id);
    return into;
}

static void expect_history(struct memory_mount *mount, const char *path, const char *expected) {
    struct vfs_entry entry = memory_mount_found(mount, path);
    assert_int_equal(entry.attributes.st_mode, S_IFDIR | 0500);
    for (unsigned room = 1; room < 4; room++)
        expect_listing(mount, entry.inode, room, room % 2, expected);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void each_revision_of_a_file_can_be_read(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_entry entry;
    char path[128], names[256];
    memory_mount_put(mount, "d/f", "first");
    memory_mount_overwrite(mount, "d/f", "second");
    memory_mount_expect_file(mount, revision_path("d/f", 1, path), "first");
    memory_mount_expect_file(mount, revision_path("d/f", 2, path), "second");
    snprintf(names, sizeof names, ". .. %s ", strrchr(path, '/') + 1);
    snprintf(names + strlen(names), sizeof names - strlen(names), "%s ", strrchr(revision_path("d/f", 1, path), '/') + 1);
    expect_history(mount, ".gridfs/revisions/d/f", names);
    entry = memory_mount_found(mount, path);
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0400);
    struct vfs_entry now = memory_mount_found(mount, "d/f");
    assert_true(entry.attributes.st_ino != now.attributes.st_ino);
    struct handle *handle;
    bool live;
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_WRONLY, &memory_mount_caller, &handle, &live), -EROFS);
    assert_int_equal(vfs_set_xattr(mount->vfs, entry.inode, "user.x", "x", 1, 0), -EROFS);
    vfs_forget(mount->vfs, now.inode, 1);
    vfs_forget(mount->vfs, entry.inode, 1);
    static const char *const none[] = {
        "d/f/2023-11-14T22:13:20.001Z-id-9", "d/f/2023-11-14T22:13:20.002Z-id-1", "d/f/2023-11-14T22:13:20.001Z-x", "d/g",
        "d/f/Z-", "d/f/undated-id-1", "d/f/x", "2023-11-14T22:13:20.001Z-id-1", "d/2023-11-14T22:13:20.001Z-id-1"};
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        snprintf(path, sizeof path, ".gridfs/revisions/%s", none[i]);
        assert_int_equal(memory_mount_look_up(mount, path, &entry), -ENOENT);
    }
    memory_mount_done(mount);
}

static void names_with_revisions_are_listed_as_directories(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_entry entry;
    memory_mount_put(mount, "d/f", "x");
    memory_mount_put(mount, "caf\xEE\xBF\xA9", "x");
    memory_store_node(mount->memory, "link", STORE_SYMLINK, "d/f");
    expect_history(mount, ".gridfs/revisions", ". .. caf\xE9 d ");
    expect_history(mount, ".gridfs/revisions/d", ". .. f ");
    entry = memory_mount_found(mount, ".gridfs/revisions/caf\xE9");
    vfs_forget(mount->vfs, entry.inode, 1);
    assert_int_equal(memory_mount_look_up(mount, ".gridfs/revisions/link", &entry), -ENOENT);
    struct vfs_entry history = memory_mount_found(mount, ".gridfs/revisions");
    assert_int_equal(vfs_mkdir(mount->vfs, history.inode, "new", 0755, &memory_mount_caller, &entry), -EROFS);
    assert_int_equal(vfs_unlink(mount->vfs, history.inode, "d"), -EROFS);
    faulty_store_fail(&mount->faulty, FAULTY_LOOKUP, 1, -ETIMEDOUT);
    assert_int_equal(vfs_lookup(mount->vfs, history.inode, "d", &entry), -ETIMEDOUT);
    faulty_store_fail(&mount->faulty, FAULTY_IS_RETIRED, 1, -ETIMEDOUT);
    assert_int_equal(vfs_lookup(mount->vfs, history.inode, "gone", &entry), -ETIMEDOUT);
    vfs_forget(mount->vfs, history.inode, 1);
    memory_mount_done(mount);
}

static void what_was_removed_can_be_looked_up_for_its_grace(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    struct vfs_entry entry;
    char path[128];
    memory_mount_put(mount, "d/f", "gone");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    assert_int_equal(vfs_unlink(mount->vfs, directory.inode, "f"), 0);
    vfs_forget(mount->vfs, directory.inode, 1);
    memory_mount_expect_file(mount, revision_path("d/f", 1, path), "gone");
    expect_history(mount, ".gridfs/revisions/d", ". .. ");
    memory_store_end_grace(mount->memory);
    struct store *store = memory_store_store(mount->memory);
    assert_int_equal(store->ops->tidy(store, NULL, 0), 0);
    assert_int_equal(memory_mount_look_up(mount, path, &entry), -ENOENT);
    memory_mount_done(mount);
}

static void revisions_are_told_by_any_path(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false), *all = memory_mount_new("*", 1000, false);
    struct store_past *list;
    uint32_t count;
    memory_mount_put(mount, "d/f", "first");
    memory_mount_overwrite(mount, "d/f", "second");
    memory_mount_overwrite(mount, "d/f", "third");
    assert_int_equal(vfs_history(mount->vfs, "d/f", 10, &list, &count), 0);
    assert_int_equal(count, 3);
    assert_false(list[0].retired);
    assert_true(list[1].retired && list[2].retired);
    store_pasts_free(list, count);
    assert_int_equal(vfs_history(mount->vfs, "d/f", 1, &list, &count), 0);
    assert_int_equal(count, 2);
    store_pasts_free(list, count);
    static const char *const none[] = {"", "d", "d/", "/d/f", "./d/f", "d//f", "d/../d/f", "x", ".gridfs/status"};
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(vfs_history(mount->vfs, none[i], 10, &list, &count), -ENOENT);
    faulty_store_fail(&mount->faulty, FAULTY_HISTORY, 1, -ETIMEDOUT);
    assert_int_equal(vfs_history(mount->vfs, "d/f", 10, &list, &count), -ETIMEDOUT);
    memory_store_put(memory_server_bucket(all->server, "photos"), "a/b", "photo", 5, 4);
    assert_int_equal(vfs_history(all->vfs, "photos/a/b", 10, &list, &count), 0);
    store_pasts_free(list, count);
    assert_int_equal(vfs_history(all->vfs, "photos", 10, &list, &count), -ENOENT);
    assert_int_equal(vfs_history(all->vfs, "none/a/b", 10, &list, &count), -ENOENT);
    memory_mount_done(all);
    memory_mount_done(mount);
}

enum { LOOKERS = 3, LOOKS = 200 };

/* What a program does that reads all revisions, with a kernel that forgets each at once. */
static void *look_at_revisions(void *argument) {
    struct memory_mount *mount = argument;
    char path[128];
    for (unsigned i = 0; i < LOOKS; i++) {
        memory_mount_expect_file(mount, revision_path("d/f", 1, path), "first");
        struct vfs_entry entry = memory_mount_found(mount, ".gridfs/revisions/d/f");
        struct handle *handle;
        CHECK(vfs_open_directory(mount->vfs, entry.inode, &handle) == 0);
        vfs_close(mount->vfs, handle);
        vfs_forget(mount->vfs, entry.inode, 1);
    }
    return NULL;
}

static void revisions_are_looked_up_while_others_are_forgotten_and_put(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    pthread_t lookers[LOOKERS];
    memory_mount_put(mount, "d/f", "first");
    for (unsigned i = 0; i < LOOKERS; i++)
        assert_int_equal(pthread_create(&lookers[i], NULL, look_at_revisions, mount), 0);
    for (unsigned i = 0; i < 20; i++)
        memory_mount_overwrite(mount, "d/f", "another");
    for (unsigned i = 0; i < LOOKERS; i++)
        pthread_join(lookers[i], NULL);
    memory_mount_expect_file(mount, "d/f", "another");
    memory_mount_done(mount); /* which checks that nothing is left */
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
    assert_int_equal(memory_mount_look_up(mount, ".gridfs/revisions", &entry), -ENOENT);
    memory_mount_expect_file(mount, "photos/.gridfs/revisions/a/b/2023-11-14T22:13:20.001Z-id-1", "photo");
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
        cmocka_unit_test(each_revision_of_a_file_can_be_read),
        cmocka_unit_test(names_with_revisions_are_listed_as_directories),
        cmocka_unit_test(what_was_removed_can_be_looked_up_for_its_grace),
        cmocka_unit_test(revisions_are_told_by_any_path),
        cmocka_unit_test(revisions_are_looked_up_while_others_are_forgotten_and_put),
        cmocka_unit_test(all_buckets_are_top_directories),
        cmocka_unit_test(df_shows_the_same_each_time),
    };
    return cmocka_run_group_tests_name("vfs_directories", tests, NULL, NULL);
}

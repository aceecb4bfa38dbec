// SPDX-License-Identifier: Apache-2.0
/* What a vfs tells while its server is away. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "cache/base/stats.h"
#include "tests/unit/vfs_bench.h"

static int set_up_recalling(void **state) {
    set_up(state);
    memory_mount_unmount(mount);
    mount->config.recalls = true;
    assert_int_equal(vfs_new(&mount->config, &mount->vfs), 0);
    root = vfs_root(mount->vfs);
    memory_mount_put(mount, "a/one", "1");
    memory_mount_put(mount, "a/two", "22");
    memory_mount_put(mount, "a/sub/file", "333");
    memory_store_node(mount->memory, "a/link", STORE_SYMLINK, "one");
    return 0;
}

static void go_away(bool away) {
    atomic_store(&mount->faulty.away, away);
}

struct listing {
    bool keeps;
    char text[256];
    struct inode *inodes[16];
    unsigned count;
};

static bool fits(void *context, const char *name) {
    (void)context, (void)name;
    return true;
}

static void take(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    struct listing *listing = context;
    (void)next;
    if (name[0] == '.')
        return;
    mode_t type = entry->attributes.st_mode & S_IFMT;
    sprintf(listing->text + strlen(listing->text), "%s%s ", name, type == S_IFDIR ? "/" : type == 0 ? "?" : "");
    if (entry->inode)
        listing->inodes[listing->count++] = entry->inode;
}

static void forget_all(struct listing *listing) {
    for (unsigned i = 0; i < listing->count; i++)
        vfs_forget(mount->vfs, listing->inodes[i], 1);
    listing->count = 0;
}

/* The names in a directory, as `ls` asks for them; the inodes are to be forgotten. */
static int list(struct inode *directory, struct listing *ret_listing) {
    struct handle *handle;
    struct vfs_taker taker = {.context = ret_listing, .fits = fits, .take = take};
    *ret_listing = (struct listing){0};
    assert_int_equal(vfs_open_directory(mount->vfs, directory, &handle), 0);
    int result = vfs_read_directory(mount->vfs, handle, 0, true, &taker);
    vfs_close(mount->vfs, handle);
    return result;
}

static struct vfs_entry looked_up(struct inode *parent, const char *name) {
    struct vfs_entry entry;
    assert_int_equal(vfs_lookup(mount->vfs, parent, name, &entry), 0);
    return entry;
}

static void known_names_and_listings_are_told_while_the_server_is_away(void **state) {
    (void)state;
    struct listing before, after;
    struct vfs_entry a = looked_up(root, "a"), found;
    assert_int_equal(list(a.inode, &before), 0);
    assert_string_equal(before.text, "link one sub/ two ");
    go_away(true);
    unsigned asked = atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]);
    found = looked_up(a.inode, "two");
    assert_int_equal(found.attributes.st_size, 2);
    assert_int_equal(list(a.inode, &after), 0);
    assert_string_equal(after.text, before.text);
    assert_int_equal(after.count, 4);
    vfs_forget(mount->vfs, looked_up(a.inode, "one").inode, 1);
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]), asked + 1); /* which found it away */
    assert_int_equal(vfs_lookup(mount->vfs, a.inode, "three", &(struct vfs_entry){0}), -ETIMEDOUT);
    struct handle *handle;
    bool live;
    assert_int_equal(vfs_open(mount->vfs, found.inode, O_RDONLY, &memory_mount_caller, &handle, &live), -ETIMEDOUT);

    go_away(false);
    memory_mount_put(mount, "a/three", "3");
    forget_all(&after);
    assert_int_equal(list(a.inode, &after), 0);
    assert_string_equal(after.text, "link one sub/ three two ");
    forget_all(&before);
    forget_all(&after);
    vfs_forget(mount->vfs, found.inode, 1);
    vfs_forget(mount->vfs, a.inode, 1);
}

static void what_the_kernel_forgot_is_listed_by_its_name_only(void **state) {
    (void)state;
    struct listing listing;
    struct vfs_entry a = looked_up(root, "a");
    assert_int_equal(list(a.inode, &listing), 0);
    forget_all(&listing);
    assert_int_equal(list(root, &listing), 0);
    forget_all(&listing);
    vfs_forget(mount->vfs, looked_up(root, ".gridfs").inode, 1); /* is in no listing, and in the way of none */
    go_away(true);
    assert_int_equal(list(root, &listing), 0);
    assert_string_equal(listing.text, "a/ ");
    forget_all(&listing);
    assert_int_equal(list(a.inode, &listing), 0);
    assert_string_equal(listing.text, "link? one? sub/ two? ");
    assert_int_equal(listing.count, 0);
    go_away(false);
    vfs_forget(mount->vfs, a.inode, 1);
}

static void what_was_never_listed_is_an_error(void **state) {
    (void)state;
    struct listing listing;
    struct vfs_entry a = looked_up(root, "a");
    go_away(true);
    assert_int_equal(list(a.inode, &listing), -ETIMEDOUT);
    assert_int_equal(list(root, &listing), -ETIMEDOUT);
    go_away(false);
    vfs_forget(mount->vfs, a.inode, 1);
}

/* Removed here: not shown. Made here: the listing lacks it, and is none any more. */
static void own_changes_since_the_listing_are_heeded(void **state) {
    (void)state;
    struct listing listing, again;
    struct vfs_entry a = looked_up(root, "a"), made;
    assert_int_equal(list(a.inode, &listing), 0);
    assert_int_equal(vfs_unlink(mount->vfs, a.inode, "one"), 0);
    go_away(true);
    assert_int_equal(list(a.inode, &again), 0);
    assert_string_equal(again.text, "link sub/ two ");
    forget_all(&again);
    go_away(false);
    assert_int_equal(vfs_mkdir(mount->vfs, a.inode, "made", 0755, &memory_mount_caller, &made), 0);
    go_away(true);
    assert_int_equal(list(a.inode, &again), -ETIMEDOUT);
    go_away(false);
    forget_all(&listing);
    vfs_forget(mount->vfs, made.inode, 1);
    vfs_forget(mount->vfs, a.inode, 1);
}

static void what_a_server_that_is_there_cannot_tell_is_an_error(void **state) {
    (void)state;
    struct listing listing;
    struct vfs_entry a = looked_up(root, "a");
    assert_int_equal(list(a.inode, &listing), 0);
    faulty_store_fail(&mount->faulty, FAULTY_LOOKUP, 1, -ETIMEDOUT);
    assert_int_equal(vfs_lookup(mount->vfs, a.inode, "one", &(struct vfs_entry){0}), -ETIMEDOUT);
    faulty_store_fail(&mount->faulty, FAULTY_LOOKUP, 1, -EIO);
    assert_int_equal(vfs_lookup(mount->vfs, a.inode, "one", &(struct vfs_entry){0}), -EIO);
    forget_all(&listing);
    vfs_forget(mount->vfs, a.inode, 1);
}

static void in_the_mode_that_always_asks_nothing_is_recalled(void **state) {
    (void)state;
    memory_mount_put(mount, "a", "1");
    struct listing listing;
    assert_int_equal(list(root, &listing), 0);
    go_away(true);
    struct listing again;
    assert_int_equal(list(root, &again), -ETIMEDOUT);
    assert_int_equal(vfs_lookup(mount->vfs, root, "a", &(struct vfs_entry){0}), -ETIMEDOUT);
    go_away(false);
    forget_all(&listing);
}

#define RECALLING(test) cmocka_unit_test_setup_teardown(test, set_up_recalling, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        RECALLING(known_names_and_listings_are_told_while_the_server_is_away),
        RECALLING(what_the_kernel_forgot_is_listed_by_its_name_only),
        RECALLING(what_was_never_listed_is_an_error),
        RECALLING(own_changes_since_the_listing_are_heeded),
        RECALLING(what_a_server_that_is_there_cannot_tell_is_an_error),
        cmocka_unit_test_setup_teardown(in_the_mode_that_always_asks_nothing_is_recalled, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

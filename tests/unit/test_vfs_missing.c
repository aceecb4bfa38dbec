// SPDX-License-Identifier: Apache-2.0
/* What a vfs believes of names that are not there, while it is told of changes. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/vfs_bench.h"

static struct store_listener listener;

/* The mount in memory once more, with a stream that is healthy. */
static int set_up_told(void **state) {
    set_up(state);
    memory_mount_unmount(mount);
    mount->config.told = true;
    if (vfs_new(&mount->config, &mount->vfs))
        return -1;
    root = vfs_root(mount->vfs);
    listener = vfs_listener(mount->vfs);
    listener.watching(listener.context);
    return 0;
}

static void tell(enum store_change_kind kind, const char *path) {
    struct store_change change = {.kind = kind, .path = path};
    listener.changed(listener.context, &change);
}

static int look(struct inode *parent, const char *name) {
    struct vfs_entry entry;
    int result = vfs_lookup(mount->vfs, parent, name, &entry);
    if (result == 0)
        vfs_forget(mount->vfs, entry.inode, 1);
    return result;
}

/* A lookup that finds nothing, and at how many questions. */
static void expect_missing(struct inode *parent, const char *name, unsigned questions) {
    unsigned before = atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]);
    assert_int_equal(look(parent, name), -ENOENT);
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]) - before, questions);
}

static void forget(const struct vfs_entry *entry) {
    vfs_forget(mount->vfs, entry->inode, 1);
}

static int create(struct inode *parent, const char *name, int flags) {
    struct vfs_entry made;
    struct handle *handle;
    int result = vfs_create(mount->vfs, parent, name, 0644, O_RDWR | O_CREAT | flags, &memory_mount_caller, &made, &handle);
    if (result == 0) {
        memory_mount_write(mount, handle, 0, "mine");
        assert_int_equal(flush(handle), 0);
        close_and_forget(handle, made.inode);
    }
    return result;
}

static bool fits_always(void *context, const char *name) {
    (void)context;
    (void)name;
    return true;
}

static void take_all(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    (void)name;
    (void)entry;
    *(uint64_t *)context = next;
}

static void list(struct inode *directory) {
    struct handle *handle;
    assert_int_equal(vfs_open_directory(mount->vfs, directory, &handle), 0);
    assert_int_equal(vfs_open_listing(mount->vfs, handle), VFS_LISTING_FRESH);
    uint64_t next = 0;
    struct vfs_taker taker = {.context = &next, .fits = fits_always, .take = take_all};
    assert_int_equal(vfs_read_directory(mount->vfs, handle, 0, false, &taker), 0);
    vfs_close(mount->vfs, handle);
}

/* ---- what is told ---- */

static void a_missing_name_is_asked_for_once_and_again_when_something_comes(void **state) {
    (void)state;
    expect_missing(root, "f", 1);
    expect_missing(root, "f", 0);
    memory_mount_put(mount, "f", "1");
    expect_missing(root, "f", 0); /* until it is told */
    tell(STORE_CHANGE_CAME, "f");
    assert_int_equal(look(root, "f"), 0);
}

static void what_comes_below_a_missing_name_is_a_directory(void **state) {
    (void)state;
    expect_missing(root, "d", 1);
    memory_mount_put(mount, "d/e/f", "1");
    tell(STORE_CHANGE_CAME, "d/e/f");
    assert_int_equal(look(root, "d"), 0);
}

static void what_comes_elsewhere_or_goes_costs_nothing(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    expect_missing(directory.inode, "g", 1);
    tell(STORE_CHANGE_CAME, "d/f");
    tell(STORE_CHANGE_CAME, "g");
    tell(STORE_CHANGE_CAME, "d/gg/h");
    tell(STORE_CHANGE_WENT, "d/h");
    expect_missing(directory.inode, "g", 0);
    tell(STORE_CHANGE_ANY, NULL);
    expect_missing(directory.inode, "g", 1);
    forget(&directory);
}

static void without_a_stream_nothing_is_believed_missing(void **state) {
    (void)state;
    expect_missing(root, "f", 1);
    listener.lost(listener.context);
    expect_missing(root, "f", 1);
    expect_missing(root, "f", 1);
    listener.watching(listener.context);
    expect_missing(root, "f", 1); /* what was asked before says nothing */
    expect_missing(root, "f", 0);
}

static void *look_f_up(void *argument) {
    *(int *)argument = look(root, "f");
    return NULL;
}

static void an_answer_that_an_arrival_crossed_is_not_believed(void **state) {
    (void)state;
    struct gate *gate = &mount->faulty.gates[FAULTY_LOOKUP];
    pthread_t thread;
    int crossing = 0;
    gate_shut(gate);
    pthread_create(&thread, NULL, look_f_up, &crossing);
    gate_await(gate, 1);
    tell(STORE_CHANGE_CAME, "f"); /* and gone again */
    gate_open(gate);
    pthread_join(thread, NULL);
    assert_int_equal(crossing, -ENOENT);
    expect_missing(root, "f", 1);
    expect_missing(root, "f", 0);
}

static void what_is_not_in_a_listing_that_is_kept_is_not_asked_for(void **state) {
    (void)state;
    memory_mount_put(mount, "d/e/f", "1");
    memory_mount_put(mount, "d/f", "1");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    list(directory.inode);
    expect_missing(directory.inode, ".gitignore", 0);
    assert_int_equal(look(directory.inode, "f"), 0);
    assert_int_equal(look(directory.inode, "e"), 0);
    memory_mount_put(mount, "d/.gitignore", "1");
    tell(STORE_CHANGE_CAME, "d/.gitignore");
    assert_int_equal(look(directory.inode, ".gitignore"), 0);
    forget(&directory);
}

/* ---- this mount's own changes ---- */

static void what_is_made_here_is_there_at_once(void **state) {
    (void)state;
    struct vfs_entry directory;
    expect_missing(root, "f", 1);
    assert_int_equal(create(root, "f", 0), 0);
    assert_int_equal(look(root, "f"), 0);
    expect_missing(root, "d", 1);
    assert_int_equal(vfs_mkdir(mount->vfs, root, "d", 0755, &memory_mount_caller, &directory), 0);
    forget(&directory);
    assert_int_equal(look(root, "d"), 0);
}

static void what_is_renamed_here_is_there_at_once(void **state) {
    (void)state;
    memory_mount_put(mount, "a/f", "1");
    memory_store_node(mount->memory, "b", STORE_DIRECTORY, NULL);
    struct vfs_entry from = memory_mount_found(mount, "a"), to = memory_mount_found(mount, "b");
    expect_missing(to.inode, "f", 1);
    expect_missing(from.inode, "g", 1);
    assert_int_equal(vfs_rename(mount->vfs, root, "a", root, "b", 0), 0);
    assert_int_equal(look(from.inode, "f"), 0); /* b by now */
    memory_mount_put(mount, "b/g", "1");
    tell(STORE_CHANGE_CAME, "b/g");
    assert_int_equal(look(from.inode, "g"), 0);
    forget(&from);
    forget(&to);
}

/* What others put is not told yet. */
static void a_name_that_is_to_be_made_is_asked_for(void **state) {
    (void)state;
    static const char *const names[] = {"f", "g", "h"};
    struct vfs_entry made;
    for (int i = 0; i < 3; i++) {
        expect_missing(root, names[i], 1);
        expect_missing(root, names[i], 0);
        memory_mount_put(mount, names[i], "theirs");
    }
    assert_int_equal(create(root, "f", 0), -ESTALE);
    assert_int_equal(look(root, "f"), 0); /* the kernel tries again */
    memory_mount_expect_file(mount, "f", "theirs");
    assert_int_equal(create(root, "g", O_EXCL), -EEXIST);
    assert_int_equal(vfs_mkdir(mount->vfs, root, "h", 0755, &memory_mount_caller, &made), -EEXIST);
}

/* Else makedirs() would say that there is no directory, and open() ESTALE a second time. */
static void what_was_in_the_way_is_there_at_once(void **state) {
    (void)state;
    static const char *const names[] = {"e", "f", "g", "h"};
    struct vfs_entry made, source;
    memory_mount_put(mount, "d/a", "1");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    assert_int_equal(vfs_lookup(mount->vfs, directory.inode, "a", &source), 0);
    list(directory.inode);
    for (int i = 0; i < 4; i++) {
        char path[8];
        snprintf(path, sizeof path, "d/%s", names[i]);
        expect_missing(directory.inode, names[i], 0);
        memory_mount_put(mount, path, "theirs");
    }
    assert_int_equal(create(directory.inode, "e", 0), -ESTALE);
    assert_int_equal(create(directory.inode, "f", O_EXCL), -EEXIST);
    assert_int_equal(vfs_mkdir(mount->vfs, directory.inode, "g", 0755, &memory_mount_caller, &made), -EEXIST);
    assert_int_equal(vfs_link(mount->vfs, source.inode, directory.inode, "h", &made), -EEXIST);
    for (int i = 0; i < 4; i++)
        assert_int_equal(look(directory.inode, names[i]), 0);
    forget(&source);
    forget(&directory);
}

/* What came to the new path before this mount knew that the directory is there. */
static void a_listing_says_nothing_of_missing_names_once_its_directory_has_moved(void **state) {
    (void)state;
    memory_mount_put(mount, "a/f", "1");
    struct vfs_entry directory = memory_mount_found(mount, "a");
    list(directory.inode);
    expect_missing(directory.inode, "g", 0);
    tell(STORE_CHANGE_CAME, "b/h");
    assert_int_equal(vfs_rename(mount->vfs, root, "a", root, "b", 0), 0);
    memory_mount_put(mount, "b/h", "1");
    assert_int_equal(look(directory.inode, "h"), 0);
    forget(&directory);
}

static void a_name_that_was_asked_for_just_now_is_made_without_a_question(void **state) {
    (void)state;
    expect_missing(root, "f", 1);
    unsigned before = atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]);
    assert_int_equal(create(root, "f", 0), 0);
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]), before);
}

/* ---- how many ---- */

static void a_million_missing_names_take_little_memory(void **state) {
    (void)state;
    size_t before = mallinfo2().uordblks;
    for (int i = 0; i < 1000000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        assert_int_equal(look(root, name), -ENOENT);
    }
    expect_missing(root, "999999", 0);
    assert_true(mallinfo2().uordblks - before < 4 << 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_told, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(a_missing_name_is_asked_for_once_and_again_when_something_comes),
        TEST(what_comes_below_a_missing_name_is_a_directory),
        TEST(what_comes_elsewhere_or_goes_costs_nothing),
        TEST(without_a_stream_nothing_is_believed_missing),
        TEST(an_answer_that_an_arrival_crossed_is_not_believed),
        TEST(what_is_not_in_a_listing_that_is_kept_is_not_asked_for),
        TEST(what_is_made_here_is_there_at_once),
        TEST(what_is_renamed_here_is_there_at_once),
        TEST(a_name_that_is_to_be_made_is_asked_for),
        TEST(what_was_in_the_way_is_there_at_once),
        TEST(a_listing_says_nothing_of_missing_names_once_its_directory_has_moved),
        TEST(a_name_that_was_asked_for_just_now_is_made_without_a_question),
        TEST(a_million_missing_names_take_little_memory),
    };
    return cmocka_run_group_tests_name("vfs, missing names", tests, NULL, NULL);
}

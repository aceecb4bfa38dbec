/* What becomes of the names of a file with hard links when one is doubted. */
#include "fs/vfs/doubts.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct store bucket = {.bucket = "fs"};
static struct inodes *inodes;
static struct inode *root, *inode;
static struct doubts doubts;

/* A file, or what is none, with the names "a" and then "b". */
static void link_two(enum store_kind kind) {
    struct store_entry entry = {.kind = kind};
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket, .entry = &entry};
    if (kind == STORE_FILE) {
        entry.revision = revision_new("1", 1);
        entry.revision->store = &bucket;
        entry.revision->length = entry.revision->chunk_size = 1;
    } else {
        entry.attributes = (struct attributes){.has = ATTRIBUTES_MODE, .mode = 0600};
    }
    assert_int_equal(inode_adopt(inodes, root, "a", &found, &inode), 0);
    assert_int_equal(inode_linked(inodes, inode, root, "b", NULL), 0);
    inodes_check(inodes);
}

static int set_up(void **state) {
    (void)state;
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket};
    inodes = inodes_new(&found);
    root = inodes ? inodes_root(inodes) : NULL;
    return inodes ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    inodes_check(inodes);
    inode_forget(inodes, inode, 2);
    inodes_check(inodes);
    inodes_free(inodes);
    doubts_done(&doubts);
    return 0;
}

static void expect_paths(const char *first, const char *second) {
    char **paths = inode_paths(inodes, inode, 1000);
    assert_non_null(paths);
    assert_string_equal(paths[0], first);
    if (second)
        assert_string_equal(paths[1], second);
    assert_null(paths[second ? 2 : 1]);
    server_free_names(paths);
}

static struct inode *there(const char *name) {
    struct inode *found = inode_at(inodes, root, name);
    if (found)
        inode_release(inodes, found);
    return found;
}

static void the_name_given_last_is_the_path(void **state) {
    (void)state;
    link_two(STORE_FILE);
    expect_paths("b", "a");
    struct store_entry entry = {.kind = STORE_FILE, .revision = inode_revision(inodes, inode)};
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket, .entry = &entry};
    struct inode *again;
    assert_int_equal(inode_adopt(inodes, root, "a", &found, &again), 0);
    assert_ptr_equal(again, inode);
    inode_forget(inodes, inode, 1);
    expect_paths("a", "b");
}

/* The event may be of before the name was given to this file. */
static void a_name_that_is_told_gone_goes_on_but_is_no_path(void **state) {
    (void)state;
    link_two(STORE_FILE);
    doubts_went(inodes, "b", &doubts);
    assert_int_equal(doubts.count, 1);
    assert_string_equal(doubts.list[0].name, "b");
    expect_paths("a", "b");
    assert_false(inode_is_parted(inodes, inode));
    assert_ptr_equal(there("b"), inode);
}

static void a_name_that_was_found_to_lead_elsewhere_parts_the_others(void **state) {
    (void)state;
    link_two(STORE_FILE);
    doubts_name(inodes, inode, "a", inode_moment(inodes), &doubts);
    assert_true(inode_is_parted(inodes, inode));
    assert_int_equal(doubts.count, 2); /* the kernel is to look both up */
    assert_null(there("a"));
    assert_null(there("b"));
    expect_paths("b", NULL);
}

static void what_this_mount_has_changed_since_is_not_doubted(void **state) {
    (void)state;
    link_two(STORE_FILE);
    uint64_t moment = inode_moment(inodes);
    inode_note_change(inodes, root, "a");
    doubts_name(inodes, inode, "a", moment, &doubts);
    assert_false(inode_is_parted(inodes, inode));
}

/* Programs have it open without a handle here. */
static void what_is_no_regular_file_is_not_parted(void **state) {
    (void)state;
    link_two(STORE_FIFO);
    doubts_name(inodes, inode, "a", inode_moment(inodes), &doubts);
    assert_false(inode_is_parted(inodes, inode));
    assert_ptr_equal(there("b"), inode);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_name_given_last_is_the_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_is_told_gone_goes_on_but_is_no_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_name_that_was_found_to_lead_elsewhere_parts_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_this_mount_has_changed_since_is_not_doubted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_regular_file_is_not_parted, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

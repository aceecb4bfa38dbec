#include "fs/vfs/inode.h"

#include <errno.h>
#include <string.h>

#include "cache/base/stats.h"
#include "tests/unit/unit.h"

static struct store bucket = {.bucket = "fs"};
static struct inodes *inodes;
static struct inode *root;

static int set_up(void **state) {
    (void)state;
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket};
    stats_subtract(STAT_inodes, stats_get(STAT_inodes));
    inodes = inodes_new(&found);
    root = inodes_root(inodes);
    return inodes ? 0 : -1;
}

/* Every test forgets what it looked up: only the root is left. */
static int tear_down(void **state) {
    (void)state;
    inodes_check(inodes);
    uint64_t left = stats_get(STAT_inodes);
    inodes_free(inodes);
    return left == 1 ? 0 : -1;
}

static struct revision *revision_of(unsigned char content) {
    struct revision *revision = revision_new(&content, 1);
    revision->key[0] = content;
    revision->length = content;
    revision->chunk_size = 10;
    return revision;
}

static struct inode *adopt(struct inode *parent, const char *name, struct store_entry *entry) {
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket, .entry = entry};
    struct inode *inode = NULL;
    assert_int_equal(inode_adopt(inodes, parent, name, &found, &inode), 0);
    inodes_check(inodes);
    return inode;
}

static struct inode *adopt_file(struct inode *parent, const char *name, unsigned char content) {
    struct store_entry entry = {.kind = STORE_FILE, .revision = revision_of(content)};
    return adopt(parent, name, &entry);
}

static struct inode *adopt_directory(struct inode *parent, const char *name) {
    struct store_entry entry = {.kind = STORE_DIRECTORY, .witness = strdup("a/witness")};
    return adopt(parent, name, &entry);
}

static int64_t length_of(struct inode *inode) {
    cleanup_with(revision_unref) struct revision *revision = inode_revision(inodes, inode);
    return revision->length;
}

static void the_same_content_keeps_its_inode(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    assert_ptr_equal(adopt_file(root, "a", 1), inode);
    assert_int_equal(inode_kind(inode), INODE_STORED);
    assert_int_equal(inode_type(inode), STORE_FILE);
    assert_ptr_equal(inode_store(inode), &bucket);
    inode_forget(inodes, inode, 2);
}

static void other_content_gets_a_new_inode_and_the_old_one_lives_on(void **state) {
    (void)state;
    struct inode *old = adopt_file(root, "a", 1), *fresh = adopt_file(root, "a", 2);
    assert_ptr_not_equal(old, fresh);
    assert_true(inode_number(old) == inode_number(fresh));
    assert_int_equal(length_of(old), 1);
    assert_int_equal(length_of(fresh), 2);
    assert_ptr_equal(adopt_file(root, "a", 2), fresh);
    inode_forget(inodes, old, 1);
    inode_forget(inodes, fresh, 2);
}

static void another_kind_gets_a_new_inode(void **state) {
    (void)state;
    struct inode *file = adopt_file(root, "a", 1), *directory = adopt_directory(root, "a");
    assert_ptr_not_equal(file, directory);
    assert_int_equal(inode_type(directory), STORE_DIRECTORY);
    inode_forget(inodes, file, 1);
    inode_forget(inodes, directory, 1);
}

static void the_same_name_elsewhere_is_another_inode(void **state) {
    (void)state;
    struct inode *directory = adopt_directory(root, "d");
    struct inode *one = adopt_file(root, "a", 1), *other = adopt_file(directory, "a", 1);
    assert_ptr_not_equal(one, other);
    assert_true(inode_number(one) != inode_number(other));
    inode_forget(inodes, one, 1);
    inode_forget(inodes, other, 1);
    inode_forget(inodes, directory, 1);
}

static void a_file_with_an_identity_has_its_number_from_that(void **state) {
    (void)state;
    struct inode *inodes_of[2];
    for (unsigned char i = 0; i < 2; i++) {
        struct store_entry entry = {.kind = STORE_FILE, .revision = revision_of(1)};
        entry.revision->attributes.identity = 4711;
        inodes_of[i] = adopt(root, i ? "b" : "a", &entry);
        assert_true(inode_number(inodes_of[i]) == 4711);
    }
    inode_forget(inodes, inodes_of[0], 1);
    inode_forget(inodes, inodes_of[1], 1);
}

static void numbers_of_names_are_stable_and_never_zero_or_the_roots(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    uint64_t number = inode_number(inode);
    assert_true(number == inode_number_at(root, "a", NULL));
    assert_true(number > 1);
    inode_forget(inodes, inode, 1);
    inode = adopt_file(root, "a", 9);
    assert_true(inode_number(inode) == number);
    inode_forget(inodes, inode, 1);
    struct store_entry entry = {.kind = STORE_FILE, .revision = revision_of(1)};
    entry.revision->attributes.identity = 1;
    assert_true(inode_number_at(root, "x", &entry) > 1);
    store_entry_done(&entry);
    assert_int_equal(inode_number(root), 1);
}

static void paths_are_made_of_the_names_on_the_way(void **state) {
    (void)state;
    struct inode *a = adopt_directory(root, "a"), *b = adopt_directory(a, "b"), *c = adopt_file(b, "c", 1);
    static const char *const expected[] = {"", "x", "a", "a/x", "a/b/c"};
    char *paths[] = {inode_path(inodes, root, NULL), inode_path(inodes, root, "x"), inode_path(inodes, a, NULL),
                     inode_path(inodes, a, "x"), inode_path(inodes, c, NULL)};
    for (unsigned i = 0; i < 5; i++) {
        assert_string_equal(paths[i], expected[i]);
        free(paths[i]);
    }
    inode_forget(inodes, a, 1);
    inode_forget(inodes, b, 1);
    inode_forget(inodes, c, 1);
}

static void a_parent_outlives_its_children(void **state) {
    (void)state;
    struct inode *a = adopt_directory(root, "a"), *b = adopt_file(a, "b", 1);
    inode_forget(inodes, a, 1);
    inodes_check(inodes);
    cleanup_free char *path = inode_path(inodes, b, NULL);
    assert_string_equal(path, "a/b");
    assert_int_equal(stats_get(STAT_inodes), 3);
    inode_forget(inodes, b, 1);
    assert_int_equal(stats_get(STAT_inodes), 1);
}

static void a_forgotten_inode_lives_while_a_handle_holds_it(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    inode_hold(inodes, inode);
    inode_forget(inodes, inode, 1);
    inodes_check(inodes);
    assert_int_equal(length_of(inode), 1);
    assert_ptr_equal(adopt_file(root, "a", 1), inode);
    inode_forget(inodes, inode, 1);
    inode_release(inodes, inode);
    assert_int_equal(stats_get(STAT_inodes), 1);
}

static void a_dropped_name_is_found_no_more_but_lives_on(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    inode_drop(inodes, root, "a");
    inode_drop(inodes, root, "never there");
    inodes_check(inodes);
    assert_int_equal(length_of(inode), 1);
    struct inode *fresh = adopt_file(root, "a", 1);
    assert_ptr_not_equal(fresh, inode);
    inode_forget(inodes, inode, 1);
    inode_forget(inodes, fresh, 1);
}

static void seeing_the_same_content_again_takes_over_its_attributes(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    struct store_entry entry = {.kind = STORE_FILE, .revision = revision_of(1)};
    entry.revision->attributes = (struct attributes){.has = ATTRIBUTES_MODE, .mode = 0600};
    assert_ptr_equal(adopt(root, "a", &entry), inode);
    assert_null(entry.revision); /* taken over */
    assert_int_equal(inode_attributes(inodes, inode).mode, 0600);
    struct revision *newer = revision_of(1);
    newer->attributes = (struct attributes){.has = ATTRIBUTES_MODE, .mode = 0640};
    inode_refresh(inodes, inode, newer);
    revision_unref(newer);
    assert_int_equal(inode_attributes(inodes, inode).mode, 0640);
    inode_forget(inodes, inode, 2);
}

static void a_directory_keeps_its_witness_and_a_symlink_its_target(void **state) {
    (void)state;
    struct inode *directory = adopt_directory(root, "d");
    struct store_entry entry = {.kind = STORE_SYMLINK, .target = strdup("t")};
    struct inode *link = adopt(root, "l", &entry);
    char *texts[] = {inode_witness(inodes, root, "d"), inode_target(inodes, link), inode_witness(inodes, root, "l"),
                     inode_target(inodes, directory), inode_witness(inodes, root, "none")};
    assert_string_equal(texts[0], "a/witness");
    assert_string_equal(texts[1], "t");
    for (unsigned i = 0; i < 5; i++) {
        assert_true(i < 2 || !texts[i]);
        free(texts[i]);
    }
    inode_forget(inodes, directory, 1);
    inode_forget(inodes, link, 1);
}

static void unmounting_frees_what_the_kernel_never_forgot(void **state) {
    (void)state;
    struct inode *directory = adopt_directory(root, "d");
    adopt_file(directory, "a", 1);
    adopt_file(directory, "a", 2); /* the first one has no name any more */
    inodes_free(inodes);
    set_up(state); /* a leak is the sanitizer's to tell */
}

struct known {
    struct inode *inode;
    unsigned content; /* of a file; 0: a directory */
    unsigned lookups, holds;
};

enum { KNOWN_MOST = 4000 };

/* A lookup that finds this content; 0: a directory. */
static void note_lookup(struct known *known, unsigned *count, struct inode *parent, const char *name,
                        unsigned content) {
    struct inode *inode = content ? adopt_file(parent, name, (unsigned char)content) : adopt_directory(parent, name);
    unsigned i = 0;
    while (i < *count && known[i].inode != inode)
        i++;
    assert_true(i < KNOWN_MOST);
    if (i == *count)
        known[(*count)++] = (struct known){.inode = inode, .content = content};
    assert_int_equal(known[i].content, content);
    known[i].lookups++;
}

/* Random lookups, replacements, deletions, handles and forgets against a list of what the kernel would hold. */
static void random_operations_keep_the_facts(void **state) {
    (void)state;
    struct dice dice = dice_new("inode");
    static struct known known[KNOWN_MOST];
    unsigned count = 1;
    known[0] = (struct known){.inode = root, .lookups = 1};
    for (int step = 0; step < 20000; step++) {
        struct known *one = &known[dice_below(&dice, count)];
        char name[2] = {(char)('a' + dice_below(&dice, 4)), '\0'};
        uint64_t deed = dice_below(&dice, 10);
        if (deed < 4 && !one->content && one->lookups) {
            note_lookup(known, &count, one->inode, name, (unsigned)dice_below(&dice, 4));
        } else if (deed == 4 && !one->content && one->lookups) {
            inode_drop(inodes, one->inode, name);
        } else if (deed == 5 && one->lookups && one != known) {
            inode_hold(inodes, one->inode);
            one->holds++;
        } else if (deed == 6 && one->holds) {
            inode_release(inodes, one->inode);
            one->holds--;
        } else if (deed > 6 && one->lookups && one != known) {
            unsigned lookups = 1 + (unsigned)dice_below(&dice, one->lookups);
            inode_forget(inodes, one->inode, lookups);
            one->lookups -= lookups;
        }
        if (one != known && !one->lookups && !one->holds)
            *one = known[--count];
        if (step % 64 == 0)
            inodes_check(inodes);
    }
    for (unsigned i = 1; i < count; i++) {
        while (known[i].holds--)
            inode_release(inodes, known[i].inode);
        if (known[i].lookups)
            inode_forget(inodes, known[i].inode, known[i].lookups);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(the_same_content_keeps_its_inode),
        TEST(other_content_gets_a_new_inode_and_the_old_one_lives_on),
        TEST(another_kind_gets_a_new_inode),
        TEST(the_same_name_elsewhere_is_another_inode),
        TEST(a_file_with_an_identity_has_its_number_from_that),
        TEST(numbers_of_names_are_stable_and_never_zero_or_the_roots),
        TEST(paths_are_made_of_the_names_on_the_way),
        TEST(a_parent_outlives_its_children),
        TEST(a_forgotten_inode_lives_while_a_handle_holds_it),
        TEST(a_dropped_name_is_found_no_more_but_lives_on),
        TEST(seeing_the_same_content_again_takes_over_its_attributes),
        TEST(a_directory_keeps_its_witness_and_a_symlink_its_target),
        TEST(unmounting_frees_what_the_kernel_never_forgot),
        TEST(random_operations_keep_the_facts),
    };
    return cmocka_run_group_tests_name("inode", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/inode.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

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
    revision->store = &bucket;
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
    struct store_entry entry = {.kind = STORE_DIRECTORY, .witness = strdup("d/witness")};
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
    inode_drop(inodes, root, "a", NULL);
    inode_drop(inodes, root, "never there", NULL);
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
    char *texts[] = {inode_witness(inodes, root, "d", "d"), inode_target(inodes, link), inode_witness(inodes, root, "l", "l"),
                     inode_target(inodes, directory), inode_witness(inodes, root, "none", "none")};
    assert_string_equal(texts[0], "d/witness");
    assert_string_equal(texts[1], "t");
    for (unsigned i = 0; i < 5; i++) {
        assert_true(i < 2 || !texts[i]);
        free(texts[i]);
    }
    inode_forget(inodes, directory, 1);
    inode_forget(inodes, link, 1);
}

static void a_file_below_where_a_directory_was_is_no_witness_of_it(void **state) {
    (void)state;
    struct inode *directory = adopt_directory(root, "d");
    assert_null(inode_witness(inodes, root, "d", "renamed"));
    assert_null(inode_witness(inodes, root, "d", "d/wit"));
    inode_forget(inodes, directory, 1);
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
            inode_drop(inodes, one->inode, name, NULL);
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

/* ---- files that this mount writes ---- */

static char folder[] = "/tmp/gridmount-unit-XXXXXX";
static struct budget budget;
static struct staging *staging;

static struct attributes new_file(void) {
    struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0640};
    attributes_new_file(&attributes);
    return attributes;
}

static struct inode *create(struct inode *parent, const char *name) {
    struct attributes attributes = new_file();
    struct staged_base nothing = {0};
    struct inode *inode;
    assert_int_equal(inode_create(inodes, parent, name, &bucket, &attributes, file_new(staging, &nothing, NULL, 0),
                                  &inode), 0);
    inodes_check(inodes);
    return inode;
}

/* The revision that a publication of this inode makes. */
static struct revision *revision_put(struct inode *inode, unsigned char content) {
    struct revision *revision = revision_of(content);
    revision->attributes = inode_attributes(inodes, inode);
    return revision;
}

static void publish(struct inode *inode, unsigned char content) {
    cleanup_with(revision_unref) struct revision *revision = revision_put(inode, content);
    inode_begin_publishing(inodes, inode);
    inode_end_publishing(inodes, inode, revision);
    inodes_check(inodes);
}

static struct inode *adopt_linked(const char *name, unsigned char content, const struct attributes *attributes) {
    struct store_entry entry = {.kind = STORE_FILE, .revision = revision_of(content)};
    entry.revision->attributes = *attributes;
    return adopt(root, name, &entry);
}

static bool leads_to(struct inode *parent, const char *name, const struct inode *inode) {
    struct inode *found = inode_at(inodes, parent, name);
    if (found)
        inode_release(inodes, found);
    return found == inode;
}

static void expect_path(struct inode *inode, const char *expected) {
    cleanup_free char *path = inode_path(inodes, inode, NULL);
    assert_string_equal(path, expected);
}

static void a_created_file_is_unpublished_until_it_is_published(void **state) {
    (void)state;
    struct inode *inode = create(root, "a"), *found;
    assert_true(inode_is_unpublished(inodes, inode) && inode_is_ours(inodes, inode));
    assert_null(inode_revision(inodes, inode));
    assert_int_equal(inode_attributes(inodes, inode).mode, 0640);
    assert_true(inode_find_unpublished(inodes, root, "a", &found));
    assert_ptr_equal(found, inode);
    assert_false(inode_find_unpublished(inodes, root, "b", &found));
    uint64_t number = inode_number(inode);
    publish(inode, 3);
    assert_false(inode_is_unpublished(inodes, inode) || inode_is_ours(inodes, inode));
    assert_int_equal(length_of(inode), 3);
    assert_true(inode_number(inode) == number);
    assert_int_equal(inode_attributes(inodes, inode).mode, 0640);
    assert_false(inode_find_unpublished(inodes, root, "a", &found));
    inode_forget(inodes, inode, 2);
}

static void what_is_unpublished_stays_whatever_is_found(void **state) {
    (void)state;
    struct inode *inode = create(root, "a");
    assert_ptr_equal(adopt_file(root, "a", 9), inode);
    assert_null(inode_revision(inodes, inode));
    inode_drop(inodes, root, "a", NULL);
    assert_true(leads_to(root, "a", inode));
    inode_forget(inodes, inode, 2);
}

static void a_created_file_takes_its_name_over(void **state) {
    (void)state;
    struct inode *old = adopt_file(root, "a", 1), *fresh = create(root, "a");
    assert_ptr_not_equal(old, fresh);
    assert_true(leads_to(root, "a", fresh));
    assert_false(inode_is_removed(inodes, old)); /* it lost its name, that is all */
    inode_forget(inodes, old, 1);
    inode_forget(inodes, fresh, 1);
}

static void unpublished_files_are_listed_by_their_directory(void **state) {
    (void)state;
    struct inode *d = adopt_directory(root, "d"), *files[3];
    char **names = NULL;
    assert_int_equal(inode_unpublished_in(inodes, root, &names), 0);
    assert_null(names);
    files[0] = create(d, "a");
    files[1] = create(root, "b");
    files[2] = create(d, "c");
    assert_int_equal(inode_unpublished_in(inodes, d, &names), 0);
    assert_true(names[0] && names[1] && !names[2]);
    assert_int_equal(names[0][0] + names[1][0], 'a' + 'c');
    server_free_names(names);
    publish(files[0], 1);
    inode_removed(inodes, d, "c");
    assert_int_equal(inode_unpublished_in(inodes, d, &names), 0);
    assert_null(names);
    for (unsigned i = 0; i < 3; i++)
        inode_forget(inodes, files[i], 1);
    inode_forget(inodes, d, 1);
}

static void while_it_is_published_nothing_found_replaces_it(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    inode_begin_publishing(inodes, inode);
    assert_true(inode_is_ours(inodes, inode));
    assert_ptr_equal(adopt_file(root, "a", 7), inode);
    assert_int_equal(length_of(inode), 1);
    inode_drop(inodes, root, "a", NULL);
    assert_true(leads_to(root, "a", inode));
    inode_end_publishing(inodes, inode, NULL); /* it failed */
    assert_int_equal(length_of(inode), 1);
    struct inode *other = adopt_file(root, "a", 7); /* now it counts */
    assert_ptr_not_equal(other, inode);
    inode_forget(inodes, inode, 2);
    inode_forget(inodes, other, 1);
}

static void a_published_file_takes_its_name_again(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1), *other = adopt_file(root, "a", 7);
    assert_false(leads_to(root, "a", inode));
    publish(inode, 2); /* the last close wins */
    assert_true(leads_to(root, "a", inode));
    inode_forget(inodes, other, 1);
    struct inode *created = adopt_directory(root, "d");
    inode_removed(inodes, root, "d");
    inode_forget(inodes, created, 1);
    inode_drop(inodes, root, "a", NULL);
    created = create(root, "a");
    publish(inode, 3); /* but not from a file that was created there since */
    assert_true(leads_to(root, "a", created));
    inode_forget(inodes, inode, 1);
    inode_forget(inodes, created, 1);
}

static void what_was_asked_before_a_change_replaces_nothing(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1), *found;
    uint64_t before = inode_moment(inodes);
    publish(inode, 2);
    struct store_entry entry = {.kind = STORE_FILE, .revision = revision_of(1)};
    struct inode_found late = {.kind = INODE_STORED, .store = &bucket, .entry = &entry, .since = &before};
    assert_int_equal(inode_adopt(inodes, root, "a", &late, &found), 0);
    assert_ptr_equal(found, inode);
    assert_int_equal(length_of(inode), 2);
    inode_drop(inodes, root, "a", &before);
    assert_true(leads_to(root, "a", inode));
    uint64_t after = inode_moment(inodes);
    inode_drop(inodes, root, "a", &after);
    assert_true(leads_to(root, "a", NULL));
    inode_forget(inodes, inode, 2);
}

static void a_change_is_noted_for_who_asked_before_it(void **state) {
    (void)state;
    struct inode *d = adopt_directory(root, "d");
    uint64_t moment = inode_moment(inodes);
    assert_false(inode_changed_since(inodes, root, "a", moment));
    struct inode *a = create(root, "a");
    assert_true(inode_changed_since(inodes, root, "a", moment));
    assert_false(inode_changed_since(inodes, root, "a", inode_moment(inodes)));
    moment = inode_moment(inodes);
    publish(a, 1);
    assert_true(inode_changed_since(inodes, root, "a", moment));
    moment = inode_moment(inodes);
    inode_moved(inodes, root, "a", d, "b");
    assert_true(inode_changed_since(inodes, root, "a", moment) && inode_changed_since(inodes, d, "b", moment));
    moment = inode_moment(inodes);
    inode_exchanged(inodes, root, "d", root, "none");
    assert_true(inode_changed_since(inodes, root, "d", moment) && inode_changed_since(inodes, root, "none", moment));
    moment = inode_moment(inodes);
    inode_removed(inodes, d, "b");
    assert_true(inode_changed_since(inodes, d, "b", moment));
    moment = inode_moment(inodes);
    inode_removed(inodes, d, "never known");
    inode_note_change(inodes, root, "x");
    assert_true(inode_changed_since(inodes, d, "never known", moment));
    assert_true(inode_changed_since(inodes, root, "x", moment));
    inode_forget(inodes, a, 1);
    inode_forget(inodes, d, 1);
}

static void a_removed_file_keeps_its_last_path_and_no_name(void **state) {
    (void)state;
    struct inode *d = adopt_directory(root, "d"), *stored = adopt_file(d, "a", 1), *fresh = create(d, "b");
    inode_removed(inodes, d, "a");
    inode_removed(inodes, d, "b");
    inode_removed(inodes, d, "b"); /* once is enough */
    inodes_check(inodes);
    assert_true(inode_is_removed(inodes, stored) && inode_is_removed(inodes, fresh));
    assert_true(inode_is_ours(inodes, stored));
    assert_false(inode_is_unpublished(inodes, fresh)); /* nor will it be */
    expect_path(stored, "d/a");
    assert_true(leads_to(d, "a", NULL) && leads_to(d, "b", NULL));
    inode_forget(inodes, d, 1);
    inode_forget(inodes, stored, 1);
    inode_forget(inodes, fresh, 1);
    assert_int_equal(stats_get(STAT_inodes), 1);
}

static void a_moved_name_takes_its_inode_along(void **state) {
    (void)state;
    struct inode *one = adopt_directory(root, "one"), *other = adopt_directory(root, "other");
    struct inode *a = adopt_file(one, "a", 1), *b = adopt_file(other, "b", 2), *below = adopt_file(one, "below", 3);
    inode_moved(inodes, one, "a", other, "b");
    inodes_check(inodes);
    assert_true(leads_to(other, "b", a) && leads_to(one, "a", NULL));
    assert_true(inode_is_removed(inodes, b));
    assert_false(inode_is_removed(inodes, a));
    expect_path(a, "other/b");
    expect_path(b, "other/b");
    inode_moved(inodes, root, "one", other, "sub"); /* with all that is below */
    expect_path(below, "other/sub/below");
    inode_moved(inodes, root, "none", root, "x"); /* what is not known is looked up */
    inodes_check(inodes);
    inode_forget(inodes, one, 1);
    inode_forget(inodes, other, 1);
    inode_forget(inodes, a, 1);
    inode_forget(inodes, b, 1);
    inode_forget(inodes, below, 1);
    assert_int_equal(stats_get(STAT_inodes), 1);
}

static void exchanged_names_lead_to_each_others_inodes(void **state) {
    (void)state;
    struct inode *d = adopt_directory(root, "d"), *a = adopt_file(root, "a", 1), *b = adopt_directory(d, "b");
    struct inode *below = adopt_file(b, "below", 2);
    inode_exchanged(inodes, root, "a", d, "b");
    inodes_check(inodes);
    assert_true(leads_to(root, "a", b) && leads_to(d, "b", a));
    expect_path(below, "a/below");
    expect_path(a, "d/b");
    assert_false(inode_is_removed(inodes, a) || inode_is_removed(inodes, b));
    inode_forget(inodes, a, 1);
    inode_forget(inodes, b, 1);
    inode_forget(inodes, below, 1);
    inode_forget(inodes, d, 1);
}

static void the_names_of_a_hard_linked_file_lead_to_one_inode(void **state) {
    (void)state;
    struct attributes attributes = new_file();
    attributes.has |= ATTRIBUTES_LINKS;
    attributes.links = 3;
    struct inode *a = adopt_linked("a", 1, &attributes);
    assert_ptr_equal(adopt_linked("b", 1, &attributes), a);
    assert_ptr_equal(adopt_linked("a", 1, &attributes), a);
    expect_path(a, "a");
    inode_removed(inodes, root, "a");
    inodes_check(inodes);
    assert_false(inode_is_removed(inodes, a));
    assert_int_equal(inode_attributes(inodes, a).links, 2);
    expect_path(a, "b");
    struct inode *changed = adopt_linked("c", 2, &attributes); /* another mount wrote it */
    assert_ptr_not_equal(changed, a);
    assert_ptr_equal(adopt_linked("b", 2, &attributes), changed);
    inode_forget(inodes, a, 3);
    inode_forget(inodes, changed, 2);
    attributes.links = 1;
    a = adopt_linked("a", 1, &attributes);
    struct inode *b = adopt_linked("b", 1, &attributes); /* a copy of the metadata is no link */
    assert_ptr_not_equal(a, b);
    inode_forget(inodes, a, 1);
    inode_forget(inodes, b, 1);
}

static void a_further_name_is_counted_and_the_last_one_removes(void **state) {
    (void)state;
    struct inode *inode = create(root, "a");
    publish(inode, 1);
    struct revision *linked = revision_put(inode, 1);
    linked->attributes.has |= ATTRIBUTES_LINKS;
    linked->attributes.links = 2;
    assert_int_equal(inode_linked(inodes, inode, root, "b", linked), 0);
    inodes_check(inodes);
    assert_true(leads_to(root, "b", inode));
    publish(inode, 2);
    assert_int_equal(inode_linked(inodes, inode, root, "c", linked), 0); /* the answer is of a revision before */
    assert_int_equal(length_of(inode), 2);
    assert_int_equal(inode_attributes(inodes, inode).links, 3);
    revision_unref(linked);
    inode_removed(inodes, root, "a");
    inode_removed(inodes, root, "c");
    assert_false(inode_is_removed(inodes, inode));
    expect_path(inode, "b");
    inode_removed(inodes, root, "b");
    inodes_check(inodes);
    assert_true(inode_is_removed(inodes, inode));
    inode_forget(inodes, inode, 3);
}

static void a_further_name_of_what_is_no_file_is_counted_too(void **state) {
    (void)state;
    struct store_entry entry = {.kind = STORE_SYMLINK, .target = strdup("t")};
    struct inode *link = adopt(root, "l", &entry), *other = adopt_file(root, "m", 1);
    assert_int_equal(inode_linked(inodes, link, root, "m", NULL), 0); /* takes the name over */
    inodes_check(inodes);
    assert_true(leads_to(root, "m", link) && inode_is_removed(inodes, other));
    assert_int_equal(inode_attributes(inodes, link).links, 2);
    inode_forget(inodes, link, 2);
    inode_forget(inodes, other, 1);
}

static void changes_show_before_and_after_a_publication(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    struct attributes mode = {.has = ATTRIBUTES_MODE, .mode = 0600}, times = {.has = ATTRIBUTES_MTIME, .mtime_ns = 5};
    assert_int_equal(inode_change(inodes, inode, &mode), 0);
    assert_int_equal(inode_written(inodes, inode, &times), 0);
    assert_int_equal(inode_attributes(inodes, inode).mode, 0600);
    mode.mode = 0640;
    assert_int_equal(inode_change(inodes, inode, &mode), 0);
    assert_ptr_equal(adopt_file(root, "a", 1), inode); /* the database knows nothing of this yet */
    assert_int_equal(inode_attributes(inodes, inode).mode, 0640);
    assert_int_equal(inode_attributes(inodes, inode).mtime_ns, 5);
    publish(inode, 2);
    assert_int_equal(inode_attributes(inodes, inode).mode, 0640);
    assert_int_equal(inode_attributes(inodes, inode).mtime_ns, 5);
    inode_forget(inodes, inode, 2);
}

static void times_of_a_directory_are_the_later_ones(void **state) {
    (void)state;
    struct inode *d = adopt_directory(root, "d");
    struct attributes mine = {.has = ATTRIBUTES_MTIME, .mtime_ns = 50};
    static const int64_t found[] = {40, 60}, expected[] = {50, 60};
    assert_int_equal(inode_change(inodes, d, &mine), 0);
    for (unsigned i = 0; i < 2; i++) {
        struct store_entry entry = {.kind = STORE_DIRECTORY};
        entry.attributes = (struct attributes){.has = ATTRIBUTES_MTIME | ATTRIBUTES_MODE, .mtime_ns = found[i]};
        assert_ptr_equal(adopt(root, "d", &entry), d);
        assert_int_equal(inode_attributes(inodes, d).mtime_ns, expected[i]);
    }
    assert_false(inode_is_kept(inodes, d));
    inode_keep(inodes, d);
    assert_true(inode_is_kept(inodes, d));
    inode_forget(inodes, d, 3);
}

static void the_written_side_goes_with_the_last_clean_writer(void **state) {
    (void)state;
    struct inode *inode = adopt_file(root, "a", 1);
    struct staged_base nothing = {0};
    assert_null(inode_file(inodes, inode));
    inode_opened(inodes, inode);
    inode_writer(inodes, inode, 1);
    inode_writer(inodes, inode, 1);
    struct file *first = file_new(staging, &nothing, NULL, 0), *second = file_new(staging, &nothing, NULL, 0);
    file_unref(inode_attach_file(inodes, inode, first));
    struct file *attached = inode_attach_file(inodes, inode, second);
    assert_ptr_equal(attached, first); /* the faster one */
    file_unref(second);
    inode_writer(inodes, inode, -1);
    assert_ptr_equal(file_unref(attached), NULL);
    assert_int_equal(staged_write(file_staged(first), 0, "x", 1), 0);
    inode_writer(inodes, inode, -1);
    struct file *kept = inode_file(inodes, inode); /* it is dirty */
    assert_ptr_equal(kept, first);
    file_unref(kept);
    assert_int_equal(staged_truncate(file_staged(first), 0), 0);
    staged_rebase(file_staged(first), &nothing); /* as after a publication */
    inode_writer(inodes, inode, 1);
    inode_writer(inodes, inode, -1);
    assert_null(inode_file(inodes, inode));
    file_unref(first);
    inode_closed(inodes, inode);
    inode_forget(inodes, inode, 1);
}

static void what_is_open_is_told_to_the_housekeeping(void **state) {
    (void)state;
    struct inode *open = adopt_file(root, "a", 1), *closed = adopt_file(root, "b", 2);
    struct revision **revisions;
    struct store *stores[4], another;
    uint32_t count;
    assert_int_equal(inode_stores(inodes, stores, 4), 1);
    assert_ptr_equal(stores[0], &bucket);
    assert_int_equal(inode_open_revisions(inodes, &bucket, &revisions, &count), 0);
    assert_int_equal(count, 0);
    free(revisions);
    inode_opened(inodes, open);
    inode_opened(inodes, open);
    inode_closed(inodes, open);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(inode_open_revisions(inodes, i ? &bucket : NULL, &revisions, &count), 0);
        assert_int_equal(count, 1);
        assert_int_equal(revisions[0]->length, 1);
        revision_unref(revisions[0]);
        free(revisions);
    }
    assert_int_equal(inode_open_revisions(inodes, &another, &revisions, &count), 0);
    assert_int_equal(count, 0);
    free(revisions);
    inode_closed(inodes, open);
    assert_int_equal(inode_open_revisions(inodes, NULL, &revisions, &count), 0);
    assert_int_equal(count, 0);
    free(revisions);
    inode_forget(inodes, open, 1);
    inode_forget(inodes, closed, 1);
}

static int make_staging(void **state) {
    (void)state;
    budget_init(&budget, 1 << 20);
    return mkdtemp(folder) ? staging_new(&budget, 1 << 20, folder, &staging) : -1;
}

static int remove_staging(void **state) {
    (void)state;
    staging_free(staging);
    return rmdir(folder);
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
        TEST(a_file_below_where_a_directory_was_is_no_witness_of_it),
        TEST(unmounting_frees_what_the_kernel_never_forgot),
        TEST(random_operations_keep_the_facts),
        TEST(a_created_file_is_unpublished_until_it_is_published),
        TEST(what_is_unpublished_stays_whatever_is_found),
        TEST(a_created_file_takes_its_name_over),
        TEST(unpublished_files_are_listed_by_their_directory),
        TEST(while_it_is_published_nothing_found_replaces_it),
        TEST(a_published_file_takes_its_name_again),
        TEST(what_was_asked_before_a_change_replaces_nothing),
        TEST(a_change_is_noted_for_who_asked_before_it),
        TEST(a_removed_file_keeps_its_last_path_and_no_name),
        TEST(a_moved_name_takes_its_inode_along),
        TEST(exchanged_names_lead_to_each_others_inodes),
        TEST(the_names_of_a_hard_linked_file_lead_to_one_inode),
        TEST(a_further_name_is_counted_and_the_last_one_removes),
        TEST(a_further_name_of_what_is_no_file_is_counted_too),
        TEST(changes_show_before_and_after_a_publication),
        TEST(times_of_a_directory_are_the_later_ones),
        TEST(the_written_side_goes_with_the_last_clean_writer),
        TEST(what_is_open_is_told_to_the_housekeeping),
    };
    return cmocka_run_group_tests_name("inode", tests, make_staging, remove_staging);
}

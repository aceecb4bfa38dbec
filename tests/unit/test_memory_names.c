// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_store.h"

#include "tests/unit/memory_bench.h"

/* ---- nodes and directories ---- */

static void nodes_are_made_where_nothing_is(void **state) {
    struct bench *bench = *state;
    struct store_entry entry;
    create(bench, "implied/f", "x");
    assert_int_equal(make(bench, "d", STORE_DIRECTORY), 0);
    assert_int_equal(make(bench, "d/link", STORE_SYMLINK), 0);
    assert_int_equal(make(bench, "d", STORE_FIFO), -EEXIST);
    assert_int_equal(make(bench, "d/link", STORE_DIRECTORY), -EEXIST);
    assert_int_equal(make(bench, "implied", STORE_DIRECTORY), -EEXIST);
    assert_int_equal(make(bench, "implied/f", STORE_SYMLINK), -EEXIST);
    assert_int_equal(make(bench, "", STORE_DIRECTORY), -EEXIST);
    expect_listing(bench, "", "d/ implied/");
    expect_listing(bench, "d", "link");
    assert_int_equal(bench->ops->lookup(bench->store, "d/link", NULL, &entry), 0);
    assert_string_equal(entry.target, "target");
    assert_int_equal(entry.attributes.mode, 0700);
    store_entry_done(&entry);
}

static void a_kept_directory_stays_without_its_files(void **state) {
    struct bench *bench = *state;
    create(bench, "a/b/f", "x");
    create(bench, "c/f", "x");
    assert_int_equal(bench->ops->keep_directory(bench->store, "a/b"), 0);
    assert_int_equal(bench->ops->keep_directory(bench->store, "a/b"), 0);
    assert_int_equal(remove_file(bench, "a/b/f"), 0);
    assert_int_equal(remove_file(bench, "c/f"), 0);
    assert_int_equal(kind_at(bench, "a/b"), 'd');
    assert_int_equal(kind_at(bench, "c"), '-');
    expect_listing(bench, "a", "b/");
}

static void a_directory_goes_when_it_is_empty(void **state) {
    struct bench *bench = *state;
    make(bench, "d", STORE_DIRECTORY);
    make(bench, "d/e", STORE_DIRECTORY);
    make(bench, "dx", STORE_DIRECTORY);
    create(bench, "implied/f", "x");
    assert_int_equal(bench->ops->remove_directory(bench->store, "d"), -ENOTEMPTY);
    assert_int_equal(bench->ops->remove_directory(bench->store, "implied"), -ENOTEMPTY);
    assert_int_equal(bench->ops->remove_directory(bench->store, "d/e"), 0);
    assert_int_equal(bench->ops->remove_directory(bench->store, "d"), 0);
    assert_int_equal(bench->ops->remove_directory(bench->store, "d"), -ENOENT);
    assert_int_equal(bench->ops->remove_directory(bench->store, "implied/f"), -ENOENT);
    expect_listing(bench, "", "dx/ implied/");
}

static void only_names_of_no_directory_are_removed(void **state) {
    struct bench *bench = *state;
    make(bench, "fifo", STORE_FIFO);
    make(bench, "d", STORE_DIRECTORY);
    create(bench, "f", "x");
    assert_int_equal(bench->ops->remove(bench->store, &(struct store_object){.path = "fifo", .kind = STORE_FIFO}), 0);
    assert_int_equal(remove_file(bench, "fifo"), -ENOENT);
    assert_int_equal(remove_file(bench, "d"), -ENOENT);
    assert_int_equal(remove_file(bench, "f"), 0);
    expect_listing(bench, "", "d/");
}

/* ---- rename ---- */

static void a_renamed_file_wins_over_what_it_replaces(void **state) {
    struct bench *bench = *state;
    create(bench, "a", "first");
    create(bench, "b", "second");
    cleanup_with(revision_unref) struct revision *before = newest(bench, "a"), *replaced = newest(bench, "b");
    assert_int_equal(rename_to(bench, "a", STORE_FILE, "b"), 0);
    cleanup_with(revision_unref) struct revision *after = newest(bench, "b");
    expect_listing(bench, "", "b");
    expect_content(bench, "b", "first");
    assert_true(revision_same_content(before, after));
    assert_true(after->date_ms > replaced->date_ms);
    assert_int_equal(after->content_date_ms, before->date_ms);
    assert_int_equal(first_chunk(bench, replaced, "second"), 0);
    assert_int_equal(rename_to(bench, "a", STORE_FILE, "c"), -ENOENT);
    create(bench, "b", "third");
    cleanup_with(revision_unref) struct revision *third = newest(bench, "b");
    assert_true(third->date_ms > after->date_ms);
}

static void a_target_to_be_kept_is_kept(void **state) {
    struct bench *bench = *state;
    create(bench, "f", "f");
    create(bench, "g", "g");
    create(bench, "d/x", "x");
    make(bench, "e", STORE_DIRECTORY);
    static const char *const taken[] = {"f", "g", "d", "e"};
    for (unsigned i = 0; i < 4; i++) {
        struct store_rename rename = {.from = {.path = "f"}, .to = taken[i], .keep_target = true};
        assert_int_equal(bench->ops->rename(bench->store, &rename), -EEXIST);
    }
    struct store_rename rename = {.from = {.path = "f"}, .to = "free", .keep_target = true};
    assert_int_equal(bench->ops->rename(bench->store, &rename), 0);
    expect_listing(bench, "", "d/ e/ free g");
}

static void a_directory_moves_with_all_below_it(void **state) {
    struct bench *bench = *state;
    create(bench, "a/f", "f");
    create(bench, "a/b/g", "g");
    create(bench, "ab", "beside");
    make(bench, "made", STORE_DIRECTORY);
    make(bench, "empty", STORE_DIRECTORY);
    assert_int_equal(rename_to(bench, "a", STORE_DIRECTORY, "a/b/c"), -EINVAL);
    assert_int_equal(rename_to(bench, "a", STORE_DIRECTORY, "ab"), -ENOTDIR);
    assert_int_equal(rename_to(bench, "ab", STORE_FILE, "a"), -EISDIR);
    assert_int_equal(rename_to(bench, "made", STORE_DIRECTORY, "a"), -ENOTEMPTY);
    assert_int_equal(rename_to(bench, "a", STORE_DIRECTORY, "empty"), 0);
    assert_int_equal(rename_to(bench, "made", STORE_DIRECTORY, "empty/made"), 0);
    expect_listing(bench, "", "ab empty/");
    expect_listing(bench, "empty", "b/ f made/");
    expect_content(bench, "empty/b/g", "g");
    assert_int_equal(rename_to(bench, "a", STORE_DIRECTORY, "z"), -ENOENT);
}

static void anything_is_exchanged_for_anything(void **state) {
    struct bench *bench = *state;
    create(bench, "f", "f");
    create(bench, "g", "g");
    create(bench, "d/e/h", "h");
    struct store_object f = {.path = "f"}, g = {.path = "g"}, d = {.path = "d", .kind = STORE_DIRECTORY};
    assert_int_equal(exchange(bench, f, g), 0);
    expect_content(bench, "f", "g");
    expect_content(bench, "g", "f");
    assert_int_equal(exchange(bench, f, d), 0);
    expect_content(bench, "d", "g");
    expect_content(bench, "f/e/h", "h");
    f.kind = STORE_DIRECTORY;
    assert_int_equal(exchange(bench, f, f), 0);
    assert_int_equal(exchange(bench, f, (struct store_object){.path = "f/e", .kind = STORE_DIRECTORY}), -EINVAL);
    assert_int_equal(exchange(bench, g, (struct store_object){.path = "none"}), -ENOENT);
    assert_int_equal(exchange(bench, (struct store_object){.path = "none"}, g), -ENOENT);
    make(bench, "made", STORE_DIRECTORY);
    assert_int_equal(exchange(bench, (struct store_object){.path = "made", .kind = STORE_DIRECTORY}, f), 0);
    expect_listing(bench, "", "d f/ g made/");
    expect_listing(bench, "made", "e/");
}

/* ---- links ---- */

static void links_are_one_file(void **state) {
    struct bench *bench = *state;
    memory_store_put(bench->memory, "a", "old", 3, 4);
    assert_int_equal(links_of(bench, "a"), 0);
    assert_int_equal(link_file(bench, "a", "b"), 0);
    assert_int_equal(link_file(bench, "a", "b"), -EEXIST);
    assert_int_equal(links_of(bench, "a"), 2);
    cleanup_with(revision_unref) struct revision *one = newest(bench, "a"), *other = newest(bench, "b");
    assert_int_not_equal(one->attributes.identity, 0);
    assert_int_equal(one->attributes.identity, other->attributes.identity);
    revision_unref(put(bench, "b", "new", other));
    expect_content(bench, "a", "new");
    assert_int_equal(rename_to(bench, "a", STORE_FILE, "b"), 0);
    expect_listing(bench, "", "a b");
    assert_int_equal(remove_file(bench, "a"), 0);
    assert_int_equal(links_of(bench, "b"), 0);
    expect_content(bench, "b", "new");
}

static void links_of_what_has_gone_are_not_made(void **state) {
    struct bench *bench = *state;
    cleanup_with(revision_unref) struct revision *revision = put(bench, "f", "x", NULL), *linked = NULL;
    remove_file(bench, "f");
    struct store_object object = {.path = "f", .kind = STORE_FILE, .revision = revision};
    assert_int_equal(bench->ops->link(bench->store, &object, "g", &linked), -ENOENT);
    make(bench, "l", STORE_SYMLINK);
    object = (struct store_object){.path = "l", .kind = STORE_SYMLINK};
    assert_int_equal(bench->ops->link(bench->store, &object, "m", NULL), 0);
    assert_int_equal(kind_at(bench, "m"), 'l');
}

static void another_client_deletes_a_file_with_all_its_links(void **state) {
    struct bench *bench = *state;
    create(bench, "a", "x");
    link_file(bench, "a", "z");
    create(bench, "m", "x");
    cleanup_with(revision_unref) struct revision *revision = newest(bench, "z");
    assert_true(memory_store_remove(bench->memory, "a"));
    expect_listing(bench, "", "m");
    assert_int_equal(first_chunk(bench, revision, "x"), -ESTALE);
}

/* ---- attributes ---- */

static int change_mode(struct bench *bench, struct store_object object, uint32_t mode, struct revision **ret_revision) {
    struct attributes changes = {.has = ATTRIBUTES_MODE, .mode = mode};
    return bench->ops->set_attributes(bench->store, &object, &changes, ret_revision);
}

static void attributes_change_and_the_content_does_not(void **state) {
    struct bench *bench = *state;
    cleanup_with(revision_unref) struct revision *before = put(bench, "a", "x", NULL), *after = NULL;
    struct store_object object = {.path = "a", .kind = STORE_FILE, .revision = before};
    assert_int_equal(rename_to(bench, "a", STORE_FILE, "b"), 0);
    assert_int_equal(change_mode(bench, object, 04711, &after), 0);
    assert_true(revision_same_content(before, after));
    assert_int_equal(after->attributes.mode, 04711);
    assert_int_equal(after->attributes.identity, before->attributes.identity);
    assert_int_equal(before->attributes.mode, 0640);
    remove_file(bench, "b");
    struct revision *none = NULL;
    assert_int_equal(change_mode(bench, object, 0, &none), -ENOENT);
    assert_null(none);
}

static void a_directory_that_is_changed_is_made(void **state) {
    struct bench *bench = *state;
    struct store_entry entry;
    create(bench, "a/b/f", "x");
    static const char *const paths[] = {"a/b", ""};
    for (unsigned i = 0; i < 2; i++) {
        struct store_object directory = {.path = paths[i], .kind = STORE_DIRECTORY};
        assert_int_equal(change_mode(bench, directory, 0711, NULL), 0);
        assert_int_equal(bench->ops->lookup(bench->store, paths[i], NULL, &entry), 0);
        assert_int_equal(entry.attributes.mode, 0711);
        store_entry_done(&entry);
    }
    remove_file(bench, "a/b/f");
    expect_listing(bench, "a", "b/");
    expect_listing(bench, "", "a/");
    assert_int_equal(change_mode(bench, (struct store_object){.path = "c", .kind = STORE_DIRECTORY}, 0, NULL), -ENOENT);
}

/* "name=value name=value", in the order of the store. */
static void expect_xattrs(struct bench *bench, struct store_object object, const char *expected) {
    struct store_xattr *first = NULL;
    char found[512] = "";
    assert_int_equal(bench->ops->xattrs(bench->store, &object, &first), 0);
    for (struct store_xattr *xattr = first; xattr; xattr = xattr->next)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s=%.*s", *found ? " " : "", xattr->name,
                 (int)xattr->size, (const char *)xattr->value);
    store_xattrs_free(first);
    assert_string_equal(found, expected);
}

static int set(struct bench *bench, struct store_object object, const char *name, const char *value,
               enum store_xattr_how how) {
    return bench->ops->set_xattr(bench->store, &object, name, value, value ? strlen(value) : 0, how);
}

static void xattrs_are_set_as_asked(void **state) {
    struct bench *bench = *state;
    create(bench, "f", "x");
    struct store_object f = {.path = "f"}, none = {.path = "none"};
    assert_int_equal(set(bench, f, "user.a", "1", STORE_XATTR_REPLACE), -ENODATA);
    assert_int_equal(set(bench, f, "user.a", "1", STORE_XATTR_CREATE), 0);
    assert_int_equal(set(bench, f, "user.a", "2", STORE_XATTR_CREATE), -EEXIST);
    assert_int_equal(set(bench, f, "user.b", "", STORE_XATTR_ANY), 0);
    assert_int_equal(set(bench, f, "user.a", "three", STORE_XATTR_REPLACE), 0);
    expect_xattrs(bench, f, "user.gridfs.id=id-1 user.a=three user.b=");
    assert_int_equal(set(bench, f, "user.a", NULL, STORE_XATTR_REMOVE), 0);
    assert_int_equal(set(bench, f, "user.a", NULL, STORE_XATTR_REMOVE), -ENODATA);
    assert_int_equal(set(bench, f, "user.gridfs.id", "x", STORE_XATTR_ANY), -EPERM);
    assert_int_equal(set(bench, none, "user.a", "x", STORE_XATTR_ANY), -ENOENT);
    expect_xattrs(bench, f, "user.gridfs.id=id-1 user.b=");
    struct store_xattr *first = NULL;
    assert_int_equal(bench->ops->xattrs(bench->store, &none, &first), -ENOENT);
}

static void xattrs_have_an_end(void **state) {
    struct bench *bench = *state;
    create(bench, "f", "x");
    struct store_object f = {.path = "f"};
    size_t size = MEMORY_XATTRS_MOST - strlen("user.a");
    cleanup_free char *much = calloc(1, size);
    assert_int_equal(bench->ops->set_xattr(bench->store, &f, "user.a", much, size, STORE_XATTR_ANY), 0);
    assert_int_equal(set(bench, f, "user.b", "x", STORE_XATTR_ANY), -ENOSPC);
    assert_int_equal(set(bench, f, "user.a", "x", STORE_XATTR_ANY), 0);
    assert_int_equal(set(bench, f, "user.b", "x", STORE_XATTR_ANY), 0);
}

static void xattrs_outlive_an_overwrite_and_make_directories(void **state) {
    struct bench *bench = *state;
    cleanup_with(revision_unref) struct revision *base = put(bench, "d/f", "x", NULL);
    struct store_object d = {.path = "d", .kind = STORE_DIRECTORY};
    set(bench, (struct store_object){.path = "d/f", .revision = base}, "user.a", "1", STORE_XATTR_ANY);
    cleanup_with(revision_unref) struct revision *new = put(bench, "d/f", "y", base);
    expect_xattrs(bench, (struct store_object){.path = "d/f", .revision = new}, "user.gridfs.id=id-2 user.a=1");
    expect_xattrs(bench, d, "");
    assert_int_equal(set(bench, d, "user.d", "1", STORE_XATTR_ANY), 0);
    remove_file(bench, "d/f");
    expect_xattrs(bench, d, "user.d=1");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(nodes_are_made_where_nothing_is),
        MEMORY_TEST(a_kept_directory_stays_without_its_files),
        MEMORY_TEST(a_directory_goes_when_it_is_empty),
        MEMORY_TEST(only_names_of_no_directory_are_removed),
        MEMORY_TEST(a_renamed_file_wins_over_what_it_replaces),
        MEMORY_TEST(a_target_to_be_kept_is_kept),
        MEMORY_TEST(a_directory_moves_with_all_below_it),
        MEMORY_TEST(anything_is_exchanged_for_anything),
        MEMORY_TEST(links_are_one_file),
        MEMORY_TEST(links_of_what_has_gone_are_not_made),
        MEMORY_TEST(another_client_deletes_a_file_with_all_its_links),
        MEMORY_TEST(attributes_change_and_the_content_does_not),
        MEMORY_TEST(a_directory_that_is_changed_is_made),
        MEMORY_TEST(xattrs_are_set_as_asked),
        MEMORY_TEST(xattrs_have_an_end),
        MEMORY_TEST(xattrs_outlive_an_overwrite_and_make_directories),
    };
    return cmocka_run_group_tests_name("memory store: names", tests, NULL, NULL);
}

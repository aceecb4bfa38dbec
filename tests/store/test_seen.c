/* What was seen of a name a moment ago saves questions, and is not relied on: others change it since. */
#include <errno.h>

#include "cache/base/stats.h"
#include "tests/store/named.h"

static struct store_entry look_at(struct real_store *real, const char *path) {
    struct store_entry entry;
    assert_int_equal(real->store->ops->lookup(real->store, path, NULL, &entry), 0);
    return entry;
}

/* Renames what was seen onto a name that was free, and returns what that took. */
static uint64_t rename_seen(struct real_store *real, const char *from, const char *to, struct store_entry *seen) {
    struct store_rename rename = {.from = {.path = from, .kind = seen->kind, .revision = seen->revision}, .to = to};
    uint64_t before = stats_get(STAT_round_trips);
    assert_int_equal(real->store->ops->rename(real->store, &rename), 0);
    store_entry_done(seen);
    return stats_get(STAT_round_trips) - before;
}

/* Whether the server takes several changes by one command. The first change of a bucket asks for more. */
static bool warm_up(struct real_store *real) {
    named_put(real, "warm", 99, 1000, true);
    struct store_entry seen = look_at(real, "warm");
    (void)rename_seen(real, "warm", "warmer", &seen);
    return atomic_load(&real->bucket->changing.ordered);
}

/* ---- renames ---- */

static void one_round_trip_renames_a_file(void **state) {
    (void)state;
    struct real_store real = real_store_open("rename1");
    bool ordered = warm_up(&real);
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f");
    assert_int_equal(rename_seen(&real, "f", "d/g", &seen), ordered ? 1 : 2);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(named_newest(&real, "d/g"), 1);
    real_store_close(&real);
}

static void a_revision_put_since_is_renamed_too(void **state) {
    (void)state;
    struct real_store real = real_store_open("newer");
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f");
    named_put(&real, "f", 2, 2000, false);
    named_put(&real, "/f", 3, 1500, false);
    (void)rename_seen(&real, "f", "g", &seen);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(named_newest(&real, "g"), 2);
    assert_int_equal(named_files(&real, "g"), 3);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 0);
    real_store_close(&real);
}

static void older_revisions_follow(void **state) {
    (void)state;
    struct real_store real = real_store_open("older");
    named_put(&real, "f", 1, 1000, true);
    named_put(&real, "f", 2, 2000, false);
    struct store_entry seen = look_at(&real, "f");
    (void)rename_seen(&real, "f", "g", &seen);
    assert_int_equal(named_files(&real, "g"), 2);
    assert_int_equal(named_newest(&real, "g"), 2);
    real_store_close(&real);
}

static void what_was_put_at_the_free_name_since_is_replaced(void **state) {
    (void)state;
    struct real_store real = real_store_open("target");
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f");
    named_put(&real, "g", 2, 2000, true);
    named_put(&real, "g", 3, 3000, false);
    (void)rename_seen(&real, "f", "g", &seen);
    assert_int_equal(named_newest(&real, "g"), 1);
    assert_int_equal(named_files(&real, "g"), 2); /* of another application: it stays behind */
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 1);
    real_store_close(&real);
}

static void one_of_two_renames_of_a_file_finds_nothing(void **state) {
    (void)state;
    struct real_store real = real_store_open("twice");
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f"), again = look_at(&real, "f");
    (void)rename_seen(&real, "f", "g", &seen);
    struct store_rename rename = {.from = {.path = "f", .kind = STORE_FILE, .revision = again.revision}, .to = "g"};
    assert_int_equal(real.store->ops->rename(real.store, &rename), -ENOENT);
    store_entry_done(&again);
    real_store_close(&real);
}

/* The count of names is not the one that was seen: its further names must follow. */
static void a_file_linked_since_keeps_both_names(void **state) {
    (void)state;
    struct real_store real = real_store_open("linked");
    struct revision *linked = NULL;
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f");
    struct store_object object = {.path = "f", .kind = STORE_FILE, .revision = seen.revision};
    assert_int_equal(real.store->ops->link(real.store, &object, "other", &linked), 0);
    revision_unref(linked);
    (void)rename_seen(&real, "f", "g", &seen);
    assert_int_equal(named_newest(&real, "g"), 1);
    assert_int_equal(named_newest(&real, "other"), 1);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_round_trip_renames_a_file),
        cmocka_unit_test(a_revision_put_since_is_renamed_too),
        cmocka_unit_test(older_revisions_follow),
        cmocka_unit_test(what_was_put_at_the_free_name_since_is_replaced),
        cmocka_unit_test(one_of_two_renames_of_a_file_finds_nothing),
        cmocka_unit_test(a_file_linked_since_keeps_both_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What was seen of a name a moment ago saves questions, and is not relied on: others change it since. */
#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

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
    real_store_quiet(real);
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

/* ---- removals ---- */

/* Removes what was looked up, and returns what that took. */
static uint64_t remove_seen(struct real_store *real, const char *path, struct store_entry *seen) {
    struct store_object object = {.path = path, .kind = seen->kind, .revision = seen->revision};
    uint64_t before = stats_get(STAT_round_trips);
    assert_int_equal(real->store->ops->remove(real->store, &object), 0);
    store_entry_done(seen);
    return stats_get(STAT_round_trips) - before;
}

static void one_round_trip_removes_what_was_just_looked_up(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove1");
    bool ordered = warm_up(&real);
    real_store_insert(&real, "files",
                      real_store_json("{'_id': {'$oid': '0123456789abcdef00000001'}, 'filename': 'f', 'length': 0,"
                                      " 'chunkSize': 10, 'uploadDate': {'$date': 5}, 'metadata': {'theirs': [1, 2]}}"));
    struct store_entry seen = look_at(&real, "f");
    assert_in_range(remove_seen(&real, "f", &seen), 1, ordered ? 1 : 5); /* or the bucket is marked first */
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    bson_t *record = real_store_first(&real, "gridmount.trash", bson_new());
    assert_true(bson_has_field(record, "document.metadata.theirs") && bson_has_field(record, "due"));
    bson_destroy(record);
    real_store_close(&real);
}

static void what_was_put_since_is_removed_too(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove2");
    named_put(&real, "f", 1, 2000, true);
    struct store_entry seen = look_at(&real, "f");
    named_put(&real, "f", 2, 3000, false);
    named_put(&real, "./f", 3, 1000, false);
    (void)remove_seen(&real, "f", &seen);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 3);
    real_store_close(&real);
}

/* By another mount: its record is in the trash, so that ours cannot be inserted. */
static void what_others_removed_since_is_not_found(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove7");
    warm_up(&real);
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f");
    bson_t *document = real_store_first(&real, "files", real_store_json("{'filename': 'f'}")), *by_id = bson_new();
    bson_iter_t id;
    assert_true(bson_iter_init_find(&id, document, "_id") && bson_append_iter(by_id, "_id", 3, &id));
    bson_t *record = bson_copy(by_id);
    BSON_APPEND_DOCUMENT(record, "document", document);
    BSON_APPEND_DATE_TIME(record, "due", INT64_C(1) << 41);
    real_store_insert(&real, "gridmount.trash", record);
    mongoc_collection_t *files = real_store_collection(&real, "files");
    assert_true(mongoc_collection_delete_one(files, by_id, NULL, NULL, NULL));
    mongoc_collection_destroy(files);
    struct store_object object = {.path = "f", .kind = STORE_FILE, .revision = seen.revision};
    assert_int_equal(real.store->ops->remove(real.store, &object), -ENOENT);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 1);
    store_entry_done(&seen);
    bson_destroy(by_id);
    bson_destroy(document);
    real_store_close(&real);
}

static void older_revisions_are_removed_too(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove3");
    for (unsigned i = 0; i < 9; i++)
        named_put(&real, "f", i, 1000 + i, true);
    struct store_entry seen = look_at(&real, "f");
    (void)remove_seen(&real, "f", &seen);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 9);
    real_store_close(&real);
}

static void a_name_linked_since_is_not_the_last(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove4");
    struct revision *linked = NULL;
    struct bucket *other;
    struct store *second = named_other(&real, &other);
    named_put(&real, "f", 1, 1000, true);
    (void)warm_up(&real); /* so that it does not know of hard links */
    struct store_entry seen = look_at(&real, "f");
    struct store_object object = {.path = "f", .kind = STORE_FILE, .revision = seen.revision};
    assert_int_equal(second->ops->link(second, &object, "further", &linked), 0);
    revision_unref(linked);
    (void)remove_seen(&real, "f", &seen);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(named_newest(&real, "further"), 1);
    bucket_free(other);
    real_store_close(&real);
}

static void what_was_renamed_since_is_not_removed(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove5");
    named_put(&real, "f", 1, 1000, true);
    struct store_entry seen = look_at(&real, "f");
    real_store_update(&real, "files", real_store_json("{'filename': 'f'}"),
                      real_store_json("{'$set': {'filename': 'g'}}"));
    struct store_object object = {.path = "f", .kind = STORE_FILE, .revision = seen.revision};
    assert_int_equal(real.store->ops->remove(real.store, &object), -ENOENT);
    assert_int_equal(named_newest(&real, "g"), 1);
    store_entry_done(&seen);
    real_store_close(&real);
}

static void an_id_that_may_come_again_has_no_grace(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove6");
    real_store_insert(&real, "files", real_store_json("{'_id': 7, 'filename': 'f', 'length': 1, 'chunkSize': 10,"
                                                      " 'uploadDate': {'$date': 5}}"));
    real_store_insert(&real, "chunks", real_store_json("{'files_id': 7, 'n': 0}"));
    struct store_entry seen = look_at(&real, "f");
    (void)remove_seen(&real, "f", &seen);
    assert_int_equal(real_store_count(&real, "chunks", bson_new()), 0);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 0);
    real_store_close(&real);
}

/* ---- lookups ---- */

static void large_documents_are_not_asked_for_whole(void **state) {
    (void)state;
    struct real_store real = real_store_open("large");
    bson_t *document = real_store_json("{'filename': 'f', 'length': 0, 'chunkSize': 10, 'uploadDate': {'$date': 5}}");
    char text[RECENT_BYTES + 1];
    memset(text, 'x', RECENT_BYTES);
    text[RECENT_BYTES] = '\0';
    BSON_APPEND_UTF8(document, "theirs", text);
    real_store_insert(&real, "files", document);
    assert_true(recents_whole(&real.bucket->recents));
    for (unsigned i = 0; i < 2; i++) {
        struct store_entry seen = look_at(&real, "f");
        assert_false(recents_whole(&real.bucket->recents));
        assert_true(seen.kind == STORE_FILE && seen.revision);
        store_entry_done(&seen);
    }
    real_store_close(&real);
}

static uint64_t trips_of_lookup(struct real_store *real, const char *path, const char *witness, int wanted) {
    struct store_entry entry = {0};
    uint64_t before = stats_get(STAT_round_trips);
    assert_int_equal(real->store->ops->lookup(real->store, path, witness, &entry), wanted);
    store_entry_done(&entry);
    return stats_get(STAT_round_trips) - before;
}

static void files_and_nodes_are_one_question(void **state) {
    (void)state;
    struct real_store real = real_store_open("both");
    real.bucket->policy.trust_ms = 60 * 1000; /* of what is believed of a bucket */
    named_put(&real, "d/f", 1, 1000, true);
    named_node(&real, "d/link", "symlink");
    (void)trips_of_lookup(&real, "d/f", NULL, 0); /* whether there are spellings, and whether it takes such a question */
    bool both = atomic_load(&real.bucket->unions_refused_until_ms) == 0;
    assert_int_equal(trips_of_lookup(&real, "d/none", NULL, -ENOENT), both ? 1 : 2);
    assert_int_equal(trips_of_lookup(&real, "d/link", NULL, 0), both ? 1 : 2);
    assert_int_equal(trips_of_lookup(&real, "d/f", NULL, 0), both ? 1 : 2);
    real_store_close(&real);
}

static void a_claim_looks_at_files_and_nodes_at_once(void **state) {
    (void)state;
    struct real_store real = real_store_open("claims");
    struct store_lease *lease = NULL;
    real.bucket->policy.trust_ms = 60 * 1000;
    (void)warm_up(&real);
    named_put(&real, "f", 1, 1000, true);
    named_put(&real, "d/below", 2, 1000, true);
    named_node(&real, "link", "symlink");
    (void)trips_of_lookup(&real, "f", NULL, 0);
    bool both = atomic_load(&real.bucket->unions_refused_until_ms) == 0;
    uint64_t before = stats_get(STAT_round_trips);
    assert_int_equal(real.store->ops->reserve(real.store, "free", &lease), 0);
    assert_in_range(stats_get(STAT_round_trips) - before, 1, both ? 2 : 4);
    real.store->ops->release(real.store, lease);
    for (unsigned i = 0; i < 5; i++) {
        char name[16];
        snprintf(name, sizeof name, "g.%u", i); /* neighbours of "g", more than a glance shows */
        named_put(&real, name, 10 + i, 1000, true);
    }
    static const char *const taken[] = {"f", "d", "link", "g.0"};
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(real.store->ops->reserve(real.store, taken[i], &lease), -EEXIST);
    assert_int_equal(real.store->ops->reserve(real.store, "g", &lease), 0);
    real.store->ops->release(real.store, lease);
    real_store_close(&real);
}

static void say_watching(void *context) {
    sem_post(context);
}

static void hear_nothing(void *context) {
    (void)context;
}

static void hear_no_change(void *context, const struct store_change *change) {
    (void)context;
    (void)change;
}

/* Else the answer from before would be believed on. */
static void no_spelling_is_missed_once_changes_are_told(void **state) {
    (void)state;
    struct real_store real = real_store_open("spelled");
    sem_t watching;
    sem_init(&watching, 0, 0);
    struct store_listener listener = {.names = true, .context = &watching, .watching = say_watching,
                                      .heard = hear_nothing, .lost = hear_nothing, .changed = hear_no_change};
    real.bucket->policy.trust_ms = 60 * 1000;
    (void)trips_of_lookup(&real, "f", NULL, -ENOENT);
    named_put(&real, "/f", 1, 1000, false);
    int result = real.store->ops->watch(real.store, &listener);
    if (result == 0) {
        sem_wait(&watching);
        (void)trips_of_lookup(&real, "f", NULL, 0);
    }
    real_store_close(&real);
    sem_destroy(&watching);
    if (result)
        skip(); /* it has no streams */
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_round_trip_renames_a_file),
        cmocka_unit_test(a_revision_put_since_is_renamed_too),
        cmocka_unit_test(older_revisions_follow),
        cmocka_unit_test(what_was_put_at_the_free_name_since_is_replaced),
        cmocka_unit_test(one_of_two_renames_of_a_file_finds_nothing),
        cmocka_unit_test(a_file_linked_since_keeps_both_names),
        cmocka_unit_test(one_round_trip_removes_what_was_just_looked_up),
        cmocka_unit_test(what_was_put_since_is_removed_too),
        cmocka_unit_test(what_others_removed_since_is_not_found),
        cmocka_unit_test(older_revisions_are_removed_too),
        cmocka_unit_test(a_name_linked_since_is_not_the_last),
        cmocka_unit_test(what_was_renamed_since_is_not_removed),
        cmocka_unit_test(an_id_that_may_come_again_has_no_grace),
        cmocka_unit_test(large_documents_are_not_asked_for_whole),
        cmocka_unit_test(files_and_nodes_are_one_question),
        cmocka_unit_test(a_claim_looks_at_files_and_nodes_at_once),
        cmocka_unit_test(no_spelling_is_missed_once_changes_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

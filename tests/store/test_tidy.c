// SPDX-License-Identifier: Apache-2.0
/* Housekeeping against a real server: what goes, and what must stay. */
#include <errno.h>

#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/retire.h"
#include "tests/store/sample.h"

static struct revision *put_bytes(struct real_store *real, const char *path, const struct revision *base,
                                  int64_t length) {
    struct attributes attributes = {0};
    struct content content;
    struct revision *revision = NULL;
    sample_make(&content, length, 1);
    struct store_put put = {.path = path, .base = base, .attributes = &attributes, .content = &content.content};
    assert_int_equal(real->store->ops->put(real->store, &put, &revision), 0);
    sample_done(&content);
    return revision;
}

static int64_t count(struct real_store *real, const char *collection, const char *filter) {
    return real_store_count(real, collection, real_store_json("%s", filter));
}

static int keep(struct real_store *real, struct revision *open) {
    return real->store->ops->keep(real->store, &open, 1);
}

static int tidy(struct real_store *real, struct revision *open) {
    return real->store->ops->tidy(real->store, &open, open ? 1 : 0);
}

/* As if the time of all that waits in it had come. */
static void make_due(struct real_store *real, const char *collection, const char *date) {
    real_store_update(real, collection, bson_new(), real_store_json("{'$set': {'%s': {'$date': 1}}}", date));
}

static void an_untouched_bucket_stays_untouched(void **state) {
    (void)state;
    struct real_store real = real_store_open("untouched");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "gridmount.nodes", "{}"), 0);
    assert_int_equal(count(&real, "gridmount.intents", "{}"), 0);
    real_store_close(&real);
}

static void what_is_due_goes(void **state) {
    (void)state;
    struct real_store real = real_store_open("due");
    struct revision *first = put_bytes(&real, "f", NULL, 10), *second = put_bytes(&real, "f", first, 20);
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 2); /* not yet */
    make_due(&real, "gridmount.trash", "due");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 0);
    assert_int_equal(count(&real, "files", "{'length': 20}"), 1);
    revision_unref(first);
    revision_unref(second);
    real_store_close(&real);
}

static void what_is_open_stays(void **state) {
    (void)state;
    struct real_store real = real_store_open("open");
    struct revision *first = put_bytes(&real, "f", NULL, 10), *second = put_bytes(&real, "f", first, 20);
    make_due(&real, "gridmount.trash", "due");
    assert_int_equal(tidy(&real, first), 0); /* in this mount */
    assert_int_equal(count(&real, "chunks", "{}"), 2);
    assert_int_equal(keep(&real, first), 0);
    assert_int_equal(tidy(&real, NULL), 0); /* in another */
    assert_int_equal(count(&real, "chunks", "{}"), 2);
    make_due(&real, "gridmount.trash", "due");
    assert_int_equal(keep(&real, second), 0); /* which is not retired */
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    revision_unref(first);
    revision_unref(second);
    real_store_close(&real);
}

static int64_t due(struct real_store *real) {
    bson_t *record = real_store_first(real, "gridmount.trash", bson_new());
    bson_iter_t iter;
    assert_true(record && bson_iter_init_find(&iter, record, "due"));
    int64_t date = bson_iter_date_time(&iter);
    bson_destroy(record);
    return date;
}

static void who_has_it_open_moves_the_time_on_and_never_back(void **state) {
    (void)state;
    struct real_store real = real_store_open("grace");
    enum { SECOND = 1000, HOUR = 3600 * SECOND };
    real.bucket->policy.grace_ms = SECOND;
    struct revision *first = put_bytes(&real, "f", NULL, 10), *second = put_bytes(&real, "f", first, 20);
    int64_t now, retired = due(&real);
    assert_int_equal(bucket_now_ms(real.bucket, &now), 0);
    assert_in_range(retired - now, 2 * STORE_KEEP_SECONDS * SECOND, RETIRE_LEAST_MS); /* others can say that they need it */
    real.bucket->policy.grace_ms = HOUR;
    assert_int_equal(keep(&real, first), 0);
    int64_t kept = due(&real);
    assert_in_range(kept - now, HOUR, HOUR + 60 * SECOND);
    real.bucket->policy.grace_ms = SECOND;
    assert_int_equal(keep(&real, first), 0);
    assert_int_equal(due(&real), kept);
    revision_unref(first);
    revision_unref(second);
    real_store_close(&real);
}

static void a_record_of_what_is_there_only_loses_the_record(void **state) {
    (void)state;
    struct real_store real = real_store_open("there");
    struct revision *first = put_bytes(&real, "f", NULL, 10);
    bson_t *document = real_store_first(&real, "files", bson_new()), *record = bson_new();
    bson_iter_t iter;
    assert_true(bson_iter_init_find(&iter, document, "_id"));
    bson_append_iter(record, "_id", -1, &iter);
    BSON_APPEND_DOCUMENT(record, "document", document);
    BSON_APPEND_DATE_TIME(record, "due", 1);
    real_store_insert(&real, "gridmount.trash", record);
    bson_destroy(document);
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    revision_unref(first);
    real_store_close(&real);
}

/* A record as a put leaves it, with its chunk. */
static void insert_due(struct real_store *real, const bson_oid_t *id) {
    real_store_insert(real, "gridmount.trash",
                      BCON_NEW("_id", BCON_OID(id), "document", "{", "length", BCON_INT64(10), "chunkSize",
                               BCON_INT32(255 << 10), "}", "due", BCON_DATE_TIME(1)));
    real_store_insert(real, "chunks", BCON_NEW("files_id", BCON_OID(id), "n", BCON_INT32(0), "data",
                                               BCON_BIN(BSON_SUBTYPE_BINARY, (const uint8_t *)"0123456789", 10)));
}

/* A mount that writes much must not leave more behind than it cleans up: the time of a round is bounded. */
static void many_go_in_few_questions_but_not_what_is_there(void **state) {
    enum { MANY = 60, QUESTIONS = 25 };
    (void)state;
    struct real_store real = real_store_open("many");
    struct revision *there = put_bytes(&real, "f", NULL, 10);
    for (int i = 0; i < MANY; i++) {
        bson_oid_t id;
        bson_oid_init(&id, NULL);
        insert_due(&real, &id);
    }
    bson_t *document = real_store_first(&real, "files", bson_new()), *record = bson_new();
    bson_iter_t iter;
    assert_true(bson_iter_init_find(&iter, document, "_id"));
    bson_append_iter(record, "_id", -1, &iter);
    BSON_APPEND_DOCUMENT(record, "document", document);
    BSON_APPEND_DATE_TIME(record, "due", 1);
    real_store_insert(&real, "gridmount.trash", record);
    bson_destroy(document);
    real_store_quiet(&real);
    uint64_t before = stats_get(STAT_round_trips);
    assert_int_equal(tidy(&real, NULL), 0);
    assert_in_range(stats_get(STAT_round_trips) - before, 1, QUESTIONS);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    assert_int_equal(count(&real, "files", "{}"), 1);
    revision_unref(there);
    real_store_close(&real);
}

static void beyond_its_bound_the_oldest_of_the_trash_goes_early(void **state) {
    (void)state;
    struct real_store real = real_store_open("bound");
    real.bucket->policy.trash_max = 100;
    struct revision *newest = NULL;
    for (int length = 60; length < 64; length++) {
        struct revision *next = put_bytes(&real, "f", newest, length);
        revision_unref(newest);
        newest = next;
    }
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 3);
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 3); /* others may have it open, and had no time to say so */
    make_due(&real, "gridmount.trash", "retired");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "gridmount.trash", "{'document.length': 62}"), 1);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 1);
    assert_int_equal(count(&real, "chunks", "{}"), 2);
    real.bucket->policy.trash_max = 10;
    assert_int_equal(keep(&real, newest), 0);
    struct revision *last = put_bytes(&real, "f", newest, 70);
    assert_int_equal(keep(&real, newest), 0);
    make_due(&real, "gridmount.trash", "retired");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "gridmount.trash", "{'document.length': 63}"), 1); /* it is open somewhere */
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 1);
    revision_unref(last);
    revision_unref(newest);
    real_store_close(&real);
}

static void chunks_of_a_dead_put_go(void **state) {
    (void)state;
    struct real_store real = real_store_open("dead");
    struct revision *live = put_bytes(&real, "f", NULL, 10), *old = put_bytes(&real, "g", NULL, 10),
                    *next = put_bytes(&real, "g", old, 11);
    bson_t *intent = real_store_first(&real, "gridmount.intents", real_store_json("{'kind': 'put'}"));
    bson_iter_t iter;
    assert_non_null(intent);
    assert_true(bson_iter_init_find(&iter, intent, "_id"));
    bson_oid_t id = *bson_iter_oid(&iter);
    id.bytes[11] = 200;
    real_store_insert(&real, "chunks", BCON_NEW("files_id", BCON_OID(&id), "n", BCON_INT32(0)));
    real_store_insert(&real, "chunks", BCON_NEW("files_id", BCON_UTF8("of others"), "n", BCON_INT32(0)));
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 5);
    make_due(&real, "gridmount.intents", "until");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 4);
    assert_int_equal(count(&real, "chunks", "{'files_id': 'of others'}"), 1);
    assert_int_equal(count(&real, "gridmount.intents", "{'kind': 'put'}"), 0);
    bson_destroy(intent);
    revision_unref(live);
    revision_unref(old);
    revision_unref(next);
    real_store_close(&real);
}

static void one_mount_is_the_janitor(void **state) {
    (void)state;
    struct real_store real = real_store_open("janitor");
    struct revision *first = put_bytes(&real, "f", NULL, 10), *second = put_bytes(&real, "f", first, 20);
    real_store_insert(&real, "gridmount.intents",
                      real_store_json("{'_id': 'janitor', 'owner': 1, 'until': {'$date': {'$numberLong': "
                                      "'4000000000000'}}}"));
    make_due(&real, "gridmount.trash", "due");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 2); /* another one's affair */
    make_due(&real, "gridmount.intents", "until");
    assert_int_equal(tidy(&real, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    revision_unref(first);
    revision_unref(second);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_untouched_bucket_stays_untouched),
        cmocka_unit_test(what_is_due_goes),
        cmocka_unit_test(what_is_open_stays),
        cmocka_unit_test(who_has_it_open_moves_the_time_on_and_never_back),
        cmocka_unit_test(a_record_of_what_is_there_only_loses_the_record),
        cmocka_unit_test(many_go_in_few_questions_but_not_what_is_there),
        cmocka_unit_test(beyond_its_bound_the_oldest_of_the_trash_goes_early),
        cmocka_unit_test(chunks_of_a_dead_put_go),
        cmocka_unit_test(one_mount_is_the_janitor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

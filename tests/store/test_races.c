// SPDX-License-Identifier: Apache-2.0
/* A file is written on one host while another renames it, question by question: what a close said is stored is there
 * afterwards, under the name the file has, and alone. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "fs/store/mongo/change.h"
#include "fs/store/mongo/ordered.h"
#include "tests/store/named.h"
#include "tests/store/sample.h"
#include "tests/store/stepped.h"

enum { BEFORE = 1, WRITTEN = 2, MADE = 3, THERE = 9, RENAMES_MOST = 2 }; /* lengths, which tell contents apart */

static const int64_t LONG_AGO = 1000, FAR_AHEAD = INT64_C(4000000000000);

/* Whoever has the file open, and whoever renames it. */
struct race {
    struct real_store *real;
    struct bucket *const *buckets;
    const char *names[RENAMES_MOST + 2]; /* one after the other */
    int64_t there_ms;                    /* the date of what the first of them replaces; 0: nothing */
    bool foreign;                        /* put by an application */
    bool sees;                           /* what is at the last name by then, and so replaces it */
    bool makes_another;                  /* at the old name */
    struct revision *base, *seen_there;
    int results[2];
};

static void insert(struct real_store *real, const char *filename, int length, int64_t date_ms, bool foreign) {
    char metadata[192] = "";
    if (!foreign)
        snprintf(metadata, sizeof metadata,
                 ", 'metadata': {'posix': {'rev': {'$oid': '0123456789abcdef%08x'},"
                 " 'file': {'$oid': '5123456789abcdef%08x'}}}",
                 length, length);
    real_store_insert(real, "files",
                      real_store_json("{'_id': {'$oid': '0123456789abcdef%08x'}, 'filename': '%s', 'length': %d,"
                                      " 'chunkSize': 261120, 'uploadDate': {'$date': {'$numberLong': '%" PRId64 "'}}%s}",
                                      length, filename, length, date_ms, metadata));
}

static struct revision *see(struct store *store, const char *path) {
    struct revision *revision = NULL;
    int result = store->ops->newest(store, path, &revision);
    assert_true(result == 0 || result == -ENOENT);
    return revision;
}

static int put(struct store *store, const struct revision *base, int length) {
    struct content content;
    struct revision *revision = NULL;
    struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0644};
    if (base && base->attributes.has & ATTRIBUTES_FILE)
        attributes_set_file(&attributes, base->attributes.file);
    else
        attributes_new_file(&attributes);
    sample_make(&content, length, 1);
    struct store_put put = {
        .path = "f", .base = base, .follow = base, .attributes = &attributes, .content = &content.content};
    int result = store->ops->put(store, &put, &revision);
    revision_unref(revision);
    sample_done(&content);
    return result;
}

static void write_it(void *context) {
    struct race *race = context;
    race->results[0] = put(&race->buckets[0]->store, race->base, WRITTEN);
}

static void rename_it(void *context) {
    struct race *race = context;
    struct store *store = &race->buckets[1]->store;
    struct store_object target = named_object("g", STORE_FILE);
    target.revision = race->seen_there;
    for (unsigned i = 0; race->names[i + 1] && race->results[1] == 0; i++) {
        if (i > 0 && race->sees)
            target.revision = race->seen_there = see(store, race->names[i + 1]);
        struct store_rename rename = {.from = named_object(race->names[i], STORE_FILE),
                                      .to = race->names[i + 1],
                                      .target = race->seen_there ? &target : NULL};
        rename.from.revision = race->base;
        race->results[1] = store->ops->rename(store, &rename);
    }
    if (race->makes_another && race->results[1] == 0)
        race->results[1] = put(store, NULL, MADE);
}

static void clear(struct real_store *real, const char *collection) {
    mongoc_collection_t *handle = real_store_collection(real, collection);
    bson_t everything = BSON_INITIALIZER;
    assert_true(mongoc_collection_delete_many(handle, &everything, NULL, NULL, NULL));
    bson_destroy(&everything);
    mongoc_collection_destroy(handle);
}

static void begin(struct race *race, const struct race *what) {
    *race = *what;
    clear(race->real, "files");
    clear(race->real, "gridmount.trash");
    insert(race->real, "f", BEFORE, LONG_AGO, race->foreign);
    if (race->there_ms)
        insert(race->real, race->names[1], THERE, race->there_ms, false);
    race->base = see(race->real->store, "f");
    race->seen_there = race->there_ms ? see(race->real->store, race->names[1]) : NULL;
}

static void expect(struct real_store *real, const char *path, int length) {
    struct revision *newest = see(real->store, path);
    assert_non_null(newest);
    assert_int_equal(newest->length, length);
    revision_unref(newest);
}

/* All is done: what was written is what the file has, where it was renamed to last, and nothing is left over. */
static void end(struct race *race) {
    assert_int_equal(race->results[0], 0);
    assert_int_equal(race->results[1], 0);
    expect(race->real, race->names[2] ? race->names[2] : race->names[1], WRITTEN);
    if (race->makes_another)
        expect(race->real, "f", MADE);
    assert_int_equal(real_store_count(race->real, "files", bson_new()), 1 + race->makes_another + race->foreign);
    revision_unref(race->base);
    revision_unref(race->seen_there);
}

static void start(struct race *race, struct stepped *hosts[2]) {
    hosts[0] = stepped_start(write_it, race);
    hosts[1] = stepped_start(rename_it, race);
}

static void finish(struct stepped *hosts[2], unsigned first) {
    stepped_finish(hosts[first]);
    stepped_finish(hosts[!first]);
}

/* Who renames asks so many questions, then who writes so many, then the first goes on to its end. False: there are not so
 * many, so this was an order already. */
static bool interleave(const struct race *what, unsigned renamers, unsigned writers) {
    struct race race;
    struct stepped *hosts[2];
    bool more = true;
    begin(&race, what);
    start(&race, hosts);
    for (unsigned i = 0; i < renamers; i++)
        more = stepped_step(hosts[1]) && more;
    for (unsigned i = 0; i < writers; i++)
        more = stepped_step(hosts[0]) && more;
    finish(hosts, 1);
    end(&race);
    return more;
}

static void in_any_order(const struct race *what) {
    for (unsigned renamers = 0, writers = 2; writers > 1; renamers++)
        for (writers = 1; interleave(what, renamers, writers); writers++)
            continue;
}

/* On this server, and as on one that takes no several changes by one command. */
static void on_two_hosts(void (*test)(const struct race *what), struct race what) {
    struct real_store real = real_store_open("races");
    struct bucket *buckets[2];
    bool ordered = ordered_possible(real.bucket);
    what.real = &real;
    what.buckets = buckets;
    for (unsigned way = 0; way < (ordered ? 2 : 1); way++) {
        for (unsigned i = 0; i < 2; i++) {
            named_other(&real, &buckets[i]);
            assert_int_equal(bucket_begin_changing(buckets[i]), 0);
            assert_int_equal(ordered_possible(buckets[i]), ordered);
            atomic_store(&buckets[i]->changing.ordered_refused, way > 0);
        }
        test(&what);
        for (unsigned i = 0; i < 2; i++)
            bucket_free(buckets[i]);
    }
    real_store_close(&real);
}

static void a_file_is_renamed_while_it_is_written(void **state) {
    (void)state;
    on_two_hosts(in_any_order, (struct race){.names = {"f", "g"}});
}

/* Which the renamed one is lifted over, so that it is dated later than what was written to it. */
static void it_comes_over_one_from_the_future(void **state) {
    (void)state;
    on_two_hosts(in_any_order, (struct race){.names = {"f", "g"}, .there_ms = FAR_AHEAD});
}

static void it_is_renamed_there_and_back(void **state) {
    (void)state;
    on_two_hosts(in_any_order, (struct race){.names = {"f", "g", "f"}});
    on_two_hosts(in_any_order, (struct race){.names = {"f", "g", "f"}, .sees = true});
}

/* As a log is rotated. Until it has followed its file, what was written is seen, and replaced, at the old name. */
static void another_is_made_at_its_name(void **state) {
    (void)state;
    on_two_hosts(in_any_order, (struct race){.names = {"f", "g"}, .makes_another = true});
}

static bool has(struct race *race, const char *filename, int length) {
    bson_t *filter = real_store_json("{'filename': '%s', 'length': %d}", filename, length);
    return real_store_count(race->real, "files", filter) > 0;
}

/* The new revision is seen and renamed first, its base still has the old name. */
static void follow_no_base(const struct race *what) {
    for (unsigned questions = 0, more = 1; more; questions++) {
        struct race race;
        struct stepped *hosts[2];
        begin(&race, what);
        start(&race, hosts);
        while (!has(&race, "f", WRITTEN) && !has(&race, "g", WRITTEN))
            assert_true(stepped_step(hosts[0]));
        while (!has(&race, "g", WRITTEN))
            assert_true(stepped_step(hosts[1]));
        for (unsigned i = 0; i < questions; i++)
            more = stepped_step(hosts[0]);
        finish(hosts, 1);
        end(&race);
    }
}

static void what_was_renamed_does_not_follow_what_comes_after_it(void **state) {
    (void)state;
    on_two_hosts(follow_no_base, (struct race){.names = {"f", "g"}});
}

/* As is seen by one question, and not by an identity: what an application put has none. */
static void follow_the_first(const struct race *what) {
    for (unsigned questions = 1; questions < 4; questions++) {
        struct race race;
        struct stepped *hosts[2];
        begin(&race, what);
        start(&race, hosts);
        while (!has(&race, "f", WRITTEN))
            assert_true(stepped_step(hosts[0]));
        while (!has(&race, "g", BEFORE) && !has(&race, "g", WRITTEN))
            assert_true(stepped_step(hosts[1]));
        for (unsigned i = 0; i < questions; i++)
            (void)stepped_step(hosts[1]);
        finish(hosts, 0);
        end(&race);
    }
}

static void what_has_followed_is_not_replaced(void **state) {
    (void)state;
    on_two_hosts(follow_the_first, (struct race){.names = {"f", "g"}, .foreign = true});
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_renamed_while_it_is_written),
        cmocka_unit_test(it_comes_over_one_from_the_future),
        cmocka_unit_test(it_is_renamed_there_and_back),
        cmocka_unit_test(another_is_made_at_its_name),
        cmocka_unit_test(what_has_followed_is_not_replaced),
        cmocka_unit_test(what_was_renamed_does_not_follow_what_comes_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

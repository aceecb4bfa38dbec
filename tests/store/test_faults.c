// SPDX-License-Identifier: Apache-2.0
/* Puts, every other one with an upload, for some seconds over a network that the caller may disturb meanwhile, as
 * tests/mount/test_store.py does. What was acknowledged is there and whole; what failed left nothing, once the janitor
 * has been. */
#include <errno.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "tests/store/sample.h"

enum { LENGTH = 6 << 20, SECONDS = 4, QUIET_SECONDS = 4 };

/* An upload of all of it, a part of which changes before the put. */
static struct store_upload *send_ahead(struct real_store *real, struct content *content) {
    struct store_upload *upload = NULL;
    content->stale_from = 1 << 20;
    content->stale_until = content->stale_from + 1;
    assert_int_equal(real->store->ops->upload_begin(real->store, NULL, &content->source, 0, &upload), 0);
    real->store->ops->upload_offer(real->store, upload, content->content.length);
    return upload;
}

/* The last seed that was acknowledged; those behind it may be there too, if the answer got lost. A slow machine may get
 * none through while its connections break: it goes on until they no longer do. */
static unsigned put_for_some_time(struct real_store *real, unsigned *ret_next) {
    unsigned acknowledged = 0, seed = 1;
    for (int64_t end = clock_now_ms() + SECONDS * 1000; !acknowledged || clock_now_ms() < end; seed++) {
        struct attributes attributes = {0};
        struct content content;
        struct revision *revision = NULL;
        sample_make(&content, LENGTH + seed, seed); /* the length tells them apart */
        struct store_put put = {.path = "f", .attributes = &attributes, .content = &content.content};
        if (seed % 2)
            put.upload = send_ahead(real, &content);
        int result = real->store->ops->put(real->store, &put, &revision);
        real->store->ops->upload_end(real->store, put.upload);
        if (result == 0)
            acknowledged = seed;
        else
            assert_int_equal(result, -ETIMEDOUT);
        revision_unref(revision);
        sample_done(&content);
    }
    *ret_next = seed;
    return acknowledged;
}

/* A round is bounded in time, and a slow server may need several. */
static void tidy_all(struct real_store *real) {
    do
        assert_int_equal(real->store->ops->tidy(real->store, NULL, 0), 0);
    while (real_store_count(real, "gridmount.trash", bson_new()) > 0 ||
           real_store_count(real, "gridmount.intents", real_store_json("{'kind': 'put'}")) > 0);
}

static void what_was_acknowledged_is_there(void **state) {
    (void)state;
    struct real_store real = real_store_open("faults");
    unsigned next, acknowledged = put_for_some_time(&real, &next);
    struct revision *newest = NULL;
    struct content content;
    sleep(QUIET_SECONDS);
    printf("%u of %u puts, the last %u\n", acknowledged, next - 1, acknowledged);
    assert_int_equal(real.store->ops->newest(real.store, "f", &newest), 0);
    unsigned seed = (unsigned)(newest->length - LENGTH);
    assert_in_range(seed, acknowledged, next - 1);
    sample_make(&content, newest->length, seed);
    sample_expect(&content, &real, newest);

    real_store_update(&real, "gridmount.intents", bson_new(), real_store_json("{'$set': {'until': {'$date': 1}}}"));
    real_store_update(&real, "gridmount.trash", bson_new(), real_store_json("{'$set': {'due': {'$date': 1}}}"));
    tidy_all(&real);
    int64_t chunks = 0, files = real_store_count(&real, "files", bson_new());
    mongoc_collection_t *handle = real_store_collection(&real, "files");
    bson_t everything = BSON_INITIALIZER;
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(handle, &everything, NULL, NULL);
    for (const bson_t *document; mongoc_cursor_next(cursor, &document); chunks += LENGTH / (255 << 10) + 1)
        continue;
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(handle);
    assert_true(files >= 1);
    assert_int_equal(real_store_count(&real, "chunks", bson_new()), chunks);
    sample_done(&content);
    revision_unref(newest);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_acknowledged_is_there)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Uploads against a real server: what was sent before a put is used by it, and what is of no use goes. */
#include <errno.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/upload.h"
#include "tests/store/sample.h"

enum { CHUNK = 255 << 10, BATCH = 9, PATIENCE_MS = 20000 };

_Static_assert(BATCH == (UPLOAD_BATCH + CHUNK - 1) / CHUNK, "tests count in batches");

static uint64_t uploaded_before;

static struct real_store open_store(const char *name) {
    uploaded_before = stats_get(STAT_chunk_bytes_uploaded);
    return real_store_open(name);
}

static int64_t count(struct real_store *real, const char *collection, const char *filter) {
    return real_store_count(real, collection, real_store_json("%s", filter));
}

/* Waits until so many chunks are there. */
static void await_chunks(struct real_store *real, int64_t chunks) {
    int64_t end = clock_now_ms() + PATIENCE_MS, there;
    while ((there = count(real, "chunks", "{}")) != chunks)
        if (clock_now_ms() > end)
            fail_msg("%lld chunks are there, not %lld", (long long)there, (long long)chunks);
}

static struct store_upload *begin(struct real_store *real, const struct revision *base, struct content *content,
                                  int64_t start) {
    struct store_upload *upload = NULL;
    assert_int_equal(real->store->ops->upload_begin(real->store, base, &content->source, start, &upload), 0);
    return upload;
}

static void offer(struct real_store *real, struct store_upload *upload, int64_t end) {
    real->store->ops->upload_offer(real->store, upload, end);
}

/* Offers until it is there: how much is under way at once is bounded, so one offer need not be all. */
static void offer_and_await(struct real_store *real, struct store_upload *upload, int64_t end, int64_t chunks) {
    offer(real, upload, end);
    await_chunks(real, chunks);
}

static int put(struct real_store *real, const struct revision *base, struct content *content,
               struct store_upload *upload, struct revision **ret_revision) {
    struct attributes attributes = {0};
    struct store_put asked = {.path = "f", .base = base, .attributes = &attributes, .content = &content->content,
                              .upload = upload};
    attributes_new_file(&attributes);
    int result = real->store->ops->put(real->store, &asked, ret_revision);
    real->store->ops->upload_end(real->store, upload);
    return result;
}

/* Puts, and looks how much the whole test has sent; by the end of a put, all that was is counted. */
static void put_and_expect(struct real_store *real, struct content *content, struct store_upload *upload,
                           int64_t uploaded) {
    struct revision *revision = NULL;
    assert_int_equal(put(real, NULL, content, upload, &revision), 0);
    assert_int_equal(stats_get(STAT_chunk_bytes_uploaded) - uploaded_before, uploaded);
    sample_expect(content, real, revision);
    revision_unref(revision);
}

static void what_is_there_is_not_sent_again(void **state) {
    (void)state;
    struct real_store real = open_store("there");
    struct content content;
    sample_make(&content, 2 * BATCH * CHUNK + 7, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, 2 * BATCH);
    assert_int_equal(count(&real, "files", "{}"), 0);
    put_and_expect(&real, &content, upload, content.content.length);
    assert_int_equal(count(&real, "chunks", "{}"), 2 * BATCH + 1);
    sample_done(&content);
    real_store_close(&real);
}

static void what_is_under_way_is_waited_for(void **state) {
    (void)state;
    struct real_store real = open_store("under_way");
    for (unsigned batches = 1; batches < 9; batches += 2) {
        struct content content;
        sample_make(&content, batches * BATCH * CHUNK, batches);
        struct store_upload *upload = begin(&real, NULL, &content, 0);
        offer(&real, upload, content.content.length);
        struct revision *revision = NULL;
        assert_int_equal(put(&real, NULL, &content, upload, &revision), 0);
        sample_expect(&content, &real, revision);
        revision_unref(revision);
        sample_done(&content);
    }
    real_store_close(&real);
}

static void it_begins_and_ends_anywhere(void **state) {
    (void)state;
    struct real_store real = open_store("anywhere");
    struct content content;
    sample_make(&content, 2 * BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, CHUNK + 1); /* so with the third chunk */
    offer(&real, upload, (2 + BATCH) * CHUNK - 1);
    offer(&real, upload, (2 + BATCH) * CHUNK + 5);
    await_chunks(&real, BATCH);
    put_and_expect(&real, &content, upload, 2 * BATCH * CHUNK);
    sample_done(&content);
    real_store_close(&real);
}

static void what_was_changed_is_replaced(void **state) {
    (void)state;
    struct real_store real = open_store("changed");
    struct content content;
    sample_make(&content, 2 * BATCH * CHUNK, 1);
    content.stale_from = BATCH * CHUNK - 1;
    content.stale_until = BATCH * CHUNK + 1;
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, 2 * BATCH);
    put_and_expect(&real, &content, upload, (2 * BATCH + 2) * CHUNK);
    sample_done(&content);
    real_store_close(&real);
}

static void what_was_cut_off_goes(void **state) {
    (void)state;
    struct real_store real = open_store("cut");
    struct content content;
    sample_make(&content, 2 * BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, 2 * BATCH);
    content.content.length = (BATCH + 3) * CHUNK + 1;
    put_and_expect(&real, &content, upload, 2 * BATCH * CHUNK + 1);
    assert_int_equal(count(&real, "chunks", "{}"), BATCH + 4);
    sample_done(&content);
    real_store_close(&real);
}

static void what_changed_for_the_most_part_is_sent_as_another(void **state) {
    (void)state;
    struct real_store real = open_store("for_the_most_part");
    struct content content;
    sample_make(&content, BATCH * CHUNK, 1);
    content.stale_until = (BATCH / 2 + 2) * CHUNK;
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, BATCH);
    put_and_expect(&real, &content, upload, 2 * BATCH * CHUNK);
    await_chunks(&real, BATCH); /* the others are cleaned up when the upload has ended */
    sample_done(&content);
    real_store_close(&real);
}

static void what_cannot_be_read_is_left_to_the_put(void **state) {
    (void)state;
    struct real_store real = open_store("unread");
    struct content content;
    sample_make(&content, 2 * BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, BATCH * CHUNK, BATCH);
    content.fails_at = BATCH * CHUNK + 5;
    content.fails_with = -EAGAIN;
    offer(&real, upload, 2 * BATCH * CHUNK);
    struct store_upload *other = begin(&real, NULL, &content, 0); /* a later task: the one before is over */
    offer_and_await(&real, other, BATCH * CHUNK, 2 * BATCH);
    real.store->ops->upload_end(real.store, other);
    await_chunks(&real, BATCH);
    content.fails_at = -1;
    put_and_expect(&real, &content, upload, 3 * BATCH * CHUNK);
    sample_done(&content);
    real_store_close(&real);
}

static void what_is_copied_and_what_was_sent_are_one_file(void **state) {
    (void)state;
    struct real_store real = open_store("copied");
    struct content first, content;
    struct revision *base = NULL;
    sample_make(&first, BATCH * CHUNK, 1);
    assert_int_equal(put(&real, NULL, &first, NULL, &base), 0);
    sample_make(&content, 2 * BATCH * CHUNK, 2);
    memcpy(content.bytes, first.bytes, BATCH * CHUNK);
    content.dirty_from = BATCH * CHUNK;
    content.content.source = base;
    struct store_upload *upload = begin(&real, base, &content, content.dirty_from);
    offer_and_await(&real, upload, content.content.length, 2 * BATCH);
    struct revision *revision = NULL;
    assert_int_equal(put(&real, base, &content, upload, &revision), 0);
    sample_expect(&content, &real, revision);
    bool copied = !atomic_load(&real.bucket->copies_refused_until_ms);
    assert_int_equal(stats_get(STAT_chunk_bytes_uploaded) - uploaded_before, (copied ? 2 : 3) * BATCH * CHUNK);
    revision_unref(revision);
    sample_done(&first);
    sample_done(&content);
    revision_unref(base);
    real_store_close(&real);
}

static void what_no_put_has_published_goes(void **state) {
    (void)state;
    struct real_store real = open_store("dropped");
    struct content content;
    sample_make(&content, 2 * BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer(&real, upload, content.content.length);
    real.store->ops->upload_end(real.store, upload); /* maybe while it is sent */
    upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, BATCH * CHUNK, BATCH);
    real.store->ops->upload_end(real.store, upload);
    sample_done(&content); /* it is not read any more */
    await_chunks(&real, 0);
    real.store->ops->upload_end(real.store, NULL);
    real_store_close(&real);
}

static void with_a_checksum_the_put_sends_all(void **state) {
    (void)state;
    struct real_store real = open_store("sha256");
    struct content content;
    struct store_upload *upload = NULL;
    real.bucket->policy.checksum = true;
    sample_make(&content, 1, 1);
    assert_int_equal(real.store->ops->upload_begin(real.store, NULL, &content.source, 0, &upload), -EOPNOTSUPP);
    real.bucket->policy.checksum = false;
    sample_done(&content);
    real_store_close(&real);
}

/* As if a long time had passed, in which nothing was heard of the upload. */
static void let_intents_expire(struct real_store *real) {
    real_store_update(real, "gridmount.intents", real_store_json("{'kind': 'put'}"),
                      real_store_json("{'$set': {'until': {'$date': 1}}}"));
    atomic_fetch_add(&real->bucket->clock.offset_ms, INTENT_LEASE_MS);
}

static void what_others_cleaned_up_is_sent_again(void **state) {
    (void)state;
    struct real_store real = open_store("cleaned");
    struct content content;
    sample_make(&content, BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, BATCH);
    let_intents_expire(&real);
    assert_int_equal(real.store->ops->tidy(real.store, NULL, 0), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 0);
    put_and_expect(&real, &content, upload, 2 * BATCH * CHUNK);
    sample_done(&content);
    real_store_close(&real);
}

static void what_was_only_late_is_still_good(void **state) {
    (void)state;
    struct real_store real = open_store("late");
    struct content content;
    sample_make(&content, BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, BATCH);
    let_intents_expire(&real);
    put_and_expect(&real, &content, upload, BATCH * CHUNK);
    assert_int_equal(real.store->ops->tidy(real.store, NULL, 0), 0);
    assert_int_equal(count(&real, "chunks", "{}"), BATCH);
    sample_done(&content);
    real_store_close(&real);
}

/* A janitor, be it this mount's own, that has begun to clean up must not be overtaken by a renewal. */
static void what_is_being_cleaned_up_is_not_used(void **state) {
    (void)state;
    struct real_store real = open_store("cleaning");
    struct content content;
    sample_make(&content, BATCH * CHUNK, 1);
    struct store_upload *upload = begin(&real, NULL, &content, 0);
    offer_and_await(&real, upload, content.content.length, BATCH);
    let_intents_expire(&real);
    /* it claims the intent, and then is refused to look at the files */
    char *files = real.bucket->files;
    real.bucket->files = (char *)"\xff";
    assert_int_not_equal(real.store->ops->tidy(real.store, NULL, 0), 0);
    real.bucket->files = files;
    put_and_expect(&real, &content, upload, 2 * BATCH * CHUNK);
    sample_done(&content);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_there_is_not_sent_again),
        cmocka_unit_test(what_is_under_way_is_waited_for),
        cmocka_unit_test(it_begins_and_ends_anywhere),
        cmocka_unit_test(what_was_changed_is_replaced),
        cmocka_unit_test(what_was_cut_off_goes),
        cmocka_unit_test(what_changed_for_the_most_part_is_sent_as_another),
        cmocka_unit_test(what_cannot_be_read_is_left_to_the_put),
        cmocka_unit_test(what_is_copied_and_what_was_sent_are_one_file),
        cmocka_unit_test(what_no_put_has_published_goes),
        cmocka_unit_test(with_a_checksum_the_put_sends_all),
        cmocka_unit_test(what_others_cleaned_up_is_sent_again),
        cmocka_unit_test(what_was_only_late_is_still_good),
        cmocka_unit_test(what_is_being_cleaned_up_is_not_used),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

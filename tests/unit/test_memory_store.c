// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_store.h"

#include <pthread.h>

#include "tests/fake/faulty_store.h"
#include "tests/unit/memory_bench.h"

/* ---- put ---- */

static void a_put_creates_a_file_with_its_attributes(void **state) {
    struct bench *bench = *state;
    assert_int_equal(memory_store_puts(bench->memory), 0);
    cleanup_with(revision_unref) struct revision *revision = put(bench, "d/f", "text", NULL);
    expect_content(bench, "d/f", "text");
    assert_int_equal(revision->chunk_size, MEMORY_CHUNK_SIZE);
    assert_int_equal(revision->attributes.mode, 0640);
    assert_int_equal(revision->attributes.identity, a_file('t').identity);
    assert_int_equal(kind_at(bench, "d"), 'd');
    assert_int_equal(memory_store_puts(bench->memory), 1);
    create(bench, "empty", "");
    expect_content(bench, "empty", "");
    expect_content(bench, "d", NULL);
}

static void an_overwrite_is_a_new_revision_and_the_old_one_stays_readable(void **state) {
    struct bench *bench = *state;
    memory_store_put(bench->memory, "f", "abcdefgh", 8, 4);
    cleanup_with(revision_unref) struct revision *old = newest(bench, "f");
    attributes_new_file(&old->attributes);
    cleanup_with(revision_unref) struct revision *new = put(bench, "f", "ABCDE", old);
    assert_false(revision_same_content(old, new));
    assert_true(new->date_ms > old->date_ms);
    assert_int_equal(new->chunk_size, 4);
    assert_int_equal(first_chunk(bench, old, "abcd"), 0);
    assert_int_equal(first_chunk(bench, new, "ABCD"), 0);
    assert_int_equal(remove_file(bench, "f"), 0);
    assert_int_equal(first_chunk(bench, new, "ABCD"), 0);
    struct revision *found = NULL;
    assert_int_equal(bench->ops->by_id(bench->store, "id-2", &found), -ENOENT);
}

static void clean_chunks_are_the_sources_and_are_not_read(void **state) {
    struct bench *bench = *state;
    memory_store_put(bench->memory, "f", "abcdefghij", 10, 4);
    cleanup_with(revision_unref) struct revision *source = newest(bench, "f"), *new = NULL, *copy = NULL;
    struct text text = {.text = "....EFGH...."}; /* the source ends within the last chunk */
    struct store_content content = content_of(&text);
    struct attributes attributes = a_file(1);
    struct store_put put = {.path = "copy", .attributes = &attributes, .content = &content};
    content.source = source;
    assert_int_equal(bench->ops->put(bench->store, &put, &copy), 0);
    expect_content(bench, "copy", "abcdEFGH....");
    assert_int_equal(copy->chunk_size, 4);
    assert_int_equal(text.reads, 2);
    put.path = "f";
    put.base = source;
    assert_int_equal(bench->ops->put(bench->store, &put, &new), 0);
    expect_content(bench, "f", "abcdEFGH....");
    assert_int_equal(text.reads, 4);
}

static void a_put_whose_content_fails_changes_nothing(void **state) {
    struct bench *bench = *state;
    create(bench, "f", "old");
    struct text text = {.text = "new", .failure = -EIO};
    struct store_content content = content_of(&text);
    struct attributes attributes = a_file(1);
    struct store_put put = {.path = "f", .attributes = &attributes, .content = &content};
    struct revision *revision = NULL;
    assert_int_equal(bench->ops->put(bench->store, &put, &revision), -EIO);
    assert_null(revision);
    expect_content(bench, "f", "old");
}

static void holes_come_back_with_the_revision(void **state) {
    struct bench *bench = *state;
    static const struct hole holes[] = {{0, 2}, {3, 1}};
    struct text text = {.text = "00x0"};
    struct store_content content = content_of(&text);
    content.holes = holes;
    content.hole_count = 2;
    struct attributes attributes = a_file(1);
    struct store_put put = {.path = "f", .attributes = &attributes, .content = &content};
    struct revision *made = NULL;
    assert_int_equal(bench->ops->put(bench->store, &put, &made), 0);
    cleanup_with(revision_unref) struct revision *found = newest(bench, "f");
    assert_int_equal(made->hole_count, 2);
    assert_memory_equal(made->holes, holes, sizeof holes);
    assert_memory_equal(found->holes, holes, sizeof holes);
    revision_unref(made);
}

static void a_put_that_follows_goes_where_its_base_has_gone(void **state) {
    struct bench *bench = *state;
    cleanup_with(revision_unref) struct revision *base = put(bench, "a", "base", NULL);
    assert_int_equal(rename_to(bench, "a", STORE_FILE, "b"), 0);
    cleanup_with(revision_unref) struct revision *followed = put(bench, "a", "followed", base);
    assert_int_equal(kind_at(bench, "a"), '-');
    expect_content(bench, "b", "followed");
    assert_int_equal(remove_file(bench, "b"), 0);
    revision_unref(put(bench, "a", "back", followed));
    expect_content(bench, "a", "back");
    struct attributes attributes = a_file(9);
    struct store_put stays = {.base = base, .attributes = &attributes};
    struct revision *revision = NULL;
    assert_int_equal(put_as(bench, "c", "stays", stays, &revision), 0);
    revision_unref(revision);
    expect_content(bench, "c", "stays");
}

/* ---- leases ---- */

static void a_name_is_claimed_by_one(void **state) {
    struct bench *bench = *state;
    struct store_lease *lease = NULL, *other = NULL;
    create(bench, "taken", "x");
    create(bench, "dir/f", "x");
    assert_int_equal(bench->ops->reserve(bench->store, "taken", &lease), -EEXIST);
    assert_int_equal(bench->ops->reserve(bench->store, "dir", &lease), -EEXIST);
    assert_null(lease);
    assert_int_equal(bench->ops->reserve(bench->store, "new", &lease), 0);
    assert_int_equal(kind_at(bench, "new"), '-');
    assert_int_equal(bench->ops->reserve(bench->store, "new", &other), -EEXIST);
    assert_int_equal(make(bench, "new", STORE_DIRECTORY), -EEXIST);
    assert_int_equal(link_file(bench, "taken", "new"), -EEXIST);
    struct store_rename rename = {.from = {.path = "taken"}, .to = "new", .keep_target = true};
    assert_int_equal(bench->ops->rename(bench->store, &rename), -EEXIST);
    struct attributes attributes = a_file(1);
    struct revision *revision = NULL;
    struct store_put put = {.attributes = &attributes, .lease = lease};
    assert_int_equal(put_as(bench, "new", "mine", put, &revision), 0);
    revision_unref(revision);
    assert_null(bench->ops->release(bench->store, lease));
    assert_null(bench->ops->release(bench->store, NULL));
    expect_content(bench, "new", "mine");
    assert_int_equal(bench->ops->reserve(bench->store, "new", &other), -EEXIST);
}

static void a_released_name_is_free_again(void **state) {
    struct bench *bench = *state;
    struct store_lease *lease;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(bench->ops->reserve(bench->store, "new", &lease), 0);
        bench->ops->release(bench->store, lease);
    }
    assert_int_equal(make(bench, "new", STORE_FIFO), 0);
}

static void a_lost_lease_publishes_nothing(void **state) {
    struct bench *bench = *state;
    struct store_lease *lost, *next;
    assert_int_equal(bench->ops->reserve(bench->store, "new", &lost), 0);
    memory_store_lose_lease(bench->memory, "new");
    assert_int_equal(bench->ops->reserve(bench->store, "new", &next), 0);
    struct attributes attributes = a_file(1);
    struct revision *revision = NULL;
    struct store_put put = {.attributes = &attributes, .lease = lost};
    assert_int_equal(put_as(bench, "new", "late", put, &revision), -EEXIST);
    expect_content(bench, "new", NULL);
    put.lease = next;
    assert_int_equal(put_as(bench, "new", "first", put, &revision), 0);
    revision_unref(revision);
    bench->ops->release(bench->store, lost);
    bench->ops->release(bench->store, next);
    expect_content(bench, "new", "first");
}

/* ---- housekeeping, faults, threads ---- */

static void only_what_nobody_has_open_is_tidied(void **state) {
    struct bench *bench = *state;
    cleanup_with(revision_unref) struct revision *one = put(bench, "a", "a", NULL), *other = put(bench, "b", "b", NULL),
                                                 *kept = put(bench, "c", "c", NULL);
    remove_file(bench, "a");
    remove_file(bench, "b");
    assert_int_equal(bench->ops->tidy(bench->store, NULL, 0), 0);
    assert_int_equal(first_chunk(bench, one, "a"), 0);
    memory_store_end_grace(bench->memory);
    assert_int_equal(bench->ops->tidy(bench->store, &one, 1), 0);
    assert_int_equal(first_chunk(bench, one, "a"), 0);
    assert_int_equal(first_chunk(bench, other, "b"), -ESTALE);
    assert_int_equal(first_chunk(bench, kept, "c"), 0);
}

static void a_lost_answer_is_an_error_of_what_was_made(void **state) {
    struct bench *bench = *state;
    struct faulty_store faulty;
    faulty_store_init(&faulty, bench->store);
    struct bench behind = {.memory = bench->memory, .store = &faulty.store, .ops = faulty.store.ops};
    struct attributes attributes = a_file(1);
    struct store_put put = {.attributes = &attributes};
    struct revision *revision = NULL;
    faulty_store_fail(&faulty, FAULTY_PUT, 1, -EIO);
    assert_int_equal(put_as(&behind, "f", "x", put, &revision), -EIO);
    expect_content(bench, "f", NULL);
    faulty_store_lose_answer(&faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(put_as(&behind, "f", "x", put, &revision), -ETIMEDOUT);
    assert_null(revision);
    expect_content(bench, "f", "x");
    assert_int_equal(put_as(&behind, "f", "y", put, &revision), 0);
    assert_ptr_equal(revision->store, &faulty.store);
    revision_unref(revision);
    struct store_lease *lease = NULL;
    faulty_store_lose_answer(&faulty, FAULTY_RESERVE, 1, -ETIMEDOUT);
    assert_int_equal(behind.ops->reserve(behind.store, "g", &lease), -ETIMEDOUT);
    faulty_store_lose_answer(&faulty, FAULTY_RENAME, 2, -ETIMEDOUT);
    assert_int_equal(rename_to(&behind, "f", STORE_FILE, "g"), 0);
    assert_int_equal(rename_to(&behind, "g", STORE_FILE, "h"), -ETIMEDOUT);
    expect_listing(bench, "", "h");
    assert_int_equal(atomic_load(&faulty.calls[FAULTY_PUT]), 3);
    assert_int_equal(atomic_load(&faulty.calls[FAULTY_RENAME]), 2);
    faulty_store_done(&faulty);
}

enum { RACERS = 4, RACES = 50 };

/* How many names this thread created, of those that all claim. */
static void *race(void *context) {
    struct bench *bench = context;
    struct store_lease *lease;
    uintptr_t won = 0;
    struct attributes attributes = a_file(1);
    for (int i = 0; i < RACES; i++) {
        char path[32];
        struct revision *revision = NULL;
        snprintf(path, sizeof path, "race-%d", i);
        struct store_put put = {.attributes = &attributes};
        if (bench->ops->reserve(bench->store, path, &lease) == 0) {
            put.lease = lease;
            won += put_as(bench, path, "won", put, &revision) == 0;
            bench->ops->release(bench->store, lease);
            revision_unref(revision);
        }
    }
    return (void *)won;
}

static void each_name_is_created_by_one_thread(void **state) {
    struct bench *bench = *state;
    pthread_t threads[RACERS];
    uintptr_t won = 0;
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, bench), 0);
    for (int i = 0; i < RACERS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        won += (uintptr_t)result;
    }
    assert_int_equal(won, RACES);
    assert_int_equal(memory_store_puts(bench->memory), RACES);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        MEMORY_TEST(a_put_creates_a_file_with_its_attributes),
        MEMORY_TEST(an_overwrite_is_a_new_revision_and_the_old_one_stays_readable),
        MEMORY_TEST(clean_chunks_are_the_sources_and_are_not_read),
        MEMORY_TEST(a_put_whose_content_fails_changes_nothing),
        MEMORY_TEST(holes_come_back_with_the_revision),
        MEMORY_TEST(a_put_that_follows_goes_where_its_base_has_gone),
        MEMORY_TEST(a_name_is_claimed_by_one),
        MEMORY_TEST(a_released_name_is_free_again),
        MEMORY_TEST(a_lost_lease_publishes_nothing),
        MEMORY_TEST(only_what_nobody_has_open_is_tidied),
        MEMORY_TEST(a_lost_answer_is_an_error_of_what_was_made),
        MEMORY_TEST(each_name_is_created_by_one_thread),
    };
    return cmocka_run_group_tests_name("memory store", tests, NULL, NULL);
}

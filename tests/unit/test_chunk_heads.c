// SPDX-License-Identifier: Apache-2.0
/* The only chunks of many small files, fetched in one question (cache/chunks.h). */
#include <errno.h>
#include <string.h>

#include "cache/chunks.h"
#include "tests/fake/pattern.h"
#include "tests/unit/unit.h"

enum { FILES = 20, SIZE = 1000 };

struct bench {
    struct pattern pattern;
    struct budget budget;
    struct workers *workers;
    struct chunks *chunks;
    struct pattern_file *files[FILES];
    struct chunk_file chunk_files[FILES];
};

static struct bench *bench_new(size_t budget) {
    struct bench *bench = calloc(1, sizeof *bench);
    pattern_init(&bench->pattern);
    budget_init(&bench->budget, budget);
    bench->workers = workers_new(1, 4);
    bench->chunks = chunks_new(&bench->budget, &bench->pattern.source, bench->workers);
    for (unsigned i = 0; i < FILES; i++) {
        bench->files[i] = pattern_file_new(SIZE, SIZE, (unsigned char)i);
        bench->chunk_files[i] = pattern_chunk_file(bench->files[i]);
    }
    return bench;
}

static void settle(struct bench *bench) {
    gate_open(&bench->pattern.gate);
    bench->workers = workers_free(bench->workers);
}

static void bench_done(struct bench *bench) {
    settle(bench);
    chunks_check(bench->chunks);
    chunks_free(bench->chunks);
    assert_int_equal(budget_used(&bench->budget), 0);
    for (unsigned i = 0; i < FILES; i++) {
        assert_int_equal(atomic_load(&bench->files[i]->references), 0);
        free(bench->files[i]);
    }
    pattern_done(&bench->pattern);
    free(bench);
}

static int get(struct bench *bench, unsigned i) {
    struct blob *blob = NULL;
    int result = chunks_get(bench->chunks, &bench->chunk_files[i], 0, 1, &blob, NULL);
    for (size_t k = 0; blob && k < blob->size; k++)
        assert_int_equal(blob->bytes[k], pattern_byte(bench->files[i], (int64_t)k));
    assert_true(result || blob->size == SIZE);
    blob_unref(blob);
    return result;
}

static void they_come_by_one_fetch(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES);
    settle(bench);
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(get(bench, i), 0);
    assert_int_equal(atomic_load(&bench->pattern.head_fetches), 1);
    assert_int_equal(atomic_load(&bench->pattern.fetches), 0);
    bench_done(bench);
}

static void only_what_is_missing_is_fetched(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20);
    assert_int_equal(get(bench, 3), 0);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES); /* all cached or under way */
    settle(bench);
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(atomic_load(&bench->files[i]->fetched[0]), 1);
    assert_int_equal(atomic_load(&bench->pattern.head_fetches), 1);
    bench_done(bench);
}

static void a_damaged_one_fails_only_who_asks_for_it(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20);
    atomic_store(&bench->files[5]->damage[0], -EIO);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES);
    settle(bench);
    for (unsigned i = 0; i < FILES; i++)
        assert_int_equal(get(bench, i), i == 5 ? -EIO : 0);
    bench_done(bench);
}

struct reading {
    struct bench *bench;
    unsigned i;
    int result;
};

static void *read_one(void *argument) {
    struct reading *reading = argument;
    reading->result = get(reading->bench, reading->i);
    return NULL;
}

static void who_waits_for_a_damaged_one_learns_what_is_wrong(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20);
    struct reading readings[] = {{bench, 5, 1}, {bench, 6, 1}};
    pthread_t threads[2];
    atomic_store(&bench->files[5]->damage[0], -ESTALE);
    gate_shut(&bench->pattern.gate);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES);
    gate_await(&bench->pattern.gate, 1);
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_one, &readings[i]), 0);
    gate_open(&bench->pattern.gate);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(readings[0].result, -ESTALE);
    assert_int_equal(readings[1].result, 0);
    bench_done(bench);
}

static void a_failed_fetch_fails_no_reader(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20);
    bench->pattern.failure = -EIO;
    atomic_store(&bench->pattern.failures, 1);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES);
    settle(bench);
    assert_int_equal(get(bench, 7), 0);
    bench_done(bench);
}

static void what_does_not_fit_is_not_fetched_and_evicts_nothing(void **state) {
    (void)state;
    struct bench *bench = bench_new(5 * blob_cost(SIZE));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(get(bench, i), 0);
    chunks_prefetch_heads(bench->chunks, bench->chunk_files, FILES);
    settle(bench);
    assert_int_equal(atomic_load(&bench->pattern.head_fetches), 0);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(get(bench, i), 0);
    assert_int_equal(atomic_load(&bench->pattern.fetches), 4);
    bench_done(bench);
}

static void a_full_queue_leaves_nothing_behind(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20);
    gate_shut(&bench->pattern.gate);
    for (unsigned i = 0; i < FILES; i++)
        chunks_prefetch_heads(bench->chunks, &bench->chunk_files[i], 1);
    chunks_check(bench->chunks);
    settle(bench);
    assert_in_range(atomic_load(&bench->pattern.head_fetches), 4, 5);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_by_one_fetch),
        cmocka_unit_test(only_what_is_missing_is_fetched),
        cmocka_unit_test(a_damaged_one_fails_only_who_asks_for_it),
        cmocka_unit_test(who_waits_for_a_damaged_one_learns_what_is_wrong),
        cmocka_unit_test(a_failed_fetch_fails_no_reader),
        cmocka_unit_test(what_does_not_fit_is_not_fetched_and_evicts_nothing),
        cmocka_unit_test(a_full_queue_leaves_nothing_behind),
    };
    return cmocka_run_group_tests_name("chunk_heads", tests, NULL, NULL);
}

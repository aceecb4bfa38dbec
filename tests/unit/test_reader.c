// SPDX-License-Identifier: Apache-2.0
#include "cache/reader.h"

#include <errno.h>
#include <string.h>

#include "tests/fake/pattern.h"
#include "tests/unit/unit.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

struct bench {
    struct pattern pattern;
    struct budget budget;
    struct workers *workers;
    struct chunks *chunks;
    struct pattern_file *file;
    struct reader *reader;
};

static struct bench *bench_new(size_t budget, int64_t length, uint32_t chunk_size) {
    struct bench *bench = calloc(1, sizeof *bench);
    pattern_init(&bench->pattern);
    budget_init(&bench->budget, budget);
    bench->workers = workers_new(2, 32);
    bench->chunks = chunks_new(&bench->budget, &bench->pattern.source, bench->workers);
    bench->file = pattern_file_new(length, chunk_size, 3);
    struct chunk_file file = pattern_chunk_file(bench->file);
    bench->reader = reader_new(bench->chunks, &file, length);
    return bench;
}

static void bench_done(struct bench *bench) {
    reader_free(bench->reader);
    workers_free(bench->workers);
    chunks_check(bench->chunks);
    chunks_free(bench->chunks);
    assert_int_equal(budget_used(&bench->budget), 0);
    assert_int_equal(atomic_load(&bench->file->references), 0);
    pattern_done(&bench->pattern);
    free(bench->file);
    free(bench);
}

static atomic_size_t hits, misses; /* bytes that were read, by any thread */

/* Reads and compares every byte; returns what the reader did. */
static int read_at(struct bench *bench, int64_t offset, size_t size) {
    struct reader_view views[READER_VIEWS];
    unsigned count = 99;
    int result = reader_read(bench->reader, offset, size, views, &count);
    if (result) {
        assert_int_equal(count, 99);
        return result;
    }
    assert_in_range(count, 0, READER_VIEWS);
    int64_t rest = offset < bench->file->length ? bench->file->length - offset : 0, at = offset;
    for (unsigned i = 0; i < count; i++) {
        assert_true(views[i].size > 0 && views[i].hit <= views[i].size);
        hits += views[i].hit;
        misses += views[i].size - views[i].hit;
        assert_true(views[i].bytes >= views[i].blob->bytes);
        assert_true(views[i].bytes + views[i].size <= views[i].blob->bytes + views[i].blob->size);
        for (size_t k = 0; k < views[i].size; k++, at++)
            if (views[i].bytes[k] != pattern_byte(bench->file, at))
                fail_msg("byte %lld is wrong", (long long)at);
    }
    assert_int_equal(at - offset, (int64_t)size < rest ? (int64_t)size : rest);
    reader_release(views, count);
    return 0;
}

/* In any order, and also where small chunks are gathered into one piece. */
static void each_byte_given_is_a_hit_or_a_miss(void **state) {
    (void)state;
    static const uint32_t chunk_sizes[] = {255 * KIB, 1000};
    for (unsigned i = 0; i < 2; i++) {
        struct bench *bench = bench_new(64 * MIB, 2 * MIB, chunk_sizes[i]);
        size_t asked = 0;
        hits = misses = 0;
        assert_int_equal(read_at(bench, 0, 100), 0);
        assert_int_equal(hits, 0);
        assert_int_equal(misses, 100);
        for (int64_t at = 12345; at < 2 * MIB; at += 77777) {
            assert_int_equal(read_at(bench, 2 * MIB - at, 65537), 0);
            asked += at < 65537 ? (size_t)at : 65537;
        }
        assert_int_equal(hits + misses, asked + 100);
        assert_true(hits > 0 && misses <= 2 * MIB + 100);
        bench_done(bench);
    }
}

static void a_read_within_one_chunk_is_one_view_of_it(void **state) {
    (void)state;
    struct bench *bench = bench_new(8 * MIB, 10 * MIB, 255 * KIB);
    struct reader_view views[READER_VIEWS];
    unsigned count;
    assert_int_equal(reader_read(bench->reader, 300 * KIB, 4096, views, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(views[0].size, 4096);
    assert_int_equal(views[0].bytes - views[0].blob->bytes, 45 * KIB);
    reader_release(views, count);
    bench_done(bench);
}

static void a_read_ends_with_the_file(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB, 1000, 300);
    assert_int_equal(read_at(bench, 0, 5000), 0);
    assert_int_equal(read_at(bench, 999, 5000), 0);
    assert_int_equal(read_at(bench, 1000, 1), 0);
    assert_int_equal(read_at(bench, INT64_MAX, SIZE_MAX / 2), 0);
    assert_int_equal(read_at(bench, 10, 0), 0);
    bench_done(bench);
}

static void an_empty_file_asks_nobody(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB, 0, 300);
    assert_int_equal(read_at(bench, 0, 4096), 0);
    assert_int_equal(atomic_load(&bench->pattern.fetches), 0);
    bench_done(bench);
}

static void damage_is_an_error_and_never_a_short_read(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1000, 10};
    for (unsigned i = 0; i < 2; i++) { /* few views, and many chunks in one */
        struct bench *bench = bench_new(MIB, 20000, sizes[i]);
        atomic_store(&bench->file->damage[5], -EIO);
        assert_int_equal(read_at(bench, 0, 20000), -EIO);
        assert_int_equal(read_at(bench, 5 * sizes[i], 1), -EIO);
        assert_int_equal(read_at(bench, 4 * sizes[i], sizes[i] + 1), -EIO);
        assert_int_equal(read_at(bench, 0, 5 * sizes[i]), 0);
        assert_int_equal(read_at(bench, 6 * sizes[i], 1000), 0);
        bench_done(bench);
    }
}

static void any_read_gives_the_bytes_of_the_file(void **state) {
    (void)state;
    static const uint32_t sizes[] = {1, 2, 7, 100, 4096, 65536, 261120, 1 << 20};
    struct dice dice = dice_new("reader");
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        int64_t most = sizes[i] < 100 ? 3000 : 2 * MIB;
        struct bench *bench = bench_new(MIB, 1 + (int64_t)dice_below(&dice, (uint64_t)most), sizes[i]);
        for (int k = 0; k < 60; k++) {
            int64_t offset = (int64_t)dice_below(&dice, (uint64_t)bench->file->length + 10);
            assert_int_equal(read_at(bench, offset, dice_below(&dice, dice_below(&dice, 2) ? 300000 : 5000)), 0);
        }
        bench_done(bench);
    }
}

static void read_through(struct bench *bench, size_t piece) {
    for (int64_t offset = 0; offset < bench->file->length; offset += (int64_t)piece)
        assert_int_equal(read_at(bench, offset, piece), 0);
}

static void a_sequential_read_fetches_each_chunk_once_and_in_large_pieces(void **state) {
    (void)state;
    struct bench *bench = bench_new(32 * MIB, 16 * MIB, 255 * KIB);
    read_through(bench, 128 * KIB);
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    assert_in_range(atomic_load(&bench->pattern.fetches), 1, 24);
    bench_done(bench);
}

/* But for a few, which make room for others where a reader is faster than what is fetched for it. */
static void a_small_cache_fetches_each_chunk_once_too(void **state) {
    (void)state;
    static const size_t budgets[] = {4 * MIB, 8 * MIB, 12 * MIB};
    for (unsigned i = 0; i < 3; i++) {
        struct bench *bench = bench_new(budgets[i], 16 * MIB, 255 * KIB);
        read_through(bench, 128 * KIB);
        unsigned fetched = 0, chunks = 16 * MIB / (255 * KIB) + 1;
        for (unsigned n = 0; n < chunks; n++)
            fetched += atomic_load(&bench->file->fetched[n]);
        bench_done(bench);
        assert_in_range(fetched, chunks, chunks * 5 / 4);
    }
}

static void what_is_fetched_for_later_stays_until_it_is_read(void **state) {
    (void)state;
    struct bench *bench = bench_new(32 * MIB, 16 * MIB + 12345, 255 * KIB);
    for (int64_t offset = 0; offset < 20 * MIB; offset += 2 * MIB) /* beyond the end is nothing */
        assert_int_equal(reader_fetch(bench->reader, offset, 2 * MIB, true), 0);
    unsigned fetches = atomic_load(&bench->pattern.fetches);
    assert_in_range(fetches, 1, 9); /* in large pieces, and nothing ahead of them */
    read_through(bench, 128 * KIB);
    assert_int_equal(atomic_load(&bench->pattern.fetches), fetches);
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    atomic_store(&bench->file->damage[5], -EIO); /* what is there is not asked for */
    assert_int_equal(reader_fetch(bench->reader, 0, 1, true), 0);
    bench_done(bench);
}

static void what_does_not_stay_pushes_nothing_out(void **state) {
    (void)state;
    struct bench *bench = bench_new(8 * MIB, 32 * MIB, 255 * KIB);
    assert_int_equal(reader_fetch(bench->reader, 0, 4 * MIB, true), 0);
    for (int64_t offset = 4 * MIB; offset < 32 * MIB; offset += 2 * MIB)
        assert_int_equal(reader_fetch(bench->reader, offset, 2 * MIB, false), 0);
    unsigned fetches = atomic_load(&bench->pattern.fetches);
    assert_int_equal(reader_fetch(bench->reader, 0, 4 * MIB - 255 * KIB, true), 0);
    assert_int_equal(atomic_load(&bench->pattern.fetches), fetches);
    bench_done(bench);
}

static void what_cannot_be_fetched_for_later_is_an_error(void **state) {
    (void)state;
    struct bench *bench = bench_new(32 * MIB, 4 * MIB, 255 * KIB);
    atomic_store(&bench->file->damage[3], -EIO);
    assert_int_equal(reader_fetch(bench->reader, 0, 4 * MIB, true), -EIO);
    assert_int_equal(reader_fetch(bench->reader, 0, 3 * 255 * KIB, true), 0);
    assert_int_equal(reader_fetch(bench->reader, 4 * MIB, 1, true), 0);
    bench_done(bench);
}

static void random_pages_fetch_at_most_one_chunk_each(void **state) {
    (void)state;
    struct dice dice = dice_new("reader, random pages");
    struct bench *bench = bench_new(64 * MIB, 64 * MIB, 255 * KIB);
    for (int i = 0; i < 500; i++) {
        int64_t chunk = (int64_t)dice_below(&dice, 256), page = (int64_t)dice_below(&dice, 63);
        assert_int_equal(read_at(bench, chunk * 255 * KIB + page * 4096, 4096), 0);
    }
    uint64_t chunks = 0;
    for (unsigned n = 0; n < 300; n++)
        chunks += atomic_load(&bench->file->fetched[n]);
    assert_true(chunks <= 256);
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    bench_done(bench);
}

struct walk {
    struct bench *bench;
    struct dice dice;
    pthread_t thread;
};

static void *walk_at_random(void *argument) {
    struct walk *walk = argument;
    for (int i = 0; i < 40; i++) {
        int64_t offset = (int64_t)dice_below(&walk->dice, (uint64_t)walk->bench->file->length);
        assert_int_equal(read_at(walk->bench, offset, 128 * KIB), 0);
    }
    return NULL;
}

static void many_threads_may_read_at_once(void **state) {
    (void)state;
    enum { WALKERS = 4 };
    struct dice dice = dice_new("reader, threads");
    struct bench *bench = bench_new(2 * MIB, 4 * MIB, 64 * KIB);
    struct walk walks[WALKERS];
    for (int i = 0; i < WALKERS; i++) {
        walks[i] = (struct walk){.bench = bench, .dice = {.state = dice_throw(&dice)}};
        assert_int_equal(pthread_create(&walks[i].thread, NULL, walk_at_random, &walks[i]), 0);
    }
    for (int i = 0; i < WALKERS; i++)
        pthread_join(walks[i].thread, NULL);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_byte_given_is_a_hit_or_a_miss),
        cmocka_unit_test(a_read_within_one_chunk_is_one_view_of_it),
        cmocka_unit_test(a_read_ends_with_the_file),
        cmocka_unit_test(an_empty_file_asks_nobody),
        cmocka_unit_test(damage_is_an_error_and_never_a_short_read),
        cmocka_unit_test(any_read_gives_the_bytes_of_the_file),
        cmocka_unit_test(a_sequential_read_fetches_each_chunk_once_and_in_large_pieces),
        cmocka_unit_test(a_small_cache_fetches_each_chunk_once_too),
        cmocka_unit_test(what_is_fetched_for_later_stays_until_it_is_read),
        cmocka_unit_test(what_does_not_stay_pushes_nothing_out),
        cmocka_unit_test(what_cannot_be_fetched_for_later_is_an_error),
        cmocka_unit_test(random_pages_fetch_at_most_one_chunk_each),
        cmocka_unit_test(many_threads_may_read_at_once),
    };
    return cmocka_run_group_tests_name("reader", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "cache/chunks.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>

#include "cache/base/stats.h"
#include "tests/fake/pattern.h"
#include "tests/unit/unit.h"

enum { CHUNK = 1000 };

/* A cache with its parts, and one file of 100 chunks, the last of them short. */
struct bench {
    struct pattern pattern;
    struct budget budget;
    struct workers *workers;
    struct chunks *chunks;
    struct pattern_file *file;
    struct chunk_file chunk_file;
};

static struct bench *bench_new(size_t budget, unsigned threads, unsigned capacity) {
    struct bench *bench = calloc(1, sizeof *bench);
    pattern_init(&bench->pattern);
    budget_init(&bench->budget, budget);
    bench->workers = workers_new(threads, capacity);
    bench->chunks = chunks_new(&bench->budget, &bench->pattern.source, bench->workers);
    bench->file = pattern_file_new(99 * CHUNK + 500, CHUNK, 7);
    bench->chunk_file = pattern_chunk_file(bench->file);
    return bench;
}

/* Lets everything end, and sees that nothing is left over. */
static void bench_done(struct bench *bench) {
    gate_open(&bench->pattern.gate);
    workers_free(bench->workers);
    chunks_check(bench->chunks);
    chunks_free(bench->chunks);
    assert_int_equal(budget_used(&bench->budget), 0);
    assert_int_equal(atomic_load(&bench->file->references), 0);
    pattern_done(&bench->pattern);
    free(bench->file);
    free(bench);
}

static void assert_is_chunk(const struct bench *bench, const struct blob *blob, uint32_t n) {
    assert_int_equal(blob->size, n == 99 ? 500 : CHUNK);
    for (size_t i = 0; i < blob->size; i++)
        assert_int_equal(blob->bytes[i], pattern_byte(bench->file, (int64_t)n * CHUNK + (int64_t)i));
}

static int get(struct bench *bench, uint32_t n, uint32_t wanted) {
    struct blob *blob = NULL;
    int result = chunks_get(bench->chunks, &bench->chunk_file, n, wanted, &blob, NULL);
    if (result)
        assert_null(blob);
    else
        assert_is_chunk(bench, blob, n);
    blob_unref(blob);
    return result;
}

static void a_chunk_is_fetched_once_and_then_cached(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    for (int i = 0; i < 3; i++)
        assert_int_equal(get(bench, 5, 1), 0);
    assert_int_equal(get(bench, 99, 1), 0);
    assert_int_equal(atomic_load(&bench->file->fetched[5]), 1);
    assert_int_equal(atomic_load(&bench->pattern.fetches), 2);
    bench_done(bench);
}

static void a_chunk_that_is_put_needs_no_fetch(void **state) {
    (void)state;
    struct bench *bench = bench_new(3 * blob_cost(CHUNK), 1, 8);
    for (uint32_t n = 0; n < 10; n++) {
        struct blob *blob = blob_new(&bench->budget, CHUNK);
        for (size_t i = 0; i < CHUNK; i++)
            blob->bytes[i] = pattern_byte(bench->file, (int64_t)n * CHUNK + (int64_t)i);
        chunks_put(bench->chunks, &bench->chunk_file, n, blob);
        blob_unref(blob);
        assert_in_range(budget_used(&bench->budget), blob_cost(CHUNK), 3 * blob_cost(CHUNK));
    }
    assert_int_equal(get(bench, 9, 1), 0);
    assert_int_equal(atomic_load(&bench->pattern.fetches), 0);
    assert_int_equal(get(bench, 0, 1), 0); /* its room was needed */
    assert_int_equal(atomic_load(&bench->pattern.fetches), 1);
    bench_done(bench);
}

static void wanted_chunks_come_with_the_first_in_one_fetch(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    assert_int_equal(get(bench, 12, 1), 0);
    assert_int_equal(get(bench, 10, 8), 0); /* up to the one that is there */
    assert_int_equal(atomic_load(&bench->pattern.fetches), 2);
    assert_int_equal(get(bench, 11, 1), 0);
    assert_int_equal(atomic_load(&bench->pattern.fetches), 2);
    assert_int_equal(atomic_load(&bench->file->fetched[13]), 0);
    bench_done(bench);
}

static void a_fetch_is_bounded_whatever_is_wanted(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    bench->file->length = 1000 * CHUNK;
    assert_int_equal(get(bench, 0, 1000), 0);
    assert_int_equal(atomic_load(&bench->file->fetched[CHUNKS_FETCH_MOST - 1]), 1);
    assert_int_equal(atomic_load(&bench->file->fetched[CHUNKS_FETCH_MOST]), 0);
    bench_done(bench);
}

static void revisions_do_not_mix(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    struct pattern_file *other = pattern_file_new(10 * CHUNK, CHUNK, 8);
    struct chunk_file other_file = pattern_chunk_file(other);
    struct blob *blob;
    assert_int_equal(get(bench, 1, 1), 0);
    assert_int_equal(chunks_get(bench->chunks, &other_file, 1, 1, &blob, NULL), 0);
    assert_int_equal(blob->bytes[0], pattern_byte(other, CHUNK));
    blob_unref(blob);
    assert_int_equal(atomic_load(&other->references), 0);
    free(other);
    bench_done(bench);
}

struct reading {
    struct bench *bench;
    uint32_t n;
    int result;
    pthread_t thread;
};

static void *read_one(void *argument) {
    struct reading *reading = argument;
    reading->result = get(reading->bench, reading->n, 1);
    return NULL;
}

static void start(struct reading *reading, struct bench *bench, uint32_t n) {
    *reading = (struct reading){.bench = bench, .n = n, .result = 1};
    assert_int_equal(pthread_create(&reading->thread, NULL, read_one, reading), 0);
}

static int end(struct reading *reading) {
    pthread_join(reading->thread, NULL);
    return reading->result;
}

static void one_fetch_is_under_way_however_many_ask(void **state) {
    (void)state;
    enum { READERS = 16 };
    struct bench *bench = bench_new(1 << 20, 1, 8);
    struct reading readings[READERS];
    gate_shut(&bench->pattern.gate);
    for (int i = 0; i < READERS; i++)
        start(&readings[i], bench, 3);
    gate_await(&bench->pattern.gate, 1);
    chunks_check(bench->chunks);
    gate_open(&bench->pattern.gate);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(end(&readings[i]), 0);
    assert_int_equal(atomic_load(&bench->file->fetched[3]), 1);
    bench_done(bench);
}

static void fetches_of_different_chunks_run_at_once(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    struct reading readings[4];
    gate_shut(&bench->pattern.gate);
    for (uint32_t i = 0; i < 4; i++)
        start(&readings[i], bench, 10 * i);
    gate_await(&bench->pattern.gate, 4);
    gate_open(&bench->pattern.gate);
    for (int i = 0; i < 4; i++)
        assert_int_equal(end(&readings[i]), 0);
    bench_done(bench);
}

static void what_was_prefetched_is_not_fetched_again(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 2, 8);
    assert_int_equal(chunks_prefetch(bench->chunks, &bench->chunk_file, 20, 10), 30);
    for (uint32_t n = 20; n < 30; n++)
        assert_int_equal(get(bench, n, 1), 0);
    assert_int_equal(chunks_prefetch(bench->chunks, &bench->chunk_file, 20, 10), 30);
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    bench_done(bench);
}

static void a_reader_waits_for_the_prefetch_under_way(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    struct reading reading;
    gate_shut(&bench->pattern.gate);
    chunks_prefetch(bench->chunks, &bench->chunk_file, 0, 4);
    gate_await(&bench->pattern.gate, 1);
    start(&reading, bench, 2);
    gate_open(&bench->pattern.gate);
    assert_int_equal(end(&reading), 0);
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    bench_done(bench);
}

static void hold_worker(void *argument) {
    gate_pass(argument);
}

static void a_reader_takes_over_a_prefetch_that_no_worker_began(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    struct gate busy;
    gate_init(&busy);
    gate_shut(&busy);
    assert_true(workers_submit(bench->workers, hold_worker, &busy));
    gate_await(&busy, 1);
    assert_int_equal(chunks_prefetch(bench->chunks, &bench->chunk_file, 0, 4), 4);
    assert_int_equal(get(bench, 2, 1), 0); /* would hang if it waited for the worker */
    assert_int_equal(get(bench, 0, 1), 0);
    gate_open(&busy);
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    bench_done(bench);
    gate_done(&busy);
}

struct getting {
    struct bench *bench;
    uint32_t n;
    int result;
};

static void *get_in_thread(void *argument) {
    struct getting *getting = argument;
    getting->result = get(getting->bench, getting->n, 1);
    return NULL;
}

/* A cache that knows how long a fetch takes, and has chunks 10 to 13 under way in one that is stuck. */
static struct bench *stuck_bench_new(void) {
    struct bench *bench = bench_new(1 << 20, 4, 8);
    for (uint32_t n = 50; n < 60; n++)
        assert_int_equal(get(bench, n, 1), 0);
    gate_shut(&bench->pattern.jam);
    atomic_store(&bench->pattern.stuck, 1);
    assert_int_equal(chunks_prefetch(bench->chunks, &bench->chunk_file, 10, 4), 14);
    gate_await(&bench->pattern.jam, 1);
    return bench;
}

static void a_fetch_that_is_stuck_is_made_once_more(void **state) {
    (void)state;
    struct bench *bench = stuck_bench_new();
    int64_t before = stats_get(STAT_hedged_fetches);
    for (uint32_t n = 10; n < 14; n++)
        assert_int_equal(get(bench, n, 1), 0);
    assert_int_equal(stats_get(STAT_hedged_fetches), before + 1);
    assert_int_equal(atomic_load(&bench->file->fetched[12]), 1);
    chunks_check(bench->chunks);
    gate_open(&bench->pattern.jam); /* what comes late is let go */
    bench_done(bench);
}

static void a_readers_own_fetch_that_is_stuck_is_made_once_more(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 4, 8);
    atomic_store(&bench->pattern.takes_ms, 2);
    for (uint32_t n = 50; n < 60; n++)
        assert_int_equal(get(bench, n, 1), 0);
    int64_t before = stats_get(STAT_hedged_fetches);
    gate_shut(&bench->pattern.jam);
    atomic_store(&bench->pattern.stuck, 1);
    assert_int_equal(get(bench, 10, 4), 0);
    assert_int_equal(stats_get(STAT_hedged_fetches), before + 1);
    chunks_check(bench->chunks);
    gate_open(&bench->pattern.jam);
    bench_done(bench);
}

/* Readers that find all workers stuck do without them. */
static void a_reader_waits_for_no_worker_for_long(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    atomic_store(&bench->pattern.takes_ms, 2);
    for (uint32_t n = 50; n < 60; n++)
        assert_int_equal(get(bench, n, 1), 0);
    struct gate busy;
    gate_init(&busy);
    gate_shut(&busy);
    assert_true(workers_submit(bench->workers, hold_worker, &busy));
    gate_await(&busy, 1);
    assert_int_equal(get(bench, 10, 4), 0);
    chunks_check(bench->chunks);
    gate_open(&busy);
    bench_done(bench);
    gate_done(&busy);
}

static void of_two_fetches_the_one_that_fails_is_not_believed(void **state) {
    (void)state;
    struct bench *bench = stuck_bench_new();
    struct getting getting = {.bench = bench, .n = 11};
    pthread_t thread;
    unsigned before = atomic_load(&bench->pattern.fetches);
    bench->pattern.failure = -ECONNRESET;
    atomic_store(&bench->pattern.failures, 1);
    assert_int_equal(pthread_create(&thread, NULL, get_in_thread, &getting), 0);
    while (atomic_load(&bench->pattern.failures) || atomic_load(&bench->pattern.fetches) == before)
        sched_yield();
    gate_open(&bench->pattern.jam);
    pthread_join(thread, NULL);
    assert_int_equal(getting.result, 0);
    assert_int_equal(atomic_load(&bench->pattern.fetches), before + 1);
    bench_done(bench);
}

/* One who reads far ahead does not keep waiting one who came later. */
static void what_was_near_says_nothing_of_the_link(void **state) {
    (void)state;
    struct bench *bench = bench_new(256 << 20, 1, 8);
    int64_t window = chunks_window(bench->chunks);
    atomic_store(&bench->pattern.takes_ms, 10);
    bench->pattern.near = true;
    for (uint32_t n = 0; n < 4; n++)
        assert_int_equal(get(bench, n, 1), 0);
    assert_int_equal(chunks_window(bench->chunks), window);
    bench->pattern.near = false;
    assert_int_equal(get(bench, 4, 1), 0); /* a long one: that takes more at once */
    assert_true(chunks_window(bench->chunks) > window);
    bench_done(bench);
}

static void files_that_are_read_at_once_share_the_workers(void **state) {
    (void)state;
    struct bench *bench = bench_new(64 << 20, 1, 32);
    static const uint32_t ahead[] = {20, 4, 8}; /* chunks, two in a fetch */
    struct pattern_file *files[3];
    struct gate busy;
    gate_init(&busy);
    gate_shut(&busy);
    assert_true(workers_submit(bench->workers, hold_worker, &busy));
    gate_await(&busy, 1);
    for (unsigned char i = 0; i < 3; i++) {
        files[i] = pattern_file_new((int64_t)32 << 20, 1 << 20, i);
        struct chunk_file file = pattern_chunk_file(files[i]);
        assert_int_equal(chunks_prefetch(bench->chunks, &file, 0, ahead[i]), ahead[i]);
    }
    chunks_check(bench->chunks);
    gate_open(&busy);
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_int_equal(atomic_load(&files[1]->last), 5); /* of 1 2 3 1 2 3 1 3 1 3 1 1 ... */
    assert_int_equal(atomic_load(&files[2]->last), 10);
    assert_int_equal(atomic_load(&files[0]->last), 16);
    bench_done(bench);
    gate_done(&busy);
    for (int i = 0; i < 3; i++)
        free(files[i]);
}

static void prefetch_says_where_the_queue_was_full(void **state) {
    (void)state;
    struct bench *bench = bench_new(64 << 20, 1, 2);
    struct gate busy;
    struct pattern_file *large = pattern_file_new((int64_t)64 << 20, 1 << 20, 9); /* two chunks in a fetch */
    struct chunk_file large_file = pattern_chunk_file(large);
    gate_init(&busy);
    gate_shut(&busy);
    assert_true(workers_submit(bench->workers, hold_worker, &busy));
    gate_await(&busy, 1);
    uint32_t reached = chunks_prefetch(bench->chunks, &large_file, 0, 16);
    assert_int_equal(reached, 4);
    assert_int_equal(chunks_prefetch(bench->chunks, &large_file, reached, 16), reached);
    chunks_check(bench->chunks);
    gate_open(&busy);
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_int_equal(atomic_load(&large->fetched[3]), 1);
    assert_int_equal(atomic_load(&large->fetched[4]), 0);
    assert_int_equal(atomic_load(&large->references), 0);
    bench_done(bench);
    gate_done(&busy);
    free(large);
}

static void prefetch_keeps_the_budget(void **state) {
    (void)state;
    struct bench *bench = bench_new(5 * blob_cost(CHUNK), 1, 8);
    gate_shut(&bench->pattern.gate);
    uint32_t reached = chunks_prefetch(bench->chunks, &bench->chunk_file, 0, 5);
    assert_int_equal(reached, 5);
    assert_int_equal(chunks_prefetch(bench->chunks, &bench->chunk_file, 5, 5), 5);
    gate_open(&bench->pattern.gate);
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_true(budget_used(&bench->budget) <= bench->budget.limit);
    bench_done(bench);
}

static void the_cache_stays_within_its_budget(void **state) {
    (void)state;
    struct bench *bench = bench_new(10 * blob_cost(CHUNK), 1, 8);
    for (uint32_t n = 0; n < 100; n++) {
        assert_int_equal(get(bench, n, n < 97 ? 3 : 1), 0);
        assert_true(budget_used(&bench->budget) <= bench->budget.limit);
    }
    assert_int_equal(get(bench, 99, 1), 0); /* the newest are what is kept */
    assert_int_equal(atomic_load(&bench->file->fetched[99]), 1);
    bench_done(bench);
}

static void few_of_the_chunks_that_were_passed_are_kept(void **state) {
    (void)state;
    struct bench *bench = bench_new(64 * blob_cost(CHUNK), 1, 8);
    for (uint32_t n = 0; n < 40; n++)
        assert_int_equal(get(bench, n, 1), 0);
    chunks_pass(bench->chunks, &bench->chunk_file, 0, 30);
    chunks_check(bench->chunks);
    assert_true(budget_used(&bench->budget) >= 25 * blob_cost(CHUNK));
    assert_true(budget_used(&bench->budget) <= 31 * blob_cost(CHUNK));
    assert_int_equal(get(bench, 29, 1), 0); /* the last of them still there, as are those not passed */
    assert_int_equal(get(bench, 30, 1), 0);
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    assert_int_equal(get(bench, 0, 1), 0);
    assert_int_equal(atomic_load(&bench->file->fetched[0]), 2);
    bench_done(bench);
}

static void what_is_fetched_takes_the_memory_of_what_was_passed(void **state) {
    (void)state;
    struct bench *bench = bench_new(64 * blob_cost(CHUNK), 1, 8);
    for (uint32_t n = 0; n < 20; n++)
        assert_int_equal(get(bench, n, 1), 0);
    chunks_pass(bench->chunks, &bench->chunk_file, 0, 10);
    size_t used = budget_used(&bench->budget);
    for (uint32_t n = 20; n < 25; n++) {
        assert_int_equal(get(bench, n, 1), 0);
        assert_int_equal(budget_used(&bench->budget), used);
    }
    for (uint32_t n = 6; n < 25; n++) /* what was not passed stays, and what was passed last */
        assert_int_equal(get(bench, n, 1), 0);
    assert_int_equal(pattern_most_fetched(bench->file), 1);
    assert_int_equal(get(bench, 25, 1), 0);
    assert_int_equal(get(bench, 26, 1), 0); /* little is left to take */
    assert_true(budget_used(&bench->budget) > used);
    bench_done(bench);
}

static void what_a_reader_waits_for_is_fetched_even_without_room(void **state) {
    (void)state;
    struct bench *bench = bench_new(1, 1, 8);
    for (uint32_t n = 0; n < 10; n++) {
        assert_int_equal(get(bench, n, 1), 0);
        assert_int_equal(get(bench, n, 1), 0);
        assert_int_equal(atomic_load(&bench->file->fetched[n]), 1); /* the last stays: it is being read */
    }
    assert_true(budget_used(&bench->budget) <= blob_cost(CHUNK));
    assert_int_equal(chunks_prefetch(bench->chunks, &bench->chunk_file, 0, 10), 0);
    bench_done(bench);
}

static void a_damaged_chunk_fails_only_who_asks_for_it_and_is_not_cached(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    atomic_store(&bench->file->damage[2], -EIO);
    assert_int_equal(get(bench, 0, 5), 0);
    assert_int_equal(get(bench, 1, 1), 0);
    assert_int_equal(get(bench, 2, 3), -EIO);
    assert_int_equal(get(bench, 3, 1), 0);
    assert_int_equal(get(bench, 2, 1), -EIO);
    atomic_store(&bench->file->damage[2], 0); /* it healed: the error was not kept */
    assert_int_equal(get(bench, 2, 1), 0);
    assert_int_equal(atomic_load(&bench->file->fetched[3]), 1);
    bench_done(bench);
}

static void the_sources_own_error_comes_through(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    atomic_store(&bench->file->damage[4], -ESTALE);
    assert_int_equal(get(bench, 4, 1), -ESTALE);
    bench->pattern.failure = -ETIMEDOUT;
    atomic_store(&bench->pattern.failures, 1);
    assert_int_equal(get(bench, 5, 1), -ETIMEDOUT);
    assert_int_equal(get(bench, 5, 1), 0);
    bench_done(bench);
}

static void a_failed_prefetch_does_not_fail_a_reader(void **state) {
    (void)state;
    struct bench *bench = bench_new(1 << 20, 1, 8);
    struct reading reading;
    bench->pattern.failure = -EIO;
    atomic_store(&bench->pattern.failures, 1);
    gate_shut(&bench->pattern.gate);
    chunks_prefetch(bench->chunks, &bench->chunk_file, 0, 8);
    gate_await(&bench->pattern.gate, 1);
    start(&reading, bench, 5);
    gate_open(&bench->pattern.gate);
    assert_int_equal(end(&reading), 0);
    bench_done(bench);
}

static void references_to_handles_are_balanced(void **state) {
    (void)state;
    struct bench *bench = bench_new(20 * blob_cost(CHUNK), 2, 2);
    chunks_hold(bench->chunks, &bench->chunk_file);
    assert_int_equal(atomic_load(&bench->file->references), 1);
    bench->pattern.failure = -EIO;
    for (uint32_t n = 0; n < 100; n += 5) {
        atomic_store(&bench->pattern.failures, n % 2);
        chunks_prefetch(bench->chunks, &bench->chunk_file, n, 5);
        get(bench, n, 2);
    }
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_int_equal(atomic_load(&bench->file->references), 1);
    chunks_drop(bench->chunks, &bench->chunk_file);
    bench_done(bench);
}

struct walk {
    struct bench *bench;
    struct dice dice;
    int steps;
    pthread_t thread;
};

static void *walk_at_random(void *argument) {
    struct walk *walk = argument;
    for (int i = 0; i < walk->steps; i++) {
        uint32_t n = (uint32_t)dice_below(&walk->dice, 100);
        uint32_t most = 100 - n, count = 1 + (uint32_t)dice_below(&walk->dice, most < 8 ? most : 8);
        if (dice_below(&walk->dice, 3) == 0)
            chunks_prefetch(walk->bench->chunks, &walk->bench->chunk_file, n, count);
        else
            assert_int_equal(get(walk->bench, n, count), 0);
        if (i % 10 == 0)
            chunks_check(walk->bench->chunks);
    }
    return NULL;
}

/* With fetches that take so long, or no time. */
static void walk_many(int takes_ms, int steps) {
    enum { WALKERS = 4 };
    struct dice dice = dice_new("chunks");
    struct bench *bench = bench_new(30 * blob_cost(CHUNK), 2, 8);
    atomic_store(&bench->pattern.takes_ms, takes_ms);
    struct walk walks[WALKERS];
    for (int i = 0; i < WALKERS; i++) {
        walks[i] = (struct walk){.bench = bench, .steps = steps, .dice = {.state = dice_throw(&dice)}};
        assert_int_equal(pthread_create(&walks[i].thread, NULL, walk_at_random, &walks[i]), 0);
    }
    for (int i = 0; i < WALKERS; i++)
        pthread_join(walks[i].thread, NULL);
    workers_free(bench->workers);
    bench->workers = NULL;
    assert_true(budget_used(&bench->budget) <= bench->budget.limit);
    bench_done(bench);
}

static void many_threads_at_random_get_the_right_bytes(void **state) {
    (void)state;
    walk_many(0, 2000);
    walk_many(2, 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_is_fetched_once_and_then_cached),
        cmocka_unit_test(a_chunk_that_is_put_needs_no_fetch),
        cmocka_unit_test(wanted_chunks_come_with_the_first_in_one_fetch),
        cmocka_unit_test(a_fetch_is_bounded_whatever_is_wanted),
        cmocka_unit_test(revisions_do_not_mix),
        cmocka_unit_test(one_fetch_is_under_way_however_many_ask),
        cmocka_unit_test(fetches_of_different_chunks_run_at_once),
        cmocka_unit_test(what_was_prefetched_is_not_fetched_again),
        cmocka_unit_test(a_reader_waits_for_the_prefetch_under_way),
        cmocka_unit_test(a_reader_takes_over_a_prefetch_that_no_worker_began),
        cmocka_unit_test(a_fetch_that_is_stuck_is_made_once_more),
        cmocka_unit_test(a_readers_own_fetch_that_is_stuck_is_made_once_more),
        cmocka_unit_test(a_reader_waits_for_no_worker_for_long),
        cmocka_unit_test(of_two_fetches_the_one_that_fails_is_not_believed),
        cmocka_unit_test(what_was_near_says_nothing_of_the_link),
        cmocka_unit_test(files_that_are_read_at_once_share_the_workers),
        cmocka_unit_test(prefetch_says_where_the_queue_was_full),
        cmocka_unit_test(prefetch_keeps_the_budget),
        cmocka_unit_test(the_cache_stays_within_its_budget),
        cmocka_unit_test(few_of_the_chunks_that_were_passed_are_kept),
        cmocka_unit_test(what_is_fetched_takes_the_memory_of_what_was_passed),
        cmocka_unit_test(what_a_reader_waits_for_is_fetched_even_without_room),
        cmocka_unit_test(a_damaged_chunk_fails_only_who_asks_for_it_and_is_not_cached),
        cmocka_unit_test(the_sources_own_error_comes_through),
        cmocka_unit_test(a_failed_prefetch_does_not_fail_a_reader),
        cmocka_unit_test(references_to_handles_are_balanced),
        cmocka_unit_test(many_threads_at_random_get_the_right_bytes),
    };
    return cmocka_run_group_tests_name("chunks", tests, NULL, NULL);
}

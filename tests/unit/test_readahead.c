// SPDX-License-Identifier: Apache-2.0
#include "cache/readahead.h"

#include "tests/unit/unit.h"

enum { KIB = 1 << 10, MIB = 1 << 20, CHUNK = 255 * KIB };

/* A policy under observation: what it planned, chunk by chunk. */
struct observed {
    struct readahead policy;
    int64_t chunks, planned; /* planned: over all reads, with repetitions */
};

static struct observed observed_new(int64_t length, int64_t chunk_size) {
    struct observed observed = {.chunks = (length + chunk_size - 1) / chunk_size};
    readahead_init(&observed.policy, length, chunk_size, READAHEAD_MOST);
    return observed;
}

static struct readahead_plan read_at(struct observed *observed, int64_t offset, int64_t size) {
    if (size > observed->policy.length - offset)
        size = observed->policy.length - offset;
    struct readahead_plan plan = readahead_observe(&observed->policy, offset, size);
    readahead_check(&observed->policy);
    if (plan.count)
        assert_true((int64_t)plan.first + plan.count <= observed->chunks);
    observed->planned += plan.count;
    return plan;
}

/* Reads [offset, end) in pieces; returns the largest distance of a planned end from the read, in bytes. */
static int64_t read_in_sequence(struct observed *observed, int64_t offset, int64_t end, int64_t piece) {
    int64_t farthest = 0;
    for (; offset < end; offset += piece) {
        struct readahead_plan plan = read_at(observed, offset, piece);
        int64_t until = ((int64_t)plan.first + plan.count) * observed->policy.chunk_size;
        if (plan.count && until - offset > farthest)
            farthest = until - offset;
    }
    return farthest;
}

static void the_first_small_read_of_a_file_fetches_nothing_ahead(void **state) {
    (void)state;
    struct observed observed = observed_new((int64_t)2 << 30, CHUNK);
    assert_int_equal(read_at(&observed, 0, 4 * KIB).count, 0);
}

static void a_sequential_reader_gets_a_window_that_grows_to_its_limit(void **state) {
    (void)state;
    struct observed observed = observed_new((int64_t)1 << 30, CHUNK);
    int64_t early = read_in_sequence(&observed, 0, MIB, 128 * KIB);
    int64_t late = read_in_sequence(&observed, MIB, 64 * MIB, 128 * KIB);
    assert_true(early > 0 && early <= 4 * MIB);
    assert_true(late > 4 * MIB);
    assert_true(late <= READAHEAD_MOST + 2 * CHUNK);
}

static void all_but_the_beginning_of_a_sequential_read_was_planned(void **state) {
    (void)state;
    struct observed observed = observed_new(256 * MIB, CHUNK);
    read_in_sequence(&observed, 0, 256 * MIB, 128 * KIB);
    assert_in_range(observed.planned, observed.chunks - 2 * MIB / CHUNK, observed.chunks);
}

static void plans_of_a_steady_reader_are_large(void **state) {
    (void)state;
    struct observed observed = observed_new(128 * MIB, CHUNK);
    read_in_sequence(&observed, 0, 16 * MIB, 128 * KIB);
    for (int64_t offset = 16 * MIB; offset < 64 * MIB; offset += 128 * KIB) {
        uint32_t count = read_at(&observed, offset, 128 * KIB).count;
        assert_true(count == 0 || count >= READAHEAD_UNIT / CHUNK);
    }
}

static void random_reads_of_a_page_plan_nothing(void **state) {
    (void)state;
    struct dice dice = dice_new("readahead, random pages");
    struct observed observed = observed_new((int64_t)8 << 30, CHUNK);
    for (int i = 0; i < 20000; i++)
        read_at(&observed, (int64_t)dice_below(&dice, (8ull << 30) / 4096) * 4096, 4096);
    assert_int_equal(observed.planned, 0);
}

/* Of each row in a mapped file the kernel reads 128 KiB around its beginning; as the row reaches into their last quarter,
 * the next 128 KiB; and with their first page, which holds the end of a row that follows a header, 128 KiB more. */
static void rows_of_64_kib_here_and_there_plan_nothing(void **state) {
    (void)state;
    struct dice dice = dice_new("readahead, rows");
    struct observed observed = observed_new((int64_t)64 << 30, CHUNK);
    for (int row = 0; row < 1000; row++) {
        int64_t around = (int64_t)dice_below(&dice, (64ull << 30) / (64 * MIB)) * 64 * MIB + 8 * KIB;
        for (int i = 0; i < 3; i++)
            read_at(&observed, around + i * 128 * KIB, 128 * KIB);
    }
    assert_true(observed.planned < 100); /* the few that happen to lie beside one another */
}

static void interleaved_streams_are_told_apart(void **state) {
    (void)state;
    enum { STREAMS = 4 };
    struct observed observed = observed_new((int64_t)1 << 30, CHUNK);
    int64_t ahead[STREAMS] = {0};
    for (int64_t at = 0; at < 16 * MIB; at += 128 * KIB)
        for (int stream = 0; stream < STREAMS; stream++) {
            int64_t start = (int64_t)stream * 256 * MIB;
            struct readahead_plan plan = read_at(&observed, start + at, 128 * KIB);
            if (plan.count) {
                assert_in_range(plan.first, start / CHUNK, (start + 256 * MIB) / CHUNK);
                ahead[stream] += plan.count;
            }
        }
    for (int stream = 0; stream < STREAMS; stream++)
        assert_in_range(ahead[stream], 14 * MIB / CHUNK, 25 * MIB / CHUNK);
}

static void a_stream_survives_random_reads_beside_it(void **state) {
    (void)state;
    struct dice dice = dice_new("readahead, a stream among jumps");
    struct observed observed = observed_new((int64_t)8 << 30, CHUNK);
    for (int64_t at = 0; at < 32 * MIB; at += 128 * KIB) {
        read_at(&observed, at, 128 * KIB);
        read_at(&observed, (int64_t)dice_below(&dice, 1 << 20) * 4096 + ((int64_t)4 << 30), 4096);
    }
    assert_in_range(observed.planned, 30 * MIB / CHUNK, 41 * MIB / CHUNK);
}

/* A reader that goes back through a file has read what lies behind it: planning there is for nothing. */
static void reading_backwards_plans_nothing(void **state) {
    (void)state;
    static const int64_t pieces[] = {4 * KIB, 64 * KIB, 128 * KIB};
    for (unsigned i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        struct observed observed = observed_new(64 * MIB, CHUNK);
        for (int64_t at = 64 * MIB - pieces[i]; at >= 0; at -= pieces[i])
            read_at(&observed, at, pieces[i]);
        assert_int_equal(observed.planned, 0);
    }
}

static void reading_one_place_again_and_again_plans_nothing(void **state) {
    (void)state;
    struct observed observed = observed_new(64 * MIB, CHUNK);
    for (int i = 0; i < 1000; i++)
        read_at(&observed, 32 * MIB, 4 * KIB);
    assert_int_equal(observed.planned, 0);
}

static void pieces_out_of_order_are_one_sequence(void **state) {
    (void)state;
    static const int order[] = {1, 0, 3, 2}; /* as the kernel's parallel requests may arrive */
    struct observed observed = observed_new(64 * MIB, CHUNK);
    for (int64_t at = 0; at < 64 * MIB; at += 512 * KIB)
        for (int i = 0; i < 4; i++)
            read_at(&observed, at + order[i] * 128 * KIB, 128 * KIB);
    assert_in_range(observed.planned, 60 * MIB / CHUNK, observed.chunks);
}

static void pieces_out_of_order_leave_no_small_chunks_out(void **state) {
    (void)state;
    static const int order[] = {1, 0, 3, 2};
    struct observed observed = observed_new(64 * MIB, 16 * KIB);
    for (int64_t at = 0; at < 64 * MIB; at += 512 * KIB)
        for (int i = 0; i < 4; i++)
            read_at(&observed, at + order[i] * 128 * KIB, 128 * KIB);
    assert_in_range(observed.planned, 60 * MIB / (16 * KIB), observed.chunks);
}

/* As the C library's memcpy() may copy out of a mapped file. */
static void pieces_that_are_read_from_their_ends_are_one_sequence(void **state) {
    (void)state;
    for (int64_t piece = 256 * KIB; piece <= 4 * MIB; piece *= 2)
        for (int64_t start = 0; start <= 64 * MIB; start += 64 * MIB) {
            struct observed observed = observed_new(128 * MIB, CHUNK);
            for (int64_t at = start; at < 128 * MIB; at += piece)
                for (int64_t within = piece - 64 * KIB; within >= 0; within -= 64 * KIB)
                    read_at(&observed, at + within, 64 * KIB);
            assert_in_range(observed.planned, (128 * MIB - start - 9 * MIB) / CHUNK, observed.chunks);
        }
}

/* As the kernel reads around each row of a mapped file, with this mean distance of rows. */
static int64_t planned_for_rows(struct dice *dice, int64_t distance, int64_t limit) {
    struct observed observed = observed_new((int64_t)2 << 30, CHUNK);
    readahead_limit(&observed.policy, limit);
    for (int64_t at = 0; at < observed.policy.length; at += (int64_t)dice_below(dice, (uint64_t)distance * 2))
        read_at(&observed, at > 64 * KIB ? at - 64 * KIB : 0, 128 * KIB);
    return observed.planned;
}

static void rows_here_and_there_in_rising_order_plan_less_than_they_read(void **state) {
    (void)state;
    struct dice dice = dice_new("readahead, rising rows");
    for (int64_t distance = MIB; distance <= 16 * MIB; distance *= 2)
        for (int64_t limit = READAHEAD_MOST; limit <= 8 * READAHEAD_MOST; limit *= 8)
            assert_in_range(planned_for_rows(&dice, distance, limit), 0, ((int64_t)2 << 30) / distance);
}

static void rows_that_leave_few_chunks_out_are_fetched_ahead(void **state) {
    (void)state;
    struct dice dice = dice_new("readahead, near rows");
    assert_true(planned_for_rows(&dice, 128 * KIB, READAHEAD_MOST) > ((int64_t)2 << 30) / CHUNK * 9 / 10);
}

static void a_stream_that_begins_to_leave_out_is_not_trusted_for_long(void **state) {
    (void)state;
    struct observed observed = observed_new((int64_t)2 << 30, CHUNK);
    read_in_sequence(&observed, 0, 512 * MIB, 128 * KIB);
    observed.planned = 0;
    for (int64_t at = 512 * MIB; at < 1024 * MIB; at += 2 * MIB)
        read_at(&observed, at, 128 * KIB);
    assert_in_range(observed.planned, 0, 32 * MIB / CHUNK);
}

static void a_small_file_is_planned_to_its_end_and_no_further(void **state) {
    (void)state;
    struct observed observed = observed_new(700 * KIB, CHUNK);
    struct readahead_plan plan = read_at(&observed, 0, 128 * KIB);
    assert_int_equal(plan.first, 1);
    assert_int_equal(plan.count, 2);
    read_in_sequence(&observed, 128 * KIB, 700 * KIB, 128 * KIB);
    assert_int_equal(observed.planned, 2);
    struct observed tiny = observed_new(1, CHUNK);
    assert_int_equal(read_at(&tiny, 0, 1).count, 0);
}

static void tiny_chunks_are_planned_like_large_ones(void **state) {
    (void)state;
    struct observed observed = observed_new(4 * MIB, 1);
    read_in_sequence(&observed, 0, 4 * MIB, 128 * KIB);
    assert_in_range(observed.planned, 3 * MIB, 4 * MIB);
}

static void huge_chunks_are_planned_one_by_one(void **state) {
    (void)state;
    static const int64_t sizes[] = {16 * MIB, (int64_t)1 << 30, INT32_MAX};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct observed observed = observed_new(5 * sizes[i] + 1, sizes[i]);
        for (int64_t at = 0; at < 2 * sizes[i]; at += 128 * KIB)
            assert_in_range(read_at(&observed, at, 128 * KIB).count, 0, 1);
    }
}

static void the_largest_file_there_can_be_is_no_trouble(void **state) {
    (void)state;
    int64_t length = (int64_t)INT32_MAX * INT32_MAX;
    struct observed observed = observed_new(length, INT32_MAX);
    read_in_sequence(&observed, length - 64 * MIB, length, MIB);
    read_at(&observed, 0, 128 * KIB);
}

static void what_fell_short_is_planned_again(void **state) {
    (void)state;
    struct observed observed = observed_new(64 * MIB, CHUNK);
    struct readahead_plan plan = {0};
    int64_t at = 0;
    for (; !plan.count; at += 128 * KIB)
        plan = read_at(&observed, at, 128 * KIB);
    readahead_fell_short(&observed.policy, &plan, plan.first);
    struct readahead_plan again = {0};
    for (; !again.count; at += 128 * KIB)
        again = read_at(&observed, at, 128 * KIB);
    assert_in_range(again.first, plan.first, plan.first + plan.count - 1);
}

static void a_small_limit_is_kept(void **state) {
    (void)state;
    struct observed observed = observed_new(64 * MIB, 64 * KIB);
    readahead_init(&observed.policy, 64 * MIB, 64 * KIB, MIB);
    assert_true(read_in_sequence(&observed, 0, 64 * MIB, 128 * KIB) <= MIB + 128 * KIB + 64 * KIB);
}

static void a_stream_passes_each_chunk_once_behind_what_it_reads(void **state) {
    (void)state;
    struct observed observed = observed_new(32 * MIB + 1, CHUNK);
    uint32_t passed = 0;
    for (int64_t at = 0; at < observed.policy.length; at += 128 * KIB) {
        struct readahead_plan plan = read_at(&observed, at, 128 * KIB);
        if (!plan.passed_count)
            continue;
        assert_int_equal(plan.passed, passed);
        passed += plan.passed_count;
        assert_true((int64_t)passed * CHUNK <= at);
    }
    assert_true(passed + 4 * MIB / CHUNK + 3 >= observed.chunks); /* parts of a read may come late */
}

static void a_stream_plans_nothing_that_another_one_has_read(void **state) {
    (void)state;
    struct observed observed = observed_new(64 * MIB, MIB);
    read_in_sequence(&observed, 32 * MIB, 36 * MIB, 128 * KIB);
    uint32_t end = 0;
    for (int64_t at = 0; at < 32 * MIB; at += 128 * KIB) {
        struct readahead_plan plan = read_at(&observed, at, 128 * KIB);
        end = plan.count ? plan.first + plan.count : end;
        assert_true(end <= 32);
    }
    assert_int_equal(end, 32);
    assert_true(read_at(&observed, 32 * MIB, 128 * KIB).count > 0); /* the kernel does not have it any more */
}

static void random_reads_pass_nothing(void **state) {
    (void)state;
    struct observed observed = observed_new(256 * MIB, CHUNK);
    struct dice dice = dice_new("readahead, passing");
    for (int i = 0; i < 1000; i++)
        assert_int_equal(read_at(&observed, (int64_t)dice_below(&dice, 1000) * 256 * KIB, 4 * KIB).passed_count, 0);
}

/* Whether a stream looks as if the read at `offset` had been its first. */
static bool is_fresh(const struct readahead_stream *stream, int64_t offset) {
    return stream->start == offset;
}

/* Random reads of all sorts: every plan is in the file, and none overlaps an earlier one of the same stream unless
 * that stream was given up in between. */
static void no_chunk_is_planned_twice_while_a_stream_goes_on(void **state) {
    (void)state;
    struct dice dice = dice_new("readahead, model");
    for (int round = 0; round < 200; round++) {
        int64_t chunk_size = 1 + (int64_t)dice_below(&dice, dice_below(&dice, 2) ? 1 * MIB : 64 * KIB);
        struct observed observed = observed_new(1 + (int64_t)dice_below(&dice, 64 * MIB), chunk_size);
        int64_t below[READAHEAD_STREAMS] = {0}, at = 0;
        for (int i = 0; i < 300; i++) {
            if (dice_below(&dice, 10) == 0)
                at = (int64_t)dice_below(&dice, (uint64_t)observed.policy.length);
            int64_t size = 1 + (int64_t)dice_below(&dice, 256 * KIB);
            if (at >= observed.policy.length)
                at = 0;
            struct readahead_plan plan = read_at(&observed, at, size);
            if (is_fresh(&observed.policy.streams[plan.stream], at))
                below[plan.stream] = 0; /* it took another one's place */
            if (plan.count) {
                assert_true(plan.first >= below[plan.stream]);
                below[plan.stream] = (int64_t)plan.first + plan.count;
            }
            if (plan.count && dice_below(&dice, 5) == 0) {
                uint32_t reached = plan.first + (uint32_t)dice_below(&dice, plan.count);
                readahead_fell_short(&observed.policy, &plan, reached);
                readahead_check(&observed.policy);
                below[plan.stream] = reached;
            }
            at += size;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_small_read_of_a_file_fetches_nothing_ahead),
        cmocka_unit_test(a_sequential_reader_gets_a_window_that_grows_to_its_limit),
        cmocka_unit_test(all_but_the_beginning_of_a_sequential_read_was_planned),
        cmocka_unit_test(plans_of_a_steady_reader_are_large),
        cmocka_unit_test(random_reads_of_a_page_plan_nothing),
        cmocka_unit_test(rows_of_64_kib_here_and_there_plan_nothing),
        cmocka_unit_test(interleaved_streams_are_told_apart),
        cmocka_unit_test(a_stream_survives_random_reads_beside_it),
        cmocka_unit_test(reading_backwards_plans_nothing),
        cmocka_unit_test(reading_one_place_again_and_again_plans_nothing),
        cmocka_unit_test(pieces_out_of_order_are_one_sequence),
        cmocka_unit_test(pieces_out_of_order_leave_no_small_chunks_out),
        cmocka_unit_test(pieces_that_are_read_from_their_ends_are_one_sequence),
        cmocka_unit_test(rows_here_and_there_in_rising_order_plan_less_than_they_read),
        cmocka_unit_test(rows_that_leave_few_chunks_out_are_fetched_ahead),
        cmocka_unit_test(a_stream_that_begins_to_leave_out_is_not_trusted_for_long),
        cmocka_unit_test(a_small_file_is_planned_to_its_end_and_no_further),
        cmocka_unit_test(tiny_chunks_are_planned_like_large_ones),
        cmocka_unit_test(huge_chunks_are_planned_one_by_one),
        cmocka_unit_test(the_largest_file_there_can_be_is_no_trouble),
        cmocka_unit_test(what_fell_short_is_planned_again),
        cmocka_unit_test(a_small_limit_is_kept),
        cmocka_unit_test(a_stream_passes_each_chunk_once_behind_what_it_reads),
        cmocka_unit_test(a_stream_plans_nothing_that_another_one_has_read),
        cmocka_unit_test(random_reads_pass_nothing),
        cmocka_unit_test(no_chunk_is_planned_twice_while_a_stream_goes_on),
    };
    return cmocka_run_group_tests_name("readahead", tests, NULL, NULL);
}

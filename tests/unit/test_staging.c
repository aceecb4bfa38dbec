// SPDX-License-Identifier: Apache-2.0
/* What a staged file is: an overlay on its base. See test_staging_room.c, test_staging_model.c, test_staged_copy.c. */
#include "cache/staging.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "cache/blocks.h"
#include "tests/fake/gate.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/staging_bench.h"

static void a_new_file_is_its_base(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(100);
    struct staged *staged = file_over(bench, base);
    char back[200];
    assert_int_equal(atomic_load(&base->references), 2);
    assert_int_equal(staged_length(staged), 100);
    assert_false(staged_dirty(staged));
    assert_true(staged_is_clean(staged, 0, 100));
    assert_int_equal(staged_allocated(staged), 100);
    assert_reads(staged, 24, "yzabc");
    assert_int_equal(staged_read(staged, 90, sizeof back, back), 10);
    assert_int_equal(staged_read(staged, 100, sizeof back, back), 0);
    assert_int_equal(staged_read(staged, INT64_MAX, sizeof back, back), 0);
    staged_check(staged);
    assert_null(staged_free(staged));
    assert_null(staged_free(NULL));
    assert_int_equal(atomic_load(&base->references), 1);
    model_base_unref(base);
    bench_done(bench);
}

static void what_is_written_lies_over_the_base(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(10);
    struct staged *staged = file_over(bench, base);
    write_text(staged, 3, "XY");
    assert_reads(staged, 0, "abcXYfghij");
    assert_true(staged_dirty(staged));
    assert_int_equal(staging_used(bench->staging), 2);
    write_text(staged, 9, "END");
    assert_reads(staged, 0, "abcXYfghiEND");
    assert_int_equal(staged_length(staged), 12);
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void clean_is_what_was_not_written_to_the_byte(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(26);
    struct staged *staged = file_over(bench, base);
    write_text(staged, 10, "kl"); /* the very same bytes */
    assert_true(staged_dirty(staged));
    assert_true(staged_is_clean(staged, 0, 10));
    assert_false(staged_is_clean(staged, 0, 11));
    assert_false(staged_is_clean(staged, 11, 1));
    assert_true(staged_is_clean(staged, 12, 14));
    assert_true(staged_is_clean(staged, 11, 0));
    assert_true(staged_is_clean(staged, 26, 0));
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void sent_is_what_was_not_changed_since(void **state) {
    (void)state;
    struct bench *bench = bench_new(0);
    struct model_base *base = letters_new(26);
    struct staged *staged = file_over(bench, base);
    char back[16];
    write_text(staged, 10, "0123456789");
    assert_int_equal(staged_read_to_send(staged, 9, 5, back), -EAGAIN); /* the base's is there already */
    assert_false(staged_is_sent(staged, 10, 1));
    assert_int_equal(staged_read_to_send(staged, 10, 8, back), 0);
    assert_memory_equal(back, "01234567", 8);
    assert_true(staged_is_sent(staged, 10, 8));
    assert_false(staged_is_sent(staged, 10, 9));
    write_text(staged, 12, "2"); /* also the very same */
    assert_true(staged_is_sent(staged, 10, 2));
    assert_false(staged_is_sent(staged, 11, 2));
    assert_true(staged_is_sent(staged, 13, 5));
    assert_reads(staged, 9, "j0123456789u");
    assert_int_equal(staging_used(bench->staging), 10);
    assert_int_equal(staged_truncate(staged, 15), 0);
    assert_int_equal(staged_truncate(staged, 20), 0);
    assert_false(staged_is_sent(staged, 14, 2));
    atomic_store(&fake_disk.broken, true);
    assert_int_equal(staged_write(staged, 13, "x", 1), -EIO);
    atomic_store(&fake_disk.broken, false);
    assert_false(staged_is_sent(staged, 13, 1)); /* who knows */
    staged_check(staged);
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void what_changes_nothing_leaves_a_file_clean(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(26);
    struct staged_base as_base = model_base_of(base);
    struct staged_hole hole = {.offset = 5, .length = 5};
    struct staged *staged = staged_new(bench->staging, &as_base, &hole, 1);
    assert_int_equal(staged_write(staged, 1000, "x", 0), 0);
    assert_int_equal(staged_truncate(staged, 26), 0);
    assert_int_equal(staged_punch(staged, 26, 10), 0);
    assert_int_equal(staged_punch(staged, 5, 5), 0);
    assert_int_equal(staged_punch(staged, 0, 0), 0);
    assert_int_equal(staged_allocate(staged, 10, 5, false), 0);
    assert_int_equal(staged_allocate(staged, 30, 5, true), 0);
    assert_int_equal(staged_length(staged), 26);
    assert_false(staged_dirty(staged));
    staged_check(staged);
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void what_was_cut_off_does_not_come_back(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(26);
    struct staged *staged = file_over(bench, base);
    write_text(staged, 20, "XXXXXX");
    assert_int_equal(staged_truncate(staged, 10), 0);
    assert_int_equal(staging_used(bench->staging), 0);
    assert_int_equal(staged_truncate(staged, 26), 0);
    assert_filled(staged, 10, 16, 0);
    assert_reads(staged, 0, "abcdefghij");
    assert_false(staged_is_clean(staged, 10, 1));
    assert_int_equal(staged_allocated(staged), 10);
    assert_int_equal(staged_seek(staged, 0, false), 10);
    assert_int_equal(staged_seek(staged, 10, true), -ENXIO);
    staged_check(staged);
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void holes_come_and_go(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(26);
    struct staged *staged = file_over(bench, base);
    assert_int_equal(staged_punch(staged, 2, 3), 0);
    write_text(staged, 40, "end");
    assert_int_equal(staged_allocated(staged), 26);
    assert_filled(staged, 2, 3, 0);
    assert_int_equal(staged_seek(staged, 0, false), 2);
    assert_int_equal(staged_seek(staged, 2, true), 5);
    assert_int_equal(staged_seek(staged, 26, true), 40);
    assert_int_equal(staged_seek(staged, 42, false), 43); /* the end is one */
    assert_int_equal(staged_seek(staged, 43, false), -ENXIO);
    assert_int_equal(staged_allocate(staged, 0, 30, false), 0);
    assert_int_equal(staged_allocated(staged), 33);
    assert_int_equal(staged_seek(staged, 2, false), 30);
    assert_filled(staged, 2, 3, 0);
    assert_int_equal(staged_allocate(staged, 43, 7, false), 0);
    assert_int_equal(staged_length(staged), 50);
    assert_filled(staged, 43, 7, 0);
    staged_check(staged);
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void the_holes_of_the_base_count_until_they_are_covered(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    unsigned char zeros[100] = {0};
    struct model_base *base = model_base_new(zeros, 100);
    struct staged_base as_base = model_base_of(base);
    struct staged_hole holes[] = {{50, 100}, {10, 20}, {-5, 3}, {20, 20}, {100, 1}, {70, -1}, {90, INT64_MAX}};
    struct staged *staged = staged_new(bench->staging, &as_base, holes, sizeof holes / sizeof *holes);
    assert_int_equal(staged_allocated(staged), 20);
    assert_true(staged_is_clean(staged, 0, 100));
    write_text(staged, 20, "x");
    assert_int_equal(staged_allocated(staged), 21);
    assert_int_equal(staged_seek(staged, 10, true), 20);
    assert_int_equal(staged_allocate(staged, 60, 10, true), 0);
    assert_int_equal(staged_allocated(staged), 31);
    assert_true(staged_is_clean(staged, 60, 10));
    staged_check(staged);
    staged_free(staged);
    model_base_unref(base);
    bench_done(bench);
}

static void of_many_holes_the_largest_are_told(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct staged *staged = file_over(bench, NULL);
    struct staged_hole *holes = NULL;
    uint32_t count = 0;
    assert_int_equal(staged_holes(staged, 10, &holes, &count), 0);
    assert_int_equal(count, 0);
    free(holes);
    for (int i = 1; i <= 10; i++)
        write_text(staged, i * i * 10, "x"); /* each hole larger than the one before */
    assert_int_equal(staged_holes(staged, 3, &holes, &count), 0);
    assert_int_equal(count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(holes[i].offset, (7 + i) * (7 + i) * 10 + 1);
        assert_int_equal(holes[i].length, (8 + i) * (8 + i) * 10 - holes[i].offset);
    }
    free(holes);
    staged_free(staged);
    bench_done(bench);
}

static void a_published_file_is_clean_and_takes_nothing(void **state) {
    (void)state;
    for (size_t share = 0; share <= MIB; share += MIB) {
        struct bench *bench = bench_new(share);
        struct staged *staged = file_over(bench, NULL);
        write_text(staged, 2, "cdefghij");
        assert_int_equal(staged_truncate(staged, 12), 0);
        struct model_base *base = letters_new(12);
        struct staged_base as_base = model_base_of(base);
        staged_rebase(staged, &as_base);
        staged_check(staged);
        assert_false(staged_dirty(staged));
        assert_true(staged_is_clean(staged, 0, 12));
        assert_reads(staged, 0, "abcdefghijkl");
        assert_int_equal(staging_used(bench->staging), 0);
        assert_int_equal(staged_allocated(staged), 8); /* its holes are those it was published with */
        model_base_unref(base);
        write_text(staged, 0, "X");
        assert_reads(staged, 0, "Xbc");
        staged_free(staged);
        bench_done(bench);
    }
}

/* A base that can be held up and fail. */
struct slow_base {
    struct gate gate;
    atomic_int references, reads;
    int failure;
};

static int slow_read(void *context, int64_t offset, size_t size, void *into) {
    struct slow_base *slow = context;
    (void)offset;
    atomic_fetch_add(&slow->reads, 1);
    gate_pass(&slow->gate);
    memset(into, 's', size);
    return slow->failure;
}

static void slow_ref(void *context) {
    atomic_fetch_add(&((struct slow_base *)context)->references, 1);
}

static void slow_unref(void *context) {
    atomic_fetch_sub(&((struct slow_base *)context)->references, 1);
}

static struct staged *file_over_slow(struct bench *bench, struct slow_base *slow, int64_t length) {
    struct staged_base base = {
        .context = slow, .length = length, .read = slow_read, .ref = slow_ref, .unref = slow_unref};
    memset(slow, 0, sizeof *slow);
    gate_init(&slow->gate);
    return staged_new(bench->staging, &base, NULL, 0);
}

static void a_write_never_reads_the_base(void **state) {
    (void)state;
    struct bench *bench = bench_new(BLOCK_COST);
    struct slow_base slow;
    struct staged *staged = file_over_slow(bench, &slow, 10 * MIB);
    for (int64_t i = 0; i < 100; i++)
        write_text(staged, i * 77777, "few bytes");
    assert_int_equal(staged_punch(staged, 100, 100), 0);
    assert_int_equal(staged_truncate(staged, MIB + 1), 0);
    assert_int_equal(atomic_load(&slow.reads), 0);
    staged_free(staged);
    assert_int_equal(atomic_load(&slow.references), 0);
    gate_done(&slow.gate);
    bench_done(bench);
}

static void the_bases_error_comes_through(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct slow_base slow;
    struct staged *staged = file_over_slow(bench, &slow, 100);
    char back[100];
    slow.failure = -ESTALE;
    write_text(staged, 10, "staged");
    assert_int_equal(staged_read(staged, 0, 100, back), -ESTALE);
    assert_reads(staged, 10, "staged");
    staged_free(staged);
    assert_int_equal(atomic_load(&slow.references), 0);
    gate_done(&slow.gate);
    bench_done(bench);
}

struct reading {
    struct staged *staged;
    char bytes[100];
    int64_t result;
};

static void *read_all(void *argument) {
    struct reading *reading = argument;
    reading->result = staged_read(reading->staged, 0, sizeof reading->bytes, reading->bytes);
    return NULL;
}

static void nobody_waits_for_a_read_of_the_base(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct slow_base slow;
    struct staged *staged = file_over_slow(bench, &slow, 100);
    struct reading reading = {.staged = staged};
    struct model_base *base = letters_new(100);
    struct staged_base as_base = model_base_of(base);
    pthread_t thread;
    write_text(staged, 50, "before");
    gate_shut(&slow.gate);
    assert_int_equal(pthread_create(&thread, NULL, read_all, &reading), 0);
    gate_await(&slow.gate, 1);
    write_text(staged, 50, "behind");
    staged_rebase(staged, &as_base);
    assert_int_equal(atomic_load(&slow.references), 1); /* the reader's: it is not gone under it */
    assert_reads(staged, 0, "abc");
    gate_open(&slow.gate);
    pthread_join(thread, NULL);
    assert_int_equal(reading.result, 100);
    assert_memory_equal(reading.bytes + 48, "ssbeforess", 10); /* the file as it was at one moment */
    assert_int_equal(atomic_load(&slow.references), 0);
    model_base_unref(base);
    staged_free(staged);
    gate_done(&slow.gate);
    bench_done(bench);
}

static void the_ends_of_what_can_be_are_kept(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct staged *staged = file_over(bench, NULL), *on_disk;
    write_text(staged, INT64_MAX - 5, "final");
    assert_int_equal(staged_length(staged), INT64_MAX);
    assert_reads(staged, INT64_MAX - 5, "final");
    assert_int_equal(staged_seek(staged, 0, true), INT64_MAX - 5);
    assert_int_equal(staged_punch(staged, 1, INT64_MAX - 1), 0);
    assert_int_equal(staging_used(bench->staging), 0);
    staged_check(staged);
    staged_free(staged);
    bench_done(bench);
    bench = bench_new(0);
    on_disk = file_over(bench, NULL);
    assert_true(staged_write(on_disk, INT64_MAX - 5, "final", 5) < 0);
    assert_int_equal(staged_length(on_disk), 0);
    staged_free(on_disk);
    bench_done(bench);
}

static void ranges_without_end_are_refused_in_the_end(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct staged *staged = file_over(bench, NULL), *other = file_over(bench, NULL);
    int64_t at = 0;
    write_text(staged, 0, "x");
    while (staged_allocate(staged, at + 2, 1, false) == 0)
        at += 2;
    assert_in_range(at / 2, 200000, 2000000);
    assert_in_range(budget_used(&bench->budget), 16 * MIB, 17 * MIB);
    assert_int_equal(staged_length(staged), at + 1);
    assert_int_equal(staged_allocated(staged), at / 2 + 1);
    assert_int_equal(staged_write(staged, at + 2, "x", 1), -ENOSPC);
    assert_int_equal(staged_write(other, 0, "x", 1), -ENOSPC);
    assert_int_equal(staged_truncate(staged, 1), 0); /* what makes room is not */
    write_text(other, 0, "x");
    assert_reads(staged, 0, "x");
    staged_check(staged);
    staged_free(staged);
    staged_free(other);
    bench_done(bench);
}

static void a_clean_file_goes_over_to_another_base(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *first = letters_new(100), *longer = letters_new(300), *shorter = letters_new(10);
    struct staged *staged = file_over(bench, first);
    struct staged_base to_longer = model_base_of(longer), to_shorter = model_base_of(shorter), nothing = {0};
    struct staged_hole hole = {.offset = 50, .length = 20};
    assert_int_equal(staged_move(staged, &to_longer, &hole, 1), 0);
    staged_check(staged);
    assert_false(staged_dirty(staged));
    assert_int_equal(staged_length(staged), 300);
    assert_int_equal(staged_seek(staged, 0, false), 50);
    assert_int_equal(staged_move(staged, &to_shorter, NULL, 0), 0);
    staged_check(staged);
    assert_int_equal(staged_length(staged), 10);
    assert_reads(staged, 0, "abcdefghij");
    write_text(staged, 0, "X");
    assert_int_equal(staged_move(staged, &nothing, NULL, 0), -EBUSY);
    assert_reads(staged, 0, "Xbcdefghij");
    staged_free(staged);
    model_base_unref(first);
    model_base_unref(longer);
    model_base_unref(shorter);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_is_its_base),
        cmocka_unit_test(what_is_written_lies_over_the_base),
        cmocka_unit_test(clean_is_what_was_not_written_to_the_byte),
        cmocka_unit_test(sent_is_what_was_not_changed_since),
        cmocka_unit_test(what_changes_nothing_leaves_a_file_clean),
        cmocka_unit_test(what_was_cut_off_does_not_come_back),
        cmocka_unit_test(holes_come_and_go),
        cmocka_unit_test(the_holes_of_the_base_count_until_they_are_covered),
        cmocka_unit_test(of_many_holes_the_largest_are_told),
        cmocka_unit_test(a_published_file_is_clean_and_takes_nothing),
        cmocka_unit_test(a_write_never_reads_the_base),
        cmocka_unit_test(the_bases_error_comes_through),
        cmocka_unit_test(a_clean_file_goes_over_to_another_base),
        cmocka_unit_test(nobody_waits_for_a_read_of_the_base),
        cmocka_unit_test(the_ends_of_what_can_be_are_kept),
        cmocka_unit_test(ranges_without_end_are_refused_in_the_end),
    };
    return cmocka_run_group_tests_name("staging", tests, NULL, NULL);
}

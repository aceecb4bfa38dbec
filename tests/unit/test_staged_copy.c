// SPDX-License-Identifier: Apache-2.0
/* Copies between staged files: what is shared with the source's base, and what is moved. */
#include "cache/staging.h"

#include <errno.h>

#include "tests/unit/staging_bench.h"

/* A base that must not be read. */
static int refuse_to_read(void *context, int64_t offset, size_t size, void *into) {
    (void)context, (void)offset, (void)size, (void)into;
    return -EIO;
}

static struct staged *unreadable_over(struct bench *bench, struct model_base *base) {
    struct staged_base as_base = model_base_of(base);
    as_base.read = refuse_to_read;
    struct staged *staged = staged_new(bench->staging, &as_base, NULL, 0);
    assert_non_null(staged);
    return staged;
}

static void *context_under(struct staged *staged) {
    struct staged_base base = staged_under(staged);
    if (base.context)
        base.unref(base.context);
    return base.context;
}

static void a_copy_shares_the_base_and_reads_nothing(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(MIB);
    struct staged *from = unreadable_over(bench, base), *to = file_over(bench, NULL);
    assert_int_equal(staged_copy(to, 0, from, 0, INT64_MAX / 2), MIB);
    staged_check(to);
    assert_true(staged_dirty(to));
    assert_false(staged_dirty(from));
    assert_int_equal(staged_length(to), MIB);
    assert_true(staged_is_clean(to, 0, MIB));
    assert_ptr_equal(context_under(to), base);
    assert_int_equal(staging_used(bench->staging), 0);
    staged_free(from);
    assert_int_equal(atomic_load(&base->references), 2);
    staged_free(to);
    assert_int_equal(atomic_load(&base->references), 1);
    model_base_unref(base);
    bench_done(bench);
}

static void a_copy_in_pieces_stays_shared(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(MIB);
    struct staged *from = unreadable_over(bench, base), *to = file_over(bench, NULL);
    assert_int_equal(staged_copy(to, 0, from, 0, 1000), 1000);
    assert_int_equal(staged_copy(to, 5000, from, 5000, 1001), 1001);
    staged_check(to);
    assert_true(staged_is_clean(to, 5000, 1001));
    assert_false(staged_is_clean(to, 0, 1001)); /* a hole lies between */
    assert_int_equal(staged_allocated(to), 2001);
    assert_int_equal(staged_copy(to, 1000, from, 1000, MIB), MIB - 1000);
    assert_true(staged_is_clean(to, 0, MIB));
    assert_int_equal(staged_copy(to, MIB, from, MIB, 1), 0);
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

static void what_was_written_on_either_side_is_kept(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(100);
    struct staged *from = file_over(bench, base), *to = file_over(bench, NULL);
    write_text(from, 10, "SOURCE");
    write_text(to, 0, "overwritten");
    assert_int_equal(staged_copy(to, 0, from, 0, 60), 60);
    staged_check(to);
    assert_reads(to, 8, "ijSOURCEqr");
    assert_true(staged_is_clean(to, 0, 10));
    assert_false(staged_is_clean(to, 10, 6));
    assert_true(staged_is_clean(to, 16, 44));
    write_text(from, 10, "LATER."); /* a copy is of what was there then */
    write_text(to, 0, "own");
    assert_reads(to, 0, "owndefghijSOURCE");
    assert_reads(from, 0, "abc");
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

static void what_a_copy_covers_takes_no_room_any_more(void **state) {
    (void)state;
    struct bench *bench = bench_new(0); /* on disk at once */
    struct model_base *base = letters_new(300 * KIB);
    struct staged *from = file_over(bench, base), *to = file_over(bench, NULL);
    write_filled(to, 0, 300 * KIB, 7);
    assert_int_equal(staging_used(bench->staging), 300 * KIB);
    assert_int_equal(staged_copy(to, 0, from, 0, 300 * KIB), 300 * KIB);
    staged_check(to);
    assert_int_equal(staging_used(bench->staging), 0);
    assert_reads(to, 26, "abc");
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

static void another_base_that_shows_is_not_given_up(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(100), *own = letters_new(50);
    struct staged *from = file_over(bench, base), *to = file_over(bench, own);
    assert_int_equal(staged_copy(to, 20, from, 20, 10), 10);
    staged_check(to);
    assert_ptr_equal(context_under(to), own);
    assert_false(staged_is_clean(to, 20, 10));
    assert_true(staged_is_clean(to, 0, 20));
    assert_int_equal(staged_copy(to, 0, from, 0, 100), 100); /* now it shows no more */
    staged_check(to);
    assert_ptr_equal(context_under(to), base);
    assert_true(staged_is_clean(to, 0, 100));
    assert_int_equal(atomic_load(&own->references), 1);
    staged_free(from);
    staged_free(to);
    model_base_unref(own);
    model_base_unref(base);
    bench_done(bench);
}

/* Each byte is the base's before and after, but another base's. */
static void a_copy_of_all_over_another_base_is_a_change(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(100), *own = model_base_new((unsigned char *)"0123456789", 10);
    struct staged *from = file_over(bench, base), *to = file_over(bench, own);
    assert_int_equal(staged_copy(to, 0, from, 0, 10), 10);
    assert_true(staged_dirty(to));
    assert_int_equal(staged_length(to), 10);
    assert_reads(to, 0, "abcdefghij");
    staged_free(from);
    staged_free(to);
    model_base_unref(own);
    model_base_unref(base);
    bench_done(bench);
}

static void a_copy_to_elsewhere_is_moved(void **state) {
    (void)state;
    struct bench *bench = bench_new(64 * KIB);
    struct model_base *base = letters_new(26 * 100000);
    struct staged *from = file_over(bench, base), *to = file_over(bench, NULL);
    assert_int_equal(staged_copy(to, 13, from, 0, 26 * 100000), 26 * 100000);
    staged_check(to);
    assert_int_equal(staged_length(to), 26 * 100000 + 13);
    assert_reads(to, 11 + 26 * 99999, "yzabc");
    assert_int_equal(staged_copy(from, 26, from, 0, 26), 26); /* within one file, too */
    assert_reads(from, 24, "yzabcdefghijklmnopqrstuvwxyzab");
    staged_check(from);
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

static void what_must_be_moved_comes_in_portions(void **state) {
    (void)state;
    enum { LENGTH = 20 * MIB };
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(LENGTH);
    struct staged *from = file_over(bench, base), *to = file_over(bench, NULL);
    int64_t done = 0, calls = 0;
    for (; done < LENGTH; calls++) {
        int64_t some = staged_copy(to, 1 + done, from, done, LENGTH - done);
        assert_in_range(some, 1, 8 * MIB);
        done += some;
    }
    assert_in_range(calls, 3, 20);
    assert_reads(to, 1 + 26 * 1000, "abc");
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

static void holes_of_the_base_stay_holes(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    unsigned char bytes[100] = {0};
    struct model_base *base = model_base_new(bytes, sizeof bytes);
    struct staged_hole holes[] = {{.offset = 10, .length = 30}};
    struct staged_base as_base = model_base_of(base);
    struct staged *from = staged_new(bench->staging, &as_base, holes, 1), *to = file_over(bench, NULL);
    assert_int_equal(staged_copy(to, 0, from, 0, 100), 100);
    assert_int_equal(staged_allocated(to), 70);
    assert_int_equal(staged_seek(to, 0, false), 10);
    assert_int_equal(staged_seek(to, 10, true), 40);
    assert_true(staged_is_clean(to, 0, 100));
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

static void a_source_that_cannot_be_read_is_an_error_and_changes_nothing(void **state) {
    (void)state;
    struct bench *bench = bench_new(MIB);
    struct model_base *base = letters_new(100);
    struct staged *from = unreadable_over(bench, base), *to = file_over(bench, NULL);
    assert_int_equal(staged_copy(to, 1, from, 0, 100), -EIO);
    assert_int_equal(staged_length(to), 0);
    assert_false(staged_dirty(to));
    write_text(from, 0, "read");
    assert_int_equal(staged_copy(to, 1, from, 0, 4), 4);
    assert_int_equal(staged_copy(to, 0, from, 100, 4), 0);
    staged_free(from);
    staged_free(to);
    model_base_unref(base);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_shares_the_base_and_reads_nothing),
        cmocka_unit_test(a_copy_in_pieces_stays_shared),
        cmocka_unit_test(what_was_written_on_either_side_is_kept),
        cmocka_unit_test(what_a_copy_covers_takes_no_room_any_more),
        cmocka_unit_test(another_base_that_shows_is_not_given_up),
        cmocka_unit_test(a_copy_of_all_over_another_base_is_a_change),
        cmocka_unit_test(a_copy_to_elsewhere_is_moved),
        cmocka_unit_test(what_must_be_moved_comes_in_portions),
        cmocka_unit_test(holes_of_the_base_stay_holes),
        cmocka_unit_test(a_source_that_cannot_be_read_is_an_error_and_changes_nothing),
    };
    return cmocka_run_group_tests_name("staged_copy", tests, NULL, NULL);
}

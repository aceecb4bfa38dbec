// SPDX-License-Identifier: Apache-2.0
#include "cache/extents.h"

#include <string.h>

#include "cache/base/clock.h"
#include "tests/unit/unit.h"

#define ALL(kind) {kind, kind, kind, kind, kind, kind, kind}
static const unsigned char to_base[] = ALL(EXTENT_BASE), to_written[] = ALL(EXTENT_WRITTEN);
static const unsigned char to_none[] = ALL(EXTENT_NONE);
static const unsigned char rotated[] = {EXTENT_HOLE,    EXTENT_NONE, EXTENT_BASE, EXTENT_BASE_HOLE,
                                        EXTENT_WRITTEN, EXTENT_SENT, EXTENT_ZEROS};

static bool change(struct extents *extents, int64_t start, int64_t end, const unsigned char *becomes) {
    assert_int_equal(extents_reserve(extents), 0);
    bool altered = extents_change(extents, start, end, becomes);
    extents_check(extents);
    return altered;
}

static void a_new_map_is_one_extent_of_nothing(void **state) {
    (void)state;
    struct extents extents;
    assert_int_equal(extents_init(&extents), 0);
    extents_check(&extents);
    assert_int_equal(extents_count(&extents), 1);
    assert_int_equal(extents_kind(&extents, INT64_MAX), EXTENT_NONE);
    assert_int_equal(extents_next(&extents, 0, INT64_MAX, EXTENTS_DATA), INT64_MAX);
    extents_done(&extents);
}

static void neighbours_of_one_kind_are_one_extent(void **state) {
    (void)state;
    struct extents extents;
    assert_int_equal(extents_init(&extents), 0);
    assert_true(change(&extents, 0, 100, to_written));
    assert_true(change(&extents, 200, 300, to_written));
    assert_int_equal(extents_count(&extents), 4);
    assert_true(change(&extents, 100, 200, to_written));
    assert_int_equal(extents_count(&extents), 2);
    assert_int_equal(extents_bytes(&extents, EXTENTS_WRITTEN), 300);
    assert_true(change(&extents, 0, 300, to_none));
    assert_int_equal(extents_count(&extents), 1);
    extents_done(&extents);
}

static void a_change_says_whether_it_was_one(void **state) {
    (void)state;
    struct extents extents;
    assert_int_equal(extents_init(&extents), 0);
    assert_true(change(&extents, 10, 20, to_written));
    assert_false(change(&extents, 10, 20, to_written));
    assert_false(change(&extents, 12, 13, to_written));
    assert_false(change(&extents, 15, 15, to_base));
    assert_true(change(&extents, 19, 21, to_written));
    extents_done(&extents);
}

static void the_last_position_can_be_changed(void **state) {
    (void)state;
    struct extents extents;
    assert_int_equal(extents_init(&extents), 0);
    assert_true(change(&extents, INT64_MAX - 5, INT64_MAX, to_written));
    assert_int_equal(extents_bytes(&extents, EXTENTS_WRITTEN), 5);
    assert_true(change(&extents, 0, INT64_MAX, rotated));
    assert_int_equal(extents_kind(&extents, INT64_MAX - 1), EXTENT_BASE_HOLE);
    assert_int_equal(extents_kind(&extents, 7), EXTENT_HOLE);
    extents_done(&extents);
}

static void next_finds_the_first_of_a_set(void **state) {
    (void)state;
    struct extents extents;
    assert_int_equal(extents_init(&extents), 0);
    change(&extents, 0, 100, to_base);
    change(&extents, 40, 60, to_written);
    assert_int_equal(extents_next(&extents, 0, 100, EXTENTS_WRITTEN), 40);
    assert_int_equal(extents_next(&extents, 45, 100, EXTENTS_WRITTEN), 45);
    assert_int_equal(extents_next(&extents, 60, 100, EXTENTS_WRITTEN), 100);
    assert_int_equal(extents_next(&extents, 0, 40, EXTENTS_WRITTEN), 40);
    assert_int_equal(extents_next(&extents, 41, 100, EXTENTS_CLEAN), 60);
    assert_int_equal(extents_next(&extents, 9, 9, EXTENTS_ALL), 9);
    extents_done(&extents);
}

enum { POSITIONS = 4000 };

static void compare(const struct extents *extents, const unsigned char *kinds) {
    size_t count = 1;
    for (int i = 0; i < POSITIONS; i++) {
        assert_int_equal(extents_kind(extents, i), kinds[i]);
        count += kinds[i] != (i + 1 < POSITIONS ? kinds[i + 1] : EXTENT_NONE);
    }
    assert_int_equal(extents_count(extents), count);
}

static void any_changes_do_to_a_map_what_they_do_to_an_array(void **state) {
    (void)state;
    struct dice dice = dice_new("extents");
    struct extents extents;
    unsigned char kinds[POSITIONS] = {EXTENT_NONE}, becomes[EXTENT_KINDS];
    assert_int_equal(extents_init(&extents), 0);
    for (int step = 0; step < 30000; step++) {
        uint64_t most = dice_below(&dice, 50) ? 8 : POSITIONS; /* many small ones, now and then a large one */
        int64_t start = (int64_t)dice_below(&dice, POSITIONS), end = start + (int64_t)dice_below(&dice, most);
        end = end < POSITIONS ? end : POSITIONS;
        uint64_t one = dice_below(&dice, 3) ? dice_below(&dice, EXTENT_KINDS) : EXTENT_KINDS;
        for (int k = 0; k < EXTENT_KINDS; k++)
            becomes[k] = (unsigned char)(one < EXTENT_KINDS ? one : dice_below(&dice, EXTENT_KINDS));
        bool altered = false;
        for (int64_t i = start; i < end; i++) {
            altered |= kinds[i] != becomes[kinds[i]];
            kinds[i] = becomes[kinds[i]];
        }
        assert_int_equal(change(&extents, start, end, becomes), altered);
        if (step % 500 == 0)
            compare(&extents, kinds);
    }
    compare(&extents, kinds);
    extents_done(&extents);
}

static void random_pages_of_a_large_file_stay_fast(void **state) {
    (void)state;
    enum { PAGES = 1 << 20, WRITES = 200000, PAGE = 4096 };
    struct dice dice = dice_new("extents, pages");
    struct extents extents;
    assert_int_equal(extents_init(&extents), 0);
    assert_int_equal(extents_reserve(&extents), 0);
    extents_change(&extents, 0, (int64_t)PAGES * PAGE, to_base);
    int64_t began = clock_now_ms();
    for (int i = 0; i < WRITES; i++) {
        int64_t start = (int64_t)dice_below(&dice, PAGES) * PAGE;
        assert_int_equal(extents_reserve(&extents), 0);
        extents_change(&extents, start, start + PAGE, to_written);
    }
    int64_t took = clock_now_ms() - began;
    fprintf(stderr, "%d writes, %zu extents, %zu bytes: %lld ms\n", WRITES, extents_count(&extents),
            extents_memory(&extents), (long long)took);
    extents_check(&extents);
    assert_true(extents_count(&extents) > 100000);
    assert_true(extents_memory(&extents) < 48 * extents_count(&extents));
    assert_true(took < 10000); /* a list walked through would take minutes */
    change(&extents, 0, (int64_t)PAGES * PAGE, to_base);
    assert_int_equal(extents_count(&extents), 2);
    extents_done(&extents);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_map_is_one_extent_of_nothing),
        cmocka_unit_test(neighbours_of_one_kind_are_one_extent),
        cmocka_unit_test(a_change_says_whether_it_was_one),
        cmocka_unit_test(the_last_position_can_be_changed),
        cmocka_unit_test(next_finds_the_first_of_a_set),
        cmocka_unit_test(any_changes_do_to_a_map_what_they_do_to_an_array),
        cmocka_unit_test(random_pages_of_a_large_file_stay_fast),
    };
    return cmocka_run_group_tests_name("extents", tests, NULL, NULL);
}

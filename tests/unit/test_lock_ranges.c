// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/lock_ranges.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct lock_range range(uint64_t owner, int64_t start, int64_t end, bool exclusive) {
    return (struct lock_range){.owner = owner, .range = {.start = start, .end = end, .exclusive = exclusive}};
}

static void set(struct lock_ranges *ranges, uint64_t owner, int64_t start, int64_t end, bool exclusive) {
    struct lock_range wanted = range(owner, start, end, exclusive);
    assert_int_equal(lock_ranges_set(ranges, &wanted), 0);
    lock_ranges_check(ranges);
}

static void clear(struct lock_ranges *ranges, uint64_t owner, int64_t start, int64_t end) {
    struct lock_range unlocked = range(owner, start, end, false);
    assert_int_equal(lock_ranges_clear(ranges, &unlocked), 0);
    lock_ranges_check(ranges);
}

static bool conflicts(const struct lock_ranges *ranges, uint64_t owner, int64_t start, int64_t end, bool exclusive) {
    struct lock_range wanted = range(owner, start, end, exclusive);
    return lock_ranges_conflict(ranges, &wanted) != NULL;
}

static void readers_share_and_a_writer_is_alone(void **state) {
    (void)state;
    struct lock_ranges ranges = {0};
    set(&ranges, 1, 10, 19, false);
    assert_false(conflicts(&ranges, 2, 0, INT64_MAX, false));
    assert_true(conflicts(&ranges, 2, 19, 30, true));
    assert_false(conflicts(&ranges, 2, 20, 30, true));
    assert_false(conflicts(&ranges, 1, 0, 30, true)); /* nobody excludes himself */
    set(&ranges, 1, 10, 19, true);
    assert_int_equal(ranges.count, 1);
    assert_true(conflicts(&ranges, 2, 0, 10, false));
    lock_ranges_done(&ranges);
}

static void what_is_unlocked_in_the_middle_falls_into_two(void **state) {
    (void)state;
    struct lock_ranges ranges = {0};
    set(&ranges, 1, 0, INT64_MAX, true);
    clear(&ranges, 1, 100, 199);
    assert_int_equal(ranges.count, 2);
    assert_false(conflicts(&ranges, 2, 100, 199, true));
    assert_true(conflicts(&ranges, 2, 99, 99, false));
    assert_true(conflicts(&ranges, 2, INT64_MAX, INT64_MAX, false));
    set(&ranges, 1, 100, 199, true); /* and grows together */
    assert_int_equal(ranges.count, 1);
    clear(&ranges, 1, 0, INT64_MAX);
    assert_int_equal(ranges.count, 0);
    lock_ranges_done(&ranges);
}

static void what_was_taken_through_a_file_goes_with_it(void **state) {
    (void)state;
    struct lock_ranges ranges = {0};
    int one, other;
    struct lock_range first = range(1, 0, 9, true), second = range(1, 10, 19, true);
    first.via = &one;
    second.via = &other;
    assert_int_equal(lock_ranges_set(&ranges, &first), 0);
    assert_int_equal(lock_ranges_set(&ranges, &second), 0);
    assert_int_equal(ranges.count, 2);
    lock_ranges_clear_via(&ranges, &one);
    assert_false(lock_ranges_has_via(&ranges, &one));
    assert_false(conflicts(&ranges, 2, 0, 9, true));
    assert_true(conflicts(&ranges, 2, 10, 10, true));
    lock_ranges_done(&ranges);
}

static void there_is_an_end_to_it(void **state) {
    (void)state;
    struct lock_ranges ranges = {0};
    for (int64_t i = 0; i < LOCK_RANGES_MOST; i++) {
        struct lock_range each = range(1, 2 * i, 2 * i, true);
        assert_int_equal(lock_ranges_set(&ranges, &each), 0);
    }
    struct lock_range more = range(1, 1 << 20, 1 << 20, true);
    assert_int_equal(lock_ranges_set(&ranges, &more), -ENOLCK);
    assert_int_equal(ranges.count, LOCK_RANGES_MOST);
    clear(&ranges, 1, 0, INT64_MAX);
    lock_ranges_done(&ranges);
}

/* ---- against a table of bytes ---- */

enum { OWNERS = 4, BYTES = 24, ROUNDS = 20000 };

struct model {
    unsigned char kind[OWNERS][BYTES]; /* 0: nothing, 1: shared, 2: exclusive */
};

/* The last byte of the model stands for all that come after it. */
static int64_t byte_at(int i) {
    return i == BYTES - 1 ? INT64_MAX : i;
}

static bool model_conflicts(const struct model *model, unsigned owner, int start, int end, bool exclusive) {
    for (unsigned other = 0; other < OWNERS; other++)
        for (int i = start; other != owner && i <= end; i++)
            if (model->kind[other][i] == 2 || (model->kind[other][i] && exclusive))
                return true;
    return false;
}

static void compare(const struct model *model, const struct lock_ranges *ranges) {
    struct store_range *list = NULL;
    uint32_t count = 0;
    assert_int_equal(lock_ranges_union(ranges, &list, &count), 0);
    for (int i = 0; i < BYTES; i++) {
        unsigned char most = 0, found = 0;
        for (unsigned owner = 0; owner < OWNERS; owner++) {
            most = model->kind[owner][i] > most ? model->kind[owner][i] : most;
            struct lock_range here = range(owner, byte_at(i), byte_at(i), false);
            assert_int_equal(lock_ranges_touches(ranges, &here), model->kind[owner][i] != 0);
        }
        for (uint32_t k = 0; k < count; k++)
            if (list[k].start <= byte_at(i) && byte_at(i) <= list[k].end)
                found = list[k].exclusive ? 2 : 1;
        assert_int_equal(found, most);
    }
    for (uint32_t k = 1; k < count; k++) { /* in order, apart, and none that could be one with its neighbour */
        assert_true(list[k - 1].end < list[k].start);
        assert_true(list[k - 1].end + 1 < list[k].start || list[k - 1].exclusive != list[k].exclusive);
    }
    free(list);
}

static void any_locks_are_those_of_a_table_of_bytes(void **state) {
    (void)state;
    struct dice dice = dice_new("lock_ranges");
    struct lock_ranges ranges = {0};
    struct model model = {0};
    for (int round = 0; round < ROUNDS; round++) {
        unsigned owner = (unsigned)dice_below(&dice, OWNERS), what = (unsigned)dice_below(&dice, 3);
        int start = (int)dice_below(&dice, BYTES), end = start + (int)dice_below(&dice, (uint64_t)(BYTES - start));
        bool exclusive = what == 2, excluded = what && model_conflicts(&model, owner, start, end, exclusive);
        int64_t from = start == BYTES - 1 ? BYTES - 1 : start;
        if (what)
            assert_int_equal(conflicts(&ranges, owner, from, byte_at(end), exclusive), excluded);
        if (excluded)
            continue;
        memset(&model.kind[owner][start], (int)what, (size_t)(end - start + 1));
        if (what)
            set(&ranges, owner, from, byte_at(end), exclusive);
        else
            clear(&ranges, owner, from, byte_at(end));
        compare(&model, &ranges);
    }
    lock_ranges_done(&ranges);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_share_and_a_writer_is_alone),
        cmocka_unit_test(what_is_unlocked_in_the_middle_falls_into_two),
        cmocka_unit_test(what_was_taken_through_a_file_goes_with_it),
        cmocka_unit_test(there_is_an_end_to_it),
        cmocka_unit_test(any_locks_are_those_of_a_table_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

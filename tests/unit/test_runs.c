// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/runs.h"

#include <stdbool.h>

#include "tests/unit/unit.h"

enum { CHUNKS = 60 };

/* A set is what an array of marks says, in as few runs as can be. */
static void expect(const struct runs *runs, const bool marks[CHUNKS]) {
    uint32_t at = 0, chunks = 0;
    for (uint32_t n = 0; n < CHUNKS; n++) {
        chunks += marks[n];
        if (!marks[n] || (n > 0 && marks[n - 1]))
            continue;
        uint32_t end = n;
        while (end < CHUNKS && marks[end])
            end++;
        assert_true(at < runs->count);
        assert_int_equal(runs->list[at].first, n);
        assert_int_equal(runs->list[at++].count, end - n);
    }
    assert_int_equal(at, runs->count);
    assert_int_equal(runs_chunks(runs), chunks);
}

/* Adds what is not there yet. */
static void add_any(struct runs *runs, bool marks[CHUNKS], struct dice *dice) {
    uint32_t first = (uint32_t)dice_below(dice, CHUNKS), count = 0, wanted = 1 + (uint32_t)dice_below(dice, 5);
    while (count < wanted && first + count < CHUNKS && !marks[first + count])
        marks[first + count++] = true;
    if (count)
        assert_int_equal(runs_add(runs, first, count), 0);
}

static void runs_come_in_any_order(void **state) {
    (void)state;
    struct dice dice = dice_new("runs");
    for (int round = 0; round < 200; round++) {
        struct runs runs = {0};
        bool marks[CHUNKS] = {false};
        for (uint64_t i = 1 + dice_below(&dice, 60); i > 0; i--) {
            add_any(&runs, marks, &dice);
            expect(&runs, marks);
        }
        runs_done(&runs);
        expect(&runs, (bool[CHUNKS]){false});
    }
}

static void sets_are_joined(void **state) {
    (void)state;
    struct dice dice = dice_new("runs, joined");
    for (int round = 0; round < 200; round++) {
        struct runs runs = {0}, others = {0};
        bool marks[CHUNKS] = {false};
        for (uint64_t i = dice_below(&dice, 40); i > 0; i--)
            add_any(dice_below(&dice, 2) ? &runs : &others, marks, &dice);
        assert_int_equal(runs_add_all(&runs, &others), 0);
        expect(&runs, marks);
        runs_done(&runs);
        runs_done(&others);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_come_in_any_order),
        cmocka_unit_test(sets_are_joined),
    };
    return cmocka_run_group_tests_name("runs", tests, NULL, NULL);
}

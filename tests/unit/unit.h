// SPDX-License-Identifier: Apache-2.0
/* What every unit test includes: cmocka with what it needs, and random numbers that can be had again.
 *
 * A test that throws dice prints its seed; GRIDMOUNT_TEST_SEED=N throws the same again. */
#ifndef TESTS_UNIT_UNIT_H
#define TESTS_UNIT_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

/* Newer ones call it by its type. */
#ifdef assert_uint_in_range
#undef assert_in_range
#define assert_in_range assert_uint_in_range
#endif

struct dice {
    uint64_t state;
};

/* xorshift64*: enough for tests, the same everywhere. */
static inline uint64_t dice_throw(struct dice *dice) {
    dice->state ^= dice->state >> 12;
    dice->state ^= dice->state << 25;
    dice->state ^= dice->state >> 27;
    return dice->state * UINT64_C(2685821657736338717);
}

/* A number in [0, sides). */
static inline uint64_t dice_below(struct dice *dice, uint64_t sides) {
    return dice_throw(dice) % sides;
}

static inline struct dice dice_new(const char *test) {
    const char *given = getenv("GRIDMOUNT_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);
    fprintf(stderr, "%s: GRIDMOUNT_TEST_SEED=%llu\n", test, (unsigned long long)seed);
    struct dice dice = {.state = seed * 2 + 1};
    for (int i = 0; i < 8; i++)
        dice_throw(&dice);
    return dice;
}

#endif

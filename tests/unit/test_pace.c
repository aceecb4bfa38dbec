// SPDX-License-Identifier: Apache-2.0
#include "cache/pace.h"

#include "tests/unit/unit.h"

enum { MANY = 1000 };

/* `times` takes of 1,000 bytes on a way, in so many ns each. */
static void take(struct pace_way *way, unsigned times, int64_t ns) {
    for (unsigned i = 0; i < times; i++)
        pace_note(way, 1000, ns);
}

/* How often of MANY turns it is the far way. */
static unsigned far_turns(struct pace *pace) {
    unsigned far = 0;
    for (unsigned i = 0; i < MANY; i++)
        far += pace_goes_far(pace);
    return far;
}

static void the_near_way_is_taken_until_both_are_known(void **state) {
    (void)state;
    struct pace pace = {0};
    assert_int_equal(far_turns(&pace), 0);
    take(&pace.near, MANY, 9000);
    assert_int_equal(far_turns(&pace), 0);
    take(&pace.far, 10, 1);
    assert_int_equal(far_turns(&pace), 0);
    take(&pace.far, 100, 1);
    assert_true(far_turns(&pace) > 0);
}

static void the_far_way_is_taken_when_it_is_quicker_by_a_margin(void **state) {
    (void)state;
    struct pace pace = {0};
    take(&pace.near, MANY, 1000);
    take(&pace.far, MANY, 900);
    assert_int_equal(far_turns(&pace), 0);
    take(&pace.far, MANY, 500);
    unsigned far = far_turns(&pace);
    assert_in_range(far, MANY * 9 / 10, MANY - 10); /* the near way is tried now and then */
}

static void what_changes_is_noticed(void **state) {
    (void)state;
    struct pace pace = {0};
    take(&pace.near, MANY, 9000);
    take(&pace.far, MANY, 1000);
    assert_true(far_turns(&pace) > 0);
    take(&pace.near, MANY, 900);
    assert_int_equal(far_turns(&pace), 0);
}

static void it_is_bytes_that_count(void **state) {
    (void)state;
    struct pace pace = {0};
    for (unsigned i = 0; i < MANY; i++)
        pace_note(&pace.near, 8000, 2000);
    take(&pace.far, MANY, 1000);
    pace_note(&pace.near, 0, 1000000000); /* nothing was taken: it says nothing */
    assert_int_equal(far_turns(&pace), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_near_way_is_taken_until_both_are_known),
        cmocka_unit_test(the_far_way_is_taken_when_it_is_quicker_by_a_margin),
        cmocka_unit_test(what_changes_is_noticed),
        cmocka_unit_test(it_is_bytes_that_count),
    };
    return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}

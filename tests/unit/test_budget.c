// SPDX-License-Identifier: Apache-2.0
#include "cache/base/budget.h"

#include "tests/unit/unit.h"

static void what_fits_is_taken(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 100);
    assert_true(budget_take(&budget, 60));
    assert_true(budget_take(&budget, 40));
    assert_int_equal(budget_used(&budget), 100);
    assert_false(budget_exceeded(&budget));
}

static void what_does_not_fit_is_refused_and_not_taken(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 100);
    assert_true(budget_take(&budget, 60));
    assert_false(budget_take(&budget, 41));
    assert_false(budget_take(&budget, SIZE_MAX));
    assert_int_equal(budget_used(&budget), 60);
}

static void force_goes_beyond_the_limit_and_take_does_not_follow(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 100);
    budget_force(&budget, 150);
    assert_true(budget_exceeded(&budget));
    assert_false(budget_take(&budget, 0));
    assert_false(budget_take(&budget, 1));
    budget_give(&budget, 60);
    assert_false(budget_exceeded(&budget));
    assert_true(budget_take(&budget, 10));
}

static void nothing_is_used_when_all_was_given_back(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 100);
    budget_force(&budget, 70);
    assert_true(budget_take(&budget, 20));
    budget_give(&budget, 20);
    budget_give(&budget, 70);
    assert_int_equal(budget_used(&budget), 0);
}

static void give_some(void *context) {
    struct budget *budget = context;
    if (budget_used(budget) >= 100)
        budget_give(budget, 100);
}

static void who_can_do_without_is_asked_for_room_once_more_than_the_limit_is_taken(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 150);
    budget_ask_for_room(&budget, give_some, &budget);
    budget_force(&budget, 150);
    assert_int_equal(budget_used(&budget), 150);
    budget_force(&budget, 50);
    assert_int_equal(budget_used(&budget), 100);
    budget_ask_for_room(&budget, NULL, NULL);
    budget_force(&budget, 100);
    assert_int_equal(budget_used(&budget), 200);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_taken),
        cmocka_unit_test(what_does_not_fit_is_refused_and_not_taken),
        cmocka_unit_test(force_goes_beyond_the_limit_and_take_does_not_follow),
        cmocka_unit_test(nothing_is_used_when_all_was_given_back),
        cmocka_unit_test(who_can_do_without_is_asked_for_room_once_more_than_the_limit_is_taken),
    };
    return cmocka_run_group_tests_name("budget", tests, NULL, NULL);
}

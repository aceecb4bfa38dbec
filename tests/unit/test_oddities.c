// SPDX-License-Identifier: Apache-2.0
#include "fs/store/oddities.h"

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "tests/unit/unit.h"

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

static void they_are_kept_in_the_order_met_and_counted(void **state) {
    (void)state;
    struct oddities *oddities = oddities_new();
    uint64_t before = stats_get(STAT_unrepresentable_names);
    oddities_note(oddities, "b", "x//y", "no path");
    oddities_note(oddities, "a", "..", "no path");
    assert_string_equal(oddities_id(oddities, 0), "b");
    assert_string_equal(oddities_id(oddities, 1), "a");
    assert_null(oddities_id(oddities, 2));
    assert_int_equal(stats_get(STAT_unrepresentable_names), before + 2);
    assert_null(oddities_free(oddities));
}

static void the_same_file_met_again_counts_once(void **state) {
    (void)state;
    struct oddities *oddities = oddities_new();
    uint64_t before = stats_get(STAT_unrepresentable_names);
    for (int i = 0; i < 3; i++)
        oddities_note(oddities, "same", "..", "no path");
    assert_null(oddities_id(oddities, 1));
    assert_int_equal(stats_get(STAT_unrepresentable_names), before + 1);
    oddities_free(oddities);
}

static void there_is_a_limit(void **state) {
    (void)state;
    struct oddities *oddities = oddities_new();
    uint64_t before = stats_get(STAT_unrepresentable_names);
    char id[16];
    for (int i = 0; i < ODDITIES_MOST + 100; i++) {
        snprintf(id, sizeof id, "%d", i);
        oddities_note(oddities, id, "..", "no path");
    }
    assert_non_null(oddities_id(oddities, ODDITIES_MOST - 1));
    assert_null(oddities_id(oddities, ODDITIES_MOST));
    assert_int_equal(stats_get(STAT_unrepresentable_names), before + ODDITIES_MOST);
    oddities_free(oddities);
}

static void an_empty_set_is_a_set(void **state) {
    (void)state;
    struct oddities *oddities = oddities_new();
    assert_null(oddities_id(oddities, 0));
    oddities_free(oddities);
    assert_null(oddities_free(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_are_kept_in_the_order_met_and_counted),
        cmocka_unit_test(the_same_file_met_again_counts_once),
        cmocka_unit_test(there_is_a_limit),
        cmocka_unit_test(an_empty_set_is_a_set),
    };
    return cmocka_run_group_tests_name("oddities", tests, be_quiet, NULL);
}

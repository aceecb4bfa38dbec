// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/coherence.h"

#include <string.h>

#include "tests/unit/unit.h"

static struct coherence *coherence;

static int set_up(void **state) {
    (void)state;
    return (coherence = coherence_new()) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    coherence = coherence_free(coherence);
    return 0;
}

static struct coherence_moment moment_in(const char *directory) {
    return coherence_moment(coherence, directory, strlen(directory));
}

static void nothing_is_vouched_for_without_a_stream(void **state) {
    (void)state;
    struct coherence_moment moment = moment_in("d");
    assert_true(coherence_crossed(coherence, &moment));
    assert_false(coherence_vouches(coherence));
}

static void an_answer_from_before_the_stream_is_not_vouched_for(void **state) {
    (void)state;
    struct coherence_moment before = moment_in("d");
    coherence_begin(coherence);
    struct coherence_moment after = moment_in("d");
    assert_true(coherence_crossed(coherence, &before));
    assert_false(coherence_crossed(coherence, &after));
    assert_true(coherence_vouches(coherence));
}

static void a_change_that_is_told_crosses_what_was_asked_before(void **state) {
    (void)state;
    coherence_begin(coherence);
    struct coherence_moment before = moment_in("d"), elsewhere = moment_in("e");
    coherence_come(coherence, "d/f");
    struct coherence_moment after = moment_in("d");
    assert_true(coherence_crossed(coherence, &before));
    assert_false(coherence_crossed(coherence, &elsewhere));
    assert_false(coherence_crossed(coherence, &after));
}

static void a_change_that_is_anywhere_crosses_all(void **state) {
    (void)state;
    coherence_begin(coherence);
    struct coherence_moment one = moment_in("d"), other = moment_in("");
    coherence_touch_all(coherence);
    assert_true(coherence_crossed(coherence, &one));
    assert_true(coherence_crossed(coherence, &other));
}

static struct coherence_moment moment_of(const char *path) {
    return coherence_moment(coherence, path, strlen(path));
}

static void only_what_comes_there_or_below_ends_that_nothing_is_at_a_path(void **state) {
    (void)state;
    struct coherence_moment early = moment_of("d/f");
    assert_true(coherence_came(coherence, &early));
    coherence_begin(coherence);
    assert_true(coherence_came(coherence, &early));
    struct coherence_moment file = moment_of("d/f"), directory = moment_of("d"), other = moment_of("e");
    coherence_come(coherence, "d/g");
    coherence_touch_all(coherence);
    assert_false(coherence_came(coherence, &file));
    coherence_come(coherence, "d/f/g");
    assert_true(coherence_came(coherence, &file) && coherence_came(coherence, &directory));
    assert_false(coherence_came(coherence, &other));
    assert_false(coherence_came_anywhere(coherence, other.at));
    coherence_come_anywhere(coherence);
    assert_true(coherence_came_anywhere(coherence, other.at));
    assert_true(coherence_came(coherence, &other));
    coherence_end(coherence);
    struct coherence_moment late = moment_of("d/f");
    assert_true(coherence_came(coherence, &late));
}

static void nothing_lasts_from_one_stream_to_the_next(void **state) {
    (void)state;
    coherence_begin(coherence);
    struct coherence_moment moment = moment_in("d");
    coherence_end(coherence);
    struct coherence_moment between = moment_in("d");
    assert_true(coherence_crossed(coherence, &moment));
    coherence_begin(coherence);
    assert_true(coherence_crossed(coherence, &moment));
    assert_true(coherence_crossed(coherence, &between));
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_vouched_for_without_a_stream, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_answer_from_before_the_stream_is_not_vouched_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_is_told_crosses_what_was_asked_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_that_is_anywhere_crosses_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_what_comes_there_or_below_ends_that_nothing_is_at_a_path, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_lasts_from_one_stream_to_the_next, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("coherence", tests, NULL, NULL);
}

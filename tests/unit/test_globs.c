// SPDX-License-Identifier: Apache-2.0
#include "fs/globs.h"

#include "tests/unit/unit.h"

#define GLOBS(...) ((char *const[]){__VA_ARGS__, NULL})

static void a_star_crosses_slashes(void **state) {
    (void)state;
    assert_true(globs_match(GLOBS("*"), "a"));
    assert_true(globs_match(GLOBS("*"), "a/b/.c"));
    assert_true(globs_match(GLOBS("*.pt"), "a/b/c.pt"));
    assert_false(globs_match(GLOBS("*.pt"), "a/b/c.ptx"));
    assert_true(globs_match(GLOBS("models/*.pt"), "models/a/b.pt"));
    assert_true(globs_match(GLOBS("a?b"), "a/b"));
    assert_true(globs_match(GLOBS("v[0-9]"), "v7/x"));
    assert_true(globs_match(GLOBS("a\\*"), "a*"));
    assert_false(globs_match(GLOBS("a\\*"), "ab"));
}

static void a_directory_stands_for_all_below_it(void **state) {
    (void)state;
    assert_true(globs_match(GLOBS("models"), "models"));
    assert_true(globs_match(GLOBS("models"), "models/a/b"));
    assert_false(globs_match(GLOBS("models"), "models2/a"));
    assert_false(globs_match(GLOBS("models"), "old/models/a"));
    assert_true(globs_match(GLOBS("x", "models"), "models/a"));
    assert_false(globs_match(GLOBS("x", "y"), "models/a"));
}

static void only_directories_that_may_hold_a_match_are_listed(void **state) {
    (void)state;
    assert_true(globs_may_match_below(GLOBS("models"), ""));
    assert_true(globs_may_match_below(GLOBS("a/b/*.pt"), "a"));
    assert_true(globs_may_match_below(GLOBS("a/b/*.pt"), "a/b"));
    assert_true(globs_may_match_below(GLOBS("a/b/*.pt"), "a/b/c"));
    assert_false(globs_may_match_below(GLOBS("a/b/*.pt"), "a/c"));
    assert_false(globs_may_match_below(GLOBS("a/b/*.pt"), "ab"));
    assert_false(globs_may_match_below(GLOBS("a/b"), "a/bc"));
    assert_true(globs_may_match_below(GLOBS("a/b"), "a/b"));
    assert_true(globs_may_match_below(GLOBS("a/b"), "a/b/c"));
    assert_true(globs_may_match_below(GLOBS("a/b*"), "a/bc"));
    assert_true(globs_may_match_below(GLOBS("*"), "any/thing"));
    assert_true(globs_may_match_below(GLOBS("x", "m?"), "mm"));
}

/* What matches is met: each directory above it is listed. */
static void the_way_to_a_match_is_open(void **state) {
    (void)state;
    static const struct {
        const char *glob, *path;
    } cases[] = {{"a/b/c", "a/b/c/d/e"}, {"a*/x", "abc/d/x"}, {"*x", "q/w/e/x"}, {"a/[bc]/d", "a/c/d/e"}, {"a\\b", "ab/c"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *const globs[] = {(char *)cases[i].glob, NULL};
        char directory[64] = "";
        assert_true(globs_match(globs, cases[i].path));
        for (size_t at = 0; cases[i].path[at]; at++) {
            if (cases[i].path[at] == '/')
                assert_true(globs_may_match_below(globs, directory));
            directory[at] = cases[i].path[at];
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_star_crosses_slashes),
        cmocka_unit_test(a_directory_stands_for_all_below_it),
        cmocka_unit_test(only_directories_that_may_hold_a_match_are_listed),
        cmocka_unit_test(the_way_to_a_match_is_open),
    };
    return cmocka_run_group_tests_name("globs", tests, NULL, NULL);
}

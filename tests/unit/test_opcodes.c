// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <linux/fuse.h>

#include "fs/fuse/opcodes.h"
#include "tests/unit/unit.h"

static void test_what_needs_no_server_is_light(void **state) {
    (void)state;
    static const uint32_t light[] = {FUSE_STATFS, FUSE_FORGET, FUSE_INTERRUPT, FUSE_RELEASEDIR, FUSE_INIT};
    for (size_t i = 0; i < sizeof light / sizeof *light; i++)
        assert_int_equal(opcode_kind(light[i]), OPCODE_LIGHT);
    assert_int_equal(opcode_kind(FUSE_READ), OPCODE_CONTENT);
    assert_int_equal(opcode_kind(FUSE_LOOKUP), OPCODE_NAMES);
    assert_int_equal(opcode_kind(FUSE_RELEASE), OPCODE_NAMES); /* it may publish */
    assert_int_equal(opcode_kind(4711), OPCODE_NAMES);         /* of kernels to come */
}

static void test_what_has_threads_of_its_own_or_no_answer_is_not_repeated(void **state) {
    (void)state;
    static const uint32_t once[] = {FUSE_SETLKW, FUSE_SETLK, FUSE_GETLK, FUSE_FORGET, FUSE_INTERRUPT, FUSE_INIT};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        assert_false(opcode_may_repeat(once[i]));
    assert_true(opcode_may_repeat(FUSE_FLUSH));
    assert_true(opcode_may_repeat(FUSE_RENAME2));
}

static void test_nobody_is_told_that_his_own_change_was_in_the_way_of_it(void **state) {
    (void)state;
    assert_int_equal(opcode_outcome(FUSE_UNLINK, -ENOENT), 0);
    assert_int_equal(opcode_outcome(FUSE_RMDIR, -ENOENT), 0);
    assert_int_equal(opcode_outcome(FUSE_RMDIR, -ENOTEMPTY), -ENOTEMPTY);
    assert_int_equal(opcode_outcome(FUSE_MKDIR, -EEXIST), -ETIMEDOUT);
    assert_int_equal(opcode_outcome(FUSE_CREATE, -EEXIST), -ETIMEDOUT);
    assert_int_equal(opcode_outcome(FUSE_RENAME2, -ENOENT), -ETIMEDOUT);
    assert_int_equal(opcode_outcome(FUSE_LOOKUP, -ENOENT), -ENOENT);
    assert_int_equal(opcode_outcome(FUSE_FLUSH, -EEXIST), -EEXIST);
    assert_int_equal(opcode_outcome(FUSE_MKDIR, 0), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_needs_no_server_is_light),
        cmocka_unit_test(test_what_has_threads_of_its_own_or_no_answer_is_not_repeated),
        cmocka_unit_test(test_nobody_is_told_that_his_own_change_was_in_the_way_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

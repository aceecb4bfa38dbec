// SPDX-License-Identifier: Apache-2.0
#include "cache/base/blob.h"

#include <string.h>

#include "tests/unit/unit.h"

static void a_blob_is_charged_for_as_long_as_it_lives(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 1 << 20);
    struct blob *blob = blob_new(&budget, 1000);
    memset(blob->bytes, 'x', blob->size);
    assert_int_equal(blob->size, 1000);
    assert_int_equal(budget_used(&budget), blob_cost(1000));
    struct blob *other = blob_ref(blob);
    assert_null(blob_unref(blob));
    assert_int_equal(budget_used(&budget), blob_cost(1000));
    assert_int_equal(other->bytes[999], 'x');
    blob_unref(other);
    assert_int_equal(budget_used(&budget), 0);
}

static void the_cost_counts_more_than_the_bytes(void **state) {
    (void)state;
    assert_true(blob_cost(0) > 0);
    assert_true(blob_cost(4096) > 4096);
}

static void an_empty_blob_lives_too(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 0);
    struct blob *blob = blob_new(&budget, 0);
    assert_non_null(blob);
    assert_true(budget_exceeded(&budget));
    blob_unref(blob);
    assert_false(budget_exceeded(&budget));
}

static void null_has_no_references(void **state) {
    (void)state;
    assert_null(blob_unref(NULL));
    cleanup_with(blob_unref) struct blob *none = NULL;
    (void)none;
}

static void a_size_no_memory_has_gives_null_and_is_not_charged(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 1000);
    assert_null(blob_new(&budget, (size_t)PTRDIFF_MAX - 4096));
    assert_int_equal(budget_used(&budget), 0);
}

static unsigned released;

static void release(void *memory) {
    released++;
    free(memory);
}

static void a_block_lives_and_is_charged_as_long_as_a_blob_in_it(void **state) {
    (void)state;
    struct budget budget;
    budget_init(&budget, 1 << 20);
    char *memory = strdup("....first.second");
    struct blob_block *block = blob_block_new(&budget, memory, strlen(memory), release);
    struct blob *first = blob_new_in(block, 4, 5), *second = blob_new_in(block, 10, 6);
    assert_null(blob_block_unref(block));
    assert_ptr_equal(first->bytes, memory + 4);
    assert_memory_equal(second->bytes, "second", second->size);
    assert_int_equal(budget_used(&budget), 16 + 2 * blob_cost(0));
    blob_unref(first);
    assert_int_equal(released, 0);
    assert_int_equal(budget_used(&budget), 16 + blob_cost(0));
    blob_unref(second);
    assert_int_equal(released, 1);
    assert_int_equal(budget_used(&budget), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blob_is_charged_for_as_long_as_it_lives),
        cmocka_unit_test(the_cost_counts_more_than_the_bytes),
        cmocka_unit_test(an_empty_blob_lives_too),
        cmocka_unit_test(null_has_no_references),
        cmocka_unit_test(a_block_lives_and_is_charged_as_long_as_a_blob_in_it),
#ifndef __SANITIZE_ADDRESS__ /* the sanitizers' allocators abort instead */
#ifndef __SANITIZE_THREAD__
        cmocka_unit_test(a_size_no_memory_has_gives_null_and_is_not_charged),
#endif
#endif
    };
    (void)a_size_no_memory_has_gives_null_and_is_not_charged;
    return cmocka_run_group_tests_name("blob", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/siblings.h"

#include "tests/unit/unit.h"

static struct revision *revision_of(int64_t length, uint32_t chunk_size) {
    struct revision *revision = revision_new("x", 1);
    revision->length = length;
    revision->chunk_size = chunk_size;
    return revision;
}

static uint32_t add(struct siblings *siblings, int64_t length) {
    cleanup_with(revision_unref) struct revision *revision = revision_of(length, 261120);
    return siblings_add(siblings, revision);
}

static struct siblings *siblings_of(unsigned count, int64_t length) {
    struct siblings *siblings = siblings_new();
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(add(siblings, length), i + 1);
    return siblings;
}

static unsigned follow(struct siblings *siblings, uint32_t place) {
    struct revision *revisions[SIBLINGS_PLAN];
    unsigned count = siblings_follow(siblings, place, revisions);
    assert_in_range(count, 0, SIBLINGS_PLAN);
    for (unsigned i = 0; i < count; i++)
        revision_unref(revisions[i]);
    return count;
}

static void only_small_sound_files_of_one_chunk_are_noted(void **state) {
    (void)state;
    struct siblings *siblings = siblings_new();
    assert_int_equal(add(siblings, 0), 0);
    assert_int_equal(add(siblings, SIBLINGS_SMALL + 1), 0);
    cleanup_with(revision_unref) struct revision *chunks = revision_of(11, 10), *damaged = revision_of(10, 10);
    damaged->damage = "it is";
    assert_int_equal(siblings_add(siblings, chunks), 0);
    assert_int_equal(siblings_add(siblings, damaged), 0);
    assert_int_equal(add(siblings, SIBLINGS_SMALL), 1);
    assert_int_equal(add(siblings, 1), 2);
    assert_null(siblings_free(siblings));
    assert_null(siblings_free(NULL));
}

static void a_file_opened_by_itself_brings_nothing(void **state) {
    (void)state;
    struct siblings *siblings = siblings_of(100, 4096);
    static const uint32_t places[] = {0, 50, 1, 99, 7, 101, 30};
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++)
        assert_int_equal(follow(siblings, places[i]), 0);
    siblings_free(siblings);
}

static void files_opened_in_order_come_in_batches_and_each_once(void **state) {
    (void)state;
    struct siblings *siblings = siblings_of(1000, 4096);
    unsigned planned = 0, batches = 0;
    for (uint32_t place = 1; place <= 1000; place++) {
        unsigned count = follow(siblings, place);
        planned += count;
        batches += count > 0;
        if (place > 3)
            assert_true(planned >= place - 3); /* always ahead of the reader */
    }
    assert_in_range(planned, 997, 1000);
    assert_in_range(batches, 1, 30);
    siblings_free(siblings);
}

static void a_reader_may_leave_some_out(void **state) {
    (void)state;
    struct siblings *siblings = siblings_of(1000, 4096);
    unsigned planned = 0;
    for (uint32_t place = 1; place <= 1000; place += 3)
        planned += follow(siblings, place);
    assert_true(planned > 900);
    siblings_free(siblings);
}

static void a_batch_is_bounded_in_bytes(void **state) {
    (void)state;
    struct siblings *siblings = siblings_of(1000, SIBLINGS_SMALL);
    for (uint32_t place = 1; place <= 1000; place++)
        assert_true((int64_t)follow(siblings, place) * SIBLINGS_SMALL <= SIBLINGS_PLAN_BYTES);
    siblings_free(siblings);
}

static void opening_one_file_again_and_again_plans_nothing_twice(void **state) {
    (void)state;
    struct siblings *siblings = siblings_of(10, 4096);
    unsigned planned = 0;
    for (uint32_t place = 1; place <= 4; place++)
        for (int times = 0; times < 5; times++)
            planned += follow(siblings, place);
    assert_in_range(planned, 1, 10);
    siblings_free(siblings);
}

static void a_new_listing_forgets_the_one_before(void **state) {
    (void)state;
    struct siblings *siblings = siblings_of(100, 4096);
    siblings_clear(siblings);
    for (uint32_t place = 1; place <= 10; place++)
        assert_int_equal(follow(siblings, place), 0);
    assert_int_equal(add(siblings, 5), 1);
    siblings_free(siblings);
}

static void there_is_a_limit_for_all_directories_together(void **state) {
    (void)state;
    struct siblings *one = siblings_of(SIBLINGS_MOST, 10), *other = siblings_new();
    assert_int_equal(add(other, 10), 0);
    siblings_free(one);
    assert_int_equal(add(other, 10), 1);
    siblings_free(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_small_sound_files_of_one_chunk_are_noted),
        cmocka_unit_test(a_file_opened_by_itself_brings_nothing),
        cmocka_unit_test(files_opened_in_order_come_in_batches_and_each_once),
        cmocka_unit_test(a_reader_may_leave_some_out),
        cmocka_unit_test(a_batch_is_bounded_in_bytes),
        cmocka_unit_test(opening_one_file_again_and_again_plans_nothing_twice),
        cmocka_unit_test(a_new_listing_forgets_the_one_before),
        cmocka_unit_test(there_is_a_limit_for_all_directories_together),
    };
    return cmocka_run_group_tests_name("siblings", tests, NULL, NULL);
}

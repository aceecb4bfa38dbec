// SPDX-License-Identifier: Apache-2.0
#include "cache/lru.h"

#include <string.h>

#include "cache/base/stats.h"
#include "tests/unit/unit.h"

static struct budget budget;

static struct chunk_key key_of(unsigned char revision, uint32_t n) {
    struct chunk_key key = {.n = n};
    memset(key.revision, revision, sizeof key.revision);
    return key;
}

static struct blob *blob_of(unsigned char content) {
    struct blob *blob = blob_new(&budget, 1);
    blob->bytes[0] = content;
    return blob;
}

static void put(struct lru *lru, unsigned char revision, uint32_t n, unsigned char content) {
    struct chunk_key key = key_of(revision, n);
    struct blob *blob = blob_of(content);
    assert_int_equal(lru_put(lru, &key, blob, false), 0);
    blob_unref(blob);
}

static int content_of(struct lru *lru, unsigned char revision, uint32_t n) {
    struct chunk_key key = key_of(revision, n);
    struct blob *blob = lru_get(lru, &key);
    return blob ? blob->bytes[0] : -1;
}

static bool contains(struct lru *lru, unsigned char revision, uint32_t n) {
    struct chunk_key key = key_of(revision, n);
    return lru_contains(lru, &key);
}

static int set_up(void **state) {
    budget_init(&budget, 1 << 20);
    *state = lru_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state) {
    lru_check(*state);
    lru_free(*state);
    return budget_used(&budget) == 0 ? 0 : -1;
}

static void what_was_put_is_found_by_revision_and_number(void **state) {
    struct lru *lru = *state;
    put(lru, 1, 0, 10);
    put(lru, 1, 1, 11);
    put(lru, 2, 0, 20);
    assert_int_equal(content_of(lru, 1, 0), 10);
    assert_int_equal(content_of(lru, 1, 1), 11);
    assert_int_equal(content_of(lru, 2, 0), 20);
    assert_int_equal(content_of(lru, 2, 1), -1);
    assert_int_equal(lru_count(lru), 3);
}

static void the_least_recently_used_goes_first(void **state) {
    struct lru *lru = *state;
    for (uint32_t n = 0; n < 3; n++)
        put(lru, 1, n, (unsigned char)n);
    assert_int_equal(content_of(lru, 1, 0), 0);
    assert_true(lru_evict(lru));
    assert_false(contains(lru, 1, 1));
    assert_true(lru_evict(lru));
    assert_false(contains(lru, 1, 2));
    assert_true(lru_evict(lru));
    assert_false(lru_evict(lru));
    assert_int_equal(lru_count(lru), 0);
}

static void what_was_put_ahead_is_counted_once_as_used_or_as_unread(void **state) {
    struct lru *lru = *state;
    uint64_t used = stats_get(STAT_readahead_used), unread = stats_get(STAT_unread_chunks);
    for (uint32_t n = 0; n < 4; n++) {
        struct chunk_key key = key_of(1, n);
        struct blob *blob = blob_of(0);
        assert_int_equal(lru_put(lru, &key, blob, n != 3), 0);
        blob_unref(blob);
    }
    struct chunk_key key = key_of(1, 2);
    lru_read(lru, &key); /* which stays where it is in the order */
    assert_int_equal(content_of(lru, 1, 2), 0);
    assert_int_equal(content_of(lru, 1, 0), 0);
    assert_int_equal(content_of(lru, 1, 0), 0);
    assert_true(contains(lru, 1, 1));
    assert_int_equal(stats_get(STAT_readahead_used), used + 2);
    assert_int_equal(stats_get(STAT_unread_chunks), unread);
    while (lru_evict(lru))
        ;
    assert_int_equal(stats_get(STAT_readahead_used), used + 2);
    assert_int_equal(stats_get(STAT_unread_chunks), unread + 1);
}

static void looking_whether_it_is_there_is_no_use(void **state) {
    struct lru *lru = *state;
    put(lru, 1, 0, 0);
    put(lru, 1, 1, 0);
    assert_true(contains(lru, 1, 0));
    assert_true(lru_evict(lru));
    assert_false(contains(lru, 1, 0));
}

static void a_key_that_is_there_keeps_what_it_has(void **state) {
    struct lru *lru = *state;
    put(lru, 1, 0, 7);
    put(lru, 1, 0, 8);
    assert_int_equal(content_of(lru, 1, 0), 7);
    assert_int_equal(lru_count(lru), 1);
}

static void an_evicted_blob_lives_on_with_who_holds_it(void **state) {
    struct lru *lru = *state;
    struct chunk_key key = key_of(1, 0);
    put(lru, 1, 0, 9);
    struct blob *held = blob_ref(lru_get(lru, &key));
    assert_true(lru_evict(lru));
    assert_int_equal(held->bytes[0], 9);
    assert_true(budget_used(&budget) > 0);
    blob_unref(held);
    assert_int_equal(budget_used(&budget), 0);
}

static void what_was_passed_goes_first_in_order(void **state) {
    struct lru *lru = *state;
    for (uint32_t n = 0; n < 5; n++)
        put(lru, 1, n, (unsigned char)n);
    for (uint32_t n = 3; n < 6; n++) { /* the last one is not there */
        struct chunk_key key = key_of(1, n);
        lru_pass(lru, &key);
        lru_pass(lru, &key);
    }
    assert_int_equal(lru_passed(lru), 2);
    assert_int_equal(content_of(lru, 1, 3), 3);
    static const uint32_t order[] = {4, 3, 0, 1, 2};
    for (unsigned i = 0; i < 5; i++) {
        lru_check(lru);
        assert_true(contains(lru, 1, order[i]));
        assert_true(lru_evict(lru));
        assert_false(contains(lru, 1, order[i]));
    }
    assert_int_equal(lru_passed(lru), 0);
}

static void it_agrees_with_a_list_under_random_use(void **state) {
    enum { KEYS = 40 };
    struct lru *lru = *state;
    struct dice dice = dice_new("lru");
    unsigned order[KEYS], count = 0; /* most recently used last */
    for (int step = 0; step < 20000; step++) {
        unsigned n = (unsigned)dice_below(&dice, KEYS), at = 0;
        while (at < count && order[at] != n)
            at++;
        if (dice_below(&dice, 4) == 0) {
            assert_int_equal(lru_evict(lru), count > 0);
            if (count)
                memmove(order, order + 1, --count * sizeof *order);
            continue;
        }
        assert_int_equal(content_of(lru, 1, n), at < count ? (int)n : -1);
        if (at < count)
            memmove(order + at, order + at + 1, (--count - at) * sizeof *order);
        else
            put(lru, 1, n, (unsigned char)n);
        order[count++] = n;
        assert_int_equal(lru_count(lru), count);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_found_by_revision_and_number, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_least_recently_used_goes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_put_ahead_is_counted_once_as_used_or_as_unread, set_up, tear_down),
        cmocka_unit_test_setup_teardown(looking_whether_it_is_there_is_no_use, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_that_is_there_keeps_what_it_has, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_evicted_blob_lives_on_with_who_holds_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_was_passed_goes_first_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_agrees_with_a_list_under_random_use, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("lru", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/list_ahead.h"

#include <errno.h>
#include <string.h>

#include "tests/fake/faulty_store.h"
#include "tests/fake/memory_store.h"
#include "tests/unit/unit.h"

enum { NAMES = 10000, FIRST = 128 }; /* what the taker reads itself */

/* A directory of many names behind a faulty store, and one worker that can be held. */
static struct memory_store *memory;
static struct faulty_store faulty;
static struct workers *workers;
static struct gate worker_gate;

static void wait_at_gate(void *context) {
    gate_pass(context);
}

static void hold_worker(void) {
    gate_shut(&worker_gate);
    assert_true(workers_submit(workers, wait_at_gate, &worker_gate));
    gate_await(&worker_gate, 1);
}

static void name_of(unsigned number, char name[16]) {
    snprintf(name, 16, "n%06u", number);
}

static int set_up(void **state) {
    (void)state;
    memory = memory_store_new("fs");
    faulty_store_init(&faulty, memory_store_store(memory));
    workers = workers_new(1, 4);
    gate_init(&worker_gate);
    char name[16];
    for (unsigned i = 0; i < NAMES; i++) {
        name_of(i, name);
        memory_store_put(memory, name, "x", 1, 10);
    }
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    workers_free(workers);
    gate_done(&worker_gate);
    faulty_store_done(&faulty);
    memory_store_free(memory);
    return 0;
}

static void expect(struct list_ahead *ahead, unsigned from, unsigned until) {
    struct store_item item;
    char name[16];
    for (; from < until; from++) {
        assert_int_equal(list_ahead_next(ahead, &item), 1);
        name_of(from, name);
        assert_string_equal(item.key, name);
        store_item_done(&item);
    }
}

static void expect_result(struct list_ahead *ahead, int result) {
    struct store_item item;
    for (int i = 0; i < 2; i++)
        assert_int_equal(list_ahead_next(ahead, &item), result);
}

static unsigned asked(void) {
    return atomic_load(&faulty.calls[FAULTY_LIST_NEXT]);
}

static void all_entries_come_in_order_once(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    expect(ahead, 0, NAMES);
    expect_result(ahead, 0);
    assert_null(list_ahead_free(ahead));
}

static void it_goes_on_behind_a_key(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", "n000499");
    expect(ahead, 500, NAMES);
    expect_result(ahead, 0);
    list_ahead_free(ahead);
}

static void without_workers_nothing_is_asked_that_is_not_taken(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(NULL, &faulty.store, "", NULL);
    assert_int_equal(asked(), 0);
    expect(ahead, 0, 10);
    assert_int_equal(asked(), 10);
    list_ahead_free(ahead);
}

static void the_next_entries_are_asked_for_while_those_at_hand_are_taken(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    hold_worker();
    expect(ahead, 0, 1);
    assert_int_equal(asked(), FIRST);
    gate_shut(&faulty.gates[FAULTY_LIST_NEXT]);
    gate_open(&worker_gate);
    gate_await(&faulty.gates[FAULTY_LIST_NEXT], 1); /* and nobody waits for it */
    expect(ahead, 1, FIRST);
    gate_open(&faulty.gates[FAULTY_LIST_NEXT]);
    expect(ahead, FIRST, NAMES);
    expect_result(ahead, 0);
    list_ahead_free(ahead);
}

static void a_taker_does_not_wait_for_a_worker_that_has_not_begun(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    hold_worker();
    expect(ahead, 0, NAMES);
    expect_result(ahead, 0);
    list_ahead_free(ahead);
    gate_open(&worker_gate);
}

static void what_is_read_ahead_is_bounded(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    expect(ahead, 0, 1);
    workers_free(workers); /* who has done all there is to do */
    assert_int_equal(asked(), FIRST + LIST_AHEAD_MOST);
    list_ahead_free(ahead);
    workers = workers_new(1, 4);
}

static void an_error_ahead_is_told_behind_all_that_came_before_it(void **state) {
    (void)state;
    static const unsigned places[] = {1, 50, FIRST, FIRST + 1, 3000, FIRST + LIST_AHEAD_MOST + 1};
    for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
        struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
        faulty_store_fail(&faulty, FAULTY_LIST_NEXT, places[i], -ETIMEDOUT);
        expect(ahead, 0, places[i] - 1);
        expect_result(ahead, -ETIMEDOUT);
        list_ahead_free(ahead);
    }
}

static void a_list_that_cannot_be_opened_says_so(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    faulty_store_fail(&faulty, FAULTY_LIST_OPEN, 1, -EACCES);
    expect_result(ahead, -EACCES);
    list_ahead_free(ahead);
}

static void closing_does_not_wait_for_a_question_under_way(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    hold_worker();
    expect(ahead, 0, 1);
    gate_shut(&faulty.gates[FAULTY_LIST_NEXT]);
    gate_open(&worker_gate);
    gate_await(&faulty.gates[FAULTY_LIST_NEXT], 1);
    list_ahead_free(ahead); /* would wait for ever */
    unsigned before = asked();
    gate_open(&faulty.gates[FAULTY_LIST_NEXT]);
    workers_free(workers);
    assert_int_equal(asked(), before); /* that question was the last */
    workers = workers_new(1, 4);
}

static void closing_before_the_worker_began_leaves_it_nothing_to_ask(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    hold_worker();
    expect(ahead, 0, 1);
    list_ahead_free(ahead);
    gate_open(&worker_gate);
    workers_free(workers);
    assert_int_equal(asked(), FIRST);
    workers = workers_new(1, 4);
}

static void names_removed_meanwhile_do_not_shift_the_others(void **state) {
    (void)state;
    struct list_ahead *ahead = list_ahead_new(workers, &faulty.store, "", NULL);
    struct store_item item;
    char name[16], last[16] = "";
    unsigned kept = 0;
    for (unsigned i = 0; list_ahead_next(ahead, &item) > 0; i++) {
        assert_true(strcmp(item.key, last) > 0);
        snprintf(last, sizeof last, "%s", item.key);
        kept += atoi(item.key + 1) % 2; /* an odd one */
        name_of(2 * i, name);
        memory_store_remove(memory, name);
        store_item_done(&item);
    }
    assert_int_equal(kept, NAMES / 2);
    list_ahead_free(ahead);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_entries_come_in_order_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_goes_on_behind_a_key, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_workers_nothing_is_asked_that_is_not_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_next_entries_are_asked_for_while_those_at_hand_are_taken, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_taker_does_not_wait_for_a_worker_that_has_not_begun, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_read_ahead_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_ahead_is_told_behind_all_that_came_before_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_that_cannot_be_opened_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_does_not_wait_for_a_question_under_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_before_the_worker_began_leaves_it_nothing_to_ask, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_removed_meanwhile_do_not_shift_the_others, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("list_ahead", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "cache/base/workers.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>

#include "tests/fake/gate.h"
#include "tests/unit/unit.h"

static struct gate gate;
static atomic_int ran;

static int set_up(void **state) {
    (void)state;
    gate_init(&gate);
    atomic_store(&ran, 0);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    gate_done(&gate);
    return 0;
}

static void count(void *argument) {
    (void)argument;
    gate_pass(&gate);
    atomic_fetch_add(&ran, 1);
}

static void all_that_was_accepted_has_run_before_the_pool_is_freed(void **state) {
    (void)state;
    struct workers *workers = workers_new(3, 100);
    for (int i = 0; i < 100; i++)
        assert_true(workers_submit(workers, count, NULL));
    assert_null(workers_free(workers));
    assert_int_equal(atomic_load(&ran), 100);
}

static void a_full_queue_refuses_and_never_blocks(void **state) {
    (void)state;
    struct workers *workers = workers_new(1, 2);
    gate_shut(&gate);
    assert_true(workers_submit(workers, count, NULL));
    gate_await(&gate, 1); /* running, no longer queued */
    assert_true(workers_submit(workers, count, NULL));
    assert_true(workers_submit(workers, count, NULL));
    assert_false(workers_submit(workers, count, NULL));
    workers_check(workers);
    gate_open(&gate);
    workers_free(workers);
    assert_int_equal(atomic_load(&ran), 3);
}

struct order {
    int given[50];
    int count;
};

struct numbered {
    struct order *order;
    int number;
};

static void note_number(void *argument) {
    struct numbered *numbered = argument;
    numbered->order->given[numbered->order->count++] = numbered->number;
}

static void one_thread_runs_tasks_in_the_order_they_came(void **state) {
    (void)state;
    struct order order = {.count = 0};
    struct numbered tasks[50];
    struct workers *workers = workers_new(1, 50);
    for (int i = 0; i < 50; i++) {
        tasks[i] = (struct numbered){&order, i};
        assert_true(workers_submit(workers, note_number, &tasks[i]));
    }
    workers_free(workers);
    for (int i = 0; i < 50; i++)
        assert_int_equal(order.given[i], i);
}

static void as_many_tasks_run_at_once_as_there_are_threads(void **state) {
    (void)state;
    struct workers *workers = workers_new(4, 4);
    gate_shut(&gate);
    for (int i = 0; i < 4; i++)
        assert_true(workers_submit(workers, count, NULL));
    gate_await(&gate, 4);
    gate_open(&gate);
    workers_free(workers);
}

static void look_at_signals(void *argument) {
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    *(int *)argument = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGINT);
}

static void signals_are_left_to_the_main_thread(void **state) {
    (void)state;
    int blocked = 0;
    struct workers *workers = workers_new(1, 1);
    assert_true(workers_submit(workers, look_at_signals, &blocked));
    workers_free(workers);
    assert_true(blocked);
}

static void null_can_be_freed(void **state) {
    (void)state;
    assert_null(workers_free(NULL));
}

static atomic_int times[20];

static void note_piece(void *context, unsigned number) {
    if (context)
        gate_pass(context);
    atomic_fetch_add(&times[number], 1);
}

static void expect_each_once(unsigned count) {
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(atomic_exchange(&times[i], 0), 1);
}

static void shared_work_is_done_once_when_the_call_returns(void **state) {
    (void)state;
    struct workers *workers = workers_new(3, 100);
    for (unsigned count = 0; count <= 20; count++) {
        workers_share(workers, count, note_piece, NULL);
        expect_each_once(count);
    }
    workers_free(workers);
}

static void *share_four(void *workers) {
    workers_share(workers, 4, note_piece, &gate);
    return NULL;
}

static void shared_work_is_done_side_by_side(void **state) {
    (void)state;
    struct workers *workers = workers_new(3, 100);
    pthread_t thread;
    gate_shut(&gate);
    assert_int_equal(pthread_create(&thread, NULL, share_four, workers), 0);
    gate_await(&gate, 4);
    gate_open(&gate);
    pthread_join(thread, NULL);
    expect_each_once(4);
    workers_free(workers);
}

static void shared_work_does_not_wait_for_threads_that_are_busy(void **state) {
    (void)state;
    struct workers *workers = workers_new(1, 2);
    gate_shut(&gate);
    assert_true(workers_submit(workers, count, NULL));
    gate_await(&gate, 1);
    for (int round = 0; round < 3; round++) { /* the queue fills with what finds nothing left to do */
        workers_share(workers, 20, note_piece, NULL);
        expect_each_once(20);
    }
    gate_open(&gate);
    workers_free(workers);
}

static void what_is_submitted_first_runs_before_what_is_queued(void **state) {
    (void)state;
    struct order order = {.count = 0};
    struct numbered tasks[3] = {{&order, 1}, {&order, 2}, {&order, 0}};
    struct workers *workers = workers_new(1, 3);
    gate_shut(&gate);
    assert_true(workers_submit(workers, count, NULL));
    gate_await(&gate, 1);
    assert_true(workers_submit(workers, note_number, &tasks[0]));
    assert_true(workers_submit(workers, note_number, &tasks[1]));
    assert_true(workers_submit_first(workers, note_number, &tasks[2]));
    assert_false(workers_submit_first(workers, note_number, &tasks[2]));
    gate_open(&gate);
    workers_free(workers);
    for (int i = 0; i < 3; i++)
        assert_int_equal(order.given[i], i);
}

static void no_more_than_the_limit_run_at_once(void **state) {
    (void)state;
    struct workers *workers = workers_new(8, 20);
    workers_limit(workers, 2);
    gate_shut(&gate);
    for (int i = 0; i < 20; i++)
        assert_true(workers_submit(workers, count, NULL));
    gate_await(&gate, 2);
    for (int i = 0; i < 1000; i++) { /* the others have every opportunity */
        sched_yield();
        assert_int_equal(gate.waiting, 2);
    }
    workers_limit(workers, 5);
    gate_await(&gate, 5);
    gate_open(&gate);
    workers_free(workers); /* however few may run, all that is queued does */
    assert_int_equal(atomic_load(&ran), 20);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_that_was_accepted_has_run_before_the_pool_is_freed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_queue_refuses_and_never_blocks, set_up, tear_down),
        cmocka_unit_test(one_thread_runs_tasks_in_the_order_they_came),
        cmocka_unit_test_setup_teardown(as_many_tasks_run_at_once_as_there_are_threads, set_up, tear_down),
        cmocka_unit_test(signals_are_left_to_the_main_thread),
        cmocka_unit_test(null_can_be_freed),
        cmocka_unit_test_setup_teardown(shared_work_is_done_once_when_the_call_returns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shared_work_is_done_side_by_side, set_up, tear_down),
        cmocka_unit_test_setup_teardown(shared_work_does_not_wait_for_threads_that_are_busy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_submitted_first_runs_before_what_is_queued, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_more_than_the_limit_run_at_once, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}

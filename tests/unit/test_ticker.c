// SPDX-License-Identifier: Apache-2.0
#include "fs/ticker.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <unistd.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "tests/unit/unit.h"

static atomic_uint ticks, inside, wrong;
static atomic_bool slow;

static void tick(void *context) {
    wrong += context != &ticks || inside++ != 0;
    while (slow)
        usleep(1000);
    inside--;
    ticks++;
}

static void wait_for(const atomic_uint *number, unsigned least) {
    for (int i = 0; atomic_load(number) < least; i++) {
        CHECK(i < 10000);
        usleep(1000);
    }
}

static void it_ticks_once_a_second_until_it_is_stopped(void **state) {
    (void)state;
    int64_t start = clock_now_ms();
    struct ticker *ticker = ticker_new(tick, &ticks);
    assert_non_null(ticker);
    wait_for(&ticks, 2);
    int64_t took = clock_now_ms() - start;
    assert_null(ticker_stop(ticker));
    unsigned ticked = ticks;
    assert_true(took >= 1900);
    usleep(1200000);
    assert_int_equal(ticks, ticked);
    assert_int_equal(wrong, 0);
}

static void it_stops_without_waiting_for_the_second(void **state) {
    (void)state;
    int64_t start = clock_now_ms();
    ticker_stop(ticker_new(tick, &ticks));
    assert_true(clock_now_ms() - start < 900);
    assert_null(ticker_stop(NULL));
}

static void *open_up(void *argument) {
    (void)argument;
    usleep(50000);
    slow = false;
    return NULL;
}

static void stopping_waits_for_a_tick_that_runs(void **state) {
    (void)state;
    pthread_t thread;
    unsigned before = ticks;
    slow = true;
    struct ticker *ticker = ticker_new(tick, &ticks);
    wait_for(&inside, 1);
    assert_int_equal(pthread_create(&thread, NULL, open_up, NULL), 0);
    ticker_stop(ticker);
    assert_int_equal(ticks, before + 1);
    pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_ticks_once_a_second_until_it_is_stopped),
        cmocka_unit_test(it_stops_without_waiting_for_the_second),
        cmocka_unit_test(stopping_waits_for_a_tick_that_runs),
    };
    return cmocka_run_group_tests_name("ticker", tests, NULL, NULL);
}

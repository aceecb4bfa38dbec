// SPDX-License-Identifier: Apache-2.0
#include "cache/base/lock.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static void locks_are_taken_in_rising_rank(void **state) {
    (void)state;
    struct lock locks[LOCK_RANKS];
    for (int rank = 0; rank < LOCK_RANKS; rank++)
        lock_init(&locks[rank], (enum lock_rank)rank);
    for (int round = 0; round < 2; round++) {
        for (int rank = 0; rank < LOCK_RANKS; rank++)
            lock_acquire(&locks[rank]);
        for (int rank = 0; rank < LOCK_RANKS; rank++) /* released in any order */
            lock_release(&locks[rank]);
    }
    for (int rank = 0; rank < LOCK_RANKS; rank++)
        lock_done(&locks[rank]);
}

#ifdef LOCK_DEBUG
/* The signal that ends a process that does this; 0 when it lives. */
static int signal_of(void (*doing)(void)) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        doing();
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void take_lower_after_higher(void) {
    struct lock low, high;
    lock_init(&low, LOCK_TREE);
    lock_init(&high, LOCK_LOG);
    lock_acquire(&high);
    lock_acquire(&low);
}

static void take_two_of_one_rank(void) {
    struct lock one, other;
    lock_init(&one, LOCK_CHUNKS);
    lock_init(&other, LOCK_CHUNKS);
    lock_acquire(&one);
    lock_acquire(&other);
}

static void release_what_is_not_held(void) {
    struct lock lock;
    lock_init(&lock, LOCK_CHUNKS);
    lock_release(&lock);
}
#endif

static void a_lower_rank_under_a_higher_one_aborts_in_debug_builds(void **state) {
    (void)state;
#ifdef LOCK_DEBUG
    assert_int_equal(signal_of(take_lower_after_higher), SIGABRT);
    assert_int_equal(signal_of(take_two_of_one_rank), SIGABRT);
    assert_int_equal(signal_of(release_what_is_not_held), SIGABRT);
#else
    skip();
#endif
}

static void a_wait_ends_when_its_time_is_over(void **state) {
    (void)state;
    struct lock lock;
    struct condition condition;
    lock_init(&lock, LOCK_TREE);
    condition_init(&condition);
    lock_acquire(&lock);
    assert_false(condition_wait_for(&condition, &lock, 1));
    lock_release(&lock);
    condition_done(&condition);
    lock_done(&lock);
}

struct turn {
    struct lock lock;
    struct condition condition;
    bool taken;
};

static void *take_turn(void *argument) {
    struct turn *turn = argument;
    lock_acquire(&turn->lock);
    turn->taken = true;
    condition_broadcast(&turn->condition);
    lock_release(&turn->lock);
    return NULL;
}

static void a_signal_wakes_who_waits(void **state) {
    (void)state;
    struct turn turn = {.taken = false};
    pthread_t thread;
    lock_init(&turn.lock, LOCK_TREE);
    condition_init(&turn.condition);
    lock_acquire(&turn.lock);
    assert_int_equal(pthread_create(&thread, NULL, take_turn, &turn), 0);
    while (!turn.taken)
        assert_true(condition_wait_for(&turn.condition, &turn.lock, 10000));
    lock_release(&turn.lock);
    pthread_join(thread, NULL);
    condition_done(&turn.condition);
    lock_done(&turn.lock);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_are_taken_in_rising_rank),
        cmocka_unit_test(a_lower_rank_under_a_higher_one_aborts_in_debug_builds),
        cmocka_unit_test(a_wait_ends_when_its_time_is_over),
        cmocka_unit_test(a_signal_wakes_who_waits),
    };
    return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Who changes one inode comes after who changes it already, and waits for nobody else. */
#include "unit.h"

#include <pthread.h>
#include <stdatomic.h>

#include "fs/vfs/turns.h"

enum { THREADS = 6, ROUNDS = 2000, OBJECTS = 2 };

static struct turns turns;
static int objects[OBJECTS];
static int counts[OBJECTS]; /* by whoever has the turn, and no lock else */
static atomic_int inside[OBJECTS], most;

static void *take_turns(void *argument) {
    uintptr_t first = (uintptr_t)argument;
    for (int round = 0; round < ROUNDS; round++) {
        struct turn turn;
        size_t which = (first + (size_t)round) % OBJECTS;
        turns_begin(&turns, &turn, &objects[which]);
        int now = atomic_fetch_add(&inside[which], 1) + 1;
        if (now > atomic_load(&most))
            atomic_store(&most, now);
        counts[which]++;
        atomic_fetch_sub(&inside[which], 1);
        turns_end(&turns, &turn);
    }
    return NULL;
}

static void test_one_at_a_time_has_the_turn(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    turns_init(&turns);
    for (uintptr_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take_turns, (void *)i), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&most), 1);
    assert_int_equal(counts[0] + counts[1], THREADS * ROUNDS);
    turns_done(&turns);
}

static void test_who_changes_another_object_does_not_wait(void **state) {
    (void)state;
    struct turn one, other;
    turns_init(&turns);
    turns_begin(&turns, &one, &objects[0]);
    turns_begin(&turns, &other, &objects[1]); /* would wait for ever */
    turns_end(&turns, &one);
    turns_begin(&turns, &one, &objects[0]);
    turns_end(&turns, &other);
    turns_end(&turns, &one);
    turns_done(&turns);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_at_a_time_has_the_turn),
        cmocka_unit_test(test_who_changes_another_object_does_not_wait),
    };
    return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}

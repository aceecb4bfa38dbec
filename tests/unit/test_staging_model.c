// SPDX-License-Identifier: Apache-2.0
/* Staged files under anything: against an array, and by many threads. */
#include "cache/staging.h"

#include <pthread.h>
#include <string.h>

#include "cache/base/stats.h"
#include "cache/blocks.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/staging_bench.h"

static uint64_t throw_below(void *context, uint64_t limit) {
    return dice_below(context, limit);
}

static void anything_done_is_what_it_does_to_an_array(void **state) {
    (void)state;
    static const struct {
        int64_t most;
        size_t share;
        int steps;
        unsigned full_per_mille;
    } runs[] = {
        {3000, 0, 8000, 0},        {3000, 2 * BLOCK_COST, 8000, 0},        {20000, 0, 4000, 100},
        {600 * KIB, 0, 3000, 0},   {600 * KIB, 3 * BLOCK_COST, 6000, 0},   {600 * KIB, 3 * BLOCK_COST, 3000, 300},
        {3 * MIB, 9 * BLOCK_COST, 1500, 0}, {3 * MIB, 9 * BLOCK_COST, 1500, 100},
    };
    struct dice dice = dice_new("staging");
    for (unsigned i = 0; i < sizeof runs / sizeof *runs; i++) {
        struct bench *bench = bench_new(runs[i].share);
        struct model_numbers numbers = {.context = &dice, .below = throw_below};
        struct staged_model *model = staged_model_new(bench->staging, runs[i].most, numbers);
        uint64_t spilled = stats_get(STAT_spilled_bytes);
        atomic_store(&fake_disk.full_per_mille, runs[i].full_per_mille);
        for (int step = 0; step < runs[i].steps; step++) {
            staged_model_step(model);
            if (step % 50 == 0)
                staged_model_compare(model);
        }
        staged_model_compare(model);
        atomic_store(&fake_disk.full_per_mille, 0);
        fprintf(stderr, "up to %lld bytes in %zu: %llu bytes spilled, %llu writes refused\n", (long long)runs[i].most,
                runs[i].share, (unsigned long long)(stats_get(STAT_spilled_bytes) - spilled),
                (unsigned long long)model->refused);
        staged_model_free(model);
        bench_done(bench);
    }
}

/* Files that many threads write, read and publish. What is written is a cell of one byte, so that a reader can tell
 * what no moment had. */
enum { CELL = 5000, CELLS = 150, TOGETHER = 3 };

struct together {
    struct bench *bench;
    struct staged *files[TOGETHER];
    pthread_rwlock_t publishing; /* nobody writes meanwhile: the caller's affair */
    atomic_bool over;
};

struct member {
    struct together *together;
    struct dice dice;
    pthread_t thread;
};

static void *write_cells(void *argument) {
    struct member *member = argument;
    unsigned char cell[CELL];
    for (int i = 0; i < 3000; i++) {
        struct staged *staged = member->together->files[dice_below(&member->dice, TOGETHER)];
        int64_t offset = (int64_t)dice_below(&member->dice, CELLS) * CELL;
        memset(cell, (int)dice_below(&member->dice, 256), sizeof cell);
        pthread_rwlock_rdlock(&member->together->publishing);
        if (dice_below(&member->dice, 10))
            assert_int_equal(staged_write(staged, offset, cell, sizeof cell), 0);
        else
            assert_int_equal(staged_punch(staged, offset, sizeof cell), 0);
        pthread_rwlock_unlock(&member->together->publishing);
    }
    return NULL;
}

static void *read_cells(void *argument) {
    struct member *member = argument;
    unsigned char cell[CELL];
    while (!atomic_load(&member->together->over)) {
        struct staged *staged = member->together->files[dice_below(&member->dice, TOGETHER)];
        int64_t offset = (int64_t)dice_below(&member->dice, CELLS) * CELL;
        assert_int_equal(staged_read(staged, offset, sizeof cell, cell), sizeof cell);
        assert_memory_equal(cell, cell + 1, sizeof cell - 1);
        staged_check(staged);
        (void)staged_seek(staged, offset, true);
        (void)staged_is_clean(staged, offset, sizeof cell);
        assert_true(staged_allocated(staged) <= CELL * CELLS);
    }
    return NULL;
}

static void *publish(void *argument) {
    struct member *member = argument;
    unsigned char *bytes = malloc(CELL * CELLS);
    while (!atomic_load(&member->together->over)) {
        struct staged *staged = member->together->files[dice_below(&member->dice, TOGETHER)];
        pthread_rwlock_wrlock(&member->together->publishing);
        assert_int_equal(staged_read(staged, 0, CELL * CELLS, bytes), CELL * CELLS);
        struct model_base *base = model_base_new(bytes, CELL * CELLS);
        struct staged_base as_base = model_base_of(base);
        staged_rebase(staged, &as_base);
        model_base_unref(base);
        pthread_rwlock_unlock(&member->together->publishing);
        usleep(2000);
    }
    free(bytes);
    return NULL;
}

static void many_threads_may_do_all_of_it_at_once(void **state) {
    (void)state;
    static void *(*const tasks[])(void *argument) = {write_cells, write_cells, write_cells, read_cells, read_cells,
                                                     publish};
    enum { MEMBERS = sizeof tasks / sizeof *tasks, WRITERS = 3 };
    struct dice dice = dice_new("staging, threads");
    struct together together = {.bench = bench_new(4 * BLOCK_COST)};
    struct member members[MEMBERS];
    pthread_rwlock_init(&together.publishing, NULL);
    for (int i = 0; i < TOGETHER; i++) {
        together.files[i] = file_over(together.bench, NULL);
        assert_int_equal(staged_truncate(together.files[i], CELL * CELLS), 0);
    }
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (struct member){.together = &together, .dice = {.state = dice_throw(&dice)}};
        assert_int_equal(pthread_create(&members[i].thread, NULL, tasks[i], &members[i]), 0);
    }
    for (int i = 0; i < MEMBERS; i++) {
        pthread_join(members[i].thread, NULL);
        if (i + 1 == WRITERS)
            atomic_store(&together.over, true);
    }
    for (int i = 0; i < TOGETHER; i++)
        staged_free(together.files[i]);
    pthread_rwlock_destroy(&together.publishing);
    bench_done(together.bench);
}

static void *come_and_go(void *argument) {
    struct member *member = argument;
    for (int i = 0; i < 300; i++) {
        struct staged *staged = file_over(member->together->bench, NULL);
        int byte = (int)dice_below(&member->dice, 256);
        size_t size = 1 + (size_t)dice_below(&member->dice, 2 * BLOCK_BYTES);
        write_filled(staged, 0, size, byte);
        assert_filled(staged, 0, size, byte);
        staged_free(staged);
    }
    return NULL;
}

static void files_may_go_while_others_make_room(void **state) {
    (void)state;
    enum { MEMBERS = 4 };
    struct dice dice = dice_new("staging, coming and going");
    struct together together = {.bench = bench_new(3 * BLOCK_COST)};
    struct member members[MEMBERS];
    for (int i = 0; i < MEMBERS; i++) {
        members[i] = (struct member){.together = &together, .dice = {.state = dice_throw(&dice)}};
        assert_int_equal(pthread_create(&members[i].thread, NULL, come_and_go, &members[i]), 0);
    }
    for (int i = 0; i < MEMBERS; i++)
        pthread_join(members[i].thread, NULL);
    bench_done(together.bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(anything_done_is_what_it_does_to_an_array),
        cmocka_unit_test(many_threads_may_do_all_of_it_at_once),
        cmocka_unit_test(files_may_go_while_others_make_room),
    };
    return cmocka_run_group_tests_name("staging_model", tests, NULL, NULL);
}

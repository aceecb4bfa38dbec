// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/file.h"

#include <pthread.h>
#include <unistd.h>

#include "cache/base/check.h"
#include "tests/unit/unit.h"

static char folder[] = "/tmp/gridmount-unit-XXXXXX";
static struct budget budget;
static struct staging *staging;
static struct file *file;

static int set_up(void **state) {
    (void)state;
    struct staged_base nothing = {0};
    file = file_new(staging, &nothing, NULL, 0);
    return file ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    file = file_unref(file);
    return staging_used(staging) == 0 ? 0 : -1;
}

/* A thread that goes in, and out again when it is told to. */
struct visitor {
    pthread_t thread;
    void (*enter)(struct file *file);
    void (*leave)(struct file *file);
    atomic_bool inside, go;
};

static void wait_until(atomic_bool *flag) {
    for (int i = 0; !atomic_load(flag); i++) {
        CHECK(i < 10000);
        usleep(1000);
    }
}

static void *visit(void *argument) {
    struct visitor *visitor = argument;
    visitor->enter(file);
    visitor->inside = true;
    wait_until(&visitor->go);
    visitor->inside = false;
    visitor->leave(file);
    return NULL;
}

static void start(struct visitor *visitor) {
    assert_int_equal(pthread_create(&visitor->thread, NULL, visit, visitor), 0);
}

static void let_go(struct visitor *visitor) {
    visitor->go = true;
    pthread_join(visitor->thread, NULL);
}

static void expect_outside(const struct visitor *visitor) {
    usleep(20000);
    assert_false(visitor->inside);
}

#define WRITER {.enter = file_enter, .leave = file_leave}
#define PUBLICATION {.enter = file_begin_publishing, .leave = file_end_publishing}

static void writers_do_not_exclude_writers(void **state) {
    (void)state;
    struct visitor one = WRITER, other = WRITER;
    start(&one);
    wait_until(&one.inside);
    start(&other);
    wait_until(&other.inside);
    let_go(&one);
    let_go(&other);
}

static void a_publication_waits_for_writers_and_lets_no_further_ones_in(void **state) {
    (void)state;
    struct visitor writer = WRITER, publication = PUBLICATION, late = WRITER;
    start(&writer);
    wait_until(&writer.inside);
    start(&publication);
    expect_outside(&publication);
    start(&late); /* else writers who take turns would keep a publication waiting for ever */
    expect_outside(&late);
    let_go(&writer);
    wait_until(&publication.inside);
    expect_outside(&late);
    let_go(&publication);
    wait_until(&late.inside);
    let_go(&late);
}

static void publications_exclude_each_other(void **state) {
    (void)state;
    struct visitor one = PUBLICATION, other = PUBLICATION;
    start(&one);
    wait_until(&one.inside);
    start(&other);
    expect_outside(&other);
    let_go(&one);
    wait_until(&other.inside);
    let_go(&other);
}

enum { THREADS = 4, ROUNDS = 2000 };

static atomic_int writing, publishing, wrong;

static void *come_and_go(void *argument) {
    bool publishes = argument != NULL;
    for (int i = 0; i < ROUNDS; i++) {
        if (publishes) {
            file_begin_publishing(file);
            wrong += publishing++ != 0 || writing != 0;
            publishing--;
            file_end_publishing(file);
        } else {
            file_enter(file);
            writing++;
            wrong += publishing != 0;
            writing--;
            file_leave(file);
        }
    }
    return NULL;
}

static void they_exclude_each_other_however_many_come(void **state) {
    (void)state;
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, i % 2 ? file : NULL), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(wrong, 0);
}

static void a_lease_is_given_once(void **state) {
    (void)state;
    struct store_lease *lease = (struct store_lease *)(void *)&budget; /* never looked into */
    assert_null(file_steal_lease(file));
    file_set_lease(file, lease);
    assert_ptr_equal(file_steal_lease(file), lease);
    assert_null(file_steal_lease(file));
    file_set_lease(file, NULL); /* a file that was not claimed */
    file_set_lease(file, lease);
    assert_ptr_equal(file_steal_lease(file), lease);
}

static void the_last_reference_drops_what_was_written(void **state) {
    (void)state;
    struct file *again = file_ref(file);
    assert_int_equal(staged_write(file_staged(file), 0, "text", 4), 0);
    file = file_unref(file);
    assert_null(file);
    assert_int_equal(staged_length(file_staged(again)), 4);
    assert_true(staging_used(staging) > 0);
    assert_null(file_unref(again));
    assert_int_equal(staging_used(staging), 0);
    assert_null(file_unref(NULL));
}

static void its_holes_are_those_of_its_base(void **state) {
    (void)state;
    static const struct hole holes[] = {{.offset = 10, .length = 20}};
    struct staged_base nothing = {0};
    struct file *sparse = file_new(staging, &nothing, holes, 1);
    assert_int_equal(staged_allocated(file_staged(sparse)), 0); /* what is beyond its end is passed over */
    file_unref(sparse);
}

static int make_staging(void **state) {
    (void)state;
    budget_init(&budget, 1 << 20);
    return mkdtemp(folder) ? staging_new(&budget, 1 << 20, folder, &staging) : -1;
}

static int remove_staging(void **state) {
    (void)state;
    staging_free(staging);
    return rmdir(folder);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(writers_do_not_exclude_writers),
        TEST(a_publication_waits_for_writers_and_lets_no_further_ones_in),
        TEST(publications_exclude_each_other),
        TEST(they_exclude_each_other_however_many_come),
        TEST(a_lease_is_given_once),
        TEST(the_last_reference_drops_what_was_written),
        TEST(its_holes_are_those_of_its_base),
    };
    return cmocka_run_group_tests_name("file", tests, make_staging, remove_staging);
}

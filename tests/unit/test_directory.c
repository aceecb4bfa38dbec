// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/directory.h"

#include <errno.h>
#include <string.h>

#include "tests/fake/faulty_store.h"
#include "tests/fake/memory_store.h"
#include "tests/unit/unit.h"

static struct workers *workers; /* NULL: nothing is read ahead */

static int start_workers(void **state) {
    (void)state;
    workers = workers_new(2, 8);
    return workers ? 0 : -1;
}

/* They end before the store does, as in a mount. */
static void stop_reading_ahead(void) {
    if (workers) {
        workers_free(workers);
        workers = workers_new(2, 8);
    }
}

static int stop_workers(void **state) {
    (void)state;
    workers = workers_free(workers);
    return 0;
}

/* A bucket behind a faulty store, and one of its directories open. */
struct bench {
    struct memory_store *memory;
    struct faulty_store faulty;
    struct directory *directory;
};

static struct bench *bench_new(const char *path) {
    struct bench *bench = calloc(1, sizeof *bench);
    bench->memory = memory_store_new("fs");
    faulty_store_init(&bench->faulty, memory_store_store(bench->memory));
    bench->directory = directory_new(&bench->faulty.store, path, workers);
    return bench;
}

static void bench_done(struct bench *bench) {
    directory_free(bench->directory);
    stop_reading_ahead();
    faulty_store_done(&bench->faulty);
    memory_store_free(bench->memory);
    free(bench);
}

static void put(struct bench *bench, const char *path) {
    memory_store_put(bench->memory, path, "x", 1, 10);
}

static void number_name(char name[16], unsigned number) {
    snprintf(name, 16, "n%06u", number);
}

static void put_numbers(struct bench *bench, unsigned from, unsigned until) {
    char name[16];
    for (; from < until; from++) {
        number_name(name, from);
        put(bench, name);
    }
}

static void remove_numbers(struct bench *bench, unsigned from, unsigned until) {
    char name[16];
    for (; from < until; from++) {
        number_name(name, from);
        assert_true(memory_store_remove(bench->memory, name));
    }
}

/* The key at or behind *position, which moves behind it; NULL at the end. */
static const char *next_key(struct bench *bench, uint64_t *position) {
    struct store_item *item;
    uint64_t found;
    int result = directory_get(bench->directory, *position, &found, &item);
    assert_in_range(result, 0, 1);
    if (!result)
        return NULL;
    assert_true(found >= *position);
    *position = found + 1;
    return item->key;
}

static void expect_numbers(struct bench *bench, uint64_t *position, unsigned from, unsigned until) {
    char name[16];
    for (; from < until; from++) {
        number_name(name, from);
        const char *key = next_key(bench, position);
        assert_non_null(key);
        assert_string_equal(key, name);
    }
}

static void expect_end(struct bench *bench, uint64_t position) {
    assert_null(next_key(bench, &position));
}

static void entries_come_sorted_directories_as_if_they_ended_in_a_slash(void **state) {
    (void)state;
    static const char *const expected[] = {"a", "b.txt", "b/", "b0", "c/", "d"};
    struct bench *bench = bench_new("");
    static const char *const paths[] = {"d", "b/x", "b/y/z", "b0", "a", "b.txt"};
    for (unsigned i = 0; i < sizeof paths / sizeof *paths; i++)
        put(bench, paths[i]);
    memory_store_node(bench->memory, "c", STORE_DIRECTORY, NULL);
    uint64_t position = 0;
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_string_equal(next_key(bench, &position), expected[i]);
    expect_end(bench, position);
    bench_done(bench);
}

static void a_directory_shows_what_is_in_it_only(void **state) {
    (void)state;
    struct bench *bench = bench_new("b/y");
    put(bench, "b/y/1");
    put(bench, "b/y/2/3");
    put(bench, "b/yy");
    put(bench, "b/x");
    memory_store_node(bench->memory, "b/y", STORE_DIRECTORY, NULL);
    uint64_t position = 0;
    assert_string_equal(next_key(bench, &position), "1");
    assert_string_equal(next_key(bench, &position), "2/");
    expect_end(bench, position);
    bench_done(bench);
}

static void an_empty_directory_ends_at_once(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    expect_end(bench, 0);
    expect_end(bench, 0);
    bench_done(bench);
}

static void an_entry_has_its_kind_and_revision(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    struct store_item *item;
    uint64_t position;
    put(bench, "file");
    memory_store_node(bench->memory, "link", STORE_SYMLINK, "file");
    assert_int_equal(directory_get(bench->directory, 0, &position, &item), 1);
    assert_int_equal(item->entry.kind, STORE_FILE);
    assert_int_equal(item->entry.revision->length, 1);
    assert_int_equal(directory_get(bench->directory, 1, &position, &item), 1);
    assert_int_equal(item->entry.kind, STORE_SYMLINK);
    assert_string_equal(item->entry.target, "file");
    bench_done(bench);
}

static void asking_for_a_position_again_asks_nobody(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 100);
    uint64_t position = 0;
    expect_numbers(bench, &position, 0, 100);
    unsigned opens = atomic_load(&bench->faulty.calls[FAULTY_LIST_OPEN]);
    position = 50;
    expect_numbers(bench, &position, 50, 100);
    assert_int_equal(atomic_load(&bench->faulty.calls[FAULTY_LIST_OPEN]), opens);
    bench_done(bench);
}

static void a_seek_back_beyond_the_window_finds_the_same_entries(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 7000);
    uint64_t position = 0;
    expect_numbers(bench, &position, 0, 7000);
    expect_end(bench, position);
    static const unsigned starts[] = {6999, 10, 0, 4000, 1};
    for (unsigned i = 0; i < sizeof starts / sizeof *starts; i++) {
        position = starts[i];
        expect_numbers(bench, &position, starts[i], 7000);
        expect_end(bench, position);
    }
    bench_done(bench);
}

static void all_that_stays_is_listed_once_while_each_is_deleted_behind_the_reader(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 5000);
    uint64_t position = 0;
    for (unsigned number = 0; number < 5000; number++) {
        expect_numbers(bench, &position, number, number + 1);
        remove_numbers(bench, number, number + 1);
    }
    expect_end(bench, position);
    bench_done(bench);
}

static void positions_stay_when_names_before_them_are_deleted(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 5000);
    uint64_t position = 0;
    expect_numbers(bench, &position, 0, 5000);
    remove_numbers(bench, 0, 100);
    position = 50;
    expect_numbers(bench, &position, 100, 5000);
    position = 100;
    expect_numbers(bench, &position, 100, 101);
    bench_done(bench);
}

static void more_deletions_than_the_window_holds_are_skipped(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 9000);
    uint64_t position = 0;
    expect_numbers(bench, &position, 0, 9000);
    remove_numbers(bench, 5, 8000);
    position = 0;
    expect_numbers(bench, &position, 0, 5);
    expect_numbers(bench, &position, 8000, 9000);
    expect_end(bench, position);
    remove_numbers(bench, 8000, 9000);
    position = 3;
    expect_numbers(bench, &position, 3, 5);
    expect_end(bench, position);
    bench_done(bench);
}

static void a_name_that_appears_behind_the_reader_is_not_shown_one_ahead_is(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 10, 20);
    uint64_t position = 0;
    expect_numbers(bench, &position, 10, 15);
    put(bench, "a");
    put(bench, "n000012x");
    put(bench, "z");
    expect_numbers(bench, &position, 15, 20);
    assert_string_equal(next_key(bench, &position), "z");
    expect_end(bench, position);
    bench_done(bench);
}

static void an_error_in_mid_list_is_told_and_the_next_call_goes_on(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    struct store_item *item;
    uint64_t position = 0, found;
    put_numbers(bench, 0, 100);
    expect_numbers(bench, &position, 0, 40);
    faulty_store_fail(&bench->faulty, FAULTY_LIST_NEXT, 1, -ETIMEDOUT);
    assert_int_equal(directory_get(bench->directory, position, &found, &item), -ETIMEDOUT);
    faulty_store_fail(&bench->faulty, FAULTY_LIST_OPEN, 1, -EIO);
    assert_int_equal(directory_get(bench->directory, position, &found, &item), -EIO);
    expect_numbers(bench, &position, 40, 100);
    expect_end(bench, position);
    bench_done(bench);
}

static void an_error_while_seeking_back_loses_no_position(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    struct store_item *item;
    uint64_t position = 0, found;
    put_numbers(bench, 0, 6000);
    expect_numbers(bench, &position, 0, 6000);
    faulty_store_fail(&bench->faulty, FAULTY_LIST_NEXT, 100, -EIO);
    position = 10;
    expect_numbers(bench, &position, 10, 109);
    assert_int_equal(directory_get(bench->directory, position, &found, &item), -EIO);
    expect_numbers(bench, &position, 109, 6000);
    expect_end(bench, position);
    bench_done(bench);
}

static void a_file_shadowed_by_a_directory_is_listed_once(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put(bench, "a");
    put(bench, "a.b");
    put(bench, "a/x");
    put(bench, "b");
    uint64_t position = 0;
    assert_string_equal(next_key(bench, &position), "a");
    assert_string_equal(next_key(bench, &position), "a.b");
    assert_string_equal(next_key(bench, &position), "b");
    expect_end(bench, position);
    struct store_item *item;
    assert_int_equal(directory_get(bench->directory, 0, &position, &item), 1);
    assert_int_equal(item->entry.kind, STORE_DIRECTORY);
    bench_done(bench);
}

static void rewinding_shows_what_is_there_now(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 3000);
    uint64_t position = 0;
    expect_numbers(bench, &position, 0, 3000);
    remove_numbers(bench, 0, 2990);
    put(bench, "a");
    assert_int_equal(directory_begin(bench->directory, NULL), 0);
    position = 0;
    assert_string_equal(next_key(bench, &position), "a");
    expect_numbers(bench, &position, 2990, 3000);
    assert_int_equal(position, 11);
    expect_end(bench, position);
    bench_done(bench);
}

static void a_position_that_was_never_given_out_is_the_end(void **state) {
    (void)state;
    struct bench *bench = bench_new("");
    put_numbers(bench, 0, 10);
    expect_end(bench, 5000);
    expect_end(bench, UINT64_MAX);
    bench_done(bench);
}

static void a_directory_of_fixed_names_has_no_store(void **state) {
    (void)state;
    char **names = calloc(3, sizeof *names);
    names[0] = strdup("id/");
    names[1] = strdup("status");
    struct directory *directory = directory_of_names(names);
    struct store_item *item;
    uint64_t position;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(directory_get(directory, 0, &position, &item), 1);
        assert_string_equal(item->key, "id/");
        assert_int_equal(item->entry.kind, STORE_DIRECTORY);
        assert_int_equal(directory_get(directory, 1, &position, &item), 1);
        assert_string_equal(item->key, "status");
        assert_int_equal(item->entry.kind, STORE_FILE);
        assert_int_equal(directory_get(directory, 2, &position, &item), 0);
        assert_int_equal(directory_begin(directory, NULL), 0);
    }
    assert_null(directory_free(directory));
}

enum { NAMES = 6000 };

/* Puts a name that is not there, removes one that is. */
static void turn(struct bench *bench, bool there[NAMES], unsigned number) {
    if (there[number])
        remove_numbers(bench, number, number + 1);
    else
        put_numbers(bench, number, number + 1);
    there[number] = !there[number];
}

/* Random reads, seeks, deletions, additions and errors, against the positions that were given out. */
static void a_position_means_one_name_whatever_happens(void **state) {
    (void)state;
    struct dice dice = dice_new("directory");
    struct bench *bench = bench_new("");
    static bool there[NAMES];
    static int name_at[NAMES + 1];
    memset(there, 0, sizeof there);
    for (unsigned i = 1; i < NAMES; i += 2)
        turn(bench, there, i);
    uint64_t position = 0, given = 0; /* positions below `given` were given out: name_at[] */
    for (int step = 0; step < 30000; step++) {
        unsigned number = (unsigned)dice_below(&dice, NAMES);
        uint64_t deed = dice_below(&dice, 2000);
        if (deed < (there[number] ? 300 : 20))
            turn(bench, there, number);
        else if (deed > 1996)
            position = dice_below(&dice, given + 1);
        else if (deed > 1990)
            faulty_store_fail(&bench->faulty, FAULTY_LIST_NEXT, 1 + (unsigned)dice_below(&dice, 50), -EIO);
        struct store_item *item;
        uint64_t found;
        int result = directory_get(bench->directory, position, &found, &item);
        if (result <= 0) {
            position = result < 0 ? position : 0;
            continue;
        }
        int shown = atoi(item->key + 1);
        assert_true(found >= position && found <= given);
        if (found < given)
            assert_int_equal(name_at[found], shown);
        else
            name_at[given++] = shown;
        position = found + 1;
    }
    for (uint64_t i = 1; i < given; i++)
        assert_true(name_at[i - 1] < name_at[i]);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_sorted_directories_as_if_they_ended_in_a_slash),
        cmocka_unit_test(a_directory_shows_what_is_in_it_only),
        cmocka_unit_test(an_empty_directory_ends_at_once),
        cmocka_unit_test(an_entry_has_its_kind_and_revision),
        cmocka_unit_test(asking_for_a_position_again_asks_nobody),
        cmocka_unit_test(a_name_that_appears_behind_the_reader_is_not_shown_one_ahead_is),
        cmocka_unit_test(an_error_in_mid_list_is_told_and_the_next_call_goes_on),
        cmocka_unit_test(an_error_while_seeking_back_loses_no_position),
        cmocka_unit_test(a_file_shadowed_by_a_directory_is_listed_once),
        cmocka_unit_test(a_directory_of_fixed_names_has_no_store),
    };
    const struct CMUnitTest either_way[] = {
        cmocka_unit_test(a_seek_back_beyond_the_window_finds_the_same_entries),
        cmocka_unit_test(all_that_stays_is_listed_once_while_each_is_deleted_behind_the_reader),
        cmocka_unit_test(positions_stay_when_names_before_them_are_deleted),
        cmocka_unit_test(more_deletions_than_the_window_holds_are_skipped),
        cmocka_unit_test(rewinding_shows_what_is_there_now),
        cmocka_unit_test(a_position_that_was_never_given_out_is_the_end),
        cmocka_unit_test(a_position_means_one_name_whatever_happens),
    };
    return cmocka_run_group_tests_name("directory", tests, NULL, NULL) +
           cmocka_run_group_tests_name("directory, as asked for", either_way, NULL, NULL) +
           cmocka_run_group_tests_name("directory, read ahead", either_way, start_workers, stop_workers);
}

// SPDX-License-Identifier: Apache-2.0
/* gridmount warm: its command line, what it shows, and who does what next. */
#include "fs/tools/warm.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "fs/tools/member.h"
#include "fs/tools/warm_list.h"
#include "fs/tools/warm_progress.h"
#include "tests/unit/unit.h"

/* ---- the command line ---- */

static struct warm_request request;

static int parse(unsigned count, const char *const *words, char **ret_error) {
    char *arguments[8] = {(char *)"warm"};
    for (unsigned i = 0; i < count; i++)
        arguments[i + 1] = (char *)words[i];
    *ret_error = NULL;
    int result = warm_parse((int)count + 1, arguments, &request, ret_error);
    for (unsigned i = 0; result == 0 && i < request.count; i++)
        assert_string_equal(request.paths[i], i ? "b" : "a");
    return result;
}

#define WORDS(...) sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__}

static void words_are_taken_in_any_order(void **state) {
    (void)state;
    char *error;
    assert_int_equal(parse(WORDS("a"), &error), 0);
    assert_int_equal(request.count, 1);
    assert_in_range(request.jobs, 1, WARM_JOBS_MOST);
    assert_false(request.verify || request.json);
    assert_int_equal(parse(WORDS("a", "--verify", "--jobs", "7", "b", "--json"), &error), 0);
    assert_int_equal(request.count, 2);
    assert_int_equal(request.jobs, 7);
    assert_true(request.verify && request.json);
    assert_int_equal(parse(WORDS("--jobs=64", "--", "a"), &error), 0);
    assert_int_equal(request.jobs, 64);
}

static void wrong_words_are_refused_in_one_line(void **state) {
    (void)state;
    static const char *const wrong[][2] = {{"--jobs", "a"},   {"--jobs=0", "a"},    {"--jobs=65", "a"}, {"--jobs=-1", "a"},
                                           {"--jobs=4x", "a"}, {"--jobs= 4", "a"},  {"--jobs=", "a"},   {"--unknown", "a"},
                                           {"a", "--jobs"},    {"--json=yes", "a"}, {"--verify", "--json"}};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        char *error;
        if (parse(2, wrong[i], &error) != -EINVAL || !error || strchr(error, '\n'))
            fail_msg("%s %s was not refused", wrong[i][0], wrong[i][1]);
        free(error);
    }
}

/* ---- what it shows ---- */

static char text[512];

static FILE *begin_text(void) {
    memset(text, 0, sizeof text);
    return fmemopen(text, sizeof text - 1, "w");
}

static void times_are_shown_in_units_that_suit_them(void **state) {
    (void)state;
    static const struct {
        int64_t seconds;
        const char *text;
    } cases[] = {{0, "0 s"},
                 {59, "59 s"},
                 {60, "1 min 00 s"},
                 {3599, "59 min 59 s"},
                 {3600, "1 h 00 min"},
                 {90061, "25 h 01 min"},
                 {INT64_MAX, "over 100 days"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        FILE *out = begin_text();
        warm_put_duration(out, cases[i].seconds);
        fclose(out);
        assert_string_equal(text, cases[i].text);
    }
}

static void the_rate_is_that_of_the_last_ten_seconds(void **state) {
    (void)state;
    struct warm_rate rate = {0};
    assert_int_equal(warm_rate_get(&rate, 5, 5), -1);
    warm_rate_note(&rate, 1000, 0);
    assert_int_equal(warm_rate_get(&rate, 1000, 0), -1);
    assert_int_equal(warm_rate_get(&rate, 1500, 100), 200);
    for (int64_t second = 1; second <= 20; second++) /* slow, then quick */
        for (int part = 0; part < 5; part++)
            warm_rate_note(&rate, 1000 + second * 1000 + part, second <= 10 ? second : 10 + (second - 10) * 1000);
    assert_int_equal(warm_rate_get(&rate, 21000, 10010), 1000);
    assert_int_equal(warm_rate_get(&rate, 31000, 10010), 500); /* it has stopped */
    assert_int_equal(warm_rate_get(&rate, 21000, 0), -1);      /* something is read anew */
}

static void the_time_left_is_known_when_the_sum_is(void **state) {
    (void)state;
    struct warm_figures figures = {.bytes = 100, .of_bytes = 1000, .rate = 200, .complete = true};
    assert_int_equal(warm_seconds_left(&figures), 5);
    figures.rate = 0;
    assert_int_equal(warm_seconds_left(&figures), -1);
    figures.rate = -1;
    assert_int_equal(warm_seconds_left(&figures), -1);
    figures.bytes = 1200; /* files have grown */
    assert_int_equal(warm_seconds_left(&figures), 0);
    figures.complete = false;
    assert_int_equal(warm_seconds_left(&figures), -1);
}

static void progress_is_one_line(void **state) {
    (void)state;
    struct warm_figures figures = {.files = 3, .of_files = 10, .bytes = 3 << 20, .of_bytes = 10 << 20, .rate = -1,
                                   .seconds_left = -1};
    FILE *out = begin_text();
    warm_put_progress(out, &figures);
    fclose(out);
    assert_string_equal(text, "3 of 10+ files, 3.0 MiB of 10.0 MiB");
    figures.complete = true;
    figures.rate = 1 << 20;
    figures.seconds_left = 7;
    figures.failed = 1;
    figures.mismatched = 2;
    figures.gone = 3;
    out = begin_text();
    warm_put_progress(out, &figures);
    fclose(out);
    assert_string_equal(text, "3 of 10 files, 3.0 MiB of 10.0 MiB, 1.0 MiB/s, 7 s left, 3 removed meanwhile, 1 failed, "
                              "2 not as recorded");
}

static void the_sum_tells_what_was_compared(void **state) {
    (void)state;
    struct warm_figures figures = {.files = 3, .of_files = 3, .bytes = 12, .of_bytes = 12, .complete = true};
    FILE *out = begin_text();
    warm_put_sum(out, &figures, 2, false);
    fclose(out);
    assert_string_equal(text, "3 of 3 files, 12 bytes, in 2 s\n");
    figures.verified = 2;
    figures.unknown = 1;
    out = begin_text();
    warm_put_sum(out, &figures, 2, true);
    fclose(out);
    assert_string_equal(text, "interrupted: 3 of 3 files, 12 bytes, in 2 s, 2 as recorded, 1 without a record; run it again "
                              "to go on\n");
}

static void json_says_null_of_what_is_not_known(void **state) {
    (void)state;
    struct warm_figures figures = {.files = 1, .rate = -1, .seconds_left = 9};
    FILE *out = begin_text();
    warm_put_json(out, &figures);
    fclose(out);
    assert_string_equal(text, ",\"files\":1,\"bytes\":0,\"of_files\":0,\"of_bytes\":0,\"complete\":false,\"failed\":0,"
                              "\"gone\":0,\"verified\":0,\"mismatched\":0,\"without_record\":0,\"bytes_per_second\":null,"
                              "\"seconds_left\":9");
}

static void members_of_the_status_are_found(void **state) {
    (void)state;
    static const char json[] = "{\"path\":\"a\\\"pid\\\":9\",\"pid\":17,\"dir\":\"/x\",\"odd\":\"a\\\\b\"}";
    assert_int_equal(member_number(json, "\"pid\":"), 17);
    assert_int_equal(member_number(json, "\"none\":"), 0);
    char *found = member_string(json, "\"dir\":\"");
    assert_string_equal(found, "/x");
    free(found);
    assert_null(member_string(json, "\"odd\":\""));
    assert_null(member_string(json, "\"none\":\""));
}

/* ---- who does what next ---- */

static struct warm_mount mount = {.room = 100};

static bool add(struct warm_list *list, const char *directory, const char *file, int64_t size) {
    struct warm_queue directories = {0}, files = {0};
    if (directory)
        warm_queue_add(&directories, warm_item_new(&mount, directory, "", 0));
    if (file)
        warm_queue_add(&files, warm_item_new(&mount, "d", file, size));
    return warm_list_add(list, &directories, &files);
}

static struct warm_item *taken(struct warm_list *list, enum warm_kind kind, const char *path) {
    struct warm_item *item;
    assert_int_equal(warm_list_take(list, &item), kind);
    assert_string_equal(item->path, path);
    return item;
}

static void one_job_lists_while_the_others_read(void **state) {
    (void)state;
    struct warm_list *list = warm_list_new();
    struct warm_item *item, *one, *two, *three;
    mount.bytes = 0;
    add(list, "one", NULL, 0);
    add(list, "two", "file", 5);
    add(list, "three", NULL, 0);
    assert_false(warm_list_sum(list).complete);
    one = taken(list, WARM_DIRECTORY, "one");
    item = taken(list, WARM_FILE, "d/file");
    two = taken(list, WARM_DIRECTORY, "two"); /* nothing to read */
    warm_list_done(list, WARM_DIRECTORY, one);
    warm_list_done(list, WARM_DIRECTORY, two);
    three = taken(list, WARM_DIRECTORY, "three");
    assert_false(warm_list_sum(list).complete);
    warm_list_done(list, WARM_DIRECTORY, three);
    assert_true(warm_list_sum(list).complete);
    assert_int_equal(warm_list_sum(list).files, 1);
    assert_int_equal(warm_list_sum(list).bytes, 5);
    warm_list_done(list, WARM_FILE, item);
    assert_int_equal(warm_list_take(list, &item), WARM_NOTHING);
    warm_list_free(list);
}

static void long_files_are_read_two_at_a_time(void **state) {
    (void)state;
    struct warm_list *list = warm_list_new();
    struct warm_item *first, *second, *small;
    mount.bytes = 0;
    add(list, NULL, "large1", WARM_LONG + 1);
    add(list, NULL, "large2", WARM_LONG + 1);
    add(list, NULL, "large3", WARM_LONG + 1);
    add(list, NULL, "small", WARM_LONG);
    first = taken(list, WARM_FILE, "d/large1");
    second = taken(list, WARM_FILE, "d/large2");
    small = taken(list, WARM_FILE, "d/small");
    warm_list_done(list, WARM_FILE, first);
    first = taken(list, WARM_FILE, "d/large3");
    warm_list_done(list, WARM_FILE, second);
    warm_list_done(list, WARM_FILE, small);
    warm_list_done(list, WARM_FILE, first);
    warm_list_free(list);
}

static void what_is_too_much_is_said_once(void **state) {
    (void)state;
    struct warm_list *list = warm_list_new();
    mount.bytes = 0;
    assert_false(add(list, NULL, "a", 100));
    assert_true(add(list, NULL, "b", 1));
    assert_false(add(list, NULL, "c", 100));
    warm_list_free(list); /* what waits goes with it */
}

static void *take_one(void *argument) {
    struct warm_item *item;
    return (void *)(uintptr_t)warm_list_take(argument, &item);
}

static void who_waits_is_told_of_the_end(void **state) {
    (void)state;
    for (int stopped = 0; stopped < 2; stopped++) {
        struct warm_list *list = warm_list_new();
        pthread_t thread;
        void *kind = (void *)1;
        add(list, "one", NULL, 0);
        struct warm_item *item = taken(list, WARM_DIRECTORY, "one"); /* something may come of it */
        assert_int_equal(pthread_create(&thread, NULL, take_one, list), 0);
        if (stopped)
            warm_list_stop(list);
        else
            warm_list_done(list, WARM_DIRECTORY, item);
        pthread_join(thread, &kind);
        assert_int_equal((uintptr_t)kind, WARM_NOTHING);
        assert_int_equal(warm_list_sleep(list, 1), !stopped);
        if (stopped)
            warm_list_done(list, WARM_DIRECTORY, item);
        warm_list_free(list);
    }
}

static void *sleep_long(void *argument) {
    return (void *)(uintptr_t)warm_list_sleep(argument, 60000);
}

static void who_sleeps_is_woken_by_the_end(void **state) {
    (void)state;
    struct warm_list *list = warm_list_new();
    pthread_t thread;
    void *goes_on = (void *)1;
    int64_t before = clock_now_ms();
    assert_int_equal(pthread_create(&thread, NULL, sleep_long, list), 0);
    add(list, NULL, "a", 1); /* is no reason to wake up */
    warm_list_stop(list);
    pthread_join(thread, &goes_on);
    assert_int_equal((uintptr_t)goes_on, false);
    assert_true(clock_now_ms() - before < 30000);
    warm_list_free(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_are_taken_in_any_order),
        cmocka_unit_test(wrong_words_are_refused_in_one_line),
        cmocka_unit_test(times_are_shown_in_units_that_suit_them),
        cmocka_unit_test(the_rate_is_that_of_the_last_ten_seconds),
        cmocka_unit_test(the_time_left_is_known_when_the_sum_is),
        cmocka_unit_test(progress_is_one_line),
        cmocka_unit_test(the_sum_tells_what_was_compared),
        cmocka_unit_test(json_says_null_of_what_is_not_known),
        cmocka_unit_test(members_of_the_status_are_found),
        cmocka_unit_test(one_job_lists_while_the_others_read),
        cmocka_unit_test(long_files_are_read_two_at_a_time),
        cmocka_unit_test(what_is_too_much_is_said_once),
        cmocka_unit_test(who_waits_is_told_of_the_end),
        cmocka_unit_test(who_sleeps_is_woken_by_the_end),
    };
    return cmocka_run_group_tests_name("warm", tests, NULL, NULL);
}

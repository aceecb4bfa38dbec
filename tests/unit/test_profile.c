// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/profile.h"

#include <inttypes.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "tests/unit/unit.h"

static void add(struct profile *profile, const char *operation, const char *path, const char *range, const char *result,
                double seconds) {
    char line[512];
    snprintf(line, sizeof line, "2026-11-29T10:15:01.123456Z\t42\t%s\t%s\t%s\t%s\t%.6f\n", operation, path, range, result,
             seconds);
    profile_add(profile, line);
}

static void add_read(struct profile *profile, const char *path, int64_t offset, int64_t size, double seconds) {
    char range[64];
    snprintf(range, sizeof range, "%" PRId64 "\t%" PRId64, offset, size);
    add(profile, "read", path, range, "OK", seconds);
}

__attribute__((noinline)) static char *report(struct profile *profile, bool json) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    profile_put(profile, out, json);
    fclose(out);
    return text;
}

static void expect(struct profile *profile, const char *words) {
    cleanup_free char *text = report(profile, false);
    if (!strstr(text, words))
        fail_msg("no '%s' in\n%s", words, text);
}

/* What is advised, and nothing else. */
static void expect_hint(struct profile *profile, const char *option) {
    cleanup_free char *text = report(profile, false);
    const char *hints = strstr(text, "what would help\n");
    assert_non_null(hints);
    if (!strstr(hints, option) || strchr(strchr(hints, '\n') + 1, '\n')[1])
        fail_msg("not just '%s' in\n%s", option, text);
}

static void operations_and_paths_are_summed_up(void **state) {
    (void)state;
    struct profile *profile = profile_new();
    add(profile, "open", "a", "-\t-", "OK", 0.25);
    add(profile, "open", "b\\n", "-\t-", "ENOENT", 0.5);
    add_read(profile, "a", 0, 4096, 0.125);
    add_read(profile, "a", 4096, 4096, 0.125);
    add_read(profile, "a", 100, 4096, 1);
    expect(profile, "5 requests in 2.000 s, from 2026-11-29T10:15:01.123456Z to ");
    expect(profile, "open                     2       1      0.750  37.5%    375.000    500.000\n");
    expect(profile, "read                     3       0      1.250  62.5%    416.667   1000.000\n");
    expect(profile, "     1.500 s  a\n              1 opens, 0 lookups and stats; 12.0 KiB in 3 reads, each byte 1.5 times, "
                    "33% out of order\n");
    expect(profile, "     0.500 s  b\\x0a\n              1 opens, 0 lookups and stats, 1 times not there\n");
    cleanup_free char *json = report(profile, true);
    assert_non_null(strstr(json, "{\"requests\":5,\"odd_lines\":0,\"seconds\":2.000000,"));
    assert_non_null(strstr(json, "{\"path\":\"a\",\"seconds\":1.500000,\"opens\":1,\"stats\":0,\"absent\":0,\"reads\":3,"
                                 "\"read_bytes\":12288,\"reached\":8192,\"out_of_order\":1,\"writes\":0,\"written_bytes\":0}"));
    profile_free(profile);
}

static void what_is_no_line_is_counted_and_left_out(void **state) {
    (void)state;
    static const char *const odd[] = {"", "\n", "hello", "\t\t\t\t\t\t\t", "a\tb\tc\td\te\tf\tg", "a\tb\tc\td\te\tf\tg\th\ti",
                                      "2026\t1\t\033[2J\tb\t-\t-\tOK\t1"};
    struct profile *profile = profile_new();
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        char line[64];
        strcpy(line, odd[i]);
        profile_add(profile, line);
    }
    add(profile, "read", "a", "-\t-", "OK", 1);
    expect(profile, "1 requests in 1.000 s");
    expect(profile, "7 lines are none of a trace");
    profile_free(profile);
}

static void names_are_read_as_they_were_written(void **state) {
    (void)state;
    static const char *const names[][2] = {{"a\\t\\n\\\\x41\\x1b", "a\\u0009\\u000a\\\\x41\\u001b"}, {"\\x1", "\\\\x1"}, {"\\x", "\\\\x"},
                                           {"\\x00", "\\\\x00"}, {"\\", "\\\\"}, {"\\q", "\\\\q"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct profile *profile = profile_new();
        char words[64];
        add(profile, "open", names[i][0], "-\t-", "OK", 1);
        snprintf(words, sizeof words, "{\"path\":\"%s\",", names[i][1]);
        cleanup_free char *text = report(profile, true);
        if (!strstr(text, words))
            fail_msg("no '%s' in\n%s", words, text);
        profile_free(profile);
    }
}

static void what_costs_nothing_gets_no_advice(void **state) {
    (void)state;
    struct profile *profile = profile_new();
    for (int i = 0; i < 100; i++)
        add_read(profile, "a", i * 131072, 131072, 0.01);
    expect_hint(profile, "nothing stands out");
    profile_free(profile);
}

/* As git clone does: each name is looked up once or twice before it is made. */
static void who_makes_many_files_is_not_told_to_believe(void **state) {
    (void)state;
    struct profile *profile = profile_new();
    for (int i = 0; i < 200; i++) {
        char path[16];
        snprintf(path, sizeof path, "%d", i);
        add(profile, "lookup", path, "-\t-", "ENOENT", 0.01);
        add(profile, "lookup", path, "-\t-", "ENOENT", 0.01);
        add(profile, "create", path, "-\t-", "OK", 0.02);
    }
    expect_hint(profile, "nothing stands out");
    profile_free(profile);
}

static void each_habit_has_its_option(void **state) {
    (void)state;
    struct profile *profile = profile_new();
    for (int i = 0; i < 100; i++)
        add(profile, "lookup", "absent", "-\t-", "ENOENT", 0.02);
    expect_hint(profile, "-o push, or consistency=ttl:SECONDS: names that are not there");
    profile_free(profile);
    profile = profile_new();
    for (int i = 0; i < 100; i++)
        add(profile, "open", "small", "-\t-", "OK", 0.02);
    expect_hint(profile, "-o consistency=ttl:SECONDS or immutable: ");
    profile_free(profile);
    profile = profile_new();
    for (int i = 0; i < 100; i++)
        add_read(profile, "large", i % 20 * 1048576, 1048576, 0.02);
    expect_hint(profile, "-o a larger cache_size, or cache_dir=DIR: what was read is read again (2.000 s)");
    profile_free(profile);
    profile = profile_new();
    for (int i = 0; i < 100; i++)
        add_read(profile, "rows", i * 37 % 100 * 1048576, 4096, 0.02);
    expect_hint(profile, "-o warm=GLOB");
    profile_free(profile);
    profile = profile_new();
    for (int i = 0; i < 100; i++) {
        add(profile, "write", "out", "0\t10", "OK", 0.0001);
        add(profile, "flush", "out", "-\t-", "OK", 0.02);
    }
    expect_hint(profile, "-o writeback: ");
    profile_free(profile);
}

static void paths_beyond_the_limit_are_one(void **state) {
    (void)state;
    struct profile *profile = profile_new();
    for (int i = 0; i < PROFILE_PATHS + 1000; i++) {
        char path[16];
        snprintf(path, sizeof path, "%d", i);
        add(profile, "lookup", path, "-\t-", "OK", 0.001);
    }
    expect(profile, "201000 requests in 201.000 s");
    profile_free(profile);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(operations_and_paths_are_summed_up),
        cmocka_unit_test(what_is_no_line_is_counted_and_left_out),
        cmocka_unit_test(names_are_read_as_they_were_written),
        cmocka_unit_test(what_costs_nothing_gets_no_advice),
        cmocka_unit_test(who_makes_many_files_is_not_told_to_believe),
        cmocka_unit_test(each_habit_has_its_option),
        cmocka_unit_test(paths_beyond_the_limit_are_one),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}

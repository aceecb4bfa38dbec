// SPDX-License-Identifier: Apache-2.0
#include "cache/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char folder[] = "/tmp/gridmount-log-XXXXXX";
static char path[sizeof folder + 8];

static int set_up(void **state) {
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/log", folder);
    return log_open_file(path, LOG_LEVEL_INFO);
}

static int tear_down(void **state) {
    (void)state;
    unlink(path);
    return rmdir(folder);
}

/* What the log holds since the last question; lives until the next. */
static const char *fresh_lines(void) {
    static char lines[8192];
    static off_t seen;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t size = pread(fd, lines, sizeof lines - 1, seen);
    assert_true(size >= 0);
    close(fd);
    seen += size;
    lines[size] = '\0';
    return lines;
}

static unsigned count_of(const char *text, char wanted) {
    unsigned count = 0;
    for (; *text; text++)
        count += *text == wanted;
    return count;
}

static void a_line_says_when_who_how_bad_and_what(void **state) {
    (void)state;
    log_error("disk %d is full", 3);
    const char *line = fresh_lines();
    assert_int_equal(line[4], '-');
    assert_int_equal(line[10], 'T');
    assert_non_null(strstr(line, "Z gridmount error: disk 3 is full\n"));
}

static void each_level_has_its_word_and_what_is_beyond_is_not_written(void **state) {
    (void)state;
    log_warning("level w");
    log_info("level i");
    log_debug("level d");
    const char *lines = fresh_lines();
    assert_non_null(strstr(lines, " warning: level w\n"));
    assert_non_null(strstr(lines, " info: level i\n"));
    assert_null(strstr(lines, "level d"));
}

static void control_characters_are_removed(void **state) {
    (void)state;
    log_info("a\nb\x1b[31mc\rd\x7f" "e\tf");
    const char *lines = fresh_lines();
    assert_int_equal(count_of(lines, '\n'), 1);
    assert_non_null(strstr(lines, "a?b?[31mc?d?e?f\n"));
}

static void a_line_that_repeats_is_counted(void **state) {
    (void)state;
    for (int i = 0; i < 5; i++)
        log_info("again and again");
    const char *lines = fresh_lines();
    assert_int_equal(count_of(lines, '\n'), 1);
    log_info("something else");
    lines = fresh_lines();
    assert_non_null(strstr(lines, "4 more times\n"));
    assert_non_null(strstr(lines, "something else\n"));
    assert_int_equal(count_of(lines, '\n'), 2);
}

static void a_long_line_is_cut_and_stays_one_line(void **state) {
    (void)state;
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    log_info("%s", text);
    const char *lines = fresh_lines();
    assert_int_equal(count_of(lines, '\n'), 1);
    assert_true(strlen(lines) > 900 && strlen(lines) < 1200);
    assert_int_equal(lines[strlen(lines) - 1], '\n');
}

static void the_file_is_appended_to_and_not_readable_by_all(void **state) {
    (void)state;
    struct stat before, after;
    assert_int_equal(stat(path, &before), 0);
    assert_int_equal(before.st_mode & 07, 0);
    assert_int_equal(log_open_file(path, LOG_LEVEL_INFO), 0);
    log_info("opened again");
    assert_int_equal(stat(path, &after), 0);
    assert_true(after.st_size > before.st_size);
    fresh_lines();
}

static void a_file_that_cannot_be_opened_is_an_error(void **state) {
    (void)state;
    assert_int_equal(log_open_file("/nonexistent/folder/log", LOG_LEVEL_INFO), -ENOENT);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_says_when_who_how_bad_and_what),
        cmocka_unit_test(each_level_has_its_word_and_what_is_beyond_is_not_written),
        cmocka_unit_test(control_characters_are_removed),
        cmocka_unit_test(a_line_that_repeats_is_counted),
        cmocka_unit_test(a_long_line_is_cut_and_stays_one_line),
        cmocka_unit_test(the_file_is_appended_to_and_not_readable_by_all),
        cmocka_unit_test(a_file_that_cannot_be_opened_is_an_error),
    };
    return cmocka_run_group_tests_name("log", tests, set_up, tear_down);
}

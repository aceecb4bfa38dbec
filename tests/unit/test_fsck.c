// SPDX-License-Identifier: Apache-2.0
/* The report of fsck over checks that are made up: what is said, what is repaired, and the exit status. */
#include "unit.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "fs/tools/fsck.h"

/* ---- checks that find what a test says ---- */

enum { CHECKS = 2 };

static struct {
    int find_result[CHECKS], repair_result[CHECKS];
    enum check_class class[CHECKS];
    int64_t there[CHECKS]; /* how many there are */
    int found[CHECKS], repaired[CHECKS]; /* how often it was called */
} made_up;

static int find(unsigned which, const struct check_listener *listener) {
    made_up.found[which]++;
    for (int64_t i = 0; i < made_up.there[which]; i++) {
        const struct check_finding finding = {
            .class = made_up.class[which], .count = 1, .name = "a\"b\n", .name_size = 4, .id = "id", .detail = "why"};
        listener->found(listener->context, &finding);
    }
    listener->progress(listener->context, 1000);
    return made_up.find_result[which];
}

static int repair(unsigned which) {
    made_up.repaired[which]++;
    if (made_up.repair_result[which] == 0)
        made_up.there[which] = 0;
    return made_up.repair_result[which];
}

static int find_first(struct checks *checks, const struct check_listener *listener) {
    (void)checks;
    return find(0, listener);
}

static int repair_first(struct checks *checks) {
    (void)checks;
    return repair(0);
}

static int find_second(struct checks *checks, const struct check_listener *listener) {
    (void)checks;
    return find(1, listener);
}

static const struct check table[CHECKS] = {{"first", find_first, repair_first}, {"second", find_second, NULL}};

/* ---- what it writes, as text ---- */

static char said[8192];

static int run(bool with_repair, bool json) {
    struct checks checks = {.table = table, .count = CHECKS};
    const struct fsck_request request = {
        .address = "host:1", .database = "shop", .bucket = "fs", .repair = with_repair, .json = json};
    FILE *kept = tmpfile();
    int real = dup(STDOUT_FILENO);
    fflush(stdout);
    dup2(fileno(kept), STDOUT_FILENO);
    int status = tools_fsck(&checks, &request);
    dup2(real, STDOUT_FILENO);
    close(real);
    rewind(kept);
    said[fread(said, 1, sizeof said - 1, kept)] = '\0';
    fclose(kept);
    return status;
}

static int forget(void **state) {
    (void)state;
    memset(&made_up, 0, sizeof made_up);
    made_up.class[0] = CHECK_DEAD_CLAIM;
    made_up.class[1] = CHECK_DAMAGED;
    return 0;
}

static void assert_said(const char *text) {
    if (!strstr(said, text))
        fail_msg("'%s' is not in:\n%s", text, said);
}

static void test_nothing_found_is_clean(void **state) {
    (void)state;
    assert_int_equal(run(false, false), FSCK_CLEAN);
    assert_string_equal(said, "bucket fs of database shop at host:1: clean, and without files\n");
    assert_int_equal(run(true, false), FSCK_CLEAN);
    assert_int_equal(made_up.repaired[0], 0);
}

static void test_notes_are_no_problem(void **state) {
    (void)state;
    made_up.class[1] = CHECK_SHADOWED;
    made_up.there[1] = 2;
    assert_int_equal(run(false, false), FSCK_CLEAN);
    assert_said("shadowed-file      'a\"b\\x0a' (id): why\n");
}

static void test_what_is_left_over_is_repaired_when_asked_to(void **state) {
    (void)state;
    made_up.there[0] = 3;
    assert_int_equal(run(false, false), FSCK_LEFT);
    assert_int_equal(made_up.repaired[0], 0);
    assert_int_equal(run(true, false), FSCK_CORRECTED);
    assert_said("corrected: 3");
    assert_int_equal(run(false, false), FSCK_CLEAN);
}

static void test_problems_stay(void **state) {
    (void)state;
    made_up.there[0] = made_up.there[1] = 1;
    assert_int_equal(run(true, false), FSCK_CORRECTED | FSCK_LEFT);
    assert_int_equal(made_up.found[1], 1); /* what is not repaired is not looked for again */
}

static void test_what_a_mount_will_do_is_left(void **state) {
    (void)state;
    made_up.there[0] = 1;
    made_up.repair_result[0] = -EBUSY;
    assert_int_equal(run(true, false), FSCK_LEFT);
}

static void test_a_repair_that_fails_is_said(void **state) {
    (void)state;
    made_up.there[0] = 1;
    made_up.repair_result[0] = -EACCES;
    assert_int_equal(run(true, false), FSCK_LEFT | FSCK_FAILED);
}

static void test_what_may_not_be_read_is_said(void **state) {
    (void)state;
    made_up.find_result[0] = -EACCES;
    made_up.there[1] = 1;
    assert_int_equal(run(false, false), FSCK_LEFT);
    assert_said("not checked: first, which this user may not read\n");
    assert_int_equal(run(false, true), FSCK_LEFT);
    assert_said("\"not_checked\":[\"first\"]");
}

static void test_errors_are_no_findings_and_a_silent_server_ends_it(void **state) {
    (void)state;
    made_up.find_result[0] = -EIO;
    assert_int_equal(run(false, false), FSCK_FAILED);
    assert_int_equal(made_up.found[1], 1);
    made_up.find_result[0] = -ETIMEDOUT;
    made_up.there[0] = 1;
    assert_int_equal(run(true, false), FSCK_FAILED | FSCK_LEFT);
    assert_int_equal(made_up.found[1], 1); /* not again */
    assert_int_equal(made_up.repaired[0], 0);
}

static void test_json_has_all_of_it(void **state) {
    (void)state;
    made_up.there[0] = 1;
    made_up.there[1] = 1;
    assert_int_equal(run(true, true), FSCK_CORRECTED | FSCK_LEFT);
    assert_said("{\"server\":\"host:1\",\"database\":\"shop\",\"bucket\":\"fs\",\n\"findings\":[\n");
    assert_said("{\"class\":\"expired-claim\",\"kind\":\"left over\",\"name\":\"a\\\"b\\u000a\",\"id\":\"id\",\"detail\":\"why\","
                "\"bytes\":0},\n{\"class\":\"damaged-file\",");
    assert_said("\"expired-claim\":{\"kind\":\"left over\",\"found\":1,\"bytes\":0,\"corrected\":1}");
    assert_said("\"exit\":5}\n");
}

#define TEST(name) cmocka_unit_test_setup(name, forget)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_found_is_clean),
        TEST(test_notes_are_no_problem),
        TEST(test_what_is_left_over_is_repaired_when_asked_to),
        TEST(test_problems_stay),
        TEST(test_what_a_mount_will_do_is_left),
        TEST(test_a_repair_that_fails_is_said),
        TEST(test_what_may_not_be_read_is_said),
        TEST(test_errors_are_no_findings_and_a_silent_server_ends_it),
        TEST(test_json_has_all_of_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

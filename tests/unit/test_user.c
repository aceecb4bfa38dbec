// SPDX-License-Identifier: Apache-2.0
#include "fs/user.h"

#include <errno.h>
#include <pwd.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "tests/unit/unit.h"

static struct user found(const char *text) {
    struct user user = {0};
    char *error = NULL;
    if (user_find(text, &user, &error))
        fail_msg("%s: %s", text, error);
    return user;
}

static void a_name_is_an_account_with_its_groups(void **state) {
    (void)state;
    const struct passwd *account = getpwnam("nobody");
    if (!account)
        skip();
    struct user user = found("nobody");
    assert_int_equal(user.uid, account->pw_uid);
    assert_int_equal(user.gid, account->pw_gid);
    assert_false(user.one_group);
}

static void a_number_without_an_account_has_the_group_of_that_number(void **state) {
    (void)state;
    struct user user = found("54321");
    assert_int_equal(user.uid, 54321);
    assert_int_equal(user.gid, 54321);
}

static void a_group_that_is_named_is_the_only_one(void **state) {
    (void)state;
    struct user user = found("54321:0");
    assert_int_equal(user.uid, 54321);
    assert_int_equal(user.gid, 0);
    assert_true(user.one_group);
}

static void what_is_no_user_is_said_in_one_line(void **state) {
    (void)state;
    static const char *const wrong[] = {"", ":", ":1", "1:", "0", "root", "0:1", "-1", "+1", " 1", "1 ", "0x10",
                                        "4294967295", "99999999999999999999", "no-such-user", "1:no-such-group",
                                        "1:-1", "1:2:3"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct user user = {.uid = 7};
        cleanup_free char *error = NULL;
        assert_int_equal(user_find(wrong[i], &user, &error), -EINVAL);
        assert_non_null(error);
        assert_null(strchr(error, '\n'));
        assert_int_equal(user.uid, 7);
    }
}

/* In a child: there is no way back. */
static void who_became_a_user_is_no_other_any_more(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    struct user user = found("54321");
    pid_t pid = fork();
    if (pid == 0)
        _exit(user_become(&user) || getuid() != 54321 || getegid() != 54321 || getgroups(0, NULL) != 1 || !setuid(0) ||
              !setgid(0));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void an_ordinary_user_becomes_nobody_else(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    struct user user = found("54321"), other = found("54322");
    pid_t pid = fork();
    if (pid == 0)
        _exit(user_become(&user) || user_become(&other) != -EPERM || getuid() != 54321);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_an_account_with_its_groups),
        cmocka_unit_test(a_number_without_an_account_has_the_group_of_that_number),
        cmocka_unit_test(a_group_that_is_named_is_the_only_one),
        cmocka_unit_test(what_is_no_user_is_said_in_one_line),
        cmocka_unit_test(who_became_a_user_is_no_other_any_more),
        cmocka_unit_test(an_ordinary_user_becomes_nobody_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

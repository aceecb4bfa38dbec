// SPDX-License-Identifier: Apache-2.0
#include "fs/host_header.h"

#include "tests/unit/unit.h"

static void numbers_and_localhost_are_ours(void **state) {
    (void)state;
    static const char *const ours[] = {"127.0.0.1", "127.0.0.1:9464", "192.0.2.7:80",   "[::1]",
                                       "[::1]:9464", "localhost",     "LocalHost:9464"};
    for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
        if (!host_header_is_ours(ours[i], NULL))
            fail_msg("%s is refused", ours[i]);
}

static void names_of_others_are_not(void **state) {
    (void)state;
    static const char *const others[] = {
        "",           "evil.example",     "evil.example:9464", "localhost.evil.example", "127.0.0.1.evil.example",
        "127.0.0.1:", "127.0.0.1:80evil", "[::1",              "[::1]evil.example",      "[evil.example]",
        "::1",        ":9464",            "evil@127.0.0.1",    "127.0.0.1 evil.example", "[]",
        "0x7f.1",     "localhost.",       "127.0.0.1/",        " 127.0.0.1",             "[127.0.0.1]"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (host_header_is_ours(others[i], NULL))
            fail_msg("%s is taken", others[i]);
    assert_false(host_header_is_ours(NULL, NULL));
}

static void the_chosen_name_is_ours_and_only_it(void **state) {
    (void)state;
    assert_true(host_header_is_ours("db1.example:9464", "db1.example"));
    assert_true(host_header_is_ours("DB1.example", "db1.example"));
    assert_false(host_header_is_ours("db1.example.evil.example", "db1.example"));
    assert_false(host_header_is_ours("db1", "db1.example"));
}

static void a_long_name_is_refused(void **state) {
    (void)state;
    char name[5000];
    for (size_t i = 0; i < sizeof name; i++)
        name[i] = '1';
    name[sizeof name - 1] = '\0';
    assert_false(host_header_is_ours(name, name));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_and_localhost_are_ours),
        cmocka_unit_test(names_of_others_are_not),
        cmocka_unit_test(the_chosen_name_is_ours_and_only_it),
        cmocka_unit_test(a_long_name_is_refused),
    };
    return cmocka_run_group_tests_name("host_header", tests, NULL, NULL);
}

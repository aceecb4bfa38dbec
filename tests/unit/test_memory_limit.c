// SPDX-License-Identifier: Apache-2.0
/* What a cgroup allows, of either version, also when it is nested. */
#include "fs/memory_limit.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"

static char root[] = "/tmp/test_memory_limit.XXXXXX";

/* A file below the root, with the directories above it. */
static void make(const char *path, const char *content) {
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + sizeof root; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(whole, 0700);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(content, file);
    fclose(file);
}

static int set_up(void **state) {
    (void)state;
    strcpy(root + sizeof root - 7, "XXXXXX");
    return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    char command[64];
    snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void without_cgroups_there_is_no_limit(void **state) {
    (void)state;
    assert_int_equal(memory_limit_of_groups(root), INT64_MAX);
}

static void a_group_of_version_2_has_the_least_limit_of_all_it_is_in(void **state) {
    (void)state;
    make("/proc/self/cgroup", "0::/pod/container\n");
    make("/sys/fs/cgroup/pod/container/memory.max", "max\n");
    assert_int_equal(memory_limit_of_groups(root), INT64_MAX);
    make("/sys/fs/cgroup/pod/memory.max", "300000\n");
    assert_int_equal(memory_limit_of_groups(root), 300000);
    make("/sys/fs/cgroup/pod/container/memory.max", "200000\n");
    assert_int_equal(memory_limit_of_groups(root), 200000);
    make("/sys/fs/cgroup/memory.max", "100000\n");
    assert_int_equal(memory_limit_of_groups(root), 100000);
}

static void so_does_one_of_version_1(void **state) {
    (void)state;
    make("/proc/self/cgroup", "7:cpu,memory:/docker/1\n3:cpuset:/\n0::/docker/1\n");
    make("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    make("/sys/fs/cgroup/memory/docker/memory.limit_in_bytes", "500000\n");
    make("/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes", "400000\n");
    assert_int_equal(memory_limit_of_groups(root), 400000);
}

static void a_container_that_knows_the_path_of_the_host_only_finds_its_own_at_the_top(void **state) {
    (void)state;
    make("/proc/self/cgroup", "4:memory:/kubepods/pod1/2\n0::/kubepods/pod1/2\n");
    make("/sys/fs/cgroup/memory/memory.limit_in_bytes", "700000\n");
    assert_int_equal(memory_limit_of_groups(root), 700000);
}

static void what_is_no_line_is_passed_over(void **state) {
    (void)state;
    make("/proc/self/cgroup", "\nnothing\n1:memory\n0::\n");
    make("/sys/fs/cgroup/memory.max", "100\n");
    assert_int_equal(memory_limit_of_groups(root), 100);
    make("/sys/fs/cgroup/memory.max", "garbage");
    assert_int_equal(memory_limit_of_groups(root), INT64_MAX);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_cgroups_there_is_no_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_group_of_version_2_has_the_least_limit_of_all_it_is_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(so_does_one_of_version_1, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_container_that_knows_the_path_of_the_host_only_finds_its_own_at_the_top,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_line_is_passed_over, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

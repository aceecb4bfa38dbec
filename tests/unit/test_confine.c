// SPDX-License-Identifier: Apache-2.0
#include "fs/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "tests/unit/unit.h"

static char base[64], inside[80], outside[80], file_inside[96], file_outside[96], folder_outside[96];

static int set_up(void **state) {
    (void)state;
    strcpy(base, "/tmp/gridmount-unit-XXXXXX");
    if (!mkdtemp(base))
        return -1;
    snprintf(inside, sizeof inside, "%s/inside", base);
    snprintf(outside, sizeof outside, "%s/outside", base);
    snprintf(file_inside, sizeof file_inside, "%s/file", inside);
    snprintf(folder_outside, sizeof folder_outside, "%s/folder", outside);
    snprintf(file_outside, sizeof file_outside, "%s/file", outside);
    cleanup_fd int file = mkdir(inside, 0700) || mkdir(outside, 0700) ? -1 : open(file_outside, O_CREAT | O_RDWR, 0600);
    return file < 0 ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    unlink(file_inside);
    unlink(file_outside);
    return rmdir(inside) || rmdir(outside) || rmdir(base);
}

static bool kernel_has_it(void) {
    return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

static bool opens(const char *path, int flags) {
    cleanup_fd int file = open(path, flags | O_CLOEXEC, 0600);
    return file >= 0;
}

/* The number of what was wrong, for the exit status of a child that is confined for ever. */
static int tries(const char *folder) {
    confine((const char *const[]){folder, NULL});
    bool right[] = {
        prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1,
        opens(file_outside, O_RDONLY),
        opens("/etc/passwd", O_RDONLY),
        opens("/dev/null", O_RDWR),
        opens(file_inside, O_CREAT | O_RDWR) == (folder != NULL),
        (rename(file_inside, file_inside) == 0) == (folder != NULL),
        !kernel_has_it() || !opens(file_outside, O_WRONLY),
        !kernel_has_it() || (unlink(file_outside) && errno == EACCES),
        !kernel_has_it() || (mkdir(folder_outside, 0700) && errno == EACCES),
        !kernel_has_it() || (execl("/bin/true", "true", (char *)NULL) && errno == EACCES),
    };
    for (unsigned i = 0; i < sizeof right / sizeof *right; i++)
        if (!right[i])
            return (int)i + 1;
    return 0;
}

static int tried_by_a_child(const char *folder) {
    pid_t pid = fork();
    if (pid == 0)
        _exit(tries(folder));
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void it_writes_in_its_folder_only_reads_all_and_runs_nothing(void **state) {
    (void)state;
    assert_int_equal(tried_by_a_child(inside), 0);
}

static void without_a_folder_it_writes_nowhere(void **state) {
    (void)state;
    if (!kernel_has_it())
        skip();
    assert_int_equal(tried_by_a_child(NULL), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_writes_in_its_folder_only_reads_all_and_runs_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_folder_it_writes_nowhere, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

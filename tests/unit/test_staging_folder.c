// SPDX-License-Identifier: Apache-2.0
#include "fs/staging_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "tests/unit/unit.h"

static char base[64];

static int set_up(void **state) {
    (void)state;
    strcpy(base, "/tmp/gridmount-unit-XXXXXX");
    return mkdtemp(base) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status;
    (void)kind;
    (void)walk;
    return remove(path);
}

static int tear_down(void **state) {
    (void)state;
    return nftw(base, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static struct staging_folder opened(const char *wanted, const char *mount) {
    struct staging_folder folder = {0};
    char *error = NULL;
    if (staging_folder_open(wanted, mount, &folder, &error))
        fail_msg("%s", error);
    assert_null(error);
    return folder;
}

/* It is refused in one line that names the path and holds `because`. */
static void refuse(const char *wanted, const char *because) {
    struct staging_folder folder = {0};
    char *error = NULL;
    assert_int_equal(staging_folder_open(wanted, "m", &folder, &error), -EINVAL);
    assert_non_null(error);
    if (!strstr(error, because) || !strstr(error, wanted) || strchr(error, '\n'))
        fail_msg("%s", error);
    assert_null(folder.path);
    free(error);
}

static void each_mount_has_a_private_folder_of_its_own(void **state) {
    (void)state;
    struct staging_folder one = opened(base, "a"), other = opened(base, "b");
    struct stat status;
    assert_string_not_equal(one.path, other.path);
    assert_int_equal(strncmp(one.path, base, strlen(base)), 0);
    assert_int_equal(strlen(one.path), strlen(base) + 1 + 16);
    assert_int_equal(stat(one.path, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
    staging_folder_close(&one);
    staging_folder_close(&other);
}

static void a_mount_finds_its_folder_again(void **state) {
    (void)state;
    struct staging_folder folder = opened(base, "a");
    cleanup_free char *path = strdup(folder.path), *kept = NULL;
    assert_true(asprintf(&kept, "%s/kept", path) > 0);
    assert_int_equal(close(open(kept, O_CREAT | O_WRONLY, 0600)), 0);
    staging_folder_close(&folder);
    assert_null(folder.path);
    assert_int_equal(access(kept, F_OK), 0); /* what could not be stored stays */
    folder = opened(base, "a");
    assert_string_equal(folder.path, path);
    assert_int_equal(unlink(kept), 0);
    staging_folder_close(&folder);
    assert_int_equal(access(path, F_OK), -1); /* nothing is left behind */
}

static void a_folder_is_used_by_one_mount_at_a_time(void **state) {
    (void)state;
    struct staging_folder folder = opened(base, "m");
    refuse(base, "another gridmount");
    assert_int_equal(access(folder.path, F_OK), 0);
    staging_folder_close(&folder);
    folder = opened(base, "m");
    staging_folder_close(&folder);
    staging_folder_close(&(struct staging_folder){0});
}

static void directories_on_the_way_are_made(void **state) {
    (void)state;
    char deep[128];
    snprintf(deep, sizeof deep, "%s/a/b//c/", base);
    struct staging_folder folder = opened(deep, "m");
    assert_int_equal(access(folder.path, W_OK), 0);
    staging_folder_close(&folder);
}

static void what_is_not_ours_is_refused(void **state) {
    (void)state;
    char path[128];
    snprintf(path, sizeof path, "%s/file", base);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0600)), 0);
    refuse(path, "no directory");
    snprintf(path, sizeof path, "%s/file/below", base);
    refuse(path, strerror(ENOTDIR));
    snprintf(path, sizeof path, "%s/link", base);
    assert_int_equal(symlink(base, path), 0);
    refuse(path, "no directory"); /* whoever made the link may move it */
    if (geteuid() != 0)
        refuse("/", "another user");
    refuse("/proc/none", "staging_dir");
}

static void a_folder_of_another_user_is_refused(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    assert_int_equal(chown(base, 4242, 4242), 0);
    refuse(base, "another user");
    assert_int_equal(chown(base, 0, 0), 0);
}

static void a_folder_that_others_could_read_is_closed_to_them(void **state) {
    (void)state;
    struct staging_folder folder = opened(base, "m");
    cleanup_free char *path = strdup(folder.path);
    struct stat status;
    staging_folder_close(&folder);
    assert_int_equal(mkdir(path, 0755), 0);
    folder = opened(base, "m");
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
    staging_folder_close(&folder);
}

/* As a user whose default directory this is. */
static void the_default_is_where_state_is_kept(void **state) {
    (void)state;
    if (geteuid() == 0)
        skip(); /* /var/lib/gridmount is the machine's */
    char path[128];
    setenv("XDG_STATE_HOME", base, 1);
    struct staging_folder folder = opened(NULL, "m");
    snprintf(path, sizeof path, "%s/gridmount/", base);
    assert_int_equal(strncmp(folder.path, path, strlen(path)), 0);
    staging_folder_close(&folder);
    setenv("XDG_STATE_HOME", "relative", 1); /* as good as unset */
    setenv("HOME", base, 1);
    folder = opened(NULL, "m");
    snprintf(path, sizeof path, "%s/.local/state/gridmount/", base);
    assert_int_equal(strncmp(folder.path, path, strlen(path)), 0);
    staging_folder_close(&folder);
    setenv("HOME", "/proc/none", 1);
    folder = opened(NULL, "m");
    assert_int_equal(strncmp(folder.path, "/var/tmp/gridmount-", 19), 0);
    staging_folder_close(&folder);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(each_mount_has_a_private_folder_of_its_own),
        TEST(a_mount_finds_its_folder_again),
        TEST(a_folder_is_used_by_one_mount_at_a_time),
        TEST(directories_on_the_way_are_made),
        TEST(what_is_not_ours_is_refused),
        TEST(a_folder_of_another_user_is_refused),
        TEST(a_folder_that_others_could_read_is_closed_to_them),
        TEST(the_default_is_where_state_is_kept),
    };
    return cmocka_run_group_tests_name("staging_folder", tests, NULL, NULL);
}

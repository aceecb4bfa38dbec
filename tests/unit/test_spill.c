// SPDX-License-Identifier: Apache-2.0
#include "cache/spill.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/unit/fake_disk.h"
#include "tests/unit/unit.h"

static int open_directory(char *path) {
    assert_non_null(mkdtemp(path));
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    assert_true(directory >= 0);
    return directory;
}

/* Asserts that nothing is left over. */
static void close_directory(int directory, const char *path) {
    close(directory);
    assert_int_equal(rmdir(path), 0);
}

static void try_bytes(int directory) {
    struct spill *spill = NULL;
    char bytes[] = "some bytes", back[sizeof bytes];
    assert_int_equal(spill_new(directory, &spill), 0);
    assert_int_equal(spill_write(spill, INT64_C(5) << 30, bytes, sizeof bytes), 0);
    assert_int_equal(spill_read(spill, INT64_C(5) << 30, sizeof back, back), 0);
    assert_memory_equal(back, bytes, sizeof bytes);
    assert_int_equal(spill_read(spill, INT64_C(6) << 30, sizeof back, back), -EIO);
    assert_null(spill_free(spill));
}

static void what_was_written_is_read(void **state) {
    (void)state;
    char path[] = "/tmp/test-spill-XXXXXX";
    int directory = open_directory(path);
    try_bytes(directory);
    close_directory(directory, path);
    assert_null(spill_free(NULL));
}

static void a_disk_without_unnamed_files_will_do(void **state) {
    (void)state;
    char path[] = "/tmp/test-spill-XXXXXX", name[64];
    int directory = open_directory(path), left;
    atomic_store(&fake_disk.only_named, true);
    snprintf(name, sizeof name, ".spill-%ld-0", (long)getpid()); /* of one that died, perhaps */
    left = openat(directory, name, O_CREAT | O_EXCL | O_WRONLY);
    assert_true(left >= 0);
    close(left);
    try_bytes(directory);
    atomic_store(&fake_disk.only_named, false);
    assert_int_equal(unlinkat(directory, name, 0), 0);
    close_directory(directory, path);
}

static void a_directory_that_is_none_is_refused(void **state) {
    (void)state;
    struct spill *spill = NULL;
    int file = open("/dev/null", O_RDONLY);
    assert_int_equal(spill_new(file, &spill), -ENOTDIR);
    assert_null(spill);
    close(file);
}

static void an_interrupted_write_goes_on(void **state) {
    (void)state;
    char path[] = "/tmp/test-spill-XXXXXX";
    int directory = open_directory(path);
    atomic_store(&fake_disk.interrupts, 4);
    try_bytes(directory);
    assert_int_equal(atomic_load(&fake_disk.interrupts), 0);
    close_directory(directory, path);
}

static void a_full_or_broken_disk_says_so(void **state) {
    (void)state;
    char path[] = "/tmp/test-spill-XXXXXX", bytes[100] = "";
    int directory = open_directory(path);
    struct spill *spill = NULL;
    assert_int_equal(spill_new(directory, &spill), 0);
    atomic_store(&fake_disk.full, true);
    assert_int_equal(spill_write(spill, 0, bytes, sizeof bytes), -ENOSPC);
    atomic_store(&fake_disk.full, false);
    atomic_store(&fake_disk.broken, true);
    assert_int_equal(spill_write(spill, 0, bytes, sizeof bytes), -EIO);
    atomic_store(&fake_disk.broken, false);
    spill_free(spill);
    close_directory(directory, path);
}

/* The bytes of disk that the file of this process takes which has no name. */
static int64_t space_taken(void) {
    int64_t blocks = 0;
    DIR *descriptors = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(descriptors));) {
        struct stat stat;
        if (fstatat(dirfd(descriptors), entry->d_name, &stat, 0) == 0 && S_ISREG(stat.st_mode) && stat.st_nlink == 0)
            blocks += stat.st_blocks;
    }
    closedir(descriptors);
    return blocks * 512;
}

static void what_is_forgotten_takes_no_space(void **state) {
    (void)state;
    enum { SIZE = 1 << 20 };
    char path[] = "/tmp/test-spill-XXXXXX", back[16];
    int directory = open_directory(path);
    struct spill *spill = NULL;
    char *bytes = malloc(SIZE);
    memset(bytes, 'x', SIZE);
    assert_int_equal(spill_new(directory, &spill), 0);
    int64_t before = space_taken();
    assert_int_equal(spill_write(spill, 0, bytes, SIZE), 0);
    assert_int_equal(spill_write(spill, SIZE, bytes, SIZE), 0);
    assert_true(space_taken() - before >= 2 * SIZE);
    spill_forget(spill, 4096, SIZE);
    assert_true(space_taken() - before < SIZE + SIZE / 4);
    spill_forget(spill, SIZE + 100, INT64_MAX);
    assert_true(space_taken() - before < SIZE / 4);
    assert_int_equal(spill_read(spill, 4096 - 16, 16, back), 0);
    assert_memory_equal(back, bytes, 16);
    assert_int_equal(spill_read(spill, SIZE + 84, 16, back), 0);
    assert_memory_equal(back, bytes, 16);
    spill_forget(spill, SIZE * 8, INT64_MAX);
    spill_free(spill);
    assert_int_equal(space_taken(), before);
    free(bytes);
    close_directory(directory, path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_written_is_read),
        cmocka_unit_test(a_disk_without_unnamed_files_will_do),
        cmocka_unit_test(a_directory_that_is_none_is_refused),
        cmocka_unit_test(an_interrupted_write_goes_on),
        cmocka_unit_test(a_full_or_broken_disk_says_so),
        cmocka_unit_test(what_is_forgotten_takes_no_space),
    };
    return cmocka_run_group_tests_name("spill", tests, NULL, NULL);
}

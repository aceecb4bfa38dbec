// SPDX-License-Identifier: Apache-2.0
/* Where staged bytes are: in memory up to the share, beyond it on a disk, which may be full or broken. */
#include "cache/staging.h"

#include <string.h>
#include <sys/mount.h>

#include "cache/base/stats.h"
#include "cache/blocks.h"
#include "tests/unit/fake_disk.h"
#include "tests/unit/staging_bench.h"

static void memory_stays_within_the_share(void **state) {
    (void)state;
    enum { FILES = 5, SHARE = 10 * BLOCK_COST };
    struct bench *bench = bench_new(SHARE);
    struct staged *files[FILES];
    for (int i = 0; i < FILES; i++)
        files[i] = file_over(bench, NULL);
    for (int turn = 0; turn < 100; turn++)
        for (int i = 0; i < FILES; i++) {
            write_filled(files[i], (int64_t)turn * 50 * KIB, 50 * KIB, turn + i);
            assert_true(budget_used(&bench->budget) <= SHARE);
        }
    assert_int_equal(staging_used(bench->staging), INT64_C(100) * FILES * 50 * KIB);
    assert_int_equal(stats_get(STAT_staged_bytes), INT64_C(100) * FILES * 50 * KIB);
    for (int turn = 0; turn < 100; turn++)
        for (int i = 0; i < FILES; i++)
            assert_filled(files[i], (int64_t)turn * 50 * KIB, 50 * KIB, turn + i);
    for (int i = 0; i < FILES; i++) {
        staged_check(files[i]);
        staged_free(files[i]);
    }
    bench_done(bench);
}

static void what_was_not_written_for_longest_goes_to_disk_first(void **state) {
    (void)state;
    struct bench *bench = bench_new(3 * BLOCK_COST + 64 * KIB);
    struct staged *one = file_over(bench, NULL), *other = file_over(bench, NULL), *third = file_over(bench, NULL);
    write_filled(one, 0, BLOCK_BYTES, 1);
    write_filled(other, 0, 2 * BLOCK_BYTES - 1, 2);
    uint64_t spilled = stats_get(STAT_spilled_bytes);
    write_text(one, 5, "again");
    write_text(third, 0, "new");
    assert_int_equal(stats_get(STAT_spilled_bytes) - spilled, 2 * BLOCK_BYTES - 1);
    assert_filled(other, 0, 2 * BLOCK_BYTES - 1, 2);
    staged_free(one);
    staged_free(other);
    staged_free(third);
    bench_done(bench);
}

static void without_memory_all_is_on_disk(void **state) {
    (void)state;
    struct bench *bench = bench_new(0);
    struct staged *staged = file_over(bench, NULL);
    write_text(staged, 5, "hello");
    write_text(staged, 3, "oh ");
    assert_filled(staged, 0, 3, 0);
    assert_reads(staged, 3, "oh ello");
    assert_true(budget_used(&bench->budget) < 16 * KIB);
    staged_free(staged);
    bench_done(bench);
}

static void try_full_disk(struct bench *bench, struct staged *staged) {
    unsigned char *bytes = malloc(4 * MIB);
    memset(bytes, 'n', 4 * MIB);
    int64_t length = staged_length(staged), used = (int64_t)staging_used(bench->staging);
    assert_int_equal(staged_write(staged, 100 * KIB, bytes, 4 * MIB), -ENOSPC);
    staged_check(staged);
    assert_int_equal(staged_length(staged), length);
    assert_int_equal(staging_used(bench->staging), used);
    assert_filled(staged, 0, 300 * KIB, 'o');
    assert_int_equal(staged_write(staged, 100 * KIB, bytes, 100 * KIB), 0); /* what is there can be written again */
    assert_filled(staged, 0, 100 * KIB, 'o');
    assert_filled(staged, 100 * KIB, 100 * KIB, 'n');
    assert_filled(staged, 200 * KIB, 100 * KIB, 'o');
    free(bytes);
}

static void a_write_that_finds_the_disk_full_has_no_effect(void **state) {
    (void)state;
    static const size_t shares[] = {0, 4 * BLOCK_COST};
    for (unsigned i = 0; i < 2; i++) {
        struct bench *bench = bench_new(shares[i]);
        struct staged *staged = file_over(bench, NULL);
        write_filled(staged, 0, 300 * KIB, 'o');
        atomic_store(&fake_disk.full, true);
        try_full_disk(bench, staged);
        atomic_store(&fake_disk.full, false);
        write_filled(staged, 100 * KIB, 4 * MIB, 'p');
        assert_filled(staged, 100 * KIB, 4 * MIB, 'p');
        staged_free(staged);
        bench_done(bench);
    }
}

static void a_small_filesystem_that_fills_up_is_no_harm(void **state) {
    (void)state;
    char mountpoint[] = "/tmp/test-staging-XXXXXX";
    assert_non_null(mkdtemp(mountpoint));
    if (mount("none", mountpoint, "tmpfs", 0, "size=2m")) {
        rmdir(mountpoint);
        skip(); /* not permitted: the fake disk has to do */
    }
    struct bench *bench = bench_new(BLOCK_COST);
    staging_free(bench->staging);
    assert_int_equal(staging_new(&bench->budget, BLOCK_COST, mountpoint, &bench->staging), 0);
    assert_int_equal(umount2(mountpoint, MNT_DETACH), 0); /* it stays as long as the area has it open */
    rmdir(mountpoint);
    struct staged *staged = file_over(bench, NULL);
    write_filled(staged, 0, 300 * KIB, 'o');
    try_full_disk(bench, staged);
    assert_int_equal(staged_truncate(staged, 0), 0); /* gives its space back */
    write_filled(staged, 5 * MIB, 1900 * KIB, 'q');
    assert_filled(staged, 5 * MIB, 1900 * KIB, 'q');
    staged_free(staged);
    bench_done(bench);
}

static void a_broken_disk_is_an_error_of_who_needs_it(void **state) {
    (void)state;
    struct bench *bench = bench_new(2 * BLOCK_COST + 16 * KIB);
    struct staged *staged = file_over(bench, NULL);
    write_filled(staged, 0, 200 * KIB, 'o');
    atomic_store(&fake_disk.broken, true);
    assert_int_equal(staged_write(staged, MIB, "x", 1), -EIO);
    assert_int_equal(staged_length(staged), 200 * KIB);
    write_filled(staged, 0, 100 * KIB, 'p'); /* in memory */
    atomic_store(&fake_disk.broken, false);
    write_text(staged, MIB, "x");
    assert_filled(staged, 0, 100 * KIB, 'p');
    assert_filled(staged, 100 * KIB, 100 * KIB, 'o');
    staged_free(staged);
    bench_done(bench);
}

static void a_directory_that_cannot_be_used_is_said_at_once(void **state) {
    (void)state;
    struct budget budget;
    struct staging *staging = NULL;
    budget_init(&budget, MIB);
    assert_int_equal(staging_new(&budget, MIB, "/nonexistent/staging", &staging), -ENOENT);
    assert_int_equal(staging_new(&budget, MIB, "/dev/null", &staging), -ENOTDIR);
    assert_true(staging_new(&budget, MIB, "/proc", &staging) < 0);
    assert_null(staging);
    assert_null(staging_free(NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_stays_within_the_share),
        cmocka_unit_test(what_was_not_written_for_longest_goes_to_disk_first),
        cmocka_unit_test(without_memory_all_is_on_disk),
        cmocka_unit_test(a_write_that_finds_the_disk_full_has_no_effect),
        cmocka_unit_test(a_small_filesystem_that_fills_up_is_no_harm),
        cmocka_unit_test(a_broken_disk_is_an_error_of_who_needs_it),
        cmocka_unit_test(a_directory_that_cannot_be_used_is_said_at_once),
    };
    return cmocka_run_group_tests_name("staging_room", tests, NULL, NULL);
}

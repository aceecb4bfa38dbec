// SPDX-License-Identifier: Apache-2.0
/* The disk tier where there is little room, or the disk fails, or others share it. */
#include "cache/disk.h"

#include <dirent.h>
#include <pthread.h>

#include "cache/base/clock.h"
#include "tests/unit/disk_bench.h"

enum { SLOW = 30000 }; /* ms, for what comes true by itself */

static void await(bool (*is_true)(struct bench *bench), struct bench *bench) {
    for (int64_t begun = clock_now_ms(); !is_true(bench);) {
        if (clock_now_ms() - begun > SLOW)
            fail_msg("it did not come true");
        usleep(1000);
    }
}

static bool rests(struct bench *bench) {
    return disk_state(bench->disk).resting != 0;
}

/* What all files in the folder take. */
static int64_t used(const struct bench *bench) {
    DIR *stream = opendir(bench->folder);
    const struct dirent *entry;
    int64_t bytes = 0;
    assert_non_null(stream);
    while ((entry = readdir(stream))) {
        struct stat status;
        if (entry->d_name[0] != '.' && fstatat(dirfd(stream), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) == 0)
            bytes += status.st_blocks * 512;
    }
    closedir(stream);
    return bytes;
}

static void grow_old(const struct bench *bench, const struct pattern_file *file, int seconds) {
    struct timespec now, times[2];
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec -= seconds;
    times[0] = times[1] = now;
    const char *used = is_there(heads_of(bench, file)) ? heads_of(bench, file) : path_of(bench, file);
    assert_int_equal(utimensat(AT_FDCWD, used, times, 0), 0);
}

/* ---- a disk that fails ---- */

static void reads_go_on(struct bench *bench) {
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
        assert_int_equal(fetched(bench, bench->other, 0, 1), 0); /* what is there is found all the same */
    }
}

static void a_full_disk_is_left_alone_for_a_while(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->other, 0, 1);
    restart(bench);
    atomic_store(&fake_disk.full, true);
    fetched(bench, bench->one, 0, 1);
    await(rests, bench);
    assert_int_equal(disk_state(bench->disk).resting, -ENOSPC);
    unsigned turns = atomic_load(&fake_disk.turns);
    reads_go_on(bench);
    put_away(bench);
    assert_int_equal(atomic_load(&fake_disk.turns), turns); /* nothing more was tried */
    atomic_store(&fake_disk.full, false);
    start(bench);
    assert_in_range(fetched(bench, bench->one, 0, CHUNKS), CHUNKS - 1, CHUNKS);
    restart(bench);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 0);
    bench_done(bench);
}

static bool is_kept(struct bench *bench) {
    return fetched(bench, bench->one, 0, CHUNKS) == 0;
}

static void it_is_tried_again_after_the_rest(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    put_away(bench);
    bench->config.rest_ms = 1;
    start(bench);
    atomic_store(&fake_disk.broken, true);
    fetched(bench, bench->one, 0, CHUNKS);
    await(rests, bench);
    assert_int_equal(disk_state(bench->disk).resting, -EIO);
    atomic_store(&fake_disk.broken, false);
    await(is_kept, bench);
    restart(bench); /* what was being written when it was read is written */
    assert_int_equal(disk_state(bench->disk).resting, 0);
    bench_done(bench);
}

static void interrupted_writes_go_on(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    atomic_store(&fake_disk.interrupts, 20);
    fetched(bench, bench->one, 0, CHUNKS);
    restart(bench);
    assert_int_equal(atomic_load(&fake_disk.interrupts), 0);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 0);
    bench_done(bench);
}

static void a_folder_that_is_removed_costs_fetches(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    put_away(bench);
    bench->config.rest_ms = 1;
    start(bench);
    fetched(bench, bench->one, 0, CHUNKS);
    restart(bench);
    char above[70];
    snprintf(above, sizeof above, "%s/a", bench->base);
    remove_all(above);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
    await(is_kept, bench); /* it is made again, with what is above it */
    struct stat status;
    assert_int_equal(stat(bench->folder, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
    bench_done(bench);
}

static void a_slow_disk_keeps_no_reader_waiting(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    atomic_store(&fake_disk.stuck, true);
    for (unsigned i = 0; i < 100; i++) { /* ten times what may wait */
        assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
        assert_true(budget_used(&bench->budget) <= bench->budget.limit / 4);
    }
    atomic_store(&fake_disk.stuck, false);
    restart(bench);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 0); /* what did wait is written */
    bench_done(bench);
}

static bool is_written(struct bench *bench) {
    return disk_state(bench->disk).backlog == 0;
}

static void who_wants_all_kept_sees_how_full_the_queue_is(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    assert_int_equal(disk_state(bench->disk).backlog, 0);
    atomic_store(&fake_disk.stuck, true);
    unsigned before = 0;
    while (!stats_get(STAT_disk_dropped)) {
        assert_in_range(before, 0, 100);
        fetched(bench, bench->one, 0, CHUNKS);
        unsigned now = disk_state(bench->disk).backlog;
        assert_true(now > before || stats_get(STAT_disk_dropped));
        before = now;
    }
    assert_true(before > 80);
    assert_int_equal(stats_get(STAT_disk_dropped), CHUNKS);
    atomic_store(&fake_disk.stuck, false);
    await(is_written, bench);
    bench_done(bench);
}

/* Small files fill it by their number. */
static void many_small_runs_fill_the_queue_too(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    atomic_store(&fake_disk.stuck, true);
    for (unsigned i = 0; i < 128; i++)
        fetched(bench, bench->other, 0, 1);
    assert_in_range(disk_state(bench->disk).backlog, 45, 55);
    atomic_store(&fake_disk.stuck, false);
    await(is_written, bench);
    assert_int_equal(stats_get(STAT_disk_dropped), 0);
    bench_done(bench);
}

/* A whole round of reads from the source below, or from the disk. */
static bool passes_by(struct bench *bench) {
    for (uint32_t n = 0; n < 8; n++)
        if (fetched(bench, bench->one, n, 1) != 1)
            return false;
    return true;
}

static bool comes_back(struct bench *bench) {
    for (uint32_t n = 0; n < CHUNKS; n++)
        if (fetched(bench, bench->one, n, 1) != 0)
            return false;
    return true;
}

static int slow_fetch(void *context, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                      struct blob **ret_blobs, int *ret_errors) {
    struct bench *bench = context;
    usleep(500);
    return bench->pattern.source.fetch(&bench->pattern, handle, first, count, budget, ret_blobs, ret_errors);
}

static void a_disk_that_is_slower_than_the_source_is_passed_by(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct pattern_file *other = file_new(100 * CHUNK, 7);
    put_away(bench);
    bench->config.below.context = bench;
    bench->config.below.fetch = slow_fetch;
    start(bench);
    fetched(bench, bench->one, 0, CHUNKS);
    restart(bench);
    for (uint32_t n = 0; n < 100; n++) /* so that both are known */
        fetched(bench, other, n, 1);
    assert_true(comes_back(bench));
    atomic_store(&fake_disk.slow_us, 5000);
    await(passes_by, bench);
    atomic_store(&fake_disk.slow_us, 0);
    await(comes_back, bench);
    atomic_store(&fake_disk.slow_us, 5000);
    await(passes_by, bench);
    for (unsigned i = 0; i < 20; i++) /* and what is asked of it for good is not asked */
        assert_int_equal(bench->source.whole(bench->source.context, bench->one), -EAGAIN);
    bench->pattern.failure = -EIO; /* without the source, what the disk has is good all the same */
    atomic_store(&bench->pattern.failures, 1);
    assert_int_equal(fetched(bench, bench->one, 0, 1), 0);
    assert_int_equal(fetched(bench, bench->one, 0, 1), 0);
    free(other);
    bench_done(bench);
}

/* ---- room ---- */

enum { FILES = 40, FILE_CHUNKS = 8, TAKES = 40960 + 4096 }; /* whole pages of content, and of heads */

/* FILES files of FILE_CHUNKS chunks each. */
static void make_files(struct pattern_file *files[FILES]) {
    for (unsigned i = 0; i < FILES; i++)
        files[i] = file_new(FILE_CHUNKS * CHUNK, (unsigned char)(100 + i));
}

static void free_files(struct pattern_file *files[FILES]) {
    for (unsigned i = 0; i < FILES; i++)
        free(files[i]);
}

static void the_least_recently_used_go_first(void **state) {
    (void)state;
    struct bench *bench = bench_new_of(20 * TAKES);
    struct pattern_file *files[FILES];
    char foreign[128];
    make_files(files);
    snprintf(foreign, sizeof foreign, "%s/notes.txt", bench->folder);
    assert_int_equal(close(open(foreign, O_CREAT | O_WRONLY, 0600)), 0);
    for (unsigned i = 0; i < 15; i++) {
        fetched(bench, files[i], 0, FILE_CHUNKS);
        restart(bench);
    }
    put_away(bench);
    for (unsigned i = 0; i < 15; i++)
        grow_old(bench, files[i], 10000 - 100 * (int)i);
    start(bench);
    assert_int_equal(fetched(bench, files[0], 0, 1), 0); /* the oldest is used again */
    for (unsigned i = 15; i < FILES; i++) {
        fetched(bench, files[i], 0, FILE_CHUNKS);
        restart(bench);
        assert_true(used(bench) <= 20 * TAKES);
        if (i == 20)
            assert_true(is_there(path_of(bench, files[0])) && !is_there(path_of(bench, files[1])));
    }
    assert_true(used(bench) >= 12 * TAKES);
    unsigned kept = 0;
    for (unsigned i = FILES; i-- > 0 && is_there(path_of(bench, files[i])); kept++)
        ;
    for (unsigned i = 0; i < FILES; i++) {
        assert_int_equal(is_there(path_of(bench, files[i])), i >= FILES - kept);
        assert_int_equal(is_there(heads_of(bench, files[i])), i >= FILES - kept);
    }
    assert_true(is_there(foreign));
    free_files(files);
    bench_done(bench);
}

static void heads_whose_content_went_go_too(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, 1);
    restart(bench);
    assert_int_equal(unlink(path_of(bench, bench->one)), 0);
    fetched(bench, bench->other, 0, 1); /* its writer looks around first */
    restart(bench);
    assert_false(is_there(heads_of(bench, bench->one)));
    assert_true(is_there(path_of(bench, bench->other)));
    bench_done(bench);
}

/* The folder of an older version: what is in it is of no use, but takes room. */
static void what_another_format_takes_counts_and_goes_first(void **state) {
    (void)state;
    struct bench *bench = bench_new_of(20 * TAKES);
    struct pattern_file *files[FILES];
    char older[256];
    make_files(files);
    snprintf(older, sizeof older, "%s", path_of(bench, files[0]));
    strcpy(strrchr(older, 'v'), "v1");
    int fd = open(older, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(posix_fallocate(fd, 0, 10 * TAKES), 0);
    assert_int_equal(close(fd), 0);
    unsigned count = 0;
    for (; count < FILES && is_there(older); count++) {
        fetched(bench, files[count], 0, FILE_CHUNKS);
        restart(bench);
        assert_true(used(bench) <= 20 * TAKES);
    }
    assert_in_range(count, 5, 10);
    for (unsigned i = 0; i < count; i++)
        assert_true(is_there(path_of(bench, files[i])));
    free_files(files);
    bench_done(bench);
}

static void a_date_in_the_future_is_set_right_by_a_use(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct stat status;
    fetched(bench, bench->one, 0, 1);
    put_away(bench);
    grow_old(bench, bench->one, -1000000);
    start(bench);
    assert_int_equal(fetched(bench, bench->one, 0, 1), 0);
    assert_int_equal(stat(path_of(bench, bench->one), &status), 0);
    assert_in_range(status.st_mtim.tv_sec, 1, time(NULL) + 1);
    bench_done(bench);
}

static void what_can_never_fit_is_not_begun(void **state) {
    (void)state;
    struct bench *bench = bench_new_of(20 * TAKES);
    struct pattern_file *long_ones[] = {file_new(21 * TAKES, 9), file_new(20 * TAKES, 10)}; /* that one but for its heads */
    fetched(bench, bench->one, 0, CHUNKS);
    for (unsigned i = 0; i < 2; i++) {
        fetched(bench, long_ones[i], 0, 20);
        restart(bench);
        assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 0);
        assert_int_equal(fetched(bench, long_ones[i], 0, 20), 20);
        free(long_ones[i]);
    }
    bench_done(bench);
}

static void the_file_system_keeps_its_free_space(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, CHUNKS);
    restart(bench);
    grow_old(bench, bench->one, 1000);
    atomic_store(&free_bytes, bench->config.room.least_free + 100);
    fetched(bench, bench->other, 0, 1);
    await(rests, bench); /* what was removed did not help: there is still no room */
    assert_int_equal(disk_state(bench->disk).resting, -ENOSPC);
    assert_false(is_there(path_of(bench, bench->one)));
    assert_int_equal(stats_get(STAT_disk_evictions), 2); /* the other had been made by then */
    bench_done(bench);
}

static bool nothing_is_used(struct bench *bench) {
    return used(bench) == 0;
}

static void what_others_need_is_given_back(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, CHUNKS);
    restart(bench);
    atomic_store(&free_bytes, 100);
    for (unsigned i = 0; i < 30; i++)
        disk_tick(bench->disk);
    await(nothing_is_used, bench);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
    bench_done(bench);
}

/* ---- others ---- */

enum { THREADS = 4, ROUNDS = 300 };

struct reading {
    struct bench *bench;
    struct chunk_source source;
    struct pattern_file **files;
    uint64_t seed;
    pthread_t thread;
    unsigned wrong;
};

static bool is_right(const struct pattern_file *file, uint32_t n, const struct blob *blob) {
    bool right = blob && blob->size == CHUNK;
    for (size_t i = 0; right && i < CHUNK; i += 97)
        right = blob->bytes[i] == pattern_byte(file, (int64_t)n * CHUNK + (int64_t)i);
    return right;
}

static void *read_at_random(void *argument) {
    struct reading *reading = argument;
    struct dice dice = {.state = reading->seed};
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct pattern_file *file = reading->files[dice_below(&dice, FILES)];
        uint32_t first = (uint32_t)dice_below(&dice, FILE_CHUNKS);
        uint32_t count = 1 + (uint32_t)dice_below(&dice, FILE_CHUNKS - first);
        struct blob *blobs[FILE_CHUNKS] = {0};
        int errors[FILE_CHUNKS] = {0};
        reading->wrong += reading->source.fetch(reading->source.context, file, first, count, &reading->bench->budget,
                                                blobs, errors) < 0;
        for (uint32_t i = 0; i < count; i++) {
            reading->wrong += !is_right(file, first + i, blobs[i]);
            blob_unref(blobs[i]);
        }
    }
    return NULL;
}

/* As several mounts do: each has a tier of its own, in the one folder, which is too small for all. */
static void many_share_a_folder(void **state) {
    (void)state;
    struct bench *bench = bench_new_of(30 * TAKES);
    struct dice dice = dice_new("many share a folder");
    struct pattern_file *files[FILES];
    struct disk *second = NULL;
    struct reading readings[THREADS];
    char *error = NULL;
    make_files(files);
    assert_int_equal(disk_new(&bench->config, &second, &error), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        readings[i] = (struct reading){.bench = bench,
                                       .source = disk_source(i % 2 ? second : bench->disk),
                                       .files = files,
                                       .seed = dice_throw(&dice) | 1};
        assert_int_equal(pthread_create(&readings[i].thread, NULL, read_at_random, &readings[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(readings[i].thread, NULL);
        assert_int_equal(readings[i].wrong, 0);
    }
    disk_free(second);
    put_away(bench);
    assert_in_range(used(bench), 1, 30 * TAKES);
    start(bench);
    free_files(files);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_is_left_alone_for_a_while),
        cmocka_unit_test(it_is_tried_again_after_the_rest),
        cmocka_unit_test(interrupted_writes_go_on),
        cmocka_unit_test(a_folder_that_is_removed_costs_fetches),
        cmocka_unit_test(a_slow_disk_keeps_no_reader_waiting),
        cmocka_unit_test(who_wants_all_kept_sees_how_full_the_queue_is),
        cmocka_unit_test(many_small_runs_fill_the_queue_too),
        cmocka_unit_test(a_disk_that_is_slower_than_the_source_is_passed_by),
        cmocka_unit_test(the_least_recently_used_go_first),
        cmocka_unit_test(heads_whose_content_went_go_too),
        cmocka_unit_test(what_another_format_takes_counts_and_goes_first),
        cmocka_unit_test(a_date_in_the_future_is_set_right_by_a_use),
        cmocka_unit_test(what_can_never_fit_is_not_begun),
        cmocka_unit_test(the_file_system_keeps_its_free_space),
        cmocka_unit_test(what_others_need_is_given_back),
        cmocka_unit_test(many_share_a_folder),
    };
    return cmocka_run_group_tests_name("disk_room", tests, NULL, NULL);
}

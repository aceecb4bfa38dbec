// SPDX-License-Identifier: Apache-2.0
#include "cache/disk.h"

#include "tests/unit/disk_bench.h"

static void write_at(const char *path, off_t offset, const void *bytes, size_t size) {
    cleanup_fd int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, offset), size);
}

/* ---- what it is for ---- */

static void what_was_fetched_is_found_after_a_restart(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
    restart(bench);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 0);
    assert_int_equal(fetched(bench, bench->one, 7, 1), 0);
    assert_int_equal(stats_get(STAT_disk_misses), CHUNKS);
    assert_int_equal(stats_get(STAT_disk_hits), CHUNKS + 1);
    assert_int_equal(stats_get(STAT_disk_bytes_stored), bench->one->length);
    assert_int_equal(stats_get(STAT_disk_bytes), bench->one->length + CHUNK);
    bench_done(bench);
}

static void only_the_user_can_look_into_it(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct stat status;
    fetched(bench, bench->one, 0, 1);
    put_away(bench);
    assert_int_equal(stat(bench->folder, &status), 0);
    assert_int_equal(status.st_mode, S_IFDIR | 0700);
    assert_int_equal(stat(path_of(bench, bench->one), &status), 0);
    assert_int_equal(status.st_mode, S_IFREG | 0600);
    bench_done(bench);
}

static void what_is_missing_is_one_question(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, 4);
    fetched(bench, bench->one, 6, 1);
    fetched(bench, bench->one, 10, 2);
    restart(bench);
    unsigned before = atomic_load(&bench->pattern.fetches);
    assert_int_equal(fetched(bench, bench->one, 2, 10), 6); /* 4 to 9 */
    assert_int_equal(atomic_load(&bench->pattern.fetches), before + 1);
    restart(bench);
    assert_int_equal(fetched(bench, bench->one, 0, 12), 0);
    bench_done(bench);
}

static void heads_are_found_and_the_others_are_one_question(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct pattern_file *files[5];
    struct blob *blobs[5];
    int errors[5];
    for (unsigned i = 0; i < 5; i++)
        files[i] = file_new(100 + i, (unsigned char)(10 + i));
    fetched(bench, files[1], 0, 1);
    fetched(bench, files[3], 0, 1);
    restart(bench);
    for (unsigned round = 0; round < 2; round++) {
        memset(blobs, 0, sizeof blobs);
        memset(errors, 0, sizeof errors);
        assert_int_equal(bench->source.fetch_heads(bench->source.context, (void *const *)files, 5, &bench->budget, blobs,
                                                   errors), 0);
        for (unsigned i = 0; i < 5; i++) {
            assert_int_equal(errors[i], 0);
            assert_is_chunk(files[i], 0, blobs[i]);
            blob_unref(blobs[i]);
        }
        assert_int_equal(atomic_load(&bench->pattern.head_fetches), 1);
        restart(bench);
    }
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(atomic_load(&files[i]->fetched[0]), 1);
        free(files[i]);
    }
    bench_done(bench);
}

static void what_the_source_does_not_give_is_not_kept(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct blob *blobs[3] = {0};
    int errors[3] = {0};
    fetched(bench, bench->one, 0, 1);
    restart(bench);
    atomic_store(&bench->one->damage[1], -EIO);
    assert_int_equal(bench->source.fetch(bench->source.context, bench->one, 0, 3, &bench->budget, blobs, errors), 0);
    assert_is_chunk(bench->one, 0, blobs[0]);
    assert_null(blobs[1]);
    assert_int_equal(errors[1], -EIO);
    assert_is_chunk(bench->one, 2, blobs[2]);
    blob_unref(blobs[0]);
    blob_unref(blobs[2]);
    restart(bench);
    atomic_store(&bench->one->damage[1], 0);
    assert_int_equal(fetched(bench, bench->one, 0, 3), 1);
    bench_done(bench);
}

static void when_the_source_fails_what_is_on_disk_is_given(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct blob *blobs[3] = {0};
    int errors[3] = {0};
    fetched(bench, bench->one, 0, 1);
    restart(bench);
    bench->pattern.failure = -ETIMEDOUT;
    atomic_store(&bench->pattern.failures, 2);
    assert_int_equal(bench->source.fetch(bench->source.context, bench->one, 0, 3, &bench->budget, blobs, errors), 0);
    assert_is_chunk(bench->one, 0, blobs[0]);
    assert_null(blobs[1]);
    assert_int_equal(errors[1], -ETIMEDOUT);
    assert_int_equal(errors[2], -ETIMEDOUT);
    blobs[0] = blob_unref(blobs[0]);
    assert_int_equal(bench->source.fetch(bench->source.context, bench->one, 1, 2, &bench->budget, blobs, errors),
                     -ETIMEDOUT);
    bench_done(bench);
}

/* ---- what is on disk is not trusted ---- */

/* It ends somewhere in its third chunk, or before the third head does. */
static void cut(const char *path, off_t third, off_t step, struct bench *bench) {
    char whole[260];
    snprintf(whole, sizeof whole, "%s", path);
    for (off_t size = 2 * third; size < 3 * third; size += step) {
        fetched(bench, bench->one, 0, 3);
        put_away(bench);
        assert_int_equal(truncate(whole, size), 0);
        start(bench);
        assert_int_equal(fetched(bench, bench->one, 0, 3), 1);
        restart(bench);
        assert_int_equal(fetched(bench, bench->one, 0, 3), 0);
    }
}

static void a_chunk_that_was_written_in_part_is_fetched(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    cut(path_of(bench, bench->one), CHUNK, 501, bench);
    cut(heads_of(bench, bench->one), HEAD, 1, bench);
    bench_done(bench);
}

static void content_or_heads_alone_are_nothing(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    for (unsigned round = 0; round < 2; round++) {
        fetched(bench, bench->one, 0, 3);
        put_away(bench);
        assert_int_equal(unlink(round ? path_of(bench, bench->one) : heads_of(bench, bench->one)), 0);
        start(bench);
        assert_int_equal(fetched(bench, bench->one, 0, 3), 3);
        restart(bench);
        assert_int_equal(fetched(bench, bench->one, 0, 3), 0);
    }
    bench_done(bench);
}

static void flip(const char *path, off_t at, unsigned bit) {
    unsigned char byte;
    cleanup_fd int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= (unsigned char)(1 << bit);
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

static void a_flipped_bit_is_never_read(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct dice dice = dice_new("flipped bits");
    for (unsigned round = 0; round < 200; round++) {
        unsigned bit = (unsigned)dice_below(&dice, 8);
        fetched(bench, bench->one, 0, 3);
        fetched(bench, bench->other, 0, 1);
        put_away(bench);
        if (round < HEAD) /* each byte of the head */
            flip(heads_of(bench, bench->one), HEAD + round, bit);
        else
            flip(path_of(bench, bench->one), CHUNK + (off_t)dice_below(&dice, CHUNK), bit);
        flip(path_of(bench, bench->other), round < HEAD ? 100 + round : (off_t)dice_below(&dice, 100), bit);
        start(bench);
        assert_int_equal(fetched(bench, bench->one, 0, 3), 1);
        assert_int_equal(fetched(bench, bench->other, 0, 1), 1);
        restart(bench);
    }
    assert_int_equal(stats_get(STAT_disk_damaged), 400);
    bench_done(bench);
}

static void read_at(const char *path, off_t offset, void *bytes, size_t size) {
    cleanup_fd int fd = open(path, O_RDONLY);
    assert_int_equal(pread(fd, bytes, size, offset), size);
}

static void a_chunk_of_another_place_is_none(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct pattern_file *twin = file_new(bench->one->length, 3);
    unsigned char chunk[CHUNK], head[HEAD];
    fetched(bench, bench->one, 0, 3);
    fetched(bench, twin, 0, 1);
    put_away(bench);
    read_at(path_of(bench, bench->one), CHUNK, chunk, CHUNK);
    read_at(heads_of(bench, bench->one), HEAD, head, HEAD);
    write_at(path_of(bench, bench->one), 0, chunk, CHUNK);
    write_at(heads_of(bench, bench->one), 0, head, HEAD);
    write_at(path_of(bench, twin), CHUNK, chunk, CHUNK);
    write_at(heads_of(bench, twin), HEAD, head, HEAD);
    start(bench);
    assert_int_equal(fetched(bench, bench->one, 0, 3), 1);
    assert_int_equal(fetched(bench, twin, 1, 1), 1);
    free(twin);
    bench_done(bench);
}

static void databases_do_not_mix(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, 3);
    put_away(bench);
    bench->config.realm = "server/other";
    start(bench);
    assert_int_equal(fetched(bench, bench->one, 0, 3), 3);
    bench_done(bench);
}

static void another_format_is_another_file(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    for (unsigned version = 1; version < 30; version += 20) { /* the one before this, and a later one */
        char other[300];
        fetched(bench, bench->one, 0, 3);
        put_away(bench);
        snprintf(other, sizeof other, "%s", path_of(bench, bench->one));
        snprintf(strrchr(other, 'v'), 4, "v%u", version);
        assert_int_equal(rename(path_of(bench, bench->one), other), 0);
        start(bench);
        assert_int_equal(fetched(bench, bench->one, 0, 3), 3);
        restart(bench);
        assert_true(is_there(other)); /* until it is the least recently used */
        assert_int_equal(fetched(bench, bench->one, 0, 3), 0);
    }
    bench_done(bench);
}

static void whatever_a_file_holds_what_is_read_is_right(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct dice dice = dice_new("garbage");
    for (unsigned round = 0; round < 100; round++) {
        unsigned char garbage[3 * CHUNK];
        size_t size = 1 + dice_below(&dice, sizeof garbage);
        for (size_t i = 0; i < size; i++)
            garbage[i] = (unsigned char)dice_throw(&dice);
        fetched(bench, bench->one, 0, CHUNKS);
        put_away(bench);
        if (round % 2)
            write_at(heads_of(bench, bench->one), (off_t)dice_below(&dice, CHUNKS * HEAD), garbage, size % (3 * HEAD));
        else
            write_at(path_of(bench, bench->one), (off_t)dice_below(&dice, CHUNKS * CHUNK), garbage, size);
        start(bench);
        assert_in_range(fetched(bench, bench->one, 0, CHUNKS), 0, 5);
        restart(bench);
    }
    bench_done(bench);
}

/* What stands where a file should be; nothing of it may change. */
static void stays_alone(struct bench *bench, const char *path) {
    struct stat before, after;
    assert_int_equal(lstat(path, &before), 0);
    assert_int_equal(fetched(bench, bench->one, 0, 3), 3);
    restart(bench);
    assert_int_equal(fetched(bench, bench->one, 0, 3), 3);
    assert_int_equal(fetched(bench, bench->other, 0, 1), 1); /* another file is kept all the same */
    restart(bench);
    assert_int_equal(fetched(bench, bench->other, 0, 1), 0);
    assert_int_equal(disk_state(bench->disk).resting, 0);
    put_away(bench);
    assert_int_equal(lstat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mode, after.st_mode);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    start(bench);
    bench_done(bench);
}

static void a_symlink_is_not_followed(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    char target[300];
    fetched(bench, bench->one, 0, 3);
    put_away(bench);
    snprintf(target, sizeof target, "%s/target", bench->base);
    assert_int_equal(rename(path_of(bench, bench->one), target), 0); /* sound content, but elsewhere */
    assert_int_equal(symlink(target, path_of(bench, bench->one)), 0);
    start(bench);
    stays_alone(bench, path_of(bench, bench->one));
}

static void a_fifo_is_not_waited_for(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    assert_int_equal(mkfifo(path_of(bench, bench->one), 0600), 0);
    stays_alone(bench, path_of(bench, bench->one));
}

static void a_directory_of_its_name_is_left_alone(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    assert_int_equal(mkdir(path_of(bench, bench->one), 0700), 0);
    stays_alone(bench, path_of(bench, bench->one));
}

static void a_file_with_another_name_is_not_written_to(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    char target[300];
    fetched(bench, bench->one, 0, 3);
    put_away(bench);
    snprintf(target, sizeof target, "%s/target", bench->base);
    assert_int_equal(link(path_of(bench, bench->one), target), 0);
    start(bench);
    stays_alone(bench, path_of(bench, bench->one));
}

static void a_file_that_everybody_can_change_is_not_read(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, 3);
    put_away(bench);
    assert_int_equal(chmod(path_of(bench, bench->one), 0666), 0);
    start(bench);
    stays_alone(bench, path_of(bench, bench->one));
}

static void a_file_of_another_user_is_not_read(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, 3);
    put_away(bench);
    assert_int_equal(chown(path_of(bench, bench->one), 12345, 12345), 0);
    start(bench);
    stays_alone(bench, path_of(bench, bench->one));
}

/* ---- the folder ---- */

static void refuse(struct bench *bench, const char *because) {
    char *error = NULL;
    assert_int_equal(disk_new(&bench->config, &bench->disk, &error), -EPERM);
    if (!strstr(error, because) || !strstr(error, bench->folder) || strchr(error, '\n'))
        fail_msg("%s", error);
    free(error);
    bench->disk = NULL;
    bench_done(bench);
}

static struct bench *without_folder(void) {
    struct bench *bench = bench_new();
    put_away(bench);
    assert_int_equal(rmdir(bench->folder), 0);
    return bench;
}

static void a_symlink_is_no_folder(void **state) {
    (void)state;
    struct bench *bench = without_folder();
    assert_int_equal(symlink("/tmp", bench->folder), 0);
    refuse(bench, "no directory");
}

/* Who can change the directory above it can do that at any time. */
static void what_is_put_in_place_of_the_folder_is_not_filled(void **state) {
    (void)state;
    struct bench *bench = without_folder();
    char other[80];
    snprintf(other, sizeof other, "%s/other", bench->base);
    start(bench);
    assert_int_equal(rmdir(bench->folder), 0);
    assert_int_equal(mkdir(other, 0700), 0);
    assert_int_equal(symlink(other, bench->folder), 0);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
    put_away(bench);
    assert_int_equal(rmdir(other), 0); /* nothing is in it */
    bench_done(bench);
}

static void a_folder_that_everybody_can_change_is_refused(void **state) {
    (void)state;
    struct bench *bench = without_folder();
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    assert_int_equal(chmod(bench->folder, 01777), 0);
    refuse(bench, "everybody");
}

static void a_folder_of_another_user_is_refused(void **state) {
    (void)state;
    if (geteuid() != 0)
        skip();
    struct bench *bench = without_folder();
    assert_int_equal(mkdir(bench->folder, 0700), 0);
    assert_int_equal(chown(bench->folder, 12345, 12345), 0);
    refuse(bench, "another user");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_fetched_is_found_after_a_restart),
        cmocka_unit_test(only_the_user_can_look_into_it),
        cmocka_unit_test(what_is_missing_is_one_question),
        cmocka_unit_test(heads_are_found_and_the_others_are_one_question),
        cmocka_unit_test(what_the_source_does_not_give_is_not_kept),
        cmocka_unit_test(when_the_source_fails_what_is_on_disk_is_given),
        cmocka_unit_test(a_chunk_that_was_written_in_part_is_fetched),
        cmocka_unit_test(content_or_heads_alone_are_nothing),
        cmocka_unit_test(a_flipped_bit_is_never_read),
        cmocka_unit_test(a_chunk_of_another_place_is_none),
        cmocka_unit_test(databases_do_not_mix),
        cmocka_unit_test(another_format_is_another_file),
        cmocka_unit_test(whatever_a_file_holds_what_is_read_is_right),
        cmocka_unit_test(a_symlink_is_not_followed),
        cmocka_unit_test(a_fifo_is_not_waited_for),
        cmocka_unit_test(a_directory_of_its_name_is_left_alone),
        cmocka_unit_test(a_file_with_another_name_is_not_written_to),
        cmocka_unit_test(a_file_that_everybody_can_change_is_not_read),
        cmocka_unit_test(a_file_of_another_user_is_not_read),
        cmocka_unit_test(a_symlink_is_no_folder),
        cmocka_unit_test(what_is_put_in_place_of_the_folder_is_not_filled),
        cmocka_unit_test(a_folder_that_everybody_can_change_is_refused),
        cmocka_unit_test(a_folder_of_another_user_is_refused),
    };
    return cmocka_run_group_tests_name("disk", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* What the disk tier gives the kernel to read: whole files that are sound, or nothing. */
#include "tests/unit/sound_bench.h"

static struct bench *filled(void) {
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, CHUNKS);
    fetched(bench, bench->other, 0, 1);
    restart(bench);
    return bench;
}

static void a_file_that_memory_has_is_looked_at_and_given(void **state) {
    (void)state;
    struct bench *bench = filled();
    assert_is_whole(bench, bench->one);
    assert_is_whole(bench, bench->one);
    assert_int_equal(stats_get(STAT_disk_hits), 0);
    bench_done(bench);
}

static void a_file_of_one_chunk_is_not_worth_it(void **state) {
    (void)state;
    struct bench *bench = filled();
    assert_int_equal(whole(bench, bench->other), -EBADMSG);
    bench_done(bench);
}

static void what_is_not_all_there_is_not_given(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    assert_int_equal(whole(bench, bench->one), -ENOENT);
    fetched(bench, bench->one, 0, CHUNKS - 1);
    restart(bench);
    assert_int_equal(whole(bench, bench->one), -EAGAIN);
    fetched(bench, bench->one, CHUNKS - 1, 1);
    restart(bench);
    assert_is_whole(bench, bench->one);
    bench_done(bench);
}

static void what_is_damaged_is_not_given_until_it_was_fetched(void **state) {
    (void)state;
    struct bench *bench = filled();
    spoil(path_of(bench, bench->one), 7 * CHUNK + 3);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    assert_int_equal(stats_get(STAT_disk_damaged), 1);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 1);
    restart(bench);
    assert_is_whole(bench, bench->one);
    bench_done(bench);
}

static void whatever_bit_is_another_it_is_not_given(void **state) {
    (void)state;
    struct bench *bench = filled();
    struct dice dice = dice_new("bits of whole files");
    for (unsigned round = 0; round < 100; round++) {
        const char *path = round % 2 ? heads_of(bench, bench->one) : path_of(bench, bench->one);
        off_t at = (off_t)dice_below(&dice, round % 2 ? CHUNKS * HEAD : (unsigned)bench->one->length);
        spoil(path, at);
        assert_int_equal(whole(bench, bench->one), -EBADMSG);
        spoil(path, at); /* as it was */
        put_away(bench);     /* what was sound before is looked at anew, too */
        start(bench);
    }
    assert_is_whole(bench, bench->one);
    bench_done(bench);
}

static void what_was_sound_and_is_found_damaged_is_not_given(void **state) {
    (void)state;
    struct bench *bench = filled();
    int64_t most = bench->config.room.most;
    put_away(bench);
    bench->config.room.most = CHUNK; /* nothing mends it */
    start(bench);
    assert_is_whole(bench, bench->one);
    spoil(path_of(bench, bench->one), 7 * CHUNK + 3);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 1);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    put_away(bench);
    bench->config.room.most = most;
    start(bench);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 1);
    restart(bench);
    assert_is_whole(bench, bench->one);
    bench_done(bench);
}

/* Nobody has read it through us since. */
static void what_was_sound_and_was_changed_is_looked_at_again(void **state) {
    (void)state;
    struct bench *bench = filled();
    for (unsigned round = 0; round < 2; round++) {
        assert_is_whole(bench, bench->one);
        spoil(path_of(bench, bench->one), 7 * CHUNK + 3);
        assert_int_equal(whole(bench, bench->one), -EBADMSG);
        spoil(path_of(bench, bench->one), 7 * CHUNK + 3); /* as it was */
    }
    bench_done(bench);
}

static void what_was_sound_in_part_and_was_changed_is_looked_at_again(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, CHUNKS - 1);
    restart(bench);
    assert_int_equal(whole(bench, bench->one), -EAGAIN);
    assert_int_equal(whole(bench, bench->one), -EAGAIN);
    spoil(path_of(bench, bench->one), 7 * CHUNK + 3);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

/* Else one that is opened while it is filled would be looked at again and again. */
static void what_we_write_is_no_change(void **state) {
    (void)state;
    struct bench *bench = filled();
    struct disk_sound *sound = disk_sound_new(bench->folder);
    struct disk_file file = {.length = bench->one->length, .chunk_size = CHUNK};
    strcpy(file.name, strrchr(path_of(bench, bench->one), '/') + 1);
    looked();
    for (unsigned round = 0; round < 3; round++) {
        cleanup_fd int fd = disk_sound_open(sound, &file);
        assert_true(fd >= 0);
        assert_int_equal(looked(), round == 1 ? 0 : CHUNKS);
        cleanup_disk_open struct disk_open none = {-1, -1};
        disk_sound_writes(sound, &file);
        touch(path_of(bench, bench->one));
        if (round == 1)
            disk_sound_wrote(sound, &none, &file, 7, -EIO);
    }
    disk_sound_free(sound);
    bench_done(bench);
}

/* Which another mount does, that cannot mend it. */
static void what_another_mount_finds_damaged_is_looked_at_again(void **state) {
    (void)state;
    struct bench *bench = filled();
    assert_is_whole(bench, bench->one);
    spoil(heads_of(bench, bench->one), 3 * HEAD + 9); /* of the heads: the content keeps its ctime */
    assert_is_whole(bench, bench->one);
    struct disk *first = bench->disk;
    struct chunk_source of_first = bench->source;
    bench->config.room.most = CHUNK;
    start(bench);
    let_the_clock_tick(path_of(bench, bench->one));
    assert_int_equal(fetched(bench, bench->one, 3, 1), 1);
    put_away(bench);
    bench->disk = first;
    bench->source = of_first;
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

/* Else two mounts that fill it at once could not tell the writes of the other from a change. */
static void what_is_there_is_not_written_again(void **state) {
    (void)state;
    struct bench *bench = filled();
    cleanup_disk_open struct disk_open there = {-1, -1};
    struct disk_file file = {.length = bench->one->length, .chunk_size = CHUNK};
    strcpy(file.name, strrchr(path_of(bench, bench->one), '/') + 1);
    unsigned char bytes[CHUNK];
    assert_int_equal(disk_file_open(bench->folder, &file, true, &there), 0);
    assert_int_equal(disk_file_read(&there, &file, 7, bytes), 0);
    atomic_store(&fake_disk.broken, true);
    assert_int_equal(disk_file_write(&there, &file, 7, bytes), 0);
    bytes[CHUNK - 1] ^= 1;
    assert_int_equal(disk_file_write(&there, &file, 7, bytes), -EIO);
    bytes[CHUNK - 1] ^= 1;
    atomic_store(&fake_disk.broken, false);
    spoil(path_of(bench, bench->one), 8 * CHUNK - 1);
    assert_int_equal(disk_file_write(&there, &file, 7, bytes), 0);
    assert_is_whole(bench, bench->one);
    bench_done(bench);
}

/* Another owner cannot be made without being root; these are what the same test is for. */
static void what_others_can_change_is_not_given(void **state) {
    (void)state;
    struct bench *bench = filled();
    char path[300], beside[320];
    for (unsigned round = 0; round < 2; round++) {
        snprintf(path, sizeof path, "%s", round ? heads_of(bench, bench->one) : path_of(bench, bench->one));
        snprintf(beside, sizeof beside, "%s/beside", bench->base);
        assert_int_equal(chmod(path, 0602), 0);
        assert_int_equal(whole(bench, bench->one), -EPERM);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(link(path, beside), 0);
        assert_int_equal(whole(bench, bench->one), -EPERM);
        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink(beside, path), 0);
        assert_int_equal(whole(bench, bench->one), -EPERM);
        assert_int_equal(rename(beside, path), 0);
        assert_is_whole(bench, bench->one);
    }
    bench_done(bench);
}

static void one_of_another_length_is_not_given(void **state) {
    (void)state;
    struct bench *bench = filled();
    assert_int_equal(truncate(path_of(bench, bench->one), bench->one->length + 1), 0);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

/* Else the holes of a new file would be taken for what the one before it had. */
static void one_that_was_made_anew_is_another(void **state) {
    (void)state;
    struct bench *bench = filled();
    for (unsigned round = 0; round < 20; round++) {
        assert_is_whole(bench, bench->one);
        assert_int_equal(unlink(path_of(bench, bench->one)), 0);
        assert_int_equal(whole(bench, bench->one), -ENOENT);
        assert_int_equal(fetched(bench, bench->one, 0, 2), 2);
        while (!is_there(path_of(bench, bench->one)) || !stats_get(STAT_disk_bytes_stored))
            usleep(1000);
        int fd = whole(bench, bench->one);
        assert_true(fd < 0);
        restart(bench);
        fetched(bench, bench->one, 0, CHUNKS);
        restart(bench);
    }
    bench_done(bench);
}

static int descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* Else the room of one that was removed would not be free when it is looked for. */
static void nothing_is_held_of_what_is_given(void **state) {
    (void)state;
    struct bench *bench = filled();
    int before = descriptors();
    for (unsigned round = 0; round < 3; round++)
        assert_is_whole(bench, bench->one);
    assert_int_equal(descriptors(), before);
    bench_done(bench);
}

static void so_many_are_known_and_no_more(void **state) {
    (void)state;
    struct bench *bench = bench_new();
    struct pattern_file *files[SOUND_FILES + 10];
    int before = descriptors();
    for (unsigned i = 0; i < SOUND_FILES + 10; i++) {
        files[i] = file_new(2 * CHUNK, (unsigned char)(10 + i));
        fetched(bench, files[i], 0, 2);
        restart(bench); /* the queue is short */
    }
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < SOUND_FILES + 10; i++)
            assert_is_whole(bench, files[i]);
    assert_int_equal(descriptors(), before);
    for (unsigned i = 0; i < SOUND_FILES + 10; i++)
        free(files[i]);
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_that_memory_has_is_looked_at_and_given),
        cmocka_unit_test(a_file_of_one_chunk_is_not_worth_it),
        cmocka_unit_test(what_is_not_all_there_is_not_given),
        cmocka_unit_test(what_is_damaged_is_not_given_until_it_was_fetched),
        cmocka_unit_test(whatever_bit_is_another_it_is_not_given),
        cmocka_unit_test(what_was_sound_and_is_found_damaged_is_not_given),
        cmocka_unit_test(what_was_sound_and_was_changed_is_looked_at_again),
        cmocka_unit_test(what_was_sound_in_part_and_was_changed_is_looked_at_again),
        cmocka_unit_test(what_we_write_is_no_change),
        cmocka_unit_test(what_another_mount_finds_damaged_is_looked_at_again),
        cmocka_unit_test(what_is_there_is_not_written_again),
        cmocka_unit_test(what_others_can_change_is_not_given),
        cmocka_unit_test(one_of_another_length_is_not_given),
        cmocka_unit_test(one_that_was_made_anew_is_another),
        cmocka_unit_test(nothing_is_held_of_what_is_given),
        cmocka_unit_test(so_many_are_known_and_no_more),
    };
    return cmocka_run_group_tests_name("disk sound", tests, NULL, NULL);
}

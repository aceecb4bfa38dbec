// SPDX-License-Identifier: Apache-2.0
/* What a mount leaves to the next one about a whole file. */
#include "cache/disk_mark.h"

#include "tests/unit/sound_bench.h"

static int (*syncing)(void); /* instead of the next fsync() */
static struct bench *syncing_bench;

int fsync(int fd) {
    int (*instead)(void) = syncing;
    syncing = NULL;
    return instead ? instead() : (int)syscall(SYS_fsync, fd);
}

static int read_it_meanwhile(void) {
    let_the_clock_tick(path_of(syncing_bench, syncing_bench->one));
    assert_int_equal(fetched(syncing_bench, syncing_bench->one, 3, 1), 1);
    return 0;
}

static int fail_to_write(void) {
    errno = EIO;
    return -1;
}

static void tick(struct bench *bench) {
    for (unsigned second = 0; second < 30; second++)
        disk_tick(bench->disk);
}

/* Whether this kernel can: what is not on the disk is not marked. */
static bool marked(struct bench *bench) {
    stats[STAT_disk_marks] = 0;
    for (unsigned part = 0; part < 2; part++) {
        cleanup_fd int fd = open(part ? heads_of(bench, bench->one) : path_of(bench, bench->one), O_RDWR);
        assert_int_equal(fsync(fd), 0);
    }
    tick(bench);
    restart(bench); /* which ends what it has begun */
    looked();
    return stats_get(STAT_disk_marks) == 1;
}

static struct bench *filled_and_marked(void) {
    struct bench *bench = bench_new();
    fetched(bench, bench->one, 0, CHUNKS);
    restart(bench);
    assert_is_whole(bench, bench->one);
    if (!marked(bench)) {
        bench_done(bench);
        skip();
    }
    return bench;
}

static void one_with_a_mark_is_given_without_a_look(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    for (unsigned round = 0; round < 3; round++) {
        assert_is_whole(bench, bench->one);
        restart(bench);
    }
    assert_int_equal(looked(), 0);
    bench_done(bench);
}

static void what_was_just_written_gets_a_mark_without_a_look(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    assert_int_equal(unlink(path_of(bench, bench->one)), 0);
    assert_int_equal(unlink(heads_of(bench, bench->one)), 0);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
    while (stats_get(STAT_disk_bytes_stored) < 2 * (uint64_t)bench->one->length)
        usleep(1000);
    assert_true(marked(bench));
    assert_is_whole(bench, bench->one);
    assert_int_equal(looked(), 0);
    bench_done(bench);
}

static void what_lacks_a_chunk_gets_none(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    assert_int_equal(unlink(path_of(bench, bench->one)), 0);
    assert_int_equal(unlink(heads_of(bench, bench->one)), 0);
    assert_int_equal(fetched(bench, bench->one, 1, CHUNKS - 1), CHUNKS - 1);
    while (stats_get(STAT_disk_bytes_stored) < 2 * (uint64_t)bench->one->length - CHUNK)
        usleep(1000);
    assert_false(marked(bench));
    assert_int_equal(whole(bench, bench->one), -EAGAIN);
    bench_done(bench);
}

static void whoever_changes_it_takes_its_mark(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    struct dice dice = dice_new("bits of marked files");
    const char *path = path_of(bench, bench->one);
    for (unsigned round = 0; round < 20; round++) {
        off_t at = (off_t)dice_below(&dice, (unsigned)bench->one->length);
        spoil(path, at);
        assert_int_equal(whole(bench, bench->one), -EBADMSG);
        spoil(path, at);
        restart(bench);
        assert_is_whole(bench, bench->one);
        assert_true(looked());
        assert_true(marked(bench));
    }
    bench_done(bench);
}

static void whatever_bit_of_a_mark_is_another_it_is_none(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    for (unsigned bit = 0; bit < 40; bit++) {
        spoil(heads_of(bench, bench->one), CHUNKS * HEAD + (off_t)bit);
        assert_is_whole(bench, bench->one);
        assert_int_equal(looked(), CHUNKS);
        spoil(heads_of(bench, bench->one), CHUNKS * HEAD + (off_t)bit);
        restart(bench);
        assert_is_whole(bench, bench->one);
        assert_int_equal(looked(), 0);
        restart(bench);
    }
    bench_done(bench);
}

/* What is made of it below us, no clock tells. */
static void what_is_found_damaged_loses_its_mark(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    put_away(bench);
    bench->config.room.most = CHUNK; /* nothing mends it */
    start(bench);
    spoil(heads_of(bench, bench->one), 3 * HEAD + 9); /* of the heads: the content keeps its ctime */
    assert_is_whole(bench, bench->one);
    assert_int_equal(looked(), 0);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), 1);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    restart(bench);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

/* What rots once may have rotted elsewhere: the mark is believed of no chunk any more. */
static void one_damaged_chunk_is_reason_to_look_at_all(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    spoil(heads_of(bench, bench->one), 3 * HEAD + 9); /* of the heads: the content keeps its ctime */
    spoil(heads_of(bench, bench->one), 7 * HEAD + 9);
    assert_is_whole(bench, bench->one);
    assert_int_equal(fetched(bench, bench->one, 3, 1), 1);
    while (stats_get(STAT_disk_bytes_stored) < (uint64_t)bench->one->length + CHUNK)
        usleep(1000);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    assert_false(marked(bench));
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

static void what_was_changed_before_it_got_its_mark_gets_none(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    touch(path_of(bench, bench->one)); /* the mark goes */
    assert_is_whole(bench, bench->one);
    spoil(path_of(bench, bench->one), 7 * CHUNK + 3);
    assert_false(marked(bench));
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

static void what_is_found_damaged_while_it_gets_its_mark_gets_none(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    put_away(bench);
    bench->config.room.most = CHUNK; /* nothing mends it */
    start(bench);
    touch(path_of(bench, bench->one)); /* the mark goes */
    assert_is_whole(bench, bench->one);
    spoil(heads_of(bench, bench->one), 3 * HEAD + 9);
    syncing = read_it_meanwhile;
    syncing_bench = bench;
    tick(bench);
    restart(bench);
    assert_null(syncing);
    assert_int_equal(whole(bench, bench->one), -EBADMSG);
    bench_done(bench);
}

/* Memory has it, and takes it for written: the kernel says it once, to whoever asks first. */
static void what_the_disk_did_not_take_is_gone(void **state) {
    (void)state;
    struct bench *bench = filled_and_marked();
    touch(path_of(bench, bench->one)); /* the mark goes */
    assert_is_whole(bench, bench->one);
    syncing = fail_to_write;
    tick(bench);
    restart(bench);
    assert_null(syncing);
    assert_int_equal(whole(bench, bench->one), -ENOENT);
    assert_int_equal(fetched(bench, bench->one, 0, CHUNKS), CHUNKS);
    bench_done(bench);
}

static time_t later; /* seconds */

time_t time(time_t *ret_time) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    now.tv_sec += later;
    if (ret_time)
        *ret_time = now.tv_sec;
    return now.tv_sec;
}

static void a_mark_holds_for_a_day(void **state) {
    (void)state;
    static const time_t days[] = {DISK_MARK_SECONDS - 60, DISK_MARK_SECONDS, -60};
    struct bench *bench = filled_and_marked();
    for (unsigned i = 0; i < 3; i++) {
        later = days[i];
        assert_is_whole(bench, bench->one);
        assert_int_equal(looked(), i ? CHUNKS : 0);
        restart(bench);
    }
    later = 0;
    bench_done(bench);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_with_a_mark_is_given_without_a_look),
        cmocka_unit_test(what_was_just_written_gets_a_mark_without_a_look),
        cmocka_unit_test(what_lacks_a_chunk_gets_none),
        cmocka_unit_test(whoever_changes_it_takes_its_mark),
        cmocka_unit_test(whatever_bit_of_a_mark_is_another_it_is_none),
        cmocka_unit_test(what_is_found_damaged_loses_its_mark),
        cmocka_unit_test(one_damaged_chunk_is_reason_to_look_at_all),
        cmocka_unit_test(what_was_changed_before_it_got_its_mark_gets_none),
        cmocka_unit_test(what_is_found_damaged_while_it_gets_its_mark_gets_none),
        cmocka_unit_test(what_the_disk_did_not_take_is_gone),
        cmocka_unit_test(a_mark_holds_for_a_day),
    };
    return cmocka_run_group_tests_name("disk mark", tests, NULL, NULL);
}

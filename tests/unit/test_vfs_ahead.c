// SPDX-License-Identifier: Apache-2.0
/* What is sent of a file before it is published: whatever was done to it meanwhile, its content is what was written. */
#include "fs/vfs/ahead.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <string.h>

#include "cache/base/log.h"
#include "tests/unit/vfs_bench.h"

enum {
    MIB = 1 << 20,
    MUCH = AHEAD_LEAST + 4 * MIB, /* what is written once it is begun is offered */
    MOST = 2 * MUCH,
    ALL_CHUNKS = MUCH / MEMORY_CHUNK_SIZE,
};

static unsigned char expected[MOST]; /* what the file must be */
static size_t length;
static unsigned seed;
static struct vfs_entry entry;
static struct handle *handle;

static int begin(void **state) {
    length = 0;
    memset(expected, 0, sizeof expected);
    return set_up(state);
}

static void create(void) {
    handle = memory_mount_created(mount, root, "file", O_RDWR, &entry);
}

static void write_at(size_t offset, size_t size) {
    for (size_t done = 0, part; done < size; done += part) {
        part = size - done < MIB ? size - done : MIB;
        for (size_t i = 0; i < part; i++)
            expected[offset + done + i] = (unsigned char)((i * 7 + seed) >> (i % 5));
        seed += 3;
        assert_int_equal(vfs_write(mount->vfs, handle, (int64_t)(offset + done), expected + offset + done, part,
                                   &memory_mount_caller), 0);
    }
    length = offset + size > length ? offset + size : length;
}

static void truncate_to(size_t size) {
    struct vfs_change change = {.set = VFS_SIZE, .size = (int64_t)size};
    struct stat attributes;
    assert_int_equal(vfs_change(mount->vfs, entry.inode, handle, &change, &attributes), 0);
    if (size < length)
        memset(expected + size, 0, length - size);
    length = size;
}

static void expect_stored(void) {
    size_t size = 0;
    const void *stored = memory_store_content(mount->memory, "file", &size);
    assert_non_null(stored);
    assert_int_equal(size, length);
    assert_true(memcmp(stored, expected, length) == 0);
    assert_int_equal(memory_store_uploads(mount->memory).going_on, 0);
}

static void flush_and_expect(unsigned used_chunks) {
    unsigned before = memory_store_uploads(mount->memory).used_chunks;
    assert_int_equal(flush(handle), 0);
    expect_stored();
    assert_int_equal(memory_store_uploads(mount->memory).used_chunks - before, used_chunks);
}

static void end(void) {
    close_and_forget(handle, entry.inode);
}

/* ---- what is sent ---- */

static void what_is_written_in_one_go_is_sent_before_the_close(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    assert_int_equal(memory_store_uploads(mount->memory).going_on, 1);
    assert_null(memory_store_content(mount->memory, "file", NULL));
    flush_and_expect(ALL_CHUNKS);
    assert_int_equal(memory_store_puts(mount->memory), 1);
    end();
}

static void little_is_left_to_the_close(void **state) {
    (void)state;
    create();
    write_at(0, AHEAD_LEAST - 1);
    write_at(0, AHEAD_LEAST / 2); /* once more is not in one go */
    write_at(AHEAD_LEAST, MIB);
    flush_and_expect(0);
    assert_int_equal(memory_store_uploads(mount->memory).begun, 0);
    end();
}

static void what_replaces_a_file_is_sent_in_its_chunks(void **state) {
    (void)state;
    memory_store_put(mount->memory, "file", "old", 3, 1 << 16);
    entry = memory_mount_found(mount, "file");
    handle = memory_mount_opened_as(mount, entry.inode, O_WRONLY | O_TRUNC);
    write_at(0, MUCH);
    flush_and_expect(MUCH / (1 << 16));
    end();
}

static void the_rest_of_a_file_that_was_synced_is_sent_as_well(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    assert_int_equal(vfs_sync(mount->vfs, handle), 0);
    expect_stored();
    write_at(MUCH, MUCH);
    unsigned all = MOST / MEMORY_CHUNK_SIZE, begun = ALL_CHUNKS + 1; /* one has a part of both */
    flush_and_expect(all - begun);
    assert_int_equal(memory_store_uploads(mount->memory).begun, 2);
    end();
}

static void a_stream_that_turns_back_for_a_moment_goes_on(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    write_at(0, 100); /* as a head that is known at the end only */
    write_at(MUCH, MIB);
    flush_and_expect((MUCH + MIB) / MEMORY_CHUNK_SIZE - 1);
    assert_int_equal(memory_store_uploads(mount->memory).begun, 1);
    end();
}

static void what_lies_behind_a_gap_is_left_to_the_close(void **state) {
    (void)state;
    create();
    write_at(0, AHEAD_LEAST + MIB);
    write_at(AHEAD_LEAST + 3 * MIB, MIB);
    flush_and_expect((AHEAD_LEAST + MIB) / MEMORY_CHUNK_SIZE);
    end();
}

/* ---- what is changed afterwards ---- */

static void what_is_rewritten_is_sent_again(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    write_at(5 * MEMORY_CHUNK_SIZE - 1, 2); /* of two chunks */
    write_at(20 * MEMORY_CHUNK_SIZE, MEMORY_CHUNK_SIZE);
    flush_and_expect(ALL_CHUNKS - 3);
    end();
}

static void what_is_cut_off_is_not_stored(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    truncate_to(10 * MEMORY_CHUNK_SIZE + 1);
    flush_and_expect(10);
    end();
}

static void what_is_cut_off_and_grown_again_is_zeros(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    truncate_to(10 * MEMORY_CHUNK_SIZE + 1);
    truncate_to(MUCH);
    flush_and_expect(10);
    end();
}

static void what_is_written_anew_from_the_start_is_stored(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    truncate_to(0);
    write_at(0, MUCH);
    flush_and_expect(0); /* each chunk is sent once; the rest is the put's */
    end();
}

static void a_hole_that_is_punched_is_one(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    assert_int_equal(vfs_allocate(mount->vfs, handle, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                  3 * MEMORY_CHUNK_SIZE, 2 * MEMORY_CHUNK_SIZE), 0);
    memset(expected + 3 * MEMORY_CHUNK_SIZE, 0, 2 * MEMORY_CHUNK_SIZE);
    flush_and_expect(ALL_CHUNKS - 2);
    end();
}

/* ---- what goes wrong ---- */

static void an_upload_that_cannot_be_begun_is_not_missed(void **state) {
    (void)state;
    create();
    faulty_store_fail(&mount->faulty, FAULTY_UPLOAD_BEGIN, 1, -EOPNOTSUPP);
    write_at(0, MUCH);
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_UPLOAD_BEGIN]), 1); /* nor asked for again and again */
    flush_and_expect(0);
    end();
}

static void what_did_not_arrive_is_sent_by_the_put(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    faulty_store_fail(&mount->faulty, FAULTY_UPLOAD_OFFER, 1, -ETIMEDOUT);
    write_at(MUCH, MEMORY_CHUNK_SIZE);
    flush_and_expect(ALL_CHUNKS);
    end();
}

static void what_a_put_that_failed_had_is_sent_again(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    faulty_store_fail(&mount->faulty, FAULTY_PUT, 1, -ETIMEDOUT);
    assert_int_equal(flush(handle), -ETIMEDOUT);
    assert_int_equal(memory_store_uploads(mount->memory).going_on, 0);
    write_at(MUCH, 10);
    flush_and_expect(0);
    end();
}

static void what_is_removed_is_sent_no_further(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    assert_int_equal(vfs_unlink(mount->vfs, root, "file"), 0);
    assert_int_equal(memory_store_uploads(mount->memory).going_on, 0);
    write_at(MUCH, MUCH);
    assert_int_equal(flush(handle), 0);
    assert_int_equal(memory_store_uploads(mount->memory).begun, 1);
    assert_null(memory_store_content(mount->memory, "file", NULL));
    end();
}

static void an_unmount_publishes_what_was_sent(void **state) {
    (void)state;
    create();
    write_at(0, MUCH);
    memory_mount_unmount(mount);
    expect_stored();
    assert_int_equal(memory_store_uploads(mount->memory).used_chunks, ALL_CHUNKS);
}

/* ---- several at once ---- */

static atomic_size_t frontier; /* written before */
static atomic_bool over;

/* Writes behind the one who writes the file: what is sent, is about to be, or is being sent. */
static void *scribble(void *argument) {
    struct dice dice = dice_new("ahead");
    unsigned failed = 0;
    (void)argument;
    while (!over) {
        size_t below = frontier;
        if (below < MIB)
            continue;
        size_t offset = dice_below(&dice, 2) ? below - 1 - dice_below(&dice, MIB / 2) : dice_below(&dice, below);
        expected[offset] = 0xff;
        failed += vfs_write(mount->vfs, handle, (int64_t)offset, "\xff", 1, &memory_mount_caller) != 0;
    }
    return (void *)(uintptr_t)failed;
}

static void a_write_that_crosses_the_sending_is_not_lost(void **state) {
    (void)state;
    pthread_t scribbler;
    void *failed;
    create();
    frontier = 0;
    over = false;
    assert_int_equal(pthread_create(&scribbler, NULL, scribble, NULL), 0);
    for (size_t done = 0; done < MOST; done += MIB / 4) {
        write_at(done, MIB / 4);
        frontier = done + MIB / 4;
    }
    over = true;
    pthread_join(scribbler, &failed);
    assert_null(failed);
    assert_int_equal(flush(handle), 0);
    expect_stored();
    end();
}

/* A chunk is rewritten while it waits to be sent. */
static void *write_more(void *argument) {
    (void)argument;
    write_at(MUCH, MIB);
    return NULL;
}

static void what_waits_to_be_sent_is_sent_as_it_is_by_then(void **state) {
    (void)state;
    pthread_t writer;
    create();
    write_at(0, MUCH);
    gate_shut(&mount->faulty.gates[FAULTY_UPLOAD_OFFER]);
    assert_int_equal(pthread_create(&writer, NULL, write_more, NULL), 0);
    gate_await(&mount->faulty.gates[FAULTY_UPLOAD_OFFER], 1);
    expected[MUCH + 5] ^= 1;
    assert_int_equal(vfs_write(mount->vfs, handle, MUCH + 5, expected + MUCH + 5, 1, &memory_mount_caller), 0);
    gate_open(&mount->faulty.gates[FAULTY_UPLOAD_OFFER]);
    pthread_join(writer, NULL);
    flush_and_expect((MUCH + MIB) / MEMORY_CHUNK_SIZE);
    end();
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, begin, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_in_one_go_is_sent_before_the_close),
        TEST(little_is_left_to_the_close),
        TEST(what_replaces_a_file_is_sent_in_its_chunks),
        TEST(the_rest_of_a_file_that_was_synced_is_sent_as_well),
        TEST(a_stream_that_turns_back_for_a_moment_goes_on),
        TEST(what_lies_behind_a_gap_is_left_to_the_close),
        TEST(what_is_rewritten_is_sent_again),
        TEST(what_is_cut_off_is_not_stored),
        TEST(what_is_cut_off_and_grown_again_is_zeros),
        TEST(what_is_written_anew_from_the_start_is_stored),
        TEST(a_hole_that_is_punched_is_one),
        TEST(an_upload_that_cannot_be_begun_is_not_missed),
        TEST(what_did_not_arrive_is_sent_by_the_put),
        TEST(what_a_put_that_failed_had_is_sent_again),
        TEST(what_is_removed_is_sent_no_further),
        TEST(an_unmount_publishes_what_was_sent),
        TEST(a_write_that_crosses_the_sending_is_not_lost),
        TEST(what_waits_to_be_sent_is_sent_as_it_is_by_then),
    };
    return cmocka_run_group_tests_name("vfs_ahead", tests, be_quiet, NULL);
}

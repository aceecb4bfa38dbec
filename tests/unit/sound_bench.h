// SPDX-License-Identifier: Apache-2.0
/* What the tests of whole files share: how often a chunk was looked at, what the kernel would read, and changes by others. */
#ifndef TESTS_UNIT_SOUND_BENCH_H
#define TESTS_UNIT_SOUND_BENCH_H

#include "cache/disk_sound.h"

#include <sys/uio.h>

#include "tests/unit/disk_bench.h"

static atomic_uint looks; /* at a chunk */

ssize_t preadv2(int fd, const struct iovec *parts, int count, off_t offset, int flags) {
    atomic_fetch_add(&looks, 1);
    return syscall(SYS_preadv2, fd, parts, (long)count, (long)offset, (long)(offset >> 31 >> 1), flags);
}

static unsigned looked(void) {
    return atomic_exchange(&looks, 0);
}

/* What is on the disk already it may have lost meanwhile. */
static void have_in_memory(const char *path) {
    char bytes[4096];
    cleanup_fd int fd = open(path, O_RDONLY);
    while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0)
        ;
}

/* The descriptor, or -errno. */
static int whole(struct bench *bench, struct pattern_file *file) {
    have_in_memory(path_of(bench, file));
    return bench->source.whole(bench->source.context, file);
}

static void assert_is_whole(struct bench *bench, struct pattern_file *file) {
    cleanup_fd int fd = whole(bench, file);
    cleanup_free unsigned char *bytes = malloc((size_t)file->length + 1);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, (size_t)file->length + 1, 0), file->length);
    for (int64_t i = 0; i < file->length; i++)
        assert_int_equal(bytes[i], pattern_byte(file, i));
}

/* Before Linux 6.13 two changes within a tick have the same date. */
static void let_the_clock_tick(const char *path) {
    struct stat status;
    struct timespec now = {0};
    assert_int_equal(stat(path, &status), 0);
    while (now.tv_sec < status.st_ctim.tv_sec ||
           (now.tv_sec == status.st_ctim.tv_sec && now.tv_nsec <= status.st_ctim.tv_nsec)) {
        usleep(500);
        clock_gettime(CLOCK_REALTIME_COARSE, &now);
    }
}

static void touch(const char *path) {
    let_the_clock_tick(path);
    assert_int_equal(utimensat(AT_FDCWD, path, NULL, 0), 0);
}

static void spoil(const char *path, off_t at) {
    let_the_clock_tick(path);
    cleanup_fd int fd = open(path, O_RDWR);
    unsigned char byte;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
}

#endif

// SPDX-License-Identifier: Apache-2.0
/* A disk that fails on demand: the test's own openat() and pwrite() stand before those of the C library.
 *
 * A full disk takes what overwrites bytes it has, and refuses what would need space, after a part of it. */
#ifndef TESTS_UNIT_FAKE_DISK_H
#define TESTS_UNIT_FAKE_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct {
    atomic_bool only_named; /* it knows no O_TMPFILE */
    atomic_bool full, broken;
    atomic_uint full_per_mille; /* so often it is full, at random */
    atomic_uint interrupts;     /* so many writes are interrupted or cut short */
    atomic_bool stuck;          /* writes do not end */
    atomic_uint slow_us;        /* what a read takes longer */
    atomic_uint turns;
} fake_disk;

int openat(int directory, const char *path, int flags, ...);
ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset);
ssize_t pread(int fd, void *bytes, size_t size, off_t offset);

int openat(int directory, const char *path, int flags, ...) {
    if ((flags & O_TMPFILE) == O_TMPFILE && atomic_load(&fake_disk.only_named)) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return (int)syscall(SYS_openat, directory, path, flags, 0600);
}

ssize_t pread(int fd, void *bytes, size_t size, off_t offset) {
    if (atomic_load(&fake_disk.slow_us))
        usleep(atomic_load(&fake_disk.slow_us));
    return syscall(SYS_pread64, fd, bytes, size, offset);
}

static bool fake_disk_is_full(void) {
    unsigned turn = atomic_fetch_add(&fake_disk.turns, 1) * 2654435761u;
    return atomic_load(&fake_disk.full) || (turn >> 16) % 1000 < atomic_load(&fake_disk.full_per_mille);
}

static bool fake_disk_has(int fd, off_t offset, size_t size) {
    return lseek(fd, offset, SEEK_DATA) == offset && lseek(fd, offset, SEEK_HOLE) >= offset + (off_t)size;
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset) {
    unsigned interrupts = atomic_load(&fake_disk.interrupts);
    while (atomic_load(&fake_disk.stuck))
        usleep(1000);
    if (interrupts) {
        atomic_store(&fake_disk.interrupts, interrupts - 1);
        if (interrupts % 2)
            return syscall(SYS_pwrite64, fd, bytes, (size + 1) / 2, offset);
        errno = EINTR;
        return -1;
    }
    if (atomic_load(&fake_disk.broken)) {
        errno = EIO;
        return -1;
    }
    if (fake_disk_is_full() && !fake_disk_has(fd, offset, size)) {
        syscall(SYS_pwrite64, fd, bytes, size / 2, offset);
        errno = ENOSPC;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, bytes, size, offset);
}

#endif

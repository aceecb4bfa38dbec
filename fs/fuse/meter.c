// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/meter.h"

#include <linux/fuse.h>
#include <stdatomic.h>
#include <stddef.h>

#include "cache/base/stats.h"

const int64_t meter_bounds[METER_BOUNDS] = {25000,    50000,    100000,    250000,    500000,     1000000,    2500000,
                                            10000000, 25000000, 100000000, 250000000, 1000000000, 5000000000, 30000000000};

static const char *const names[METER_OPERATIONS] = {
    [FUSE_LOOKUP] = "lookup",           [FUSE_GETATTR] = "getattr",
    [FUSE_SETATTR] = "setattr",         [FUSE_READLINK] = "readlink",
    [FUSE_SYMLINK] = "symlink",         [FUSE_MKNOD] = "mknod",
    [FUSE_MKDIR] = "mkdir",             [FUSE_UNLINK] = "unlink",
    [FUSE_RMDIR] = "rmdir",             [FUSE_RENAME] = "rename",
    [FUSE_LINK] = "link",               [FUSE_OPEN] = "open",
    [FUSE_READ] = "read",               [FUSE_WRITE] = "write",
    [FUSE_STATFS] = "statfs",           [FUSE_RELEASE] = "release",
    [FUSE_FSYNC] = "fsync",             [FUSE_SETXATTR] = "setxattr",
    [FUSE_GETXATTR] = "getxattr",       [FUSE_LISTXATTR] = "listxattr",
    [FUSE_REMOVEXATTR] = "removexattr", [FUSE_FLUSH] = "flush",
    [FUSE_INIT] = "init",               [FUSE_OPENDIR] = "opendir",
    [FUSE_READDIR] = "readdir",         [FUSE_RELEASEDIR] = "releasedir",
    [FUSE_FSYNCDIR] = "fsyncdir",       [FUSE_GETLK] = "getlk",
    [FUSE_SETLK] = "setlk",             [FUSE_SETLKW] = "setlkw",
    [FUSE_ACCESS] = "access",           [FUSE_CREATE] = "create",
    [FUSE_BMAP] = "bmap",               [FUSE_DESTROY] = "destroy",
    [FUSE_IOCTL] = "ioctl",             [FUSE_POLL] = "poll",
    [FUSE_FALLOCATE] = "fallocate",     [FUSE_READDIRPLUS] = "readdirplus",
    [FUSE_RENAME2] = "rename2",         [FUSE_LSEEK] = "lseek",
    [FUSE_COPY_FILE_RANGE] = "copy_file_range",
};

static struct {
    atomic_uint_least64_t counts[METER_BOUNDS + 1], nanoseconds;
} meters[METER_OPERATIONS];
static atomic_uint_least64_t errors[METER_ERRORS];

static void add(atomic_uint_least64_t *counter, uint64_t amount) {
    atomic_fetch_add_explicit(counter, amount, memory_order_relaxed);
}

static uint64_t get(const atomic_uint_least64_t *counter) {
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void meter_note(uint32_t operation, int64_t nanoseconds, int error) {
    if (!METERING || !meter_name(operation))
        return;
    unsigned i = 0;
    while (i < METER_BOUNDS && nanoseconds > meter_bounds[i])
        i++;
    add(&meters[operation].counts[i], 1);
    add(&meters[operation].nanoseconds, (uint64_t)nanoseconds);
    if (error < 0 && error > -METER_ERRORS)
        add(&errors[-error], 1);
}

const char *meter_name(uint32_t operation) {
    return operation < METER_OPERATIONS ? names[operation] : NULL;
}

struct meter_reading meter_read(uint32_t operation) {
    struct meter_reading reading = {.nanoseconds = get(&meters[operation].nanoseconds)};
    for (unsigned i = 0; i <= METER_BOUNDS; i++)
        reading.counts[i] = get(&meters[operation].counts[i]);
    return reading;
}

uint64_t meter_errors(int number) {
    return get(&errors[number]);
}

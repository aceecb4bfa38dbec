// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_mark.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include "cache/base/cleanup.h"
#include "cache/base/wire.h"
#include "cache/whole.h"

enum {
    MARK = 40, /* bytes: magic, format and when, which file, its ctime, checksum */
    MAGIC = 0x646e73, /* "snd" */
    FORMAT = 1,
    CACHESTAT = 451, /* of Linux 6.5, on all machines but Alpha */
};
_Static_assert((int)MARK <= (int)DISK_FILE_TAIL, "there is room for it");

/* ---- whether it is on the disk ---- */

struct cachestat_range {
    uint64_t offset, length; /* 0: to the end */
};

struct cachestat {
    uint64_t cached, dirty, writeback, evicted, recently_evicted; /* pages */
};

static int is_clean(int fd) {
    struct cachestat_range all = {0};
    struct cachestat pages;
    if (syscall(CACHESTAT, fd, &all, &pages, 0))
        return -errno;
    return pages.dirty || pages.writeback ? -EAGAIN : 0;
}

/* Also that it has this size and this ctime, and where its bytes are. */
static int make_durable(const char *folder, const struct disk_file *file, int fd) {
    int result = is_clean(fd);
    if (result || fsync(fd) == 0)
        return result;
    result = -errno;
    if (result == -EIO || result == -ENOSPC || result == -EDQUOT) /* who asks the kernel next is told that all is well */
        disk_file_remove(folder, file);
    return result;
}

/* ---- marks ---- */

static void make(const struct disk_file *file, const struct disk_identity *identity, uint64_t when,
                 unsigned char ret_mark[MARK]) {
    struct wire_writer writer = {.bytes = ret_mark};
    wire_put_32(&writer, MAGIC << 8 | FORMAT);
    wire_put_32(&writer, (uint32_t)identity->changed.tv_nsec);
    wire_put_64(&writer, (uint64_t)identity->changed.tv_sec);
    wire_put_64(&writer, when);
    wire_put_64(&writer, XXH3_64bits(identity->bytes, sizeof identity->bytes));
    wire_put_64(&writer, XXH3_64bits_withSeed(ret_mark, writer.size, XXH3_64bits(file->name, sizeof file->name)));
}

static uint64_t now(void) {
    return (uint64_t)time(NULL);
}

int disk_mark_set(const char *folder, const struct disk_file *file, const struct disk_identity *identity) {
    cleanup_disk_open struct disk_open open = {-1, -1};
    struct disk_identity there;
    unsigned char mark[MARK];
    int result = disk_file_open(folder, file, false, &open);
    if (result == 0)
        result = make_durable(folder, file, open.content);
    if (result == 0)
        result = disk_identify(open.content, &there);
    if (result == 0 && !disk_identity_is_unchanged(&there, identity))
        result = -ESTALE;
    if (result)
        return result;
    cleanup_fd int fd = disk_file_open_heads(folder, file);
    make(file, identity, now(), mark);
    return fd < 0 ? fd : whole_write(fd, disk_file_tail(file), mark, MARK);
}

bool disk_mark_holds(const struct disk_open *open, const struct disk_file *file, const struct disk_identity *identity) {
    unsigned char mark[MARK], wanted[MARK];
    if (whole_read(open->heads, disk_file_tail(file), mark, MARK))
        return false;
    struct wire_reader reader = {.bytes = mark + 16, .left = MARK - 16};
    uint64_t when = wire_get_64(&reader);
    make(file, identity, when, wanted);
    return memcmp(mark, wanted, MARK) == 0 && when <= now() && now() - when < DISK_MARK_SECONDS;
}

void disk_mark_clear(const struct disk_open *open) {
    static const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_NOW}};
    (void)futimens(open->content, times);
}

// SPDX-License-Identifier: Apache-2.0
/* What tells a file from all others that ever were: who gets its inode number next has another generation. The handle stays
 * what it is when the machine starts again; the number of the device need not.
 *
 * Pure but for the questions to the kernel; any thread. */
#ifndef CACHE_DISK_IDENTITY_H
#define CACHE_DISK_IDENTITY_H

#include <fcntl.h>
#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

struct disk_identity {
    struct timespec changed; /* its ctime, which every change sets */
    dev_t device;
    union {
        struct file_handle handle;
        unsigned char bytes[sizeof(struct file_handle) + MAX_HANDLE_SZ]; /* zeros behind its end */
    };
};

/* 0 or -errno; -EOPNOTSUPP: this file system cannot tell. */
int disk_identify(int fd, struct disk_identity *ret_identity);
/* The same file, changed or not. */
bool disk_identity_is_same(const struct disk_identity *one, const struct disk_identity *other);
bool disk_identity_is_unchanged(const struct disk_identity *one, const struct disk_identity *other);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "cache/whole.h"

#include <errno.h>
#include <unistd.h>

int whole_read(int fd, int64_t offset, void *into, size_t size) {
    char *to = into;
    while (size) {
        ssize_t got = pread(fd, to, size, offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got ? -errno : -EIO;
        to += got;
        offset += got;
        size -= (size_t)got;
    }
    return 0;
}

int whole_write(int fd, int64_t offset, const void *bytes, size_t size) {
    const char *from = bytes;
    while (size) {
        ssize_t written = pwrite(fd, from, size, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written ? -errno : -EIO;
        from += written;
        offset += written;
        size -= (size_t)written;
    }
    return 0;
}

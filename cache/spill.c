// SPDX-License-Identifier: Apache-2.0
#include "cache/spill.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/whole.h"

struct spill {
    int fd;
    int64_t end; /* nothing was written from here on */
};

/* For a disk that knows no files without a name: one whose name is gone at once. */
static int open_named(int directory) {
    static atomic_uint last;
    enum { TRIES = 100 }; /* names may be left over from a process that died just then */
    for (int i = 0; i < TRIES; i++) {
        char name[48];
        snprintf(name, sizeof name, ".spill-%ld-%u", (long)getpid(), atomic_fetch_add(&last, 1));
        int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd >= 0) {
            unlinkat(directory, name, 0);
            return fd;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

static int open_unnamed(int directory) {
    int fd = openat(directory, ".", O_RDWR | O_TMPFILE | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    bool unknown = errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL || errno == ENOENT;
    return unknown ? open_named(directory) : -errno;
}

int spill_new(int directory, struct spill **ret_spill) {
    struct spill *spill = calloc(1, sizeof *spill);
    if (!spill)
        return -ENOMEM;
    spill->fd = open_unnamed(directory);
    if (spill->fd < 0) {
        int result = spill->fd;
        free(spill);
        return result;
    }
    *ret_spill = spill;
    return 0;
}

struct spill *spill_free(struct spill *spill) {
    if (spill) {
        close(spill->fd);
        free(spill);
    }
    return NULL;
}

int spill_write(struct spill *spill, int64_t offset, const void *bytes, size_t size) {
    int64_t end = offset + (int64_t)size;
    spill->end = end > spill->end ? end : spill->end; /* a part of it may be there after a failure too */
    return whole_write(spill->fd, offset, bytes, size);
}

int spill_read(struct spill *spill, int64_t offset, size_t size, void *into) {
    return whole_read(spill->fd, offset, into, size);
}

void spill_forget(struct spill *spill, int64_t start, int64_t end) {
    if (start >= spill->end)
        return;
    if (end < spill->end)
        fallocate(spill->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start, end - start);
    else if (ftruncate(spill->fd, start) == 0)
        spill->end = start;
}

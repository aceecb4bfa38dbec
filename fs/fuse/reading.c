// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/reading.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, LARGE = 64 << 10 };

static atomic_uint waiting; /* threads that have nothing to do */
static _Thread_local size_t filled; /* of the thread's buffer, by a large request */

static void give_back(void *buffer) {
    uintptr_t start = ((uintptr_t)buffer + PAGE - 1) / PAGE * PAGE, end = ((uintptr_t)buffer + filled) / PAGE * PAGE;
    (void)madvise((void *)start, end - start, MADV_DONTNEED);
    filled = 0;
}

ssize_t reading_read(int device, void *buffer, size_t size) {
    if (atomic_fetch_add(&waiting, 1) >= READING_KEPT && filled)
        give_back(buffer);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    ssize_t got = read(device, buffer, size);
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    atomic_fetch_sub(&waiting, 1);
    if (got >= LARGE && (size_t)got > filled)
        filled = (size_t)got;
    return got;
}

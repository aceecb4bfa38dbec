// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/reading.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
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

/* Only that it came counts. A signal that means nothing to anybody else. */
static void take_wake(int number) {
    (void)number;
}

static void set_wakeable(bool wakeable) {
    sigset_t wake;
    sigemptyset(&wake);
    sigaddset(&wake, SIGURG);
    pthread_sigmask(wakeable ? SIG_UNBLOCK : SIG_BLOCK, &wake, NULL);
}

void reading_prepare(void) {
    struct sigaction action = {.sa_handler = take_wake}; /* without SA_RESTART: a read is to end */
    sigaction(SIGURG, &action, NULL);
    set_wakeable(false);
}

void reading_wake(pthread_t thread) {
    (void)pthread_kill(thread, SIGURG);
}

ssize_t reading_read(int device, void *buffer, size_t size) {
    if (atomic_fetch_add(&waiting, 1) >= READING_KEPT && filled)
        give_back(buffer);
    set_wakeable(true);
    ssize_t got = read(device, buffer, size);
    int error = errno;
    set_wakeable(false);
    errno = error;
    atomic_fetch_sub(&waiting, 1);
    if (got >= LARGE && (size_t)got > filled)
        filled = (size_t)got;
    return got;
}

// SPDX-License-Identifier: Apache-2.0
/* A wall clock that can be stepped, for a program that this library is loaded into before others: the time of the file
 * $GRIDMOUNT_TEST_CLOCK, seconds in an int64_t, is added to it. What waits until a time of that clock sees it step. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t nothing, *offset = &nothing;
typedef int timed_wait(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);

__attribute__((constructor)) static void open_offset(void) {
    const char *path = getenv("GRIDMOUNT_TEST_CLOCK");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *memory = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (memory != MAP_FAILED)
        offset = memory;
    if (fd >= 0)
        close(fd);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = (int)syscall(SYS_clock_gettime, clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += *offset;
    return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    *now = (struct timeval){precise.tv_sec, precise.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *into) {
    struct timespec precise;
    clock_gettime(CLOCK_REALTIME, &precise);
    if (into)
        *into = precise.tv_sec;
    return precise.tv_sec;
}

static int is_before(const struct timespec *one, const struct timespec *other) {
    return one->tv_sec != other->tv_sec ? one->tv_sec < other->tv_sec : one->tv_nsec < other->tv_nsec;
}

/* In slices, since the system knows nothing of our clock. What waits by the monotonic one is left to it. */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
    enum { MONOTONIC = 2, SLICE_NS = 20000000 };
    timed_wait *wait = (timed_wait *)dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    if (condition->__data.__wrefs & MONOTONIC)
        return wait(condition, mutex, until);
    for (;;) {
        struct timespec now, slice;
        clock_gettime(CLOCK_REALTIME, &now);
        if (!is_before(&now, until))
            return ETIMEDOUT;
        syscall(SYS_clock_gettime, CLOCK_REALTIME, &slice);
        slice.tv_nsec += SLICE_NS;
        slice.tv_sec += slice.tv_nsec / 1000000000;
        slice.tv_nsec %= 1000000000;
        int result = wait(condition, mutex, &slice);
        if (result != ETIMEDOUT)
            return result;
    }
}

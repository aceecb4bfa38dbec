// SPDX-License-Identifier: Apache-2.0
/* Time that never jumps, for waits and measurements. Not for dates shown to users. */
#ifndef CACHE_BASE_CLOCK_H
#define CACHE_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* Nanoseconds since some fixed moment in the past. */
static inline int64_t clock_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t clock_now_ms(void) {
    return clock_now_ns() / 1000000;
}

#endif

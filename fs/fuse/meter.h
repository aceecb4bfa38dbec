// SPDX-License-Identifier: Apache-2.0
/* How long the kernel's requests take until they are answered, by operation, and with which errors.
 *
 * Counters of the process, as those of stats.h: from when a request was read until its answer was given. What is answered
 * early, since its program was killed, counts as EINTR, then and not again.
 *
 * Threads: any. Relaxed, so figures shown together may be a request apart; nothing blocks. */
#ifndef FS_FUSE_METER_H
#define FS_FUSE_METER_H

#include <stdint.h>

enum { METER_OPERATIONS = 64, METER_BOUNDS = 14, METER_ERRORS = 134 };

/* Nanoseconds, rising. */
extern const int64_t meter_bounds[METER_BOUNDS];

struct meter_reading {
    /* Of those that took longer than bound i - 1, and not longer than bound i; the last: that took longer than any. */
    uint64_t counts[METER_BOUNDS + 1];
    uint64_t nanoseconds; /* of all */
};

/* An operation is the kernel's number of it (FUSE_READ ...). `error`: 0 or -errno. */
void meter_note(uint32_t operation, int64_t nanoseconds, int error);
/* Its name, a constant; NULL: there is no such operation, or it is not answered. */
const char *meter_name(uint32_t operation);
struct meter_reading meter_read(uint32_t operation);
/* How many answers were this errno, 0 < number < METER_ERRORS. */
uint64_t meter_errors(int number);

#endif

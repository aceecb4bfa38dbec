// SPDX-License-Identifier: Apache-2.0
/*
 * What the programs of the benchmark share: a clock, one way to report, one way to stop.
 *
 * Every program prints exactly one line on stdout, "BYTES ITEMS SECONDS", so that
 * bench.py reads them all alike. (ranged_reader prints it on stderr when its stdout
 * carries the file.) The time starts when the program is connected and warm: what is
 * compared is the reading, not the start of a process.
 */
#ifndef TESTS_BENCH_MEASURE_H
#define TESTS_BENCH_MEASURE_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double measure_now(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline void measure_report(FILE *to, int64_t bytes, int64_t items, double start) {
    fprintf(to, "%lld %lld %.6f\n", (long long)bytes, (long long)items,
            measure_now() - start);
}

_Noreturn static inline void measure_stop(const char *what, const char *why) {
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

#endif

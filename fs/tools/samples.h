// SPDX-License-Identifier: Apache-2.0
/* Samples of one moment, as .gridfs/metrics writes them (fs/metrics_text.h), and what became of them since another.
 *
 * Pure; threads: none of its own. */
#ifndef FS_TOOLS_SAMPLES_H
#define FS_TOOLS_SAMPLES_H

#include <stdint.h>

struct samples;

/* Lines that are no samples are left out. NULL without memory. */
struct samples *samples_new(const char *text, int64_t taken_ms);
/* Takes NULL, returns NULL. */
struct samples *samples_free(struct samples *samples);
/* By name and labels as they are written, without "gridmount_"; 0: there is none. */
double samples_get(const struct samples *samples, const char *name);
/* How much it grew a second since `before` (NULL, or another mount's, that had more: from 0 on). */
double samples_rate(const struct samples *samples, const struct samples *before, const char *name);
/* Of the requests of an operation since `before`: how many a second, their mean time, and the time within which 99 of 100
 * were answered, in milliseconds (0: none; < 0: longer than -that). */
void samples_requests(const struct samples *samples, const struct samples *before, const char *operation,
                      double *ret_rate, double *ret_mean_ms, double *ret_most_ms);

#endif

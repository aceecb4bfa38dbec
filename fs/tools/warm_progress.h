// SPDX-License-Identifier: Apache-2.0
/* How far a warming is: in one line, in JSON, and how long it will still take.
 *
 * Pure but for the file that is written to; threads: none of its own. Bytes, milliseconds and seconds; -1: not known. */
#ifndef FS_TOOLS_WARM_PROGRESS_H
#define FS_TOOLS_WARM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct warm_figures {
    int64_t files, bytes;                   /* read so far */
    int64_t of_files, of_bytes;             /* that are to be read, as far as known */
    bool complete;                          /* they are all */
    int64_t failed;                         /* files and directories */
    int64_t gone;                           /* files removed meanwhile */
    int64_t verified, mismatched, unknown;  /* with --verify: of files with a SHA-256, and without */
    int64_t rate, seconds_left;             /* bytes a second */
};

enum { WARM_RATE_SAMPLES = 11, WARM_RATE_EACH_MS = 1000 };

/* Bytes a second over the last ten seconds; zeros are a new one. */
struct warm_rate {
    struct {
        int64_t at_ms, bytes;
    } samples[WARM_RATE_SAMPLES]; /* the oldest first */
    unsigned count;
};

/* So many bytes were read by then. To be said at any time, the first time at the start. */
void warm_rate_note(struct warm_rate *rate, int64_t now_ms, int64_t bytes);
int64_t warm_rate_get(const struct warm_rate *rate, int64_t now_ms, int64_t bytes);

int64_t warm_seconds_left(const struct warm_figures *figures);
/* "45 s", "3 min 05 s", "2 h 07 min". */
void warm_put_duration(FILE *out, int64_t seconds);
/* Without an end of line. */
void warm_put_progress(FILE *out, const struct warm_figures *figures);
void warm_put_sum(FILE *out, const struct warm_figures *figures, int64_t seconds, bool interrupted);
/* Members of an object, each behind a comma. */
void warm_put_json(FILE *out, const struct warm_figures *figures);

#endif

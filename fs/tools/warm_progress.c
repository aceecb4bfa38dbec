// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/warm_progress.h"

#include <inttypes.h>
#include <string.h>

#include "fs/tools/text.h"

enum { DAY_SECONDS = 86400 };

void warm_rate_note(struct warm_rate *rate, int64_t now_ms, int64_t bytes) {
    if (rate->count && now_ms - rate->samples[rate->count - 1].at_ms < WARM_RATE_EACH_MS)
        return;
    if (rate->count == WARM_RATE_SAMPLES)
        memmove(rate->samples, rate->samples + 1, --rate->count * sizeof *rate->samples);
    rate->samples[rate->count].at_ms = now_ms;
    rate->samples[rate->count++].bytes = bytes;
}

int64_t warm_rate_get(const struct warm_rate *rate, int64_t now_ms, int64_t bytes) {
    int64_t ms = rate->count ? now_ms - rate->samples[0].at_ms : 0;
    int64_t more = rate->count ? bytes - rate->samples[0].bytes : 0;
    return ms > 0 && more >= 0 ? (int64_t)((double)more * 1000 / (double)ms) : -1;
}

int64_t warm_seconds_left(const struct warm_figures *figures) {
    int64_t bytes = figures->of_bytes - figures->bytes;
    if (!figures->complete)
        return -1;
    if (bytes <= 0)
        return 0;
    return figures->rate > 0 ? bytes / figures->rate + (bytes % figures->rate != 0) : -1;
}

void warm_put_duration(FILE *out, int64_t seconds) {
    if (seconds < 60)
        fprintf(out, "%" PRId64 " s", seconds);
    else if (seconds < 3600)
        fprintf(out, "%" PRId64 " min %02" PRId64 " s", seconds / 60, seconds % 60);
    else if (seconds < 100 * DAY_SECONDS)
        fprintf(out, "%" PRId64 " h %02" PRId64 " min", seconds / 3600, seconds / 60 % 60);
    else
        fputs("over 100 days", out);
}

static void put_failures(FILE *out, const struct warm_figures *figures) {
    if (figures->gone)
        fprintf(out, ", %" PRId64 " removed meanwhile", figures->gone);
    if (figures->failed)
        fprintf(out, ", %" PRId64 " failed", figures->failed);
    if (figures->mismatched)
        fprintf(out, ", %" PRId64 " not as recorded", figures->mismatched);
}

void warm_put_progress(FILE *out, const struct warm_figures *figures) {
    fprintf(out, "%" PRId64 " of %" PRId64 "%s files, ", figures->files, figures->of_files, figures->complete ? "" : "+");
    text_put_size(out, figures->bytes);
    fputs(" of ", out);
    text_put_size(out, figures->of_bytes);
    if (figures->rate >= 0) {
        fputs(", ", out);
        text_put_size(out, figures->rate);
        fputs("/s", out);
    }
    if (figures->seconds_left >= 0) {
        fputs(", ", out);
        warm_put_duration(out, figures->seconds_left);
        fputs(" left", out);
    }
    put_failures(out, figures);
}

void warm_put_sum(FILE *out, const struct warm_figures *figures, int64_t seconds, bool interrupted) {
    fprintf(out, "%s%" PRId64 " of %" PRId64 "%s files, ", interrupted ? "interrupted: " : "", figures->files,
            figures->of_files, figures->complete ? "" : "+");
    text_put_size(out, figures->bytes);
    fputs(", in ", out);
    warm_put_duration(out, seconds);
    if (figures->verified + figures->mismatched + figures->unknown)
        fprintf(out, ", %" PRId64 " as recorded, %" PRId64 " without a record", figures->verified, figures->unknown);
    put_failures(out, figures);
    fputs(interrupted ? "; run it again to go on\n" : "\n", out);
}

static void put_number(FILE *out, const char *name, int64_t number) {
    if (number >= 0)
        fprintf(out, ",\"%s\":%" PRId64, name, number);
    else
        fprintf(out, ",\"%s\":null", name);
}

void warm_put_json(FILE *out, const struct warm_figures *figures) {
    put_number(out, "files", figures->files);
    put_number(out, "bytes", figures->bytes);
    put_number(out, "of_files", figures->of_files);
    put_number(out, "of_bytes", figures->of_bytes);
    fprintf(out, ",\"complete\":%s", figures->complete ? "true" : "false");
    put_number(out, "failed", figures->failed);
    put_number(out, "gone", figures->gone);
    put_number(out, "verified", figures->verified);
    put_number(out, "mismatched", figures->mismatched);
    put_number(out, "without_record", figures->unknown);
    put_number(out, "bytes_per_second", figures->rate);
    put_number(out, "seconds_left", figures->seconds_left);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <uthash.h>

struct sample {
    UT_hash_handle hh;
    double value;
    char name[];
};

struct samples {
    struct sample *table;
    int64_t taken_ms;
};

static const char prefix[] = "gridmount_";

static void add(struct samples *samples, const char *name, size_t size, double value) {
    struct sample *sample = calloc(1, sizeof *sample + size + 1);
    if (!sample)
        return;
    memcpy(sample->name, name, size);
    sample->value = value;
    HASH_ADD_KEYPTR(hh, samples->table, sample->name, size, sample);
}

struct samples *samples_new(const char *text, int64_t taken_ms) {
    struct samples *samples = calloc(1, sizeof *samples);
    if (!samples)
        return NULL;
    samples->taken_ms = taken_ms;
    for (const char *line = text, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        const char *value = end;
        while (value > line && value[-1] != ' ')
            value--;
        if (strncmp(line, prefix, strlen(prefix)) == 0 && value - 1 > line + strlen(prefix))
            add(samples, line + strlen(prefix), (size_t)(value - 1 - line) - strlen(prefix), strtod(value, NULL));
    }
    return samples;
}

struct samples *samples_free(struct samples *samples) {
    struct sample *sample, *next;
    if (!samples)
        return NULL;
    HASH_ITER(hh, samples->table, sample, next) {
        HASH_DEL(samples->table, sample);
        free(sample);
    }
    free(samples);
    return NULL;
}

double samples_get(const struct samples *samples, const char *name) {
    struct sample *sample = NULL;
    if (samples)
        HASH_FIND_STR(samples->table, name, sample);
    return sample ? sample->value : 0;
}

static double growth(const struct samples *samples, const struct samples *before, const char *name) {
    double now = samples_get(samples, name), then = samples_get(before, name);
    return now >= then ? now - then : now;
}

static double seconds_between(const struct samples *samples, const struct samples *before) {
    double seconds = before ? (double)(samples->taken_ms - before->taken_ms) / 1000 : samples_get(samples, "uptime_seconds");
    return seconds > 0.001 ? seconds : 0.001;
}

double samples_rate(const struct samples *samples, const struct samples *before, const char *name) {
    return growth(samples, before, name) / seconds_between(samples, before);
}

/* The bounds stand in the samples themselves, in the order that they were written in. */
static double most_of(const struct samples *samples, const struct samples *before, const char *operation, double count) {
    char start[96];
    double last = 0;
    int size = snprintf(start, sizeof start, "request_seconds_bucket{operation=\"%s\",le=\"", operation);
    for (const struct sample *sample = samples->table; sample; sample = sample->hh.next) {
        if (strncmp(sample->name, start, (size_t)size) != 0)
            continue;
        if (strncmp(sample->name + size, "+Inf", 4) == 0)
            return -last * 1000;
        last = strtod(sample->name + size, NULL);
        if (growth(samples, before, sample->name) >= 0.99 * count)
            break;
    }
    return last * 1000;
}

void samples_requests(const struct samples *samples, const struct samples *before, const char *operation,
                      double *ret_rate, double *ret_mean_ms, double *ret_most_ms) {
    char name[96];
    snprintf(name, sizeof name, "request_seconds_count{operation=\"%s\"}", operation);
    double count = growth(samples, before, name);
    snprintf(name, sizeof name, "request_seconds_sum{operation=\"%s\"}", operation);
    double seconds = growth(samples, before, name);
    *ret_rate = count / seconds_between(samples, before);
    *ret_mean_ms = count > 0 ? seconds / count * 1000 : 0;
    *ret_most_ms = count > 0 ? most_of(samples, before, operation, count) : 0;
}

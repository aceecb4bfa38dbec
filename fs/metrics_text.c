// SPDX-License-Identifier: Apache-2.0
#include "fs/metrics_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/fuse/meter.h"
#include "fs/store/names.h"
#include "fs/version.h"

/* Of a family: what its samples are, and what is said of it. */
static void begin(FILE *out, const char *name, const char *type, const char *help) {
    fprintf(out, "# TYPE gridmount_%s %s\n# HELP gridmount_%s %s\n", name, type, name, help);
}

static void put_label(FILE *out, const char *name, const char *value) {
    fprintf(out, "%s=\"", name);
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c == '\n')
            fputs("\\n", out);
        else
            fputc(*c, out);
    }
    fputc('"', out);
}

/* Of this machine: OpenMetrics is UTF-8, a path need not be. */
static void put_mount(FILE *out, const struct status_facts *facts) {
    cleanup_free char *mountpoint = names_encode_target(facts->mountpoint);
    const char *const labels[][2] = {{"version", GRIDMOUNT_VERSION}, {"server", facts->server},
                                     {"database", facts->database},  {"bucket", facts->bucket},
                                     {"mountpoint", mountpoint ? mountpoint : ""}};
    begin(out, "mount", "info", "What is mounted, and where.");
    fputs("gridmount_mount_info{", out);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        fputs(i ? "," : "", out);
        put_label(out, labels[i][0], labels[i][1]);
    }
    fputs("} 1\n", out);
}

static void put_gauge(FILE *out, const char *name, const char *help, int64_t value) {
    begin(out, name, "gauge", help);
    fprintf(out, "gridmount_%s %" PRId64 "\n", name, value);
}

static void put_facts(FILE *out, const struct status_facts *facts) {
    put_gauge(out, "healthy", "1 while the server answers, else 0.", facts->healthy);
    put_gauge(out, "push_healthy", "1 while the server tells of changes by others, else 0.", facts->told);
    if (facts->told_lag_ms >= 0) {
        begin(out, "push_lag_seconds", "gauge", "How old a change by others is, at the most, that was not told yet.");
        fprintf(out, "gridmount_push_lag_seconds %.3f\n", (double)facts->told_lag_ms / 1000);
    }
    put_gauge(out, "uptime_seconds", "Since it was mounted.", facts->uptime_seconds);
    put_gauge(out, "cache_size_bytes", "What cached content may take of memory.", (int64_t)facts->cache_size);
    put_gauge(out, "cache_used_bytes", "What it takes.", (int64_t)facts->cache_used);
    if (!facts->disk)
        return;
    put_gauge(out, "cache_dir_size_bytes", "What cached content may take of cache_dir.", facts->disk_size);
    put_gauge(out, "cache_dir_used_bytes", "What it takes, as last seen.", facts->disk_used);
    put_gauge(out, "cache_dir_resting", "1 while nothing is kept in cache_dir, since that failed, else 0.",
              facts->disk_resting != 0);
}

static void put_counters(FILE *out) {
    for (unsigned i = 0; i < STATS; i++) {
        const char *name = stats_name(i);
        bool gauge = stats_is_gauge(i);
        begin(out, name, gauge ? "gauge" : "counter", stats_text(i));
        fprintf(out, "gridmount_%s%s %" PRIu64 "\n", name, gauge ? "" : "_total", stats_get(i));
    }
}

/* A sample but for its value. */
static void put_request(FILE *out, const char *what, const char *operation, const char *bound) {
    fprintf(out, "gridmount_request_seconds_%s{operation=\"%s\"", what, operation);
    if (bound)
        fprintf(out, ",le=\"%s\"", bound);
    fputs("} ", out);
}

/* Seconds, as OpenMetrics writes numbers. */
static void write_bound(char text[32], unsigned i) {
    if (i < METER_BOUNDS)
        snprintf(text, 32, "%.15g", (double)meter_bounds[i] / 1e9);
    else
        strcpy(text, "+Inf");
    if (i < METER_BOUNDS && !strpbrk(text, ".e"))
        strcat(text, ".0");
}

static void put_requests_of(FILE *out, uint32_t operation) {
    struct meter_reading reading = meter_read(operation);
    const char *name = meter_name(operation);
    uint64_t count = 0;
    for (unsigned i = 0; i <= METER_BOUNDS; i++) {
        char bound[32];
        write_bound(bound, i);
        count += reading.counts[i];
        put_request(out, "bucket", name, bound);
        fprintf(out, "%" PRIu64 "\n", count);
    }
    put_request(out, "count", name, NULL);
    fprintf(out, "%" PRIu64 "\n", count);
    put_request(out, "sum", name, NULL);
    fprintf(out, "%.9f\n", (double)reading.nanoseconds / 1e9);
}

static void put_requests(FILE *out) {
    fputs("# TYPE gridmount_request_seconds histogram\n# UNIT gridmount_request_seconds seconds\n"
          "# HELP gridmount_request_seconds How long requests of the kernel took until they were answered.\n",
          out);
    for (uint32_t operation = 0; operation < METER_OPERATIONS; operation++)
        if (meter_name(operation))
            put_requests_of(out, operation);
    begin(out, "request_errors", "counter", "Requests answered with an error.");
    for (int number = 1; number < METER_ERRORS; number++)
        if (meter_errors(number))
            fprintf(out, "gridmount_request_errors_total{errno=\"%s\"} %" PRIu64 "\n", strerrorname_np(number),
                    meter_errors(number));
}

char *metrics_text(const struct status_facts *facts) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    put_mount(out, facts);
    put_facts(out, facts);
    put_counters(out);
    put_requests(out);
    fputs("# EOF\n", out);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/names.h"
#include "fs/tools/text.h"
#include "fs/version.h"

static void put_string(FILE *out, const char *name, const char *value) {
    fprintf(out, "\"%s\":\"", name);
    for (const unsigned char *c = (const unsigned char *)value; *c; c++) {
        if (*c == '"' || *c == '\\')
            fprintf(out, "\\%c", *c);
        else if (*c < ' ')
            fprintf(out, "\\u%04x", *c);
        else
            fputc(*c, out);
    }
    fputs("\",", out);
}

/* Of this machine: JSON is UTF-8, a path need not be. */
static void put_path(FILE *out, const char *name, const char *path) {
    cleanup_free char *escaped = names_encode_target(path);
    put_string(out, name, escaped ? escaped : "");
}

/* As an ISO date of UTC. */
static void put_date(char text[32], time_t when) {
    struct tm parts;
    strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&when, &parts));
}

/* What merely waits for its turn (waiting_files) is no reason. */
static bool is_degraded(const struct status_facts *facts) {
    return !facts->healthy || stats_get(STAT_unsaved_files);
}

static void put_state(FILE *out, const struct status_facts *facts) {
    char since[32];
    put_date(since, facts->away_since);
    if (!is_degraded(facts))
        fputs("state       ok\n", out);
    else if (facts->healthy)
        fputs("state       degraded: files could not be stored, see unsaved_files and the log\n", out);
    else if (!facts->away_since)
        fputs("state       degraded: the server does not answer\n", out);
    else
        fprintf(out, "state       degraded: the server does not answer since %s; names and listings are shown as of then\n",
                since);
}

static void put_disk_json(FILE *out, const struct status_facts *facts) {
    if (!facts->disk)
        return;
    fputs("\"cache_dir\":{", out);
    put_path(out, "path", facts->disk);
    put_string(out, "state", facts->disk_resting ? strerror(-facts->disk_resting) : "ok");
    put_string(out, "passthrough", facts->disk_passing);
    fprintf(out, "\"size\":%" PRId64 ",\"used\":%" PRId64 ",\"backlog_percent\":%u},", facts->disk_size, facts->disk_used,
            facts->disk_backlog);
}

static void put_warming_json(FILE *out, const struct status_warming *warming) {
    if (!warming)
        return;
    fputs("\"warming\":{", out);
    put_string(out, "state", warming->state);
    fprintf(out, "\"files\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"failed\":%" PRIu64 "},", warming->files, warming->bytes,
            warming->failed);
}

static void put_busiest_json(FILE *out, const struct status_facts *facts) {
    fputs("\"busiest\":[", out);
    for (unsigned i = 0; i < STATUS_FILES && facts->busiest[i].path; i++) {
        fputs(i ? ",{" : "{", out);
        put_string(out, "path", facts->busiest[i].path);
        fprintf(out, "\"recent_bytes\":%" PRIu64 "}", facts->busiest[i].bytes);
    }
    fputs("],", out);
}

static void put_json(FILE *out, const struct status_facts *facts) {
    fputc('{', out);
    put_string(out, "state", is_degraded(facts) ? "degraded" : "ok");
    char since[32];
    put_date(since, facts->away_since);
    put_string(out, "away_since", facts->healthy || !facts->away_since ? "" : since);
    put_string(out, "version", GRIDMOUNT_VERSION);
    put_string(out, "server", facts->server);
    put_string(out, "database", facts->database);
    put_string(out, "bucket", facts->bucket);
    put_path(out, "mountpoint", facts->mountpoint);
    fprintf(out, "\"read_only\":%s,\"stop_timeout_ms\":%lld,", facts->read_only ? "true" : "false",
            (long long)facts->stop_ms);
    put_path(out, "staging_dir", facts->staging_dir ? facts->staging_dir : "");
    put_path(out, "trace", facts->trace ? facts->trace : "");
    put_string(out, "push", facts->told ? "healthy" : "none");
    put_disk_json(out, facts);
    put_warming_json(out, facts->warming);
    put_busiest_json(out, facts);
    fprintf(out, "\"pid\":%ld,\"uptime_seconds\":%lld,\"cache\":{\"size\":%zu,\"used\":%zu},\"counters\":{",
            (long)getpid(), (long long)facts->uptime_seconds, facts->cache_size, facts->cache_used);
    for (unsigned i = 0; i < STATS; i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", stats_name(i), stats_get(i));
    fputs("}}\n", out);
}

static void put_busiest(FILE *out, const struct status_facts *facts) {
    for (unsigned i = 0; i < STATUS_FILES && facts->busiest[i].path; i++) {
        fputs(i ? "            " : "busiest     ", out);
        text_put_size(out, (int64_t)facts->busiest[i].bytes);
        fputs(" of late: ", out);
        text_put_plain(out, facts->busiest[i].path, strlen(facts->busiest[i].path));
        fputc('\n', out);
    }
}

static void put_text(FILE *out, const struct status_facts *facts) {
    put_state(out, facts);
    fprintf(out, "server      %s, database %s, bucket %s\n", facts->server, facts->database, facts->bucket);
    fprintf(out, "mounted on  %s, %s, for %lld s by process %ld (gridmount " GRIDMOUNT_VERSION ")\n",
            facts->mountpoint, facts->read_only ? "read-only" : "writable", (long long)facts->uptime_seconds,
            (long)getpid());
    fprintf(out, "push        %s\n", facts->told ? "healthy: the server tells of changes by others"
                                                  : "none: changes by others are asked for");
    fprintf(out, "cache       %zu of %zu MiB\n", facts->cache_used >> 20, facts->cache_size >> 20);
    if (facts->disk)
        fprintf(out, "cache_dir   %" PRId64 " of %" PRId64 " MiB in %s%s%s\npassthrough %s\n", facts->disk_used >> 20,
                facts->disk_size >> 20, facts->disk, facts->disk_resting ? "; nothing is kept now: " : "",
                facts->disk_resting ? strerror(-facts->disk_resting) : "", facts->disk_passing);
    if (facts->warming)
        fprintf(out, "warming     %s: %" PRIu64 " files, %" PRIu64 " MiB, %" PRIu64 " failed\n", facts->warming->state,
                facts->warming->files, facts->warming->bytes >> 20, facts->warming->failed);
    put_busiest(out, facts);
    fputc('\n', out);
    for (unsigned i = 0; i < STATS; i++)
        fprintf(out, "%-22s %12" PRIu64 "  %s\n", stats_name(i), stats_get(i), stats_text(i));
}

char *status_text(const struct status_facts *facts, bool json) {
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    if (json)
        put_json(out, facts);
    else
        put_text(out, facts);
    if (fclose(out)) {
        free(text);
        return NULL;
    }
    return text;
}

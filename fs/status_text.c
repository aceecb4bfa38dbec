#include "fs/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cache/base/stats.h"
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

static void put_json(FILE *out, const struct status_facts *facts) {
    fputc('{', out);
    put_string(out, "state", facts->healthy ? "ok" : "degraded");
    put_string(out, "version", GRIDMOUNT_VERSION);
    put_string(out, "server", facts->server);
    put_string(out, "database", facts->database);
    put_string(out, "bucket", facts->bucket);
    put_string(out, "mountpoint", facts->mountpoint);
    fprintf(out, "\"read_only\":%s,", facts->read_only ? "true" : "false");
    put_string(out, "push", facts->told ? "healthy" : "none");
    fprintf(out, "\"pid\":%ld,\"uptime_seconds\":%lld,\"cache\":{\"size\":%zu,\"used\":%zu},\"counters\":{",
            (long)getpid(), (long long)facts->uptime_seconds, facts->cache_size, facts->cache_used);
    for (unsigned i = 0; i < STATS; i++)
        fprintf(out, "%s\"%s\":%" PRIu64, i ? "," : "", stats_name(i), stats_get(i));
    fputs("}}\n", out);
}

static void put_text(FILE *out, const struct status_facts *facts) {
    fprintf(out, "state       %s\n", facts->healthy ? "ok" : "degraded: the server does not answer");
    fprintf(out, "server      %s, database %s, bucket %s\n", facts->server, facts->database, facts->bucket);
    fprintf(out, "mounted on  %s, %s, for %lld s by process %ld (gridmount " GRIDMOUNT_VERSION ")\n",
            facts->mountpoint, facts->read_only ? "read-only" : "writable", (long long)facts->uptime_seconds,
            (long)getpid());
    fprintf(out, "push        %s\n", facts->told ? "healthy: the server tells of changes by others"
                                                  : "none: changes by others are asked for");
    fprintf(out, "cache       %zu of %zu MiB\n\n", facts->cache_used >> 20, facts->cache_size >> 20);
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

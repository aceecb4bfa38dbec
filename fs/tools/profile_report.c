// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/tools/profile_private.h"
#include "fs/tools/text.h"

enum { PATHS_SHOWN = 10, HINTS = 6 };
/* When something is worth an option: its share of all the time, and how often at least. */
#define SHARE 0.2
enum { OFTEN = 20, SMALL_READ = 64 << 10, LARGE = 1 << 20 };
enum { ASKED_TO_MAKE = 3 }; /* questions for a name that is then made: nothing saves those */

struct hint {
    const char *option, *why;
    double seconds; /* what it is about */
};

/* ---- what would help ---- */

static const struct profile_operation *find(const struct profile *profile, const char *name) {
    struct profile_operation *operation;
    HASH_FIND_STR(profile->operations, name, operation);
    return operation;
}

static double seconds_of(const struct profile *profile, const char *name) {
    const struct profile_operation *operation = find(profile, name);
    return operation ? operation->seconds : 0;
}

static uint64_t count_of(const struct profile *profile, const char *name) {
    const struct profile_operation *operation = find(profile, name);
    return operation ? operation->count : 0;
}

/* What all paths come to. */
struct sums {
    uint64_t absent, again_absent, opens, closes, reads, elsewhere;
    int64_t read_bytes, size, again; /* size: of what was read; again: bytes of large files beyond that */
};

static struct sums sum_up(const struct profile *profile) {
    struct sums sums = {0};
    for (const struct profile_path *path = profile->paths; path; path = path->hh.next) {
        sums.absent += path->absent;
        sums.again_absent += path->absent > ASKED_TO_MAKE ? path->absent - ASKED_TO_MAKE : 0;
        sums.opens += path->opens;
        sums.closes += path->written_bytes ? path->closes : 0;
        sums.reads += path->reads;
        sums.elsewhere += path->reads > 1 ? path->elsewhere : 0;
        sums.read_bytes += path->read_bytes;
        sums.size += path->reached;
        sums.again += path->reached >= LARGE && path->read_bytes > path->reached ? path->read_bytes - path->reached : 0;
    }
    return sums;
}

static unsigned advise(const struct profile *profile, struct hint hints[HINTS]) {
    struct sums sums = sum_up(profile);
    double enough = profile->seconds * SHARE, reading = seconds_of(profile, "read");
    double names = seconds_of(profile, "lookup") + seconds_of(profile, "getattr"), opening = seconds_of(profile, "open");
    double storing = seconds_of(profile, "flush") + seconds_of(profile, "fsync");
    unsigned count = 0;
    if (names >= enough && sums.again_absent >= OFTEN && sums.again_absent * 2 > count_of(profile, "lookup"))
        hints[count++] = (struct hint){"push, or consistency=ttl:SECONDS", "names that are not there are asked for again and again",
                                       names};
    else if (names >= enough && count_of(profile, "lookup") + count_of(profile, "getattr") >= sums.absent + OFTEN)
        hints[count++] = (struct hint){"push, or consistency=ttl:SECONDS", "names and attributes are asked for", names};
    if (opening >= enough && sums.opens >= OFTEN)
        hints[count++] = (struct hint){"consistency=ttl:SECONDS or immutable",
                                       "each open asks whether there is a newer revision; files that change rarely need not", opening};
    if (reading >= enough && sums.again > sums.size / 2 && sums.again > LARGE)
        hints[count++] = (struct hint){"a larger cache_size, or cache_dir=DIR", "what was read is read again", reading};
    if (reading >= enough && sums.reads >= OFTEN && sums.elsewhere * 2 > sums.reads &&
        sums.read_bytes / (int64_t)sums.reads < SMALL_READ)
        hints[count++] = (struct hint){"warm=GLOB, with a cache_size or cache_dir for all of it",
                                       "small reads at random places fetch a chunk each", reading};
    if (storing >= enough && sums.closes >= OFTEN)
        hints[count++] = (struct hint){"writeback", "closes wait until the server has stored the file", storing};
    return count;
}

/* ---- tables ---- */

static int by_time(struct profile_operation *one, struct profile_operation *other) {
    return one->seconds < other->seconds ? 1 : one->seconds > other->seconds ? -1 : strcmp(one->name, other->name);
}

static int paths_by_time(struct profile_path *one, struct profile_path *other) {
    return one->seconds < other->seconds ? 1 : one->seconds > other->seconds ? -1 : strcmp(one->name, other->name);
}

static void put_operations(const struct profile *profile, FILE *out) {
    fprintf(out, "\n%-16s %9s %7s %10s %6s %10s %10s\n", "operation", "requests", "errors", "seconds", "share", "mean ms",
            "longest ms");
    for (const struct profile_operation *each = profile->operations; each; each = each->hh.next)
        fprintf(out, "%-16s %9" PRIu64 " %7" PRIu64 " %10.3f %5.1f%% %10.3f %10.3f\n", each->name, each->count, each->errors,
                each->seconds, profile->seconds > 0 ? 100 * each->seconds / profile->seconds : 0,
                1000 * each->seconds / (double)each->count, 1000 * each->longest);
}

/* "3.0 MiB in 24 reads, 1.0 times, 4% elsewhere" */
static void put_reads(const struct profile_path *path, FILE *out) {
    text_put_size(out, path->read_bytes);
    fprintf(out, " in %" PRIu64 " reads", path->reads);
    if (path->reached)
        fprintf(out, ", each byte %.1f times", (double)path->read_bytes / (double)path->reached);
    fprintf(out, ", %.0f%% out of order", path->reads > 1 ? 100.0 * (double)path->elsewhere / (double)path->reads : 0.0);
}

static void put_path(const struct profile_path *path, FILE *out) {
    fprintf(out, "%10.3f s  ", path->seconds);
    text_put_plain(out, path->name, strlen(path->name));
    fprintf(out, "\n%14s%" PRIu64 " opens, %" PRIu64 " lookups and stats", "", path->opens, path->stats);
    if (path->absent)
        fprintf(out, ", %" PRIu64 " times not there", path->absent);
    if (path->reads) {
        fputs("; ", out);
        put_reads(path, out);
    }
    if (path->writes) {
        fputs("; ", out);
        text_put_size(out, path->written_bytes);
        fprintf(out, " in %" PRIu64 " writes", path->writes);
    }
    fputc('\n', out);
}

static void put_text(const struct profile *profile, FILE *out) {
    struct hint hints[HINTS];
    unsigned count = advise(profile, hints), shown = 0;
    fprintf(out, "%" PRIu64 " requests in %.3f s, from %s to %s\n", profile->lines, profile->seconds, profile->first,
            profile->last);
    if (profile->odd)
        fprintf(out, "%" PRIu64 " lines are none of a trace\n", profile->odd);
    put_operations(profile, out);
    fputs("\nwhere the time went\n", out);
    for (const struct profile_path *path = profile->paths; path && shown < PATHS_SHOWN; path = path->hh.next, shown++)
        put_path(path, out);
    fputs("\nwhat would help\n", out);
    for (unsigned i = 0; i < count; i++)
        fprintf(out, "  -o %s: %s (%.3f s)\n", hints[i].option, hints[i].why, hints[i].seconds);
    if (!count)
        fputs("  nothing stands out\n", out);
}

/* ---- JSON ---- */

static void put_json_text(FILE *out, const char *name, const char *value) {
    fprintf(out, "\"%s\":", name);
    text_put_json(out, value, strlen(value));
}

static void put_json_path(const struct profile_path *path, FILE *out) {
    fputc('{', out);
    put_json_text(out, "path", path->name);
    fprintf(out,
            ",\"seconds\":%.6f,\"opens\":%" PRIu64 ",\"stats\":%" PRIu64 ",\"absent\":%" PRIu64 ",\"reads\":%" PRIu64
            ",\"read_bytes\":%" PRId64 ",\"reached\":%" PRId64 ",\"out_of_order\":%" PRIu64 ",\"writes\":%" PRIu64
            ",\"written_bytes\":%" PRId64 "}",
            path->seconds, path->opens, path->stats, path->absent, path->reads, path->read_bytes, path->reached, path->elsewhere,
            path->writes, path->written_bytes);
}

static void put_json(const struct profile *profile, FILE *out) {
    struct hint hints[HINTS];
    unsigned count = advise(profile, hints), shown = 0;
    fprintf(out, "{\"requests\":%" PRIu64 ",\"odd_lines\":%" PRIu64 ",\"seconds\":%.6f,", profile->lines, profile->odd,
            profile->seconds);
    put_json_text(out, "first", profile->first);
    fputc(',', out);
    put_json_text(out, "last", profile->last);
    fputs(",\"operations\":[", out);
    for (const struct profile_operation *each = profile->operations; each; each = each->hh.next) {
        fputs(each == profile->operations ? "{" : ",{", out);
        put_json_text(out, "operation", each->name);
        fprintf(out, ",\"requests\":%" PRIu64 ",\"errors\":%" PRIu64 ",\"seconds\":%.6f,\"longest\":%.6f}", each->count,
                each->errors, each->seconds, each->longest);
    }
    fputs("],\"paths\":[", out);
    for (const struct profile_path *path = profile->paths; path && shown < PATHS_SHOWN; path = path->hh.next, shown++) {
        fputs(shown ? "," : "", out);
        put_json_path(path, out);
    }
    fputs("],\"hints\":[", out);
    for (unsigned i = 0; i < count; i++) {
        fputs(i ? ",{" : "{", out);
        put_json_text(out, "option", hints[i].option);
        fputc(',', out);
        put_json_text(out, "why", hints[i].why);
        fprintf(out, ",\"seconds\":%.6f}", hints[i].seconds);
    }
    fputs("]}\n", out);
}

void profile_put(struct profile *profile, FILE *out, bool json) {
    HASH_SORT(profile->operations, by_time);
    HASH_SORT(profile->paths, paths_by_time);
    if (json)
        put_json(profile, out);
    else
        put_text(profile, out);
}

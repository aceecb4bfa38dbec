// SPDX-License-Identifier: Apache-2.0
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"
#include "fs/tools/past_private.h"
#include "fs/tools/text.h"

enum { DIGITS_MOST = 128, DATE_MOST = 64 };

struct seen {
    const char *date, *id;
    int date_size;
    long long size;
    bool current;
    char sha256[DIGITS_MOST], due[DATE_MOST]; /* "": none */
};

/* What is said of a revision of which nothing can be asked any more. */
static bool look(const struct past *revisions, const char *name, struct seen *seen) {
    cleanup_free char *path = NULL;
    struct stat status;
    if (asprintf(&path, "%s/%s", revisions->directory, name) < 0 || stat(path, &status))
        return false;
    *seen = (struct seen){.date = name, .id = past_id(name), .date_size = (int)past_date_size(name),
                          .size = (long long)status.st_size};
    seen->current = strcmp(seen->id, revisions->current) == 0;
    (void)past_attribute(path, "user.gridfs.sha256", seen->sha256, sizeof seen->sha256);
    (void)past_attribute(path, "user.gridfs.due", seen->due, sizeof seen->due);
    return true;
}

static void put_text(const struct seen *seen) {
    printf("%-24.*s %14lld  %s  ", seen->date_size, seen->date, seen->size, seen->id);
    if (*seen->due)
        printf("until %-24s  ", seen->due);
    else
        printf("%-30s  ", seen->current ? "current" : "kept");
    text_put_plain(stdout, *seen->sha256 ? seen->sha256 : "-", *seen->sha256 ? strlen(seen->sha256) : 1);
    putchar('\n');
}

static void put_member(const char *name, const char *value) {
    printf(",\"%s\":", name);
    text_put_json(stdout, value, strlen(value));
}

static void put_json(const struct seen *seen) {
    printf("{\"size\":%lld,\"current\":%s", seen->size, seen->current ? "true" : "false");
    if (strncmp(seen->date, "undated-", strlen("undated-")) != 0)
        printf(",\"date\":\"%.*s\"", seen->date_size, seen->date);
    put_member("id", seen->id);
    if (*seen->sha256)
        put_member("sha256", seen->sha256);
    if (*seen->due)
        put_member("until", seen->due);
    puts("}");
}

int past_log(const char *path, bool json) {
    struct past revisions;
    struct seen seen;
    if (!past_find(path, &revisions))
        return EXIT_FAILED;
    for (size_t i = 0; i < revisions.count; i++)
        if (look(&revisions, revisions.names[i], &seen)) { /* else it went right now */
            if (json)
                put_json(&seen);
            else
                put_text(&seen);
        }
    past_done(&revisions);
    return fflush(stdout) || ferror(stdout) ? EXIT_FAILED : EXIT_DONE;
}

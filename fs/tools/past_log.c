// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"
#include "cache/base/workers.h"
#include "fs/tools/past_private.h"
#include "fs/tools/text.h"

/* LOOKERS: the mount asks the server for each revision anew, which may be far. */
enum { DIGITS_MOST = 128, WORD_MOST = 64, LOOKERS = 7, AT_ONCE = 64 };

/* A revision; "" in a text: that is not recorded. */
struct seen {
    const char *date, *id;
    int date_size;
    long long size;
    bool current;
    char sha256[DIGITS_MOST], due[WORD_MOST], by[WORD_MOST], uid[WORD_MOST];
};

/* 0, -ENOENT or -ESTALE when it went right now, or another -errno. */
static int look(const struct past *revisions, const char *name, struct seen *seen) {
    cleanup_free char *path = NULL;
    struct stat status;
    if (asprintf(&path, "%s/%s", revisions->directory, name) < 0)
        return -ENOMEM;
    if (stat(path, &status))
        return -errno;
    *seen = (struct seen){.date = name, .id = past_id(name), .date_size = (int)past_date_size(name),
                          .size = (long long)status.st_size};
    seen->current = strcmp(seen->id, revisions->current) == 0;
    int result = past_attribute(path, "user.gridfs.by", seen->by, sizeof seen->by);
    if (result == 0) {
        (void)past_attribute(path, "user.gridfs.uid", seen->uid, sizeof seen->uid);
        (void)past_attribute(path, "user.gridfs.sha256", seen->sha256, sizeof seen->sha256);
        (void)past_attribute(path, "user.gridfs.due", seen->due, sizeof seen->due);
    }
    return result;
}

/* Whose it is, and what put it: "alice/gridmount", "application". */
static void put_maker(const struct seen *seen) {
    char text[2 * WORD_MOST + 1];
    const struct passwd *owner = *seen->uid ? getpwuid((uid_t)strtoul(seen->uid, NULL, 10)) : NULL;
    const char *name = owner ? owner->pw_name : seen->uid;
    snprintf(text, sizeof text, "%.*s%s%s", WORD_MOST, name, *name ? "/" : "", seen->by);
    printf("%-16s  ", text);
}

static void put_text(const struct seen *seen) {
    printf("%-24.*s %14lld  %s  ", seen->date_size, seen->date, seen->size, seen->id);
    put_maker(seen);
    if (*seen->due)
        printf("until %-24s  ", seen->due);
    else
        printf("%-30s  ", seen->current ? "current" : "kept");
    text_put_plain(stdout, *seen->sha256 ? seen->sha256 : "-", *seen->sha256 ? strlen(seen->sha256) : 1);
    putchar('\n');
}

static void put_member(const char *name, const char *value) {
    if (!*value)
        return;
    printf(",\"%s\":", name);
    text_put_json(stdout, value, strlen(value));
}

static void put_json(const struct seen *seen) {
    printf("{\"size\":%lld,\"current\":%s", seen->size, seen->current ? "true" : "false");
    if (strncmp(seen->date, "undated-", strlen("undated-")) != 0)
        printf(",\"date\":\"%.*s\"", seen->date_size, seen->date);
    put_member("id", seen->id);
    put_member("by", seen->by);
    if (*seen->uid)
        printf(",\"uid\":%s", seen->uid);
    put_member("sha256", seen->sha256);
    put_member("until", seen->due);
    puts("}");
}

/* Some of them, one after the other in the list. */
struct part {
    const struct past *revisions;
    char *const *names;
    struct seen seen[AT_ONCE];
    int results[AT_ONCE];
};

static void look_at(void *context, unsigned number) {
    struct part *part = context;
    part->results[number] = look(part->revisions, part->names[number], &part->seen[number]);
}

/* Those from the `first` on that are looked at together. 0 or -errno, after which there may be more. */
static int show(const struct past *revisions, size_t first, struct workers *workers, struct part *part, bool json) {
    unsigned count = revisions->count - first < AT_ONCE ? (unsigned)(revisions->count - first) : AT_ONCE;
    part->revisions = revisions;
    part->names = revisions->names + first;
    workers_share(workers, count, look_at, part);
    int result = 0;
    for (unsigned i = 0; result == 0 && i < count; i++) {
        result = part->results[i];
        if (result == 0)
            (json ? put_json : put_text)(&part->seen[i]);
        else if (result == -ENOENT || result == -ESTALE)
            result = 0;
    }
    return result;
}

int past_log(const char *path, bool json) {
    struct past revisions;
    if (!past_find(path, &revisions))
        return EXIT_FAILED;
    struct workers *workers = workers_new(LOOKERS, LOOKERS);
    cleanup_free struct part *part = malloc(sizeof *part);
    int result = workers && part ? 0 : -ENOMEM;
    for (size_t first = 0; result == 0 && first < revisions.count; first += AT_ONCE)
        result = show(&revisions, first, workers, part, json);
    workers_free(workers);
    if (result)
        past_complain(path, ": there are more, but: %s; see gridmount status", strerror(-result));
    past_done(&revisions);
    return result ? EXIT_FAILED : EXIT_DONE;
}

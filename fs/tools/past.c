// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/past.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/past_private.h"
#include "fs/tools/text.h"

#define UNDATED "undated-"

void past_complain(const char *path, const char *format, ...) {
    va_list values;
    va_start(values, format);
    fputs("gridmount: ", stderr);
    text_put_plain(stderr, path, strlen(path));
    vfprintf(stderr, format, values);
    fputc('\n', stderr);
    va_end(values);
}

/* ---- names of revisions ---- */

const char *past_id(const char *name) {
    const char *end = strchr(name, 'Z');
    if (strncmp(name, UNDATED, strlen(UNDATED)) == 0 || !end || end[1] != '-')
        return strchr(name, '-') ? strchr(name, '-') + 1 : name;
    return end + 2;
}

size_t past_date_size(const char *name) {
    const char *id = past_id(name);
    return id == name ? 0 : (size_t)(id - name) - 1;
}

/* The newest first; those without a date, which the server orders as the oldest, last. */
static int compare(const void *one, const void *other) {
    const char *first = *(char *const *)one, *second = *(char *const *)other;
    bool undated = strncmp(first, UNDATED, strlen(UNDATED)) == 0;
    if (undated != (strncmp(second, UNDATED, strlen(UNDATED)) == 0))
        return undated ? 1 : -1;
    long year = strtol(first, NULL, 10), other_year = strtol(second, NULL, 10);
    return year != other_year ? (year < other_year ? 1 : -1) : strcmp(second, first);
}

/* ---- where they are ---- */

/* The path, of which the last parts need not be there any more, without symlinks, and the mount that it is in. */
static int find_mount(const char *path, char **ret_mountpoint, char **ret_real) {
    cleanup_free char *above = strdup(path), *real = NULL, *mountpoint = NULL;
    size_t size = above ? strlen(above) : 0;
    int result = above ? -ENOENT : -ENOMEM;
    while (size && above[size - 1] == '/')
        above[--size] = '\0';
    const char *gone = path + size; /* what is cut off */
    while (result == -ENOENT) {
        const char *asked = *above ? above : *path == '/' ? "/" : ".";
        result = mountpoint_of(asked, &mountpoint, &real);
        if (result != -ENOENT || !*above)
            break;
        char *slash = strrchr(above, '/');
        *(slash ? slash : above) = '\0';
        gone = path + (slash ? (size_t)(slash - above) + 1 : 0);
    }
    if (result)
        return result;
    int kept = (int)(path + size - gone);
    if (asprintf(ret_real, "%s%s%.*s", real, kept > 0 ? "/" : "", kept > 0 ? kept : 0, gone) < 0)
        return -ENOMEM;
    *ret_mountpoint = steal_ptr(&mountpoint);
    return 0;
}

static bool is_directory(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

/* Where the revisions of a path are: at the top of the mount or, where that has all buckets, of its bucket. */
static char *find_directory(const char *mountpoint, const char *real) {
    const char *below = real + strlen(mountpoint);
    cleanup_free char *control = NULL;
    char *directory = NULL;
    below += strspn(below, "/");
    if (asprintf(&control, "%s/.gridfs/revisions", mountpoint) < 0)
        return NULL;
    int bucket = is_directory(control) || errno != ENOENT ? 0 : (int)strcspn(below, "/");
    const char *rest = below + bucket;
    if (bucket)
        rest += strspn(rest, "/");
    if (asprintf(&directory, "%s/%.*s%s.gridfs/revisions/%s", mountpoint, bucket, below, bucket ? "/" : "", rest) < 0)
        return NULL;
    return directory;
}

/* ---- which there are ---- */

static int read_names(struct past *revisions) {
    DIR *listing = opendir(revisions->directory);
    size_t room = 0;
    struct dirent *entry;
    if (!listing)
        return -errno;
    int result = 0;
    while (result == 0 && (errno = 0, entry = readdir(listing))) {
        if (entry->d_type != DT_REG)
            continue;
        if (revisions->count == room) {
            room = room ? 2 * room : 16;
            char **names = realloc(revisions->names, room * sizeof *names);
            result = names ? 0 : -ENOMEM;
            revisions->names = names ? names : revisions->names;
        }
        if (result == 0 && (revisions->names[revisions->count] = strdup(entry->d_name)))
            revisions->count++;
        else
            result = -ENOMEM;
    }
    result = result ? result : -errno;
    closedir(listing);
    if (revisions->count)
        qsort(revisions->names, revisions->count, sizeof *revisions->names, compare);
    return result;
}

int past_attribute(const char *path, const char *attribute, char *into, size_t size) {
    ssize_t got = lgetxattr(path, attribute, into, size - 1);
    into[got > 0 ? got : 0] = '\0';
    return got >= 0 ? 0 : -errno;
}

static const char *explain(int error) {
    switch (error) {
    case -ENODEV:
        return " lies on no gridmount; mount it first, or see: grep gridfs /proc/mounts";
    case -ENOENT:
        return ": no revision is known; it never was there, or its grace is over";
    case -EACCES:
        return ": its revisions are for who mounted it";
    case -EISDIR:
        return " is a directory; name a file";
    case -ENOTCONN:
        return ": the mount has ended; mount it again";
    default:
        return NULL;
    }
}

static bool refuse(struct past *revisions, int error) {
    const char *why = explain(error);
    if (why)
        past_complain(revisions->path, "%s", why);
    else
        past_complain(revisions->path, ": %s; see gridmount status", strerror(-error));
    past_done(revisions);
    return false;
}

bool past_find(const char *path, struct past *ret_revisions) {
    struct past revisions = {.path = path};
    cleanup_free char *mountpoint = NULL;
    int result = find_mount(path, &mountpoint, &revisions.real);
    if (result == 0 && !(revisions.directory = find_directory(mountpoint, revisions.real)))
        result = -ENOMEM;
    if (result == 0 && is_directory(revisions.real))
        result = -EISDIR;
    if (result == 0)
        result = read_names(&revisions);
    if (result == 0 && revisions.count == 0)
        result = -ENOENT;
    if (result)
        return refuse(&revisions, result);
    (void)past_attribute(revisions.real, "user.gridfs.id", revisions.current, sizeof revisions.current);
    *ret_revisions = revisions;
    return true;
}

void past_done(struct past *revisions) {
    for (size_t i = 0; i < revisions->count; i++)
        free(revisions->names[i]);
    free(revisions->names);
    free(revisions->directory);
    free(revisions->real);
    *revisions = (struct past){0};
}

/* ---- which is meant ---- */

static const char *choose(const struct past *revisions, const char *word, size_t *ret_count) {
    const char *found = NULL;
    *ret_count = 0;
    for (size_t i = 0; i < revisions->count; i++)
        if (strcmp(past_id(revisions->names[i]), word) == 0) {
            *ret_count = 1;
            return revisions->names[i];
        }
    for (size_t i = 0; *word && i < revisions->count; i++)
        if (strncmp(revisions->names[i], word, strlen(word)) == 0) {
            found = revisions->names[i];
            ++*ret_count;
        }
    return *ret_count == 1 ? found : NULL;
}

bool past_choose(const char *argument, char **ret_path, struct past *ret_revisions, const char **ret_name) {
    const char *at = strrchr(argument, '@');
    cleanup_free char *path = at ? strndup(argument, (size_t)(at - argument)) : NULL;
    struct past revisions;
    size_t count;
    if (!path || !*path) {
        past_complain(argument, " names no revision: PATH@REV, with what gridmount log PATH shows");
        return false;
    }
    if (!past_find(path, &revisions))
        return false;
    const char *name = choose(&revisions, at + 1, &count);
    if (!name) {
        if (count)
            past_complain(argument, ": %zu revisions begin so; say more of the date, or the _id", count);
        else
            past_complain(argument, ": there is no such revision; see gridmount log");
        past_done(&revisions);
        return false;
    }
    *ret_path = steal_ptr(&path);
    *ret_revisions = revisions;
    *ret_name = name;
    return true;
}

/* ---- the command line ---- */

static const struct command {
    const char *word, *usage;
    int most; /* arguments */
    bool json;
} commands[] = {
    {"log", "log takes one file and --json", 1, true},
    {"restore", "restore takes one PATH@REV", 1, false},
    {"diff", "diff takes PATH@REV, and another, a file or none", 2, false},
};

static const struct command *command_of(const char *word) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (strcmp(commands[i].word, word) == 0)
            return &commands[i];
    return NULL;
}

bool past_is_command(const char *word) {
    return command_of(word);
}

int past_run(int count, char **arguments) {
    const struct command *command = command_of(arguments[0]);
    const char *named[2] = {NULL, NULL};
    bool json = false, wrong = false;
    int found = 0;
    for (int i = 1; i < count; i++) {
        if (command->json && strcmp(arguments[i], "--json") == 0)
            json = true;
        else if (arguments[i][0] == '-' || !arguments[i][0] || found == command->most)
            wrong = true;
        else
            named[found++] = arguments[i];
    }
    if (wrong || !found) {
        fprintf(stderr, "gridmount: %s; see gridmount --help\n", command->usage);
        return EXIT_USAGE;
    }
    switch (command->word[0]) {
    case 'l':
        return past_log(named[0], json);
    case 'r':
        return past_restore(named[0]);
    default:
        return past_diff(named[0], named[1]);
    }
}

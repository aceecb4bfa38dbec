// SPDX-License-Identifier: Apache-2.0
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/profile_private.h"
#include "fs/tools/tools.h"

enum field { WHEN, PID, OPERATION, PATH, OFFSET, SIZE, RESULT, SECONDS, FIELDS };

struct profile *profile_new(void) {
    struct profile *profile = calloc(1, sizeof *profile);
    static const char name[] = "(others)";
    if (profile && !(profile->others = calloc(1, sizeof *profile->others + sizeof name))) {
        free(profile);
        return NULL;
    }
    if (profile)
        memcpy(profile->others->name, name, sizeof name);
    return profile;
}

struct profile *profile_free(struct profile *profile) {
    struct profile_operation *operation, *next_operation;
    struct profile_path *path, *next_path;
    if (!profile)
        return NULL;
    HASH_ITER(hh, profile->operations, operation, next_operation) {
        HASH_DEL(profile->operations, operation);
        free(operation);
    }
    HASH_ITER(hh, profile->paths, path, next_path) {
        HASH_DEL(profile->paths, path);
        free(path);
    }
    free(profile->others);
    free(profile);
    return NULL;
}

/* ---- lines ---- */

static struct profile_operation *operation_of(struct profile *profile, const char *name) {
    struct profile_operation *operation;
    size_t size = strlen(name);
    HASH_FIND_STR(profile->operations, name, operation);
    if (!operation && (operation = calloc(1, sizeof *operation + size + 1))) {
        memcpy(operation->name, name, size);
        HASH_ADD_STR(profile->operations, name, operation);
    }
    return operation;
}

static struct profile_path *path_of(struct profile *profile, const char *name) {
    struct profile_path *path;
    size_t size = strlen(name);
    HASH_FIND_STR(profile->paths, name, path);
    if (path)
        return path;
    bool room = HASH_COUNT(profile->paths) < PROFILE_PATHS;
    if (!room || !(path = calloc(1, sizeof *path + size + 1)))
        return profile->others;
    memcpy(path->name, name, size);
    HASH_ADD_STR(profile->paths, name, path);
    return path;
}

static bool is_of(const char *text, const char *letters) {
    return *text && !text[strspn(text, letters)];
}

static bool split(char *line, char *fields[FIELDS]) {
    unsigned count = 0;
    line[strcspn(line, "\r\n")] = '\0';
    for (char *field; count < FIELDS && (field = strsep(&line, "\t")); count++)
        fields[count] = field;
    return count == FIELDS && !line && is_of(fields[OPERATION], "abcdefghijklmnopqrstuvwxyz0123456789_") &&
           is_of(fields[WHEN], "0123456789-:.TZ");
}

/* A name as it is, out of one as a trace has it; in place. */
static char *unescape(char *text) {
    char *to = text;
    unsigned char byte;
    for (const char *c = text; *c; c++)
        if (strncmp(c, "\\x", 2) == 0 && isxdigit((unsigned char)c[2]) && isxdigit((unsigned char)c[3]) &&
            sscanf(c + 2, "%2hhx", &byte) == 1 && byte) {
            *to++ = (char)byte;
            c += 3;
        } else if (c[0] == '\\' && c[1] && strchr("tn\\", c[1])) {
            *to++ = *++c == 't' ? '\t' : *c == 'n' ? '\n' : '\\';
        } else {
            *to++ = *c;
        }
    *to = '\0';
    return text;
}

/* A byte count; 0: there is none. */
static int64_t number(const char *text) {
    return *text >= '0' && *text <= '9' ? strtoll(text, NULL, 10) : 0;
}

static void add_read(struct profile_path *path, int64_t offset, int64_t size) {
    path->reads++;
    path->elsewhere += offset != path->next;
    path->next = offset + size;
    path->reached = path->next > path->reached ? path->next : path->reached;
    path->read_bytes += size;
}

static void add_to_path(struct profile_path *path, char *const *fields, double seconds) {
    const char *operation = fields[OPERATION];
    path->seconds += seconds;
    path->absent += strcmp(fields[RESULT], "ENOENT") == 0;
    path->opens += strcmp(operation, "open") == 0 || strcmp(operation, "create") == 0;
    path->closes += strcmp(operation, "flush") == 0;
    path->stats += strcmp(operation, "lookup") == 0 || strcmp(operation, "getattr") == 0;
    if (strcmp(operation, "read") == 0)
        add_read(path, number(fields[OFFSET]), number(fields[SIZE]));
    if (strcmp(operation, "write") == 0) {
        path->writes++;
        path->written_bytes += number(fields[SIZE]);
    }
}

void profile_add(struct profile *profile, char *line) {
    char *fields[FIELDS];
    if (!split(line, fields)) {
        profile->odd++;
        return;
    }
    double seconds = strtod(fields[SECONDS], NULL);
    struct profile_operation *operation = operation_of(profile, fields[OPERATION]);
    if (operation) {
        operation->count++;
        operation->errors += strcmp(fields[RESULT], "OK") != 0;
        operation->seconds += seconds;
        operation->longest = seconds > operation->longest ? seconds : operation->longest;
    }
    add_to_path(path_of(profile, unescape(fields[PATH])), fields, seconds);
    if (!profile->lines++)
        snprintf(profile->first, sizeof profile->first, "%s", fields[WHEN]);
    snprintf(profile->last, sizeof profile->last, "%s", fields[WHEN]);
    profile->seconds += seconds;
}

/* ---- the command ---- */

/* The trace of the mount there, to be freed; NULL: it has none, or there is no mount. */
static char *trace_of_mount(const char *path) {
    static const char sign[] = "\"trace\":\"";
    cleanup_free char *absolute = mountpoint_absolute(path);
    cleanup_free char *status = absolute && mountpoint_is_ours(absolute) ? mountpoint_read(absolute, ".gridfs/status.json") : NULL;
    char *found = status ? strstr(status, sign) : NULL;
    if (!found)
        return NULL;
    found += strlen(sign);
    size_t size = strcspn(found, "\"");
    return size ? strndup(found, size) : NULL;
}

static int read_all(struct profile *profile, const char *path) {
    cleanup_free char *line = NULL;
    size_t space = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return -errno;
    while (getline(&line, &space, file) > 0)
        profile_add(profile, line);
    int result = ferror(file) ? -EIO : 0;
    fclose(file);
    return result;
}

int tools_profile(const char *path, bool json) {
    struct stat status;
    bool mount = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
    cleanup_free char *trace = mount ? trace_of_mount(path) : strdup(path);
    if (!trace) {
        fprintf(stderr, "gridmount: %s is no mount with a trace; mount it with -o trace=FILE\n", path);
        return EXIT_USAGE;
    }
    struct profile *profile = profile_new();
    int result = profile ? read_all(profile, trace) : -ENOMEM;
    if (result == 0 && !profile->lines)
        result = -ENODATA;
    if (result)
        fprintf(stderr, "gridmount: %s: %s; name what -o trace= wrote\n", trace,
                result == -ENODATA ? "no request is in it" : strerror(-result));
    else
        profile_put(profile, stdout, json);
    profile_free(profile);
    return result ? EXIT_FAILED : EXIT_DONE;
}

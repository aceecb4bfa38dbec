// SPDX-License-Identifier: Apache-2.0
#include "fs/options.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"
#include "fs/memory_limit.h"

enum kind { TEXT, FLAG, SIZE, SECONDS, NUMBER, OCTAL, MODE, LEVEL, REVISIONS, SWITCH, LOCKS, GLOBS };

static const struct option_row {
    const char *name;
    size_t offset;
    enum kind kind;
    const char *argument, *help;
} table[] = {
#define OPTION(name, field, kind, argument, help) {#name, offsetof(struct options, field), kind, argument, help},
#include "fs/options.def"
#undef OPTION
};

enum { ROWS = sizeof table / sizeof *table };

int options_init(struct options *options) {
    int64_t quarter = memory_limit() / 4, most = INT64_C(256) << 20;
    *options = (struct options){
        .bucket = strdup("fs"),
        .device = -1,
        .trace_to = -1,
        .cache_size = quarter < most ? quarter : most,
        .consistency = {.mode = CONSISTENCY_OPEN, .trust_ms = 1000},
        .push = true,
        .timeout_ms = 30000,
        .grace_ms = 60000,
        .uid = OPTIONS_OWNER,
        .gid = OPTIONS_OWNER,
        .umask = 022,
        .log_level = LOG_LEVEL_INFO,
        .max_file_size = INT64_C(64) << 30,
        .trash_max = INT64_C(10) << 30,
        .writeback_max = INT64_C(1) << 30,
        .stop_ms = 8000,
        .cache_disk = INT64_C(10) << 30,
        .cache_free = INT64_C(1) << 30,
    };
    return options->bucket ? 0 : -ENOMEM;
}

void options_done(struct options *options) {
    free(options->uri);
    free(options->database);
    free(options->mountpoint);
    free(options->bucket);
    free(options->credentials);
    free(options->log_file);
    free(options->staging_dir);
    free(options->user);
    free(options->cache_dir);
    free(options->metrics_listen);
    free(options->trace);
    for (char **glob = options->warm; glob && *glob; glob++)
        free(*glob);
    free(options->warm);
    memset(options, 0, sizeof *options);
}

static bool whole_number(const char *text, int base, int64_t most, int64_t *ret_number) {
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, base);
    if (errno || end == text || *end || number < 0 || number > most || *text == '+' || isspace((unsigned char)*text))
        return false;
    *ret_number = number;
    return true;
}

static bool seconds(const char *text, double least, int64_t *ret_ms) {
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !isfinite(value) || value < least || value > 1e6)
        return false;
    *ret_ms = (int64_t)(value * 1000);
    return true;
}

static bool size_in_bytes(const char *text, int64_t *ret_size) {
    static const char units[] = "KMGT";
    cleanup_free char *digits = strdup(text);
    size_t length = digits ? strlen(digits) : 0;
    int64_t size;
    const char *unit = length > 1 ? strchr(units, digits[length - 1]) : NULL;
    int shift = unit ? (int)(unit - units + 1) * 10 : 0;
    if (unit)
        digits[length - 1] = '\0';
    if (!length || !whole_number(digits, 10, (INT64_C(1) << 50) >> shift, &size) || size << shift < 1 << 20)
        return false;
    *ret_size = size << shift;
    return true;
}

static bool mode(const char *text, struct options *options) {
    static const char ttl[] = "ttl:";
    if (strcmp(text, "strict") == 0)
        options->consistency.mode = CONSISTENCY_STRICT, options->consistency.trust_ms = 0;
    else if (strcmp(text, "open") == 0)
        options->consistency.mode = CONSISTENCY_OPEN, options->consistency.trust_ms = 1000;
    else if (strcmp(text, "immutable") == 0)
        options->consistency.mode = CONSISTENCY_IMMUTABLE, options->consistency.trust_ms = INT64_C(86400000);
    else if (strncmp(text, ttl, strlen(ttl)) == 0 && seconds(text + strlen(ttl), 0, &options->consistency.trust_ms))
        options->consistency.mode = CONSISTENCY_TTL;
    else
        return false;
    return true;
}

/* Which of the words it is; `words` has | between them. */
static bool word(const char *text, const char *words, unsigned *ret_which) {
    size_t size = strlen(text), length;
    unsigned which = 0;
    for (; (length = strcspn(words, "|")) != size || memcmp(words, text, size) != 0; which++) {
        if (!words[length])
            return false;
        words += length + 1;
    }
    *ret_which = which;
    return true;
}

/* Without what stands for the root of the mount, and without "/" at the end. */
static char *plain_glob(const char *text) {
    while (*text == '/' || strncmp(text, "./", 2) == 0)
        text++;
    size_t size = strlen(text);
    while (size && text[size - 1] == '/')
        size--;
    return size ? strndup(text, size) : NULL;
}

static bool add_glob(const char *text, char ***list) {
    size_t count = 0;
    while (*list && (*list)[count])
        count++;
    char *glob = plain_glob(text), **longer = glob ? realloc(*list, (count + 2) * sizeof *longer) : NULL;
    if (!longer) {
        free(glob);
        return false;
    }
    longer[count] = glob;
    longer[count + 1] = NULL;
    *list = longer;
    return true;
}

static bool set(struct options *options, const struct option_row *row, const char *value) {
    void *field = (char *)options + row->offset;
    unsigned which;
    switch (row->kind) {
    case TEXT: {
        char *copy = *value ? strdup(value) : NULL;
        free(*(char **)field);
        *(char **)field = copy;
        return copy != NULL;
    }
    case FLAG:
        *(bool *)field = true;
        return true;
    case SIZE:
        return size_in_bytes(value, field);
    case SECONDS:
        return seconds(value, 0.1, field);
    case NUMBER:
        return whole_number(value, 10, UINT32_MAX - 1, field);
    case OCTAL:
        return whole_number(value, 8, 0777, field);
    case MODE:
        return mode(value, options);
    case LEVEL:
        return word(value, row->argument, &which) && (*(enum log_level *)field = (enum log_level)which, true);
    case REVISIONS:
        return word(value, row->argument, &which) &&
               (*(enum options_revisions *)field = (enum options_revisions)which, true);
    case SWITCH:
        return word(value, row->argument, &which) && (*(bool *)field = which == 0, true);
    case LOCKS:
        return word(value, row->argument, &which) && (*(enum options_locks *)field = (enum options_locks)which, true);
    case GLOBS:
        return add_glob(value, field);
    }
    return false;
}

static const struct option_row *find_row(const char *name, size_t size) {
    for (const struct option_row *row = table; row < table + ROWS; row++)
        if (strlen(row->name) == size && memcmp(row->name, name, size) == 0)
            return row;
    return NULL;
}

bool options_know(const char *option) {
    return find_row(option, strcspn(option, "="));
}

static int parse_one(struct options *options, char *text, char **ret_error) {
    static const char *const ignored[] = {"dev", "suid"}; /* what would loosen what is always on */
    char *equals = strchr(text, '=');
    const char *value = equals ? equals + 1 : NULL;
    if (equals)
        *equals = '\0';
    for (unsigned i = 0; i < sizeof ignored / sizeof *ignored; i++)
        if (strcmp(ignored[i], text) == 0)
            return complain(ret_error, -EINVAL,
                            "option %s: who writes in the database could become root; leave it out", text);
    if (strcmp(text, "rw") == 0) { /* mount(8) says it */
        options->read_only = false;
        return 0;
    }
    const struct option_row *row = find_row(text, strlen(text));
    if (!row)
        return complain(ret_error, -EINVAL, "unknown option '%s'; see gridmount --help", text);
    if ((row->kind == FLAG) != (value == NULL))
        return complain(ret_error, -EINVAL, "option %s %s; see gridmount --help", text,
                        value ? "takes no value" : "needs a value");
    if (!set(options, row, value))
        return complain(ret_error, -EINVAL, "option %s=%s: not a valid %s; see gridmount --help", text, value,
                        row->argument);
    return 0;
}

int options_parse(struct options *options, const char *text, char **ret_error) {
    cleanup_free char *copy = strdup(text);
    char *rest = copy, *one;
    int result = copy ? 0 : -ENOMEM;
    while (result == 0 && (one = strsep(&rest, ",")))
        if (*one)
            result = parse_one(options, one, ret_error);
    return result;
}

/* What is not set yet takes the value of one of these names. */
struct setting {
    char **field;
    const char *names[2];
};

static bool is_named(const struct setting *setting, const char *name, size_t size) {
    for (unsigned i = 0; i < 2; i++)
        if (strlen(setting->names[i]) == size && memcmp(setting->names[i], name, size) == 0)
            return true;
    return false;
}

static void read_lines(FILE *file, struct setting *settings, size_t count) {
    cleanup_free char *line = NULL;
    size_t space = 0;
    while (getline(&line, &space, file) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        char *start = strncmp(line, "export ", 7) == 0 ? line + 7 : line, *equals = strchr(start, '=');
        if (*start == '#' || !equals)
            continue;
        char *value = equals + 1;
        size_t size = strlen(value);
        if (size >= 2 && (*value == '"' || *value == '\'') && value[size - 1] == *value) {
            value[size - 1] = '\0';
            value++;
        }
        for (size_t i = 0; i < count; i++)
            if (!*settings[i].field && *value && is_named(&settings[i], start, (size_t)(equals - start)))
                *settings[i].field = strdup(value);
    }
    if (line)
        explicit_bzero(line, space);
}

static int read_credentials(const char *path, struct setting *settings, size_t count, char **ret_error) {
    FILE *file = fopen(path, "re");
    struct stat status;
    if (!file)
        return complain(ret_error, -EINVAL, "credentials file %s: %s; check the path", path, strerror(errno));
    int result = 0;
    if (fstat(fileno(file), &status) || !S_ISREG(status.st_mode))
        result = complain(ret_error, -EINVAL, "credentials file %s is no regular file; check the path", path);
    else if (status.st_mode & 077)
        result = complain(ret_error, -EINVAL, "credentials file %s can be read by others; chmod 600 it", path);
    else
        read_lines(file, settings, count);
    fclose(file);
    return result;
}

/* Who serves; what has no owner is theirs. With user= the default staging folder cannot be in the home of who starts it. */
static int complete_user(struct options *options, char **ret_error) {
    struct user *user = &options->serves_as;
    cleanup_free char *why = NULL;
    *user = (struct user){.uid = getuid(), .gid = getgid()};
    if (options->user && geteuid() != 0)
        return complain(ret_error, -EINVAL,
                        "option user=%s: only root can become another user; leave it out", options->user);
    if (options->user && user_find(options->user, user, &why))
        return complain(ret_error, -EINVAL, "option user=%s: %s", options->user, why ? why : "no memory; try again");
    if (options->user && !options->staging_dir && !options->read_only &&
        asprintf(&options->staging_dir, "/var/lib/gridmount-%u", user->uid) < 0)
        return -ENOMEM;
    if (options->uid == OPTIONS_OWNER)
        options->uid = user->uid;
    if (options->gid == OPTIONS_OWNER)
        options->gid = user->gid;
    return 0;
}

int options_complete(struct options *options, char **ret_error) {
    struct setting settings[] = {{&options->uri, {"MONGODB_URL", "MONGODB_URI"}},
                                 {&options->database, {"DB_NAME", "DBNAME"}}};
    enum { COUNT = sizeof settings / sizeof *settings };
    if (options->credentials) {
        int result = read_credentials(options->credentials, settings, COUNT, ret_error);
        if (result)
            return result;
    }
    for (unsigned i = 0; i < COUNT; i++)
        for (unsigned k = 0; k < 2 && !*settings[i].field; k++) {
            const char *value = getenv(settings[i].names[k]);
            if (value && *value)
                *settings[i].field = strdup(value);
        }
    if (options->read_only && options->locks == LOCKS_CLUSTER)
        return complain(ret_error, -EINVAL,
                        "locks=cluster writes to the database; leave it out, or mount without ro");
    if (options->writeback && options->locks == LOCKS_CLUSTER)
        return complain(ret_error, -EINVAL,
                        "locks=cluster stores what was written before it unlocks; leave out writeback or that");
    int result = complete_user(options, ret_error);
    if (result)
        return result;
    if (!options->uri)
        return complain(ret_error, -EINVAL,
                        "no connection string; give mongodb://host:port/database or set MONGODB_URL");
    return 0;
}

/* The manual and the completions are made from these lines. */
void options_help(FILE *out) {
    enum { COLUMN = 26 };
    for (const struct option_row *row = table; row < table + ROWS; row++) {
        int width = fprintf(out, "  %s%s%s", row->name, row->kind == FLAG ? "" : "=", row->argument);
        if (width > COLUMN)
            fputc('\n', out);
        fprintf(out, "%*s %s\n", width > COLUMN ? COLUMN : COLUMN - width, "", row->help);
    }
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/mountpoint.h"
#include "fs/tools/tools.h"

enum { GRACE_MS = 1000 };

/* What a look has found; the exit status goes by it. */
struct seen {
    int status;
    char *text, *complaint; /* one of them, to be freed; NULL without memory */
};

static void __attribute__((format(printf, 3, 4))) complain(struct seen *seen, int status, const char *format, ...) {
    va_list values;
    va_start(values, format);
    seen->status = status;
    if (vasprintf(&seen->complaint, format, values) < 0)
        seen->complaint = NULL;
    va_end(values);
}

/* The state stands first: behind it are names, which are of others, and other states. */
static bool says_ok(const char *text, bool json) {
    const char *ok = json ? "{\"state\":\"ok\"," : "state       ok\n";
    return strncmp(text, ok, strlen(ok)) == 0;
}

static struct seen look(const char *path, bool json) {
    struct seen seen = {.status = EXIT_FAILED};
    cleanup_free char *absolute = mountpoint_absolute(path);
    if (!absolute || !mountpoint_is_ours(absolute)) {
        complain(&seen, EXIT_USAGE, "%s is not a gridmount; mount it first", path);
        return seen;
    }
    seen.text = mountpoint_read(absolute, json ? ".gridfs/status.json" : ".gridfs/status");
    if (!seen.text && errno == EACCES)
        complain(&seen, EXIT_FAILED, "%s: how it is, is for who mounted it, and for root", absolute);
    else if (!seen.text)
        complain(&seen, errno == ENOTCONN ? EXIT_USAGE : EXIT_FAILED, "%s does not answer: %s; mount it again", absolute,
                 strerror(errno));
    else if (says_ok(seen.text, json))
        seen.status = EXIT_DONE;
    return seen;
}

static void forget(struct seen *seen) {
    free(steal_ptr(&seen->text));
    free(steal_ptr(&seen->complaint));
}

/* The mountpoint may not even be there yet. */
static struct seen await_health(const char *path, bool json, int64_t until_ms) {
    static const struct timespec pause = {.tv_nsec = 50 * 1000000};
    struct seen seen;
    while ((seen = look(path, json)).status != EXIT_DONE && clock_now_ms() < until_ms) {
        forget(&seen);
        nanosleep(&pause, NULL);
    }
    return seen;
}

/* ---- in a process of its own: a look at a mount that hangs may never end, and cannot be killed ---- */

static void say(int end, const struct seen *seen) {
    const char *words = seen->text ? seen->text : seen->complaint ? seen->complaint : "no memory";
    dprintf(end, "%d%c%s", seen->status, seen->text ? 't' : 'c', words);
}

static void understand(const char *said, struct seen *ret_seen) {
    size_t size = strlen(said);
    char *words = size > 2 ? strdup(said + 2) : NULL;
    *ret_seen = (struct seen){.status = size > 2 ? said[0] - '0' : EXIT_FAILED};
    *(size > 2 && said[1] == 't' ? &ret_seen->text : &ret_seen->complaint) = words;
}

__attribute__((noreturn)) static void look_on(const char *path, bool json, int64_t until_ms, int end) {
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; nothing >= 0 && fd <= STDERR_FILENO; fd++) /* somebody may wait for the end of those */
        dup2(nothing, fd);
    struct seen seen = await_health(path, json, until_ms);
    say(end, &seen);
    _exit(EXIT_DONE);
}

/* Whether all was said in time; to be freed in any case. */
static bool hear(int end, int64_t until_ms, char **ret_said) {
    char part[4096];
    size_t length;
    ssize_t size = 1;
    FILE *all = open_memstream(ret_said, &length);
    while (all && size > 0) {
        struct pollfd more = {.fd = end, .events = POLLIN};
        int64_t left = until_ms - clock_now_ms();
        size = left > 0 && poll(&more, 1, (int)left) == 1 ? read(end, part, sizeof part) : -1;
        if (size > 0)
            fwrite(part, 1, (size_t)size, all);
    }
    return all && fclose(all) == 0 && size == 0;
}

static struct seen await(const char *path, bool json, int64_t until_ms) {
    struct seen seen = {.status = EXIT_FAILED};
    cleanup_free char *said = NULL;
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return seen;
    pid_t pid = fork();
    if (pid == 0)
        look_on(path, json, until_ms, ends[1]);
    close(ends[1]);
    if (pid > 0 && hear(ends[0], until_ms + GRACE_MS, &said))
        understand(said, &seen);
    else if (pid > 0)
        complain(&seen, EXIT_FAILED, "%s does not answer", path);
    if (pid > 0)
        kill(pid, SIGKILL);
    close(ends[0]);
    return seen;
}

/* One screen: what counts nothing is left out. */
static void put_text(const char *text) {
    const char *table = strstr(text, "\n\n"), *line = table ? table + 2 : text + strlen(text);
    fwrite(text, 1, (size_t)(line - text), stdout);
    for (const char *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        const char *value = line + strcspn(line, " \n");
        value += strspn(value, " ");
        if (strncmp(value, "0 ", 2) != 0)
            printf("%.*s\n", (int)(end - line), line);
    }
}

int tools_status(const char *path, bool json, double wait_seconds) {
    struct seen seen = wait_seconds > 0 ? await(path, json, clock_now_ms() + (int64_t)(wait_seconds * 1000)) : look(path, json);
    if (seen.text && json)
        fputs(seen.text, stdout);
    else if (seen.text)
        put_text(seen.text);
    else
        fprintf(stderr, "gridmount: %s\n", seen.complaint ? seen.complaint : "no memory");
    if (seen.status != EXIT_DONE && wait_seconds > 0)
        fprintf(stderr, "gridmount: %s was not healthy within %g s; see its log\n", path, wait_seconds);
    forget(&seen);
    return seen.status;
}

// SPDX-License-Identifier: Apache-2.0
/* `gridmount status DIR --watch[=SECONDS]`: how a mount is, and what it does, again and again, as top(1). */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/mountpoint.h"
#include "fs/tools/ending.h"
#include "fs/tools/samples.h"
#include "fs/tools/text.h"
#include "fs/tools/tools.h"

enum { COLUMNS = 80, ROWS = 24, NAME = 26 };

static const struct {
    const char *words, *name;
    enum { BYTES, TIMES } unit;
} rows[] = {
    {"given to programs", "bytes_read_total", BYTES},
    {"  from memory", "hit_bytes_total", BYTES},
    {"  after a fetch", "miss_bytes_total", BYTES},
    {"from the server", "chunk_bytes_fetched_total", BYTES},
    {"from cache_dir", "disk_bytes_total", BYTES},
    {"written by programs", "bytes_written_total", BYTES},
    {"to the server", "chunk_bytes_uploaded_total", BYTES},
    {"round trips", "round_trips_total", TIMES},
    {"chunks read ahead", "readahead_chunks_total", TIMES},
    {"chunks dropped unread", "unread_chunks_total", TIMES},
    {"changes told", "changes_told_total", TIMES},
    {"errors", "errors_total", TIMES},
};

static const char *const operations[] = {"lookup", "getattr", "open",  "read",   "write",  "flush",
                                         "create", "unlink",  "rename", "readdirplus", "setattr"};

static void put_amount(FILE *out, double amount, bool bytes) {
    cleanup_free char *text = NULL;
    size_t size;
    FILE *cell = open_memstream(&text, &size);
    if (cell && bytes)
        text_put_size(cell, (int64_t)amount);
    else if (cell)
        fprintf(cell, amount < 10 && amount > 0 ? "%.1f" : "%.0f", amount);
    if (cell && fclose(cell) == 0)
        fprintf(out, "%14s", text);
}

static void put_rates(FILE *out, const struct samples *now, const struct samples *before) {
    fprintf(out, "%-*s%14s%14s\n", NAME, "", "a second", "in all");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double all = samples_get(now, rows[i].name);
        if (all <= 0)
            continue;
        fprintf(out, "%-*s", NAME, rows[i].words);
        put_amount(out, samples_rate(now, before, rows[i].name), rows[i].unit == BYTES);
        put_amount(out, all, rows[i].unit == BYTES);
        fputc('\n', out);
    }
}

static void put_requests(FILE *out, const struct samples *now, const struct samples *before) {
    bool any = false;
    for (size_t i = 0; i < sizeof operations / sizeof *operations; i++) {
        double rate, mean, most;
        samples_requests(now, before, operations[i], &rate, &mean, &most);
        if (rate <= 0)
            continue;
        if (!any)
            fprintf(out, "\n%-*s%14s%14s%14s\n", NAME, "requests", "a second", "mean ms", "99 % within");
        any = true;
        fprintf(out, "%-*s", NAME, operations[i]);
        put_amount(out, rate, false);
        fprintf(out, "%14.3f%10s%g ms\n", mean, most < 0 ? ">" : "", most < 0 ? -most : most);
    }
}

/* What the status says first, without its table of counters. */
static void put_head(FILE *out, const char *status) {
    const char *end = strstr(status, "\n\n");
    fwrite(status, 1, end ? (size_t)(end - status) + 1 : strlen(status), out);
}

/* One screen, to be freed, and the samples that it shows; NULL: the mount does not answer, or there is no memory. */
static char *look(const char *path, const struct samples *before, struct samples **ret_now) {
    cleanup_free char *absolute = mountpoint_absolute(path);
    bool ours = absolute && mountpoint_is_ours(absolute);
    cleanup_free char *status = ours ? mountpoint_read(absolute, ".gridfs/status") : NULL;
    cleanup_free char *metrics = status ? mountpoint_read(absolute, ".gridfs/metrics") : NULL;
    struct samples *now = metrics ? samples_new(metrics, clock_now_ms()) : NULL;
    char *text = NULL;
    size_t size;
    FILE *out = now ? open_memstream(&text, &size) : NULL;
    if (!out) {
        samples_free(now);
        return NULL;
    }
    put_head(out, status);
    fputc('\n', out);
    put_rates(out, now, before);
    put_requests(out, now, before);
    *ret_now = now;
    return fclose(out) == 0 ? text : NULL;
}

/* As much of it as the terminal has room for, over what was there. */
static void draw(const char *text) {
    struct winsize window;
    bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col && window.ws_row;
    int columns = known ? window.ws_col : COLUMNS, rows_left = known ? window.ws_row : ROWS;
    fputs("\033[H", stdout);
    for (const char *line = text; *line && rows_left > 1; rows_left--) {
        int size = (int)strcspn(line, "\n");
        printf("%.*s\033[K\n", size < columns ? size : columns, line);
        line += size + (line[size] == '\n');
    }
    fputs("\033[J", stdout);
    fflush(stdout);
}

static int status_of(const char *text) {
    return !text ? EXIT_USAGE : strncmp(text, "state       ok", strlen("state       ok")) == 0 ? EXIT_DONE : EXIT_FAILED;
}

int tools_watch(const char *path, double seconds) {
    bool terminal = isatty(STDOUT_FILENO);
    struct samples *before = NULL;
    struct pollfd ended = {.fd = ending_take(), .events = POLLIN};
    int status;
    if (terminal)
        fputs("\033[?1049h\033[?25l\033[2J", stdout);
    do {
        struct samples *now = NULL;
        cleanup_free char *text = look(path, before, &now), *gone = NULL;
        status = status_of(text);
        if (!text && asprintf(&gone, "state       no gridmount there, or it does not answer: %s\n", path) < 0)
            break;
        if (terminal)
            draw(text ? text : gone);
        else
            printf("%s\n", text ? text : gone);
        fflush(stdout);
        samples_free(before);
        before = now;
    } while (!ferror(stdout) && poll(&ended, 1, (int)(seconds * 1000)) == 0);
    if (terminal)
        fputs("\033[?25h\033[?1049l", stdout);
    samples_free(before);
    close(ended.fd);
    return status;
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/tools/text.h"
#include "fs/tools/warm_private.h"

enum { TERMINAL_EACH_MS = 200, PLAIN_EACH_MS = 5000, JSON_EACH_MS = 1000, COLUMNS_LEAST = 20, COLUMNS = 80 };

static struct warm_figures figures_of(struct warm *warm) {
    struct warm_sum sum = warm_list_sum(warm->list);
    int64_t now = clock_now_ms();
    struct warm_figures figures = {
        .files = atomic_load(&warm->files),
        .bytes = atomic_load(&warm->bytes),
        .of_files = sum.files,
        .of_bytes = sum.bytes,
        .complete = sum.complete,
        .failed = atomic_load(&warm->failed),
        .gone = atomic_load(&warm->gone),
        .verified = atomic_load(&warm->verified),
        .mismatched = atomic_load(&warm->mismatched),
        .unknown = atomic_load(&warm->unknown),
    };
    warm_rate_note(&warm->rate, now, figures.bytes);
    figures.rate = warm_rate_get(&warm->rate, now, figures.bytes);
    figures.seconds_left = warm_seconds_left(&figures);
    return figures;
}

static void end_line(struct warm *warm) {
    if (warm->line_open)
        fputs("\r\033[K", stderr);
    warm->line_open = false;
}

/* ---- progress ---- */

/* As much of it as fits: a line that wraps cannot be drawn again. */
static void draw(struct warm *warm, const struct warm_figures *figures) {
    struct winsize window;
    bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_col >= COLUMNS_LEAST;
    cleanup_free char *line = NULL;
    size_t size;
    FILE *out = open_memstream(&line, &size);
    if (!out)
        return;
    warm_put_progress(out, figures);
    if (fclose(out) == 0)
        fprintf(stderr, "\r%.*s\033[K", (known ? window.ws_col : COLUMNS) - 1, line);
    warm->line_open = true;
}

static void put_event(const char *event, const struct warm_figures *figures) {
    printf("{\"event\":\"%s\"", event);
    warm_put_json(stdout, figures);
}

static int64_t each_ms(const struct warm *warm) {
    return warm->request->json ? JSON_EACH_MS : warm->terminal ? TERMINAL_EACH_MS : PLAIN_EACH_MS;
}

void warm_report_progress(struct warm *warm) {
    int64_t now = clock_now_ms();
    if (now - warm->said_ms < each_ms(warm))
        return;
    struct warm_figures figures = figures_of(warm);
    lock_acquire(&warm->lock);
    warm->said_ms = now;
    if (warm->request->json) {
        put_event("progress", &figures);
        puts("}");
        fflush(stdout);
    } else if (warm->terminal) {
        draw(warm, &figures);
    } else {
        warm_put_progress(stderr, &figures);
        fputc('\n', stderr);
    }
    lock_release(&warm->lock);
}

/* ---- single files ---- */

static void put_path_event(const char *event, const char *path) {
    printf("{\"event\":\"%s\",\"path\":", event);
    text_put_json(stdout, path, strlen(path));
}

static void put_path(struct warm *warm, const char *path) {
    end_line(warm);
    fputs("gridmount: ", stderr);
    text_put_plain(stderr, path, strlen(path));
}

/* As sha256sum(1) writes them: a name that would break its line has a backslash before the line, and in its place. Not so
 * on a terminal, which would obey other characters. */
static bool is_escaped(const char *path) {
    return strpbrk(path, "\\\n\r") && !isatty(STDOUT_FILENO);
}

static void put_name(const char *path) {
    if (isatty(STDOUT_FILENO)) {
        text_put_plain(stdout, path, strlen(path));
        return;
    }
    for (const char *c = path; *c; c++)
        if (*c == '\\' || *c == '\n' || *c == '\r')
            printf("\\%c", *c == '\n' ? 'n' : *c == '\r' ? 'r' : '\\');
        else
            putchar(*c);
}

static void put_found(const char *path, const char *how) {
    fputs(is_escaped(path) ? "\\" : "", stdout);
    put_name(path);
    printf(": %s\n", how);
}

static void put_sum(const char *path, const char *sum) {
    printf("%s%s  ", is_escaped(path) ? "\\" : "", sum);
    put_name(path);
    putchar('\n');
}

static const char *words_of(int error) {
    return error == -EBUSY ? "it was changed each time while it was read" : strerror(-error);
}

void warm_report_failure(struct warm *warm, const char *path, int error) {
    atomic_fetch_add(&warm->failed, 1);
    lock_acquire(&warm->lock);
    if (warm->request->json) {
        put_path_event("failed", path);
        printf(",\"error\":\"%s\"}\n", words_of(error));
    } else {
        put_path(warm, path);
        fprintf(stderr, ": %s\n", words_of(error));
        if (warm->request->each)
            put_found(path, "FAILED open or read");
    }
    fflush(stdout);
    lock_release(&warm->lock);
}

static void put_mismatch(struct warm *warm, const char *path, const char *recorded, const char *found) {
    put_path(warm, path);
    fputs(": its SHA-256 is recorded as ", stderr);
    text_put_plain(stderr, recorded, strlen(recorded));
    fprintf(stderr, ", but what was read has %s\n", found);
}

static void put_file_event(const char *event, const char *path, const char *recorded, const char *found) {
    put_path_event(event, path);
    if (recorded) {
        fputs(",\"recorded\":", stdout);
        text_put_json(stdout, recorded, strlen(recorded));
    }
    printf(",\"found\":\"%s\"}\n", found);
}

void warm_report_file(struct warm *warm, const char *path, const char *recorded, const char *found) {
    const struct warm_request *request = warm->request;
    bool differs = recorded && strcasecmp(recorded, found) != 0;
    lock_acquire(&warm->lock);
    end_line(warm);
    if (request->json && (differs || request->each))
        put_file_event(differs ? "mismatch" : "verified", path, recorded, found);
    if (!request->json && differs)
        put_mismatch(warm, path, recorded, found);
    if (request->each && !request->json)
        put_found(path, differs ? "FAILED" : recorded ? "OK" : "no SHA-256 is recorded");
    if (request->sums)
        put_sum(path, found);
    fflush(stdout);
    lock_release(&warm->lock);
}

void warm_report_warning(struct warm *warm, const char *text) {
    lock_acquire(&warm->lock);
    if (warm->request->json) {
        fputs("{\"event\":\"warning\",\"text\":", stdout);
        text_put_json(stdout, text, strlen(text));
        puts("}");
        fflush(stdout);
    } else {
        end_line(warm);
        fputs("gridmount: ", stderr);
        text_put_plain(stderr, text, strlen(text));
        fputc('\n', stderr);
    }
    lock_release(&warm->lock);
}

/* ---- the sum ---- */

/* Standard output is theirs. */
static bool lists_files(const struct warm *warm) {
    return warm->request->each || warm->request->sums;
}

bool warm_report_sum(struct warm *warm, int status, bool interrupted) {
    struct warm_figures figures = figures_of(warm);
    int64_t ms = clock_now_ms() - warm->began_ms;
    lock_acquire(&warm->lock);
    end_line(warm);
    if (warm->request->json) {
        figures.rate = ms > 0 ? (int64_t)((double)figures.bytes * 1000 / (double)ms) : -1;
        put_event("sum", &figures);
        printf(",\"seconds\":%.3f,\"interrupted\":%s,\"exit\":%d}\n", (double)ms / 1000, interrupted ? "true" : "false",
               status);
    } else {
        warm_put_sum(lists_files(warm) ? stderr : stdout, &figures, ms / 1000, interrupted);
    }
    bool written = fflush(stdout) == 0 && !ferror(stdout);
    lock_release(&warm->lock);
    return written;
}

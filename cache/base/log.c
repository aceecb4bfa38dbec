// SPDX-License-Identifier: Apache-2.0
#include "cache/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "cache/base/journal_socket.h"
#include "cache/base/lock.h"

enum { LINE_SIZE = 1024, REPEAT_MS = 10000, FIELDS_ALWAYS = 4 };

static const int priorities[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
static const char *const words[] = {"error", "warning", "info", "debug"};

static struct {
    atomic_int level; /* the lock guards the rest */
    enum log_target target;
    int fd;
    bool journal; /* gets it, if it is there */
    struct journal_field fields[JOURNAL_FIELDS_MOST - FIELDS_ALWAYS]; /* values are owned */
    size_t field_count;
    char last[LINE_SIZE];
    unsigned repeats;
    int64_t last_ms;
    struct lock lock;
    pthread_once_t once;
} logger = {.target = LOG_TO_STDERR, .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO, .once = PTHREAD_ONCE_INIT};

static void make_lock(void) {
    lock_init(&logger.lock, LOCK_LOG);
}

static void acquire(void) {
    pthread_once(&logger.once, make_lock);
    lock_acquire(&logger.lock);
}

/* `fd`: the file; -1: as before. */
static void open_to(enum log_target target, enum log_level level, int fd) {
    acquire();
    logger.fd = fd >= 0 ? fd : logger.fd;
    logger.target = target;
    logger.journal = target == LOG_TO_SYSLOG || journal_socket_reads(logger.fd);
    if (target == LOG_TO_SYSLOG)
        openlog("gridmount", LOG_PID, LOG_DAEMON);
    atomic_store(&logger.level, level);
    lock_release(&logger.lock);
}

void log_open(enum log_target target, enum log_level level) {
    open_to(target, level, -1);
}

int log_open_file(const char *path, enum log_level level) {
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
    if (fd < 0)
        return -errno;
    open_to(LOG_TO_STDERR, level, fd);
    return 0;
}

void log_add_field(const char *name, const char *value) {
    acquire();
    size_t i = logger.field_count;
    char *copy = i < sizeof logger.fields / sizeof *logger.fields ? strdup(value) : NULL;
    if (copy) {
        logger.fields[i] = (struct journal_field){name, copy};
        logger.field_count++;
    }
    lock_release(&logger.lock);
}

static bool put_into_journal(enum log_level level, const char *text) {
    char priority[] = {(char)('0' + priorities[level]), '\0'};
    struct journal_field fields[JOURNAL_FIELDS_MOST] = {{"MESSAGE", text},
                                                        {"PRIORITY", priority},
                                                        {"SYSLOG_FACILITY", "3"}, /* daemon */
                                                        {"SYSLOG_IDENTIFIER", "gridmount"}};
    memcpy(fields + FIELDS_ALWAYS, logger.fields, logger.field_count * sizeof *fields);
    return journal_socket_send(fields, FIELDS_ALWAYS + logger.field_count) == 0;
}

static void put(enum log_level level, const char *text) {
    if (logger.journal && put_into_journal(level, text))
        return;
    if (logger.target == LOG_TO_SYSLOG) {
        syslog(priorities[level], "%s", text);
        return;
    }
    char line[LINE_SIZE + 64], when[32];
    time_t now = time(NULL);
    struct tm parts;
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
    int size = snprintf(line, sizeof line, "%s gridmount %s: %s\n", when, words[level], text);
    ssize_t written = write(logger.fd, line, (size_t)size); /* one write, so that lines do not mix */
    (void)written;
}

static void put_repeats(enum log_level level) {
    if (!logger.repeats)
        return;
    char text[64];
    snprintf(text, sizeof text, "the line before came %u more times", logger.repeats);
    put(level, text);
    logger.repeats = 0;
}

void log_write(enum log_level level, const char *format, ...) {
    if ((int)level > atomic_load(&logger.level))
        return;
    char text[LINE_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    for (char *c = text; *c; c++) /* names come from a database that others write */
        if ((unsigned char)*c < ' ' || *c == 127)
            *c = '?';

    acquire();
    int64_t now = clock_now_ms();
    if (strcmp(text, logger.last) == 0 && now - logger.last_ms < REPEAT_MS) {
        logger.repeats++;
    } else {
        put_repeats(level);
        put(level, text);
        snprintf(logger.last, sizeof logger.last, "%s", text);
        logger.last_ms = now;
    }
    lock_release(&logger.lock);
}

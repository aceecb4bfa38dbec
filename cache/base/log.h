// SPDX-License-Identifier: Apache-2.0
/* The log: one line per event, to stderr, a file or syslog. Where systemd's journal would get it in the end, by syslog or as the
 * stderr of a service, it gets it at once, with the level and with fields by which it is found; else all goes as it would.
 *
 * Errors are logged where they stop travelling, with what it means for the user. A line that repeats the one before
 * is counted and not written again until something else is said or ten seconds have passed.
 * What it is not: a trace. Never give it a connection string; secrets are removed before, not here.
 *
 * Threads: safe from any thread.
 * Memory: keeps one line, and the fields. Errors: a line that cannot be written is lost. */
#ifndef CACHE_BASE_LOG_H
#define CACHE_BASE_LOG_H

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum log_target { LOG_TO_STDERR, LOG_TO_SYSLOG };

/* From here on, lines up to `level` go to `target`. */
void log_open(enum log_target target, enum log_level level);
/* From here on, lines go to the end of this file. 0 or -errno. */
int log_open_file(const char *path, enum log_level level);

/* From here on, each line in the journal has this field too. `name` is a constant (journal_socket.h). */
void log_add_field(const char *name, const char *value);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_write(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a mount says of itself over HTTP, for a monitoring system: `GET /metrics` (metrics_text.h). The only one that sees
 * libmicrohttpd.
 *
 * Who may ask is who reaches the address: without a host in it, that is this machine. Nothing is asked of the server, and
 * nothing can be changed here. Who connects and does not ask, or does not take the answer, is dropped after MONITOR_IDLE
 * seconds; more than MONITOR_CONNECTIONS at once have to wait.
 *
 * Threads: one of its own, from monitor_begin() to monitor_free(); there `text` is called. */
#ifndef FS_MONITOR_H
#define FS_MONITOR_H

enum { MONITOR_IDLE = 5, MONITOR_CONNECTIONS = 32 };

struct monitor;

/* Takes the address, PORT, HOST:PORT or [HOST]:PORT, so that nobody else gets it. 0, or -errno and *ret_error (complain.h). */
int monitor_new(const char *address, struct monitor **ret_monitor, char **ret_error);
/* Answers from now on. `text`: the metrics, to be freed; NULL without memory. 0 or -ENOMEM. */
int monitor_begin(struct monitor *monitor, char *(*text)(void *context), void *context);
/* Takes NULL, returns NULL. */
struct monitor *monitor_free(struct monitor *monitor);

#endif

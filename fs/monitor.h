// SPDX-License-Identifier: Apache-2.0
/* What a mount says of itself over HTTP: `GET /metrics` (metrics_text.h) for a monitoring system, `/status.json`
 * (status_text.h), and `/`, a page (page.h) that shows both. The only one that sees libmicrohttpd.
 *
 * Who may ask is who reaches the address: without a host in it, that is this machine. But what names files is told to those
 * only who ask by an address or by the host that was given (host_header.h): not to a web site that a browser here shows.
 * Nothing is asked of the server, and nothing can be changed here. Who connects and does not ask, or does not take the
 * answer, is dropped after MONITOR_IDLE seconds; more than MONITOR_CONNECTIONS at once have to wait.
 *
 * Threads: one of its own, from monitor_begin() to monitor_free(); there `text` is called. */
#ifndef FS_MONITOR_H
#define FS_MONITOR_H

enum { MONITOR_IDLE = 5, MONITOR_CONNECTIONS = 32 };

struct monitor;

enum monitor_which { MONITOR_METRICS, MONITOR_STATUS };
/* To be freed; NULL without memory. */
typedef char *monitor_text(void *context, enum monitor_which which);

/* Takes the address, PORT, HOST:PORT or [HOST]:PORT, so that nobody else gets it. 0, or -errno and *ret_error (complain.h). */
int monitor_new(const char *address, struct monitor **ret_monitor, char **ret_error);
/* Answers from now on. 0 or -ENOMEM. */
int monitor_begin(struct monitor *monitor, monitor_text *text, void *context);
/* Takes NULL, returns NULL. */
struct monitor *monitor_free(struct monitor *monitor);

#endif

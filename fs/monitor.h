// SPDX-License-Identifier: Apache-2.0
/* What a mount says of itself over HTTP: `GET /metrics` (metrics_text.h) for a monitoring system, `/status.json`
 * (status_text.h), and `/`, a page (page.h) that shows both; and to who has the key, `/revisions.json?path=NAME`
 * (revisions_text.h). The only one that sees libmicrohttpd.
 *
 * Who may ask is who reaches the address: without a host in it, that is this machine. But what names files is told to those
 * only who ask by an address or by the host that was given (host_header.h): not to a web site that a browser here shows.
 * Which revisions a file has is told to those only who send the key, `Authorization: Bearer KEY`. monitor_page() says it, and
 * is told to who may see .gridfs/revisions as well: not to other users of this machine, nor to who reaches the port from
 * elsewhere. That alone is asked of the server, one such question at a time: another is refused meanwhile (503). Nothing
 * can be changed here. Who connects and does not ask, or does not take the
 * answer, is dropped after MONITOR_IDLE seconds; who does it a byte now and then, after MONITOR_SLOWEST. More than
 * MONITOR_CONNECTIONS at once have to wait.
 *
 * Threads: three of its own, from monitor_begin() to monitor_free(), which waits for what the server is being asked: one that
 * answers, and calls `text`, one that asks, and calls `history`, and one that looks who is slow. */
#ifndef FS_MONITOR_H
#define FS_MONITOR_H

enum { MONITOR_IDLE = 5, MONITOR_SLOWEST = 10, MONITOR_CONNECTIONS = 32 };

struct monitor;

enum monitor_which { MONITOR_METRICS, MONITOR_STATUS };
/* To be freed; NULL without memory. */
typedef char *monitor_text(void *context, enum monitor_which which);
/* What is told of a file, to be freed. May ask the server. -ENOENT: of none such. */
typedef int monitor_history(void *context, const char *path, char **ret_text);

struct monitor_config {
    monitor_text *text;
    monitor_history *history;
    void *context;
};

/* Takes the address, PORT, HOST:PORT or [HOST]:PORT, so that nobody else gets it. 0, or -errno and *ret_error (complain.h). */
int monitor_new(const char *address, struct monitor **ret_monitor, char **ret_error);
/* Where the page is, with the key, as a line. To be freed; NULL without memory. */
char *monitor_page(const struct monitor *monitor);
/* Answers from now on. 0 or -ENOMEM. */
int monitor_begin(struct monitor *monitor, const struct monitor_config *config);
/* Takes NULL, returns NULL. */
struct monitor *monitor_free(struct monitor *monitor);

#endif

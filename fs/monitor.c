// SPDX-License-Identifier: Apache-2.0
#include "fs/monitor.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

struct monitor {
    int listening; /* until the daemon has it: it closes it */
    struct MHD_Daemon *daemon;
    char *(*text)(void *context);
    void *context;
};

/* ---- the address ---- */

/* PORT, HOST:PORT or [HOST]:PORT. NULL: none of them. */
static struct addrinfo *resolve(const char *address) {
    cleanup_free char *copy = strdup(address);
    char *colon = copy ? strrchr(copy, ':') : NULL, *host = colon ? copy : NULL;
    const char *port = colon ? colon + 1 : copy;
    if (!copy || strspn(port, "0123456789") != strlen(port) || atol(port) < 1 || atol(port) > UINT16_MAX)
        return NULL;
    if (colon)
        *colon = '\0';
    size_t size = host ? strlen(host) : 0;
    if (size > 2 && host[0] == '[' && host[size - 1] == ']') {
        host[size - 1] = '\0';
        host++;
    } else if (host && (!size || strchr(host, ':'))) {
        return NULL;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *found;
    return getaddrinfo(host ? host : "127.0.0.1", port, &hints, &found) ? NULL : found;
}

/* A descriptor, or -errno. */
static int listen_at(const struct addrinfo *where) {
    int yes = 1, fd = socket(where->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, where->ai_addr, where->ai_addrlen) == 0 && listen(fd, MONITOR_CONNECTIONS) == 0)
        return fd;
    int result = -errno;
    close(fd);
    return result;
}

static int complain_of(const char *address, int error, char **ret_error) {
    const char *cure = error == -EADDRINUSE      ? "give another port, or end what listens there"
                       : error == -EACCES        ? "give a port from 1024 on"
                       : error == -EADDRNOTAVAIL ? "give an address of this machine"
                                                 : "see whether this machine has the address";
    return complain(ret_error, error, "option metrics_listen=%s: %s; %s", address, strerror(-error), cure);
}

int monitor_new(const char *address, struct monitor **ret_monitor, char **ret_error) {
    struct addrinfo *where = resolve(address);
    if (!where)
        return complain(ret_error, -EINVAL, "option metrics_listen=%s: no such address; give PORT, or HOST:PORT", address);
    int fd = listen_at(where);
    freeaddrinfo(where);
    if (fd < 0)
        return complain_of(address, fd, ret_error);
    struct monitor *monitor = calloc(1, sizeof *monitor);
    if (!monitor) {
        close(fd);
        return -ENOMEM;
    }
    monitor->listening = fd;
    *ret_monitor = monitor;
    return 0;
}

/* ---- answers ---- */

/* Takes the body, which may be NULL: no memory. */
static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const char *type, char *body) {
    struct MHD_Response *response =
        body ? MHD_create_response_from_buffer(strlen(body), body, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free(body);
        return MHD_NO; /* which ends the connection */
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **request) {
    struct monitor *monitor = context;
    (void)version;
    (void)upload;
    (void)request;
    if (*upload_size) { /* of a method that is refused once all of it has come */
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return reply(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "text/plain", strdup("only GET\n"));
    if (strcmp(path, "/metrics") != 0)
        return reply(connection, MHD_HTTP_NOT_FOUND, "text/plain", strdup("see /metrics\n"));
    return reply(connection, MHD_HTTP_OK, OPENMETRICS, monitor->text(monitor->context));
}

int monitor_begin(struct monitor *monitor, char *(*text)(void *context), void *context) {
    monitor->text = text;
    monitor->context = context;
    monitor->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, answer, monitor,
                                       MHD_OPTION_LISTEN_SOCKET, monitor->listening, MHD_OPTION_CONNECTION_LIMIT,
                                       (unsigned)MONITOR_CONNECTIONS, MHD_OPTION_CONNECTION_TIMEOUT,
                                       (unsigned)MONITOR_IDLE, MHD_OPTION_END);
    if (!monitor->daemon)
        return -ENOMEM;
    monitor->listening = -1;
    return 0;
}

struct monitor *monitor_free(struct monitor *monitor) {
    if (!monitor)
        return NULL;
    if (monitor->daemon)
        MHD_stop_daemon(monitor->daemon);
    if (monitor->listening >= 0)
        close(monitor->listening);
    free(monitor);
    return NULL;
}

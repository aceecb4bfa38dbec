// SPDX-License-Identifier: Apache-2.0
#include "fs/monitor.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "cache/base/workers.h"
#include "fs/complain.h"
#include "fs/guests.h"
#include "fs/host_header.h"
#include "fs/page.h"
#include "fs/ticker.h"

#define OPENMETRICS "application/openmetrics-text; version=1.0.0; charset=utf-8"

enum { KEY = 32 };

struct monitor {
    int listening; /* until the daemon has it: it closes it */
    char *host; /* as it was chosen; NULL: by its port only */
    int port;
    char key[KEY + 1];
    struct MHD_Daemon *daemon;
    struct guests *guests;
    struct ticker *ticker; /* which drops those that are slow */
    struct monitor_config config;
    struct workers *asker; /* one thread, which waits for the server in place of the daemon's */
    struct lock lock;      /* guards what follows */
    struct condition idle;
    bool asking, ended; /* the asker has a question; it gets no more */
};

/* Put to the server while its connection is suspended. */
struct question {
    struct monitor *monitor;
    struct MHD_Connection *connection;
    char *path, *answer; /* owned; `answer`: NULL unless `result` is 0 */
    int result;
};

/* Digits that nobody can guess. */
static bool roll(char *digits, size_t size) {
    unsigned char dice[64];
    if (size / 2 > sizeof dice || getrandom(dice, size / 2, 0) != (ssize_t)(size / 2))
        return false;
    for (size_t i = 0; i < size / 2; i++)
        snprintf(digits + 2 * i, 3, "%02x", dice[i]);
    return true;
}

/* ---- the address ---- */

/* PORT, HOST:PORT or [HOST]:PORT, with a port that can be one: the host, to be freed, NULL for none, and where the port begins. */
static bool split(const char *address, char **ret_host, const char **ret_port) {
    const char *colon = strrchr(address, ':'), *port = colon ? colon + 1 : address;
    size_t size = colon ? (size_t)(colon - address) : 0;
    bool bracketed = size > 2 && address[0] == '[' && address[size - 1] == ']';
    if (strspn(port, "0123456789") != strlen(port) || atol(port) < 1 || atol(port) > UINT16_MAX)
        return false;
    if (colon && !bracketed && (!size || memchr(address, ':', size)))
        return false;
    *ret_port = port;
    *ret_host = colon ? strndup(address + bracketed, size - 2 * bracketed) : NULL;
    return !colon || *ret_host;
}

/* NULL: there is no such address. */
static struct addrinfo *resolve(const char *host, const char *port) {
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
    cleanup_free char *host = NULL;
    const char *port;
    struct addrinfo *where = split(address, &host, &port) ? resolve(host, port) : NULL;
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
    lock_init(&monitor->lock, LOCK_MONITOR);
    condition_init(&monitor->idle);
    monitor->listening = fd;
    monitor->host = steal_ptr(&host);
    monitor->port = atoi(port);
    if (!roll(monitor->key, KEY)) {
        monitor_free(monitor);
        return -EIO;
    }
    *ret_monitor = monitor;
    return 0;
}

char *monitor_page(const struct monitor *monitor) {
    const char *host = monitor->host ? monitor->host : "127.0.0.1";
    if (strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0) /* all of this machine's */
        host = "localhost";
    bool bracketed = strchr(host, ':');
    char *text = NULL;
    int size = asprintf(&text, "http://%s%s%s:%d/#%s\n", bracketed ? "[" : "", host, bracketed ? "]" : "", monitor->port,
                        monitor->key);
    return size < 0 ? NULL : text;
}

/* ---- who is connected ---- */

static struct guest *guest_of(struct MHD_Connection *connection) {
    return MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void come_or_go(void *context, struct MHD_Connection *connection, void **guest, enum MHD_ConnectionNotificationCode what) {
    struct guests *guests = ((struct monitor *)context)->guests;
    int fd = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        *guest = guests_come(guests, fd, clock_now_ms());
    else
        guests_go(guests, *guest);
}

static void drop_the_slow(void *context) {
    guests_drop(((struct monitor *)context)->guests, clock_now_ms() - 1000 * MONITOR_SLOWEST);
}

/* ---- answers ---- */

/* What a browser is to keep in mind of any answer: it is for this origin only, is what it says it is, and is of the moment. */
static const char *const always[][2] = {{"X-Content-Type-Options", "nosniff"},
                                        {"Cross-Origin-Resource-Policy", "same-origin"},
                                        {"Referrer-Policy", "no-referrer"},
                                        {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"}};

struct reply {
    unsigned status;
    const char *type;
    char *body;         /* to be freed; NULL: no memory */
    const char *policy; /* NULL: none */
};

static enum MHD_Result give(struct MHD_Connection *connection, const struct reply *reply) {
    struct MHD_Response *response =
        reply->body ? MHD_create_response_from_buffer(strlen(reply->body), reply->body, MHD_RESPMEM_MUST_FREE) : NULL;
    if (!response) {
        free(reply->body);
        return MHD_NO; /* which ends the connection */
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        MHD_add_response_header(response, always[i][0], always[i][1]);
    if (reply->policy)
        MHD_add_response_header(response, "Content-Security-Policy", reply->policy);
    if (reply->status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    enum MHD_Result result = MHD_queue_response(connection, reply->status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result refuse(struct MHD_Connection *connection, unsigned status, const char *why) {
    return give(connection, &(struct reply){.status = status, .type = "text/plain", .body = strdup(why)});
}

static enum MHD_Result give_page(struct MHD_Connection *connection) {
    char nonce[PAGE_NONCE + 1], policy[PAGE_POLICY_MOST];
    if (!roll(nonce, PAGE_NONCE))
        return MHD_NO;
    page_policy(nonce, policy);
    return give(connection, &(struct reply){.status = MHD_HTTP_OK,
                                            .type = "text/html; charset=utf-8",
                                            .body = page_text(nonce),
                                            .policy = policy});
}

static enum MHD_Result give_text(struct monitor *monitor, struct MHD_Connection *connection, enum monitor_which which,
                                 const char *type) {
    char *body = monitor->config.text(monitor->config.context, which);
    return give(connection, &(struct reply){.status = MHD_HTTP_OK, .type = type, .body = body});
}

/* Takes as long for any that is wrong. */
static bool has_key(const struct monitor *monitor, struct MHD_Connection *connection) {
    static const char word[] = "Bearer ";
    const char *given = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
    if (!given || strncmp(given, word, strlen(word)) != 0 || strlen(given) != strlen(word) + KEY)
        return false;
    unsigned different = 0;
    for (size_t i = 0; i < KEY; i++)
        different |= (unsigned char)given[strlen(word) + i] ^ (unsigned char)monitor->key[i];
    return different == 0;
}

/* Another can be put. With `suspended`, the connection of this one goes on, and may give the answer and free it at once. */
static void end_question(struct monitor *monitor, struct MHD_Connection *suspended) {
    lock_acquire(&monitor->lock);
    monitor->asking = false;
    if (suspended)
        MHD_resume_connection(suspended);
    condition_broadcast(&monitor->idle);
    lock_release(&monitor->lock);
}

static enum MHD_Result refuse_history(struct MHD_Connection *connection, int error) {
    switch (error) {
    case -ENOENT:
        return refuse(connection, MHD_HTTP_NOT_FOUND, "no revision is known: it never was there, or its grace is over\n");
    case -ETIMEDOUT:
        return refuse(connection, MHD_HTTP_GATEWAY_TIMEOUT, "the server does not answer\n");
    default:
        return refuse(connection, MHD_HTTP_INTERNAL_SERVER_ERROR, "that failed; see the log\n");
    }
}

/* A new one, or NULL: there is one already, or no memory. */
static struct question *begin_question(struct monitor *monitor, struct MHD_Connection *connection, const char *path) {
    lock_acquire(&monitor->lock);
    bool free_now = !monitor->asking && !monitor->ended;
    monitor->asking |= free_now;
    lock_release(&monitor->lock);
    struct question *question = free_now ? calloc(1, sizeof *question) : NULL;
    if (question)
        *question = (struct question){.monitor = monitor, .connection = connection, .path = strdup(path)};
    else if (free_now)
        end_question(monitor, NULL);
    return question;
}

static void put_question(void *argument) {
    struct question *question = argument;
    const struct monitor_config *config = &question->monitor->config;
    question->result = question->path ? config->history(config->context, question->path, &question->answer) : -ENOMEM;
    end_question(question->monitor, question->connection);
}

static void question_done(void *context, struct MHD_Connection *connection, void **request,
                          enum MHD_RequestTerminationCode how) {
    struct question *question = *request;
    (void)context, (void)connection, (void)how;
    if (question) {
        free(question->path);
        free(question->answer);
        free(question);
    }
}

/* It was put, and its connection goes on. */
static enum MHD_Result give_answer(struct question *question) {
    if (question->result)
        return refuse_history(question->connection, question->result);
    return give(question->connection, &(struct reply){.status = MHD_HTTP_OK,
                                                      .type = "application/json",
                                                      .body = steal_ptr(&question->answer)});
}

static enum MHD_Result give_history(struct monitor *monitor, struct MHD_Connection *connection, void **request) {
    const char *path = NULL;
    size_t size = 0;
    if (!has_key(monitor, connection))
        return refuse(connection, MHD_HTTP_UNAUTHORIZED, "open the page by the address that .gridfs/page of the mount has\n");
    (void)MHD_lookup_connection_value_n(connection, MHD_GET_ARGUMENT_KIND, "path", strlen("path"), &path, &size);
    if (!path || strlen(path) != size)
        return refuse(connection, MHD_HTTP_BAD_REQUEST, "name a file: ?path=NAME\n");
    struct question *question = begin_question(monitor, connection, path);
    if (!question)
        return refuse(connection, MHD_HTTP_SERVICE_UNAVAILABLE, "the server is being asked for another; try again\n");
    *request = question;
    guests_wait(monitor->guests, guest_of(connection));
    MHD_suspend_connection(connection);
    CHECK(workers_submit(monitor->asker, put_question, question)); /* it has no other */
    return MHD_YES;
}

static bool is_meant(const struct monitor *monitor, struct MHD_Connection *connection) {
    return host_header_is_ours(MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_HOST),
                               monitor->host);
}

static enum MHD_Result answer(void *context, struct MHD_Connection *connection, const char *path, const char *method,
                              const char *version, const char *upload, size_t *upload_size, void **request) {
    struct monitor *monitor = context;
    (void)version;
    (void)upload;
    guests_ask(monitor->guests, guest_of(connection), clock_now_ms());
    if (*request)
        return give_answer(*request);
    if (*upload_size) { /* of a method that is refused once all of it has come */
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse(connection, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET\n");
    if (strcmp(path, "/metrics") == 0) /* which names no file */
        return give_text(monitor, connection, MONITOR_METRICS, OPENMETRICS);
    if (!is_meant(monitor, connection))
        return refuse(connection, MHD_HTTP_MISDIRECTED_REQUEST,
                      "ask by the address, by localhost, or by the host of metrics_listen=HOST:PORT\n");
    if (strcmp(path, "/status.json") == 0)
        return give_text(monitor, connection, MONITOR_STATUS, "application/json");
    if (strcmp(path, "/revisions.json") == 0)
        return give_history(monitor, connection, request);
    if (strcmp(path, "/") != 0)
        return refuse(connection, MHD_HTTP_NOT_FOUND, "see /, /status.json and /metrics\n");
    return give_page(connection);
}

int monitor_begin(struct monitor *monitor, const struct monitor_config *config) {
    monitor->config = *config;
    monitor->asker = workers_new(1, 1);
    monitor->guests = guests_new(MONITOR_CONNECTIONS);
    if (!monitor->asker || !monitor->guests)
        return -ENOMEM;
    const unsigned flags = MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_ALLOW_SUSPEND_RESUME;
    monitor->daemon = MHD_start_daemon(flags, 0, NULL, NULL, answer, monitor, MHD_OPTION_LISTEN_SOCKET, monitor->listening,
                                       MHD_OPTION_CONNECTION_LIMIT, (unsigned)MONITOR_CONNECTIONS,
                                       MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)MONITOR_IDLE,
                                       MHD_OPTION_NOTIFY_COMPLETED, question_done, NULL, MHD_OPTION_NOTIFY_CONNECTION,
                                       come_or_go, monitor, MHD_OPTION_END);
    if (!monitor->daemon)
        return -ENOMEM;
    monitor->listening = -1;
    monitor->ticker = ticker_new(drop_the_slow, monitor);
    return monitor->ticker ? 0 : -ENOMEM;
}

struct monitor *monitor_free(struct monitor *monitor) {
    if (!monitor)
        return NULL;
    lock_acquire(&monitor->lock);
    monitor->ended = true;
    while (monitor->asking) /* a connection that is suspended cannot be closed */
        condition_wait(&monitor->idle, &monitor->lock);
    lock_release(&monitor->lock);
    ticker_stop(monitor->ticker);
    if (monitor->daemon)
        MHD_stop_daemon(monitor->daemon);
    guests_free(monitor->guests);
    workers_free(monitor->asker);
    condition_done(&monitor->idle);
    lock_done(&monitor->lock);
    if (monitor->listening >= 0)
        close(monitor->listening);
    free(monitor->host);
    free(monitor);
    return NULL;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/service.h"

#include <ctype.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/handed_over.h"
#include "fs/mountpoint.h"
#include "fs/ticker.h"

enum { SECOND_US = 1000000, EXTENSION_US = 10 * SECOND_US, WORDS_MOST = 512 };

struct service {
    int manager; /* a socket */
    bool ready;  /* and told so */
    char *mountpoint;
    service_look *look;
    void *context;
    struct ticker *ticker;
    char words[WORDS_MOST]; /* of the last status */
    int prober;             /* a socket; -1: no watchdog */
    unsigned period, since; /* ticks between two questions; since the last */
    bool asked;             /* and not answered yet */
    bool blind;             /* nobody tells where it is mounted, so there is nowhere to ask */
};

/* A manager that stands still is not waited for: the mount is to go on, and to end. */
static bool tell(struct service *service, const char *text) {
    bool told = send(service->manager, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
    if (!told)
        log_debug("the service manager does not listen");
    return told;
}

static void tell_status(struct service *service, const char *words) {
    char text[WORDS_MOST + sizeof "STATUS="];
    if (strncmp(service->words, words, WORDS_MOST - 1) == 0)
        return;
    snprintf(text, sizeof text, "STATUS=%.*s", WORDS_MOST - 1, words);
    for (char *byte = text; *byte; byte++)
        if (iscntrl((unsigned char)*byte)) /* a new line is another message */
            *byte = '?';
    snprintf(service->words, sizeof service->words, "%s", tell(service, text) ? words : "");
}

/* ---- the watchdog ---- */

__attribute__((noreturn)) static void probe(const char *mountpoint, int end) {
    char byte;
    dup2(end, STDIN_FILENO);
    close_range(STDERR_FILENO + 1, UINT_MAX, 0);
    while (read(STDIN_FILENO, &byte, 1) == 1) {
        cleanup_free char *text = mountpoint_read(mountpoint, ".gridfs/status");
        if (send(STDIN_FILENO, text ? "y" : "n", 1, MSG_NOSIGNAL) != 1)
            break;
    }
    _exit(0);
}

/* Twice in the time that the manager allows, less the tick in which the answer is seen. */
static unsigned choose_period(void) {
    const char *microseconds = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    if (!microseconds || (pid && strtol(pid, NULL, 10) != getpid()))
        return 0;
    unsigned long long half = strtoull(microseconds, NULL, 10) / 2 / SECOND_US;
    return half > UINT_MAX ? UINT_MAX : half > 2 ? (unsigned)half - 1 : 1;
}

static void start_prober(struct service *service) {
    int ends[2];
    service->period = choose_period();
    service->blind = handed_over_is(service->mountpoint);
    if (!service->period || service->blind || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return;
    if (fork() == 0) /* without it, nothing answers */
        probe(service->mountpoint, ends[1]);
    close(ends[1]);
    service->prober = ends[0];
}

static void ask(struct service *service) {
    char answer = '\0';
    if (service->asked && recv(service->prober, &answer, 1, MSG_DONTWAIT) == 1)
        service->asked = false;
    if (answer == 'y')
        tell(service, "WATCHDOG=1");
    else if (answer == 'n') /* once is not enough to be killed for */
        service->since = service->period;
    if (service->asked || ++service->since < service->period)
        return;
    service->asked = send(service->prober, "?", 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
    service->since = 0;
}

static void watch(struct service *service) {
    if (service->prober >= 0)
        ask(service);
    else if (service->period && service->blind)
        tell(service, "WATCHDOG=1");
}

/* ---- the status ---- */

static void put_state(struct service *service, char words[WORDS_MOST]) {
    time_t since = 0;
    char date[32];
    unsigned long long unsaved = stats_get(STAT_unsaved_files);
    bool answers = service->look(service->context, &since);
    struct tm parts;
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&since, &parts));
    if (!answers)
        snprintf(words, WORDS_MOST, "degraded: the server does not answer%s%s", since ? " since " : "", since ? date : "");
    else if (unsaved)
        snprintf(words, WORDS_MOST, "degraded: %llu files could not be stored, see the log", unsaved);
    else
        snprintf(words, WORDS_MOST, "mounted on %s", service->mountpoint);
}

static void tick(void *context) {
    struct service *service = context;
    char words[WORDS_MOST];
    if (!service->ready)
        service->ready = tell(service, "READY=1");
    put_state(service, words);
    tell_status(service, words);
    watch(service);
}

/* How long that may go on, leaving.h decides. */
static void tell_what_is_left(void *context) {
    struct service *service = context;
    char words[WORDS_MOST], more[64];
    unsigned long long files = stats_get(STAT_waiting_files) + stats_get(STAT_unsaved_files);
    snprintf(words, sizeof words, "unmounted; storing %llu closed files, %llu MiB in all", files,
             (unsigned long long)stats_get(STAT_staged_bytes) >> 20);
    tell_status(service, words);
    snprintf(more, sizeof more, "EXTEND_TIMEOUT_USEC=%d\nWATCHDOG=1", EXTENSION_US);
    tell(service, more);
}

/* ---- its life ---- */

static int call(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t size = strlen(path);
    if (size < 2 || size >= sizeof address.sun_path || (*path != '/' && *path != '@'))
        return -1;
    memcpy(address.sun_path, path, size);
    if (*path == '@')
        address.sun_path[0] = '\0';
    cleanup_fd int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (manager < 0 ||
        connect(manager, (const struct sockaddr *)&address, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size)))
        return -1;
    int connected = manager;
    manager = -1;
    return connected;
}

struct service *service_new(const char *mountpoint) {
    const char *path = getenv("NOTIFY_SOCKET");
    struct service *service = path && *path ? calloc(1, sizeof *service) : NULL;
    if (!service)
        return NULL;
    service->prober = -1;
    service->manager = call(path);
    service->mountpoint = strdup(mountpoint);
    if (service->manager < 0 || !service->mountpoint)
        return service_free(service);
    start_prober(service);
    tell_status(service, "asking the server");
    return service;
}

void service_ready(struct service *service, service_look *look, void *context) {
    if (!service)
        return;
    service->look = look;
    service->context = context;
    tick(service);
    service->ticker = ticker_new(tick, service);
}

void service_stopping(struct service *service) {
    if (!service)
        return;
    ticker_stop(service->ticker);
    tell(service, "STOPPING=1");
    tell_what_is_left(service);
    service->ticker = ticker_new(tell_what_is_left, service);
}

void service_failed(struct service *service, const char *why) {
    if (service)
        tell_status(service, why);
}

struct service *service_free(struct service *service) {
    if (!service)
        return NULL;
    ticker_stop(service->ticker);
    if (service->manager >= 0)
        close(service->manager);
    if (service->prober >= 0)
        close(service->prober);
    free(service->mountpoint);
    free(service);
    return NULL;
}

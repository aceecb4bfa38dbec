// SPDX-License-Identifier: Apache-2.0
#include "fs/leaving.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"

enum { LOOK_MS = 50 };

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { LAST_MS = 5000 }; /* they look for leaks when all is done */
#else
enum { LAST_MS = 20 }; /* the driver tells the server in the first; joining its threads takes half a second */
#endif

enum stage { SERVING, LEAVING, LAST, GONE };

struct leaving {
    struct leaving_config config;
    pthread_t thread;
    sem_t changed; /* and no condition: a signal handler may post it */
    atomic_int stage;
    int status; /* once it is LAST */
    bool tried_to_keep, kept; /* by the own thread */
    bool stopped;             /* likewise: storing was to stop by then, and what is left was to be kept */
    char *kept_in;
};

/* Waits for a stage, at most until then. */
static bool has_reached(struct leaving *leaving, enum stage stage, int64_t until_ms) {
    struct timespec until = {.tv_sec = until_ms / 1000, .tv_nsec = until_ms % 1000 * 1000000};
    while ((enum stage)atomic_load(&leaving->stage) < stage)
        if (sem_clockwait(&leaving->changed, CLOCK_MONOTONIC, &until) && clock_now_ms() >= until_ms)
            return false;
    return true;
}

static void reach(struct leaving *leaving, enum stage stage) {
    if ((enum stage)atomic_load(&leaving->stage) < stage)
        atomic_store(&leaving->stage, stage);
    sem_post(&leaving->changed);
}

/* Of this mount; what an earlier one left stays in any case. */
static uint64_t closed_files(void) {
    uint64_t unsaved = stats_get(STAT_unsaved_files), left = stats_get(STAT_left_files);
    return stats_get(STAT_waiting_files) + (unsaved > left ? unsaved - left : 0);
}

static bool would_lose(void) {
    return stats_get(STAT_staged_bytes) || closed_files();
}

/* Only what has changed since the last time is written again. */
static bool keep(struct leaving *leaving) {
    const struct leaving_config *config = &leaving->config;
    leaving->tried_to_keep = true;
    leaving->kept = config->keep && config->keep(config->context);
    return leaving->kept;
}

static void say_what_is_left(struct leaving *leaving) {
    if (!would_lose()) {
        log_warning("ended without waiting for what the server was still asked; nothing was left to store");
        return;
    }
    bool kept = keep(leaving);
    log_error("%llu bytes written, of %llu closed files and what was open, could not be stored before the end%s%s",
              (unsigned long long)stats_get(STAT_staged_bytes), (unsigned long long)closed_files(),
              kept ? "; the next mount with this staging_dir and mountpoint stores them, kept until then in " : "",
              kept ? leaving->kept_in : "");
}

/* Not by exit(): the others still use what it takes away. */
__attribute__((noreturn)) static void end_without_the_server(struct leaving *leaving) {
    leaving->config.unmount(leaving->config.context);
    say_what_is_left(leaving);
    _exit(EXIT_SUCCESS);
}

/* For how long the server may not answer. What is being stored fails at the timeout, and whoever finds that keeps it: a
 * little later. */
static int64_t patience_ms(const struct leaving *leaving) {
    const struct leaving_config *config = &leaving->config;
    int64_t lost_ms = config->silent_ms + config->timeout_ms;
    if (!would_lose())
        return config->silent_ms;
    return leaving->kept && config->kept_ms < lost_ms ? config->kept_ms : lost_ms;
}

/* How long it has been leaving, and how long the server has not answered. */
static bool takes_too_long(const struct leaving *leaving, int64_t leaving_ms, int64_t silent_ms) {
    return silent_ms >= patience_ms(leaving) || (leaving_ms >= leaving->config.timeout_ms && !would_lose());
}

/* Whether storing has lasted long enough, and all that is left is kept. It is tried once: where that fails, content is worth
 * more than the time. */
static bool may_stop(struct leaving *leaving, int64_t leaving_ms) {
    if (leaving->stopped || leaving_ms < leaving->config.stop_ms || !would_lose())
        return false;
    leaving->stopped = true;
    return keep(leaving);
}

static void *watch(void *argument) {
    struct leaving *leaving = argument;
    (void)has_reached(leaving, LEAVING, INT64_MAX);
    int64_t began = clock_now_ms(), answered = began;
    uint64_t answers = stats_get(STAT_answers);
    while (!has_reached(leaving, LAST, clock_now_ms() + LOOK_MS)) {
        int64_t now = clock_now_ms();
        if (stats_get(STAT_answers) != answers)
            answered = now;
        answers = stats_get(STAT_answers);
        if (!leaving->tried_to_keep && now - answered >= leaving->config.silent_ms && would_lose())
            (void)keep(leaving); /* who told us to end may not wait as long as we do */
        /* Programs may have written since it was kept, and the disk be full by now. */
        if (takes_too_long(leaving, now - began, now - answered) && (!leaving->kept || keep(leaving)))
            end_without_the_server(leaving);
        if (may_stop(leaving, now - began))
            end_without_the_server(leaving);
    }
    if (!has_reached(leaving, GONE, clock_now_ms() + LAST_MS))
        _exit(leaving->status);
    return NULL;
}

static struct leaving *forget(struct leaving *leaving) {
    sem_destroy(&leaving->changed);
    free(leaving->kept_in);
    free(leaving);
    return NULL;
}

struct leaving *leaving_new(const struct leaving_config *config) {
    struct leaving *leaving = calloc(1, sizeof *leaving);
    if (!leaving)
        return NULL;
    leaving->config = *config;
    leaving->kept_in = strdup(config->kept_in ? config->kept_in : "");
    sem_init(&leaving->changed, 0, 0);
    if (leaving->kept_in && pthread_create(&leaving->thread, NULL, watch, leaving) == 0)
        return leaving;
    return forget(leaving);
}

void leaving_begin(struct leaving *leaving) {
    reach(leaving, LEAVING);
}

void leaving_last(struct leaving *leaving, int status) {
    leaving->status = status;
    reach(leaving, LAST);
}

struct leaving *leaving_free(struct leaving *leaving) {
    if (!leaving)
        return NULL;
    reach(leaving, GONE);
    pthread_join(leaving->thread, NULL);
    return forget(leaving);
}

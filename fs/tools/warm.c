// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/warm.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/tools/ending.h"
#include "fs/tools/text.h"
#include "fs/tools/tools.h"
#include "fs/tools/warm_notes.h"
#include "fs/tools/warm_private.h"

enum {
    JOBS = 4,
    TRIES = 5,
    FIRST_WAIT_MS = 250,
    LOOK_MS = 100,         /* between two looks at what is to be shown */
    STOP_MS = 1500,        /* what a job waits for when it is interrupted, which may be a server that is away */
    SETTLE_MS = 30000,     /* cache_dir takes nothing more for so long: then it is not waited for */
};

/* ---- the command line ---- */

static bool parse_jobs(const char *text, unsigned *ret_jobs) {
    char *end;
    unsigned long jobs = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || jobs < 1 || jobs > WARM_JOBS_MOST)
        return false;
    *ret_jobs = (unsigned)jobs;
    return true;
}

enum { JOBS_WORD = 256, VERIFY_WORD, JSON_WORD, SUMS_WORD, RESUME_WORD };

static const struct option warm_words[] = {{"jobs", required_argument, NULL, JOBS_WORD},
                                           {"verify", no_argument, NULL, VERIFY_WORD},
                                           {"json", no_argument, NULL, JSON_WORD},
                                           {NULL, 0, NULL, 0}};
static const struct option verify_words[] = {{"jobs", required_argument, NULL, JOBS_WORD},
                                             {"sums", no_argument, NULL, SUMS_WORD},
                                             {"resume", required_argument, NULL, RESUME_WORD},
                                             {"json", no_argument, NULL, JSON_WORD},
                                             {NULL, 0, NULL, 0}};

/* What is wrong; NULL: nothing. */
static const char *take_word(int option, struct warm_request *request) {
    switch (option) {
    case JOBS_WORD:
        return parse_jobs(optarg, &request->jobs) ? NULL : "--jobs takes a number from 1 to 64; see gridmount --help";
    case VERIFY_WORD:
        request->verify = true;
        return NULL;
    case JSON_WORD:
        request->json = true;
        return NULL;
    case SUMS_WORD:
        request->sums = true;
        return NULL;
    case RESUME_WORD:
        request->resume = optarg;
        return *optarg ? NULL : "--resume takes a file; see gridmount --help";
    default:
        return request->verify ? "verify takes paths, --jobs N, --sums, --resume FILE and --json; see gridmount --help"
                               : "warm takes paths, --jobs N, --verify and --json; see gridmount --help";
    }
}

int warm_parse(int count, char **arguments, struct warm_request *ret_request, char **ret_error) {
    bool verifies = strcmp(arguments[0], "verify") == 0;
    struct warm_request request = {.jobs = JOBS, .verify = verifies};
    const char *wrong = NULL;
    int option;
    opterr = 0;
    optind = 0;
    while (!wrong && (option = getopt_long(count, arguments, "", verifies ? verify_words : warm_words, NULL)) != -1)
        wrong = take_word(option, &request);
    if (!wrong && optind == count)
        wrong = "no path named; name files or directories of a mount";
    if (!wrong && request.sums && request.json)
        wrong = "--json has the sums already; leave out --sums";
    if (wrong) {
        *ret_error = strdup(wrong);
        return -EINVAL;
    }
    request.each = verifies && !request.sums;
    request.paths = arguments + optind;
    request.count = (unsigned)(count - optind);
    *ret_request = request;
    return 0;
}

/* ---- what is named ---- */

bool warm_tries_again(struct warm *warm, int error, unsigned *tries) {
    bool in_vain = error == -EACCES || error == -EPERM || error == -ENAMETOOLONG || error == -ENOTDIR;
    if (in_vain || *tries + 1 >= TRIES)
        return false;
    return warm_list_sleep(warm->list, (int64_t)FIRST_WAIT_MS << (*tries)++);
}

static int refuse(const char *path, int error) {
    fputs("gridmount: ", stderr);
    text_put_plain(stderr, path, strlen(path));
    if (error == -ENODEV)
        fputs(" lies on no gridmount; mount it first, or see: grep gridfs /proc/mounts\n", stderr);
    else
        fprintf(stderr, ": %s%s\n", strerror(-error), error == -ENOTCONN ? "; mount it again" : "");
    return error == -EIO || error == -ETIMEDOUT ? EXIT_FAILED : EXIT_USAGE;
}

/* One path of the command line. */
static int add_path(struct warm *warm, const char *path) {
    struct warm_queue directories = {0}, files = {0};
    struct warm_mount *mount;
    cleanup_free char *real = NULL;
    struct stat status = {0};
    unsigned tries = 0;
    int result;
    do
        result = warm_mount_find(warm, path, &mount, &real);
    while ((result == -EIO || result == -ETIMEDOUT) && warm_tries_again(warm, result, &tries));
    if (result == 0 && lstat(real, &status))
        result = -errno;
    if (result == 0 && !S_ISDIR(status.st_mode) && !S_ISREG(status.st_mode))
        result = -EINVAL;
    if (result)
        return refuse(path, result);
    struct warm_item *item = warm_item_new(mount, real, "", status.st_size);
    if (!item)
        return refuse(path, -ENOMEM);
    warm_queue_add(S_ISDIR(status.st_mode) ? &directories : &files, item);
    (void)warm_list_add(warm->list, &directories, &files);
    return EXIT_DONE;
}

static int open_notes(struct warm *warm, const char *path) {
    int result = warm_notes_open(path, &warm->notes);
    if (result == 0)
        return EXIT_DONE;
    fprintf(stderr, "gridmount: --resume %s: %s; name a file that can be written\n", path, strerror(-result));
    return EXIT_USAGE;
}

/* ---- the jobs ---- */

static void *work(void *argument) {
    struct warm *warm = argument;
    cleanup_free void *buffer = aligned_alloc(WARM_ALIGNED, WARM_PIECE); /* so that a piece is one request to the mount */
    struct warm_item *item;
    enum warm_kind kind;
    if (!buffer)
        warm_report_failure(warm, "a job", -ENOMEM);
    while (buffer && (kind = warm_list_take(warm->list, &item))) {
        if (kind == WARM_DIRECTORY)
            warm_directory(warm, item);
        else
            warm_file(warm, item, buffer);
        warm_list_done(warm->list, kind, item);
    }
    eventfd_write(warm->jobs_ended, 1);
    return NULL;
}

/* Those that are begun. */
static unsigned begin(struct warm *warm, pthread_t *threads) {
    unsigned count = 0;
    while (count < warm->request->jobs && pthread_create(&threads[count], NULL, work, warm) == 0)
        count++;
    return count;
}

/* ---- until they are done ---- */

/* The signal that came within so many milliseconds, or 0. *jobs: those that still work. */
static int wait_for(struct warm *warm, int signals, unsigned *jobs, int ms) {
    struct pollfd ready[] = {{.fd = signals, .events = POLLIN}, {.fd = warm->jobs_ended, .events = POLLIN}};
    struct signalfd_siginfo signal;
    eventfd_t ended = 0;
    if (poll(ready, 2, ms) <= 0)
        return 0;
    if (ready[1].revents && eventfd_read(warm->jobs_ended, &ended) == 0)
        *jobs -= (unsigned)ended;
    return ready[0].revents && read(signals, &signal, sizeof signal) == sizeof signal ? (int)signal.ssi_signo : 0;
}

/* All that was fetched is in cache_dir then. */
static int settle(struct warm *warm, const struct warm_mount *mount, int signals) {
    int64_t changed_ms = clock_now_ms(), last = 0, now;
    unsigned none = 0;
    int signal = 0;
    while (!signal && (now = warm_mount_backlog(mount)) > 0 && clock_now_ms() - changed_ms < SETTLE_MS) {
        changed_ms = now == last ? changed_ms : clock_now_ms();
        last = now;
        signal = wait_for(warm, signals, &none, LOOK_MS);
        warm_report_progress(warm);
    }
    cleanup_free char *complaint = signal ? NULL : warm_mount_complaint(mount);
    if (complaint)
        warm_report_warning(warm, complaint);
    return signal;
}

/* Returns the signal that ended it, or 0; *jobs: those that did not end. */
static int watch(struct warm *warm, int signals, unsigned *jobs) {
    int signal = 0;
    while (*jobs && !signal) {
        signal = wait_for(warm, signals, jobs, LOOK_MS);
        warm_report_progress(warm);
    }
    for (const struct warm_mount *mount = warm->mounts; mount && warm_fills(warm) && !signal; mount = mount->next)
        signal = settle(warm, mount, signals);
    if (signal)
        warm_list_stop(warm->list);
    for (int64_t until = clock_now_ms() + STOP_MS; *jobs && clock_now_ms() < until;)
        (void)wait_for(warm, signals, jobs, LOOK_MS);
    return signal;
}

static int run(struct warm *warm, int signals) {
    pthread_t threads[WARM_JOBS_MOST];
    unsigned count = begin(warm, threads), jobs = count;
    int signal = watch(warm, signals, &jobs);
    bool all = count && !atomic_load(&warm->failed) && !atomic_load(&warm->mismatched);
    int status = signal ? 128 + signal : all ? EXIT_DONE : EXIT_FAILED;
    if (!warm_report_sum(warm, status, signal != 0) && !signal)
        status = EXIT_FAILED;
    if (jobs) /* they wait for the server, and nothing is to be given back */
        _exit(status);
    for (unsigned i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return status;
}

int tools_warm(const struct warm_request *request) {
    struct warm warm = {.request = request, .list = warm_list_new(), .terminal = isatty(STDERR_FILENO)};
    int status = EXIT_DONE, signals = -1;
    warm.began_ms = warm.said_ms = clock_now_ms();
    warm_rate_note(&warm.rate, warm.began_ms, 0);
    lock_init(&warm.lock, LOCK_LOG);
    warm.jobs_ended = eventfd(0, EFD_CLOEXEC);
    for (unsigned i = 0; warm.list && status == EXIT_DONE && i < request->count; i++)
        status = add_path(&warm, request->paths[i]);
    if (status == EXIT_DONE && request->resume)
        status = open_notes(&warm, request->resume);
    if (status == EXIT_DONE)
        signals = ending_take();
    if (status == EXIT_DONE && warm.list && warm.jobs_ended >= 0 && signals >= 0)
        status = run(&warm, signals);
    else if (status == EXIT_DONE)
        status = EXIT_FAILED;
    if (signals >= 0)
        close(signals);
    if (warm.jobs_ended >= 0)
        close(warm.jobs_ended);
    warm_notes_close(warm.notes);
    warm_mounts_free(&warm);
    warm_list_free(warm.list);
    lock_done(&warm.lock);
    return status;
}

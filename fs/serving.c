// SPDX-License-Identifier: Apache-2.0
#include "fs/serving.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "cache/base/log.h"
#include "fs/bind.h"
#include "fs/complain.h"
#include "fs/confine.h"
#include "fs/daemon.h"
#include "fs/options.h"
#include "fs/porter.h"
#include "fs/service.h"
#include "fs/tools/tools.h"

struct serving {
    struct options *options;
    struct mount *mount;
    struct service *service; /* NULL: nobody is told */
    int ready_fd;
};

static bool look(void *context, time_t *ret_away_since) {
    return mount_is_healthy(context, ret_away_since);
}

void serving_keep_secrets(void) {
    prctl(PR_SET_DUMPABLE, 0);
}

sigset_t serving_ending_signals(void) {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigaddset(&ending, SIGHUP);
    return ending;
}

static void block_signals(void) {
    sigset_t ending = serving_ending_signals();
    sigprocmask(SIG_BLOCK, &ending, NULL); /* for all threads to come; the session takes them */
    signal(SIGPIPE, SIG_IGN);
}

static void tell_ready(void *context) {
    struct serving *serving = context;
    const struct options *options = serving->options;
    if (serving->ready_fd >= 0 && !options->log_file)
        log_open(LOG_TO_SYSLOG, options->log_level);
    log_info("mounted on %s", options->mountpoint);
    daemon_ready(serving->ready_fd);
    serving->ready_fd = -1;
    service_ready(serving->service, look, serving->mount);
}

static int make_folders(const struct user *user, const char *const *folders, char **ret_error) {
    for (int result; *folders; folders++) {
        result = user_make_folder(user, *folders);
        if (result && asprintf(ret_error, "%s cannot be made: %s", *folders, strerror(-result)) < 0)
            *ret_error = NULL;
        if (result)
            return result;
    }
    return 0;
}

/* From root to the user that was asked for; what only root can do from there on, the porter does. */
static int step_down(const struct options *options, struct porter **ret_porter, char **ret_error) {
    const struct user *user = &options->serves_as;
    const struct porter_config door = {.mountpoint = options->mountpoint,
                                       .uid = user->uid,
                                       .gid = user->gid,
                                       .allow_other = options->allow_other,
                                       .read_only = options->read_only,
                                       .noexec = options->noexec,
                                       .noatime = options->noatime};
    const char *folders[] = {options->read_only ? options->cache_dir : options->staging_dir,
                             options->read_only ? NULL : options->cache_dir, NULL};
    int result = make_folders(user, folders, ret_error);
    if (result)
        return result;
    result = porter_new(&door, ret_porter);
    if (result == 0)
        result = user_become(user);
    if (result && asprintf(ret_error, "cannot become user %s: %s; the container needs the capabilities SETUID and SETGID",
                           options->user, strerror(-result)) < 0)
        *ret_error = NULL;
    if (result)
        return result;
    serving_keep_secrets();
    confine(folders);
    return 0;
}

/* Whoever starts it in the background is told by daemon_ready(). */
static int open_mount(struct serving *serving, struct porter *porter, char **ret_error) {
    const struct options *options = serving->options;
    serving->service = serving->ready_fd < 0 ? service_new(options->mountpoint) : NULL;
    int result = mount_open(options, porter, tell_ready, serving, &serving->mount, ret_error);
    if (result)
        service_failed(serving->service, *ret_error ? *ret_error : "no memory");
    return result;
}

/* As root, if it is, as the log. Nobody waits for who reads it, if it is a pipe. */
static int open_trace(struct options *options, char **ret_error) {
    if (!options->trace)
        return 0;
    options->trace_to = open(options->trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
    return options->trace_to >= 0 ? 0
                                  : complain(ret_error, -EINVAL, "option trace=%s: %s; give a file that can be written",
                                             options->trace, strerror(errno));
}

static int serve_mount(struct options *options, int ready_fd) {
    struct serving serving = {.options = options, .ready_fd = ready_fd};
    struct porter *porter = NULL;
    char *error = NULL;
    block_signals();
    log_open(LOG_TO_STDERR, options->log_level);
    if (options->log_file && log_open_file(options->log_file, options->log_level))
        return give_up(EXIT_FAILED, strdup("the log file cannot be opened; check log_file="));
    int result = open_trace(options, &error);
    if (result == 0 && options->user)
        result = step_down(options, &porter, &error);
    if (result == 0)
        result = open_mount(&serving, porter, &error);
    if (result) {
        service_free(serving.service);
        porter_free(porter);
        return give_up(result == -EINVAL ? EXIT_USAGE : EXIT_FAILED, error);
    }
    result = mount_serve(serving.mount);
    log_info("unmounted from %s", options->mountpoint);
    service_stopping(serving.service);
    mount_close(serving.mount);
    service_free(serving.service);
    porter_free(porter);
    return result ? EXIT_FAILED : EXIT_DONE;
}

int serving_run(void *context, int ready_fd) {
    int status = serve_mount(context, ready_fd);
    options_done(context);
    return status;
}

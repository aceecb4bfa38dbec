// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/session.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/fuse/loop.h"
#include "fs/fuse/notify.h"
#include "fs/fuse/operations.h"
#include "fs/fuse/orphans.h"
#include "fs/fuse/parallel.h"
#include "fs/fuse/passing.h"
#include "fs/fuse/trace.h"
#include "fs/vfs/vfs.h"

enum {
    BELIEVED_SECONDS = 300, /* what the kernel is told of when it changes */
};

struct session {
    struct fuse_session *fuse;
    struct notify *notify, *names;
    struct operations_context context;
    struct loop *loop;
    bool mounted;
    void (*told)(void *context);
    void *told_context;
    char last_words[256]; /* of libfuse, about why it cannot mount */
};

static struct session *speaking; /* libfuse's log has no context; one session a process */

__attribute__((format(printf, 2, 0))) static void take_log(enum fuse_log_level level, const char *format,
                                                          va_list arguments) {
    char text[256];
    vsnprintf(text, sizeof text, format, arguments);
    text[strcspn(text, "\n")] = '\0';
    if (speaking && !speaking->mounted && level <= FUSE_LOG_ERR)
        snprintf(speaking->last_words, sizeof speaking->last_words, "%s", text);
    log_debug("libfuse: %s", text);
}

static int add_options(struct fuse_args *arguments, const struct session_config *config) {
    cleanup_free char *escaped = NULL, *all = NULL;
    if (fuse_opt_add_opt_escaped(&escaped, config->source))
        return -ENOMEM;
    if (asprintf(&all, "fsname=%s,subtype=gridfs,default_permissions,%s,nosuid,nodev%s%s%s", escaped,
                 config->read_only ? "ro" : "rw",
                 config->allow_other ? ",allow_other" : "", config->flags ? "," : "",
                 config->flags ? config->flags : "") < 0)
        return -ENOMEM;
    bool added = fuse_opt_add_arg(arguments, "gridmount") == 0 && fuse_opt_add_arg(arguments, "-o") == 0 &&
                 fuse_opt_add_arg(arguments, all) == 0;
    return added ? 0 : -ENOMEM;
}

static char *cannot_mount(const struct session *session, const char *mountpoint) {
    static const struct {
        const char *sign, *cure;
    } cures[] = {
        {"/dev/fuse", "load the fuse module, or start the container with --device /dev/fuse --cap-add SYS_ADMIN"},
        {"not permitted", "start the container with --device /dev/fuse --cap-add SYS_ADMIN, or mount as root"},
        {"Permission denied", "the mountpoint must be yours"},
        {"allow_other", "write user_allow_other into /etc/fuse.conf"},
        {"fusermount", "install the package fuse3"},
    };
    const char *words = session->last_words[0] ? session->last_words : strerror(errno);
    const char *cure = "see whether fusermount3 works for you";
    for (size_t i = 0; i < sizeof cures / sizeof *cures; i++)
        if (strstr(words, cures[i].sign)) {
            cure = cures[i].cure;
            break;
        }
    char *line = NULL;
    return asprintf(&line, "cannot mount on %s: %s; %s", mountpoint, words, cure) < 0 ? NULL : line;
}

/* Mounts. As a user that is fusermount3's work, which says on stderr why it cannot: those are its last words. */
static bool mount_there(struct session *session, const char *mountpoint, int device) {
    cleanup_fd int words = memfd_create("words", MFD_CLOEXEC);
    cleanup_fd int before = dup(STDERR_FILENO);
    if (words >= 0 && before >= 0)
        dup2(words, STDERR_FILENO);
    char made_already[32]; /* as libfuse has it told */
    snprintf(made_already, sizeof made_already, "/dev/fd/%d", device);
    session->mounted = fuse_session_mount(session->fuse, device >= 0 ? made_already : mountpoint) == 0;
    if (words >= 0 && before >= 0)
        dup2(before, STDERR_FILENO);
    char text[sizeof session->last_words];
    ssize_t size = words >= 0 ? pread(words, text, sizeof text - 1, 0) : 0;
    if (size > 0) {
        text[size] = '\0';
        text[strcspn(text, "\n")] = '\0';
        snprintf(session->last_words, sizeof session->last_words, "%s", text);
    }
    return session->mounted;
}

int session_new(const struct session_config *config, struct vfs *vfs, struct session **ret_session, char **ret_error) {
    struct session *session = calloc(1, sizeof *session);
    struct fuse_args arguments = FUSE_ARGS_INIT(0, NULL);
    if (!session)
        return -ENOMEM;
    session->context = (struct operations_context){.vfs = vfs,
                                                   .trust = (double)config->trust_ms / 1000,
                                                   .trust_absence = config->trust_absence,
                                                   .believed = BELIEVED_SECONDS,
                                                   .cluster_locks = config->cluster_locks,
                                                   .ready = config->ready,
                                                   .left = config->told,
                                                   .ready_context = config->context};
    session->told = config->told;
    session->told_context = config->context;
    speaking = session;
    fuse_set_log_func(take_log);
    session->context.passing = passing_new(config->passes);
    session->context.trace = config->trace >= 0 ? trace_new(config->trace) : NULL;
    bool made = session->context.passing && (session->context.trace || config->trace < 0);
    int result = made ? add_options(&arguments, config) : -ENOMEM;
    if (result == 0) {
        session->fuse = fuse_session_new(&arguments, &operations, sizeof operations, &session->context);
        session->context.fuse = session->fuse;
        if (!session->fuse || !mount_there(session, config->mountpoint, config->device))
            result = -EIO;
        else if (parallel_ask(session->fuse) || !(session->notify = notify_new(session->fuse, NOTIFY_INODES)) ||
                 !(session->names = notify_new(session->fuse, NOTIFY_NAMES)) ||
                 !(session->context.orphans = orphans_new(&session->context, config->hard)))
            result = -ENOMEM;
    }
    fuse_opt_free_args(&arguments);
    if (result) {
        *ret_error = cannot_mount(session, config->mountpoint);
        session_stop(session);
        session_free(session);
    } else {
        *ret_session = session;
    }
    return result;
}

static fuse_ino_t number_of(const struct session *session, const struct inode *inode) {
    return inode == vfs_root(session->context.vfs) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)inode;
}

void session_outdated(struct session *session, const struct inode *inode, bool listing) {
    notify_outdated(session->notify, number_of(session, inode), listing);
}

void session_outdated_name(struct session *session, const struct inode *directory, const char *name) {
    notify_outdated_name(session->names, number_of(session, directory), name);
}

/* Of the main thread, which alone takes signals: `speaking` is as it left it. */
static void take_signal(int number) {
    (void)number;
    if (!speaking)
        return;
    loop_end(speaking->loop);
    speaking->told(speaking->told_context);
}

static void take_signals(void) {
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = take_signal};
    sigset_t ending;
    sigemptyset(&ending);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        sigaddset(&ending, numbers[i]);
        sigaction(numbers[i], &action, NULL);
    }
    pthread_sigmask(SIG_UNBLOCK, &ending, NULL);
}

int session_run(struct session *session) {
    session->loop = loop_new(&session->context);
    if (!session->loop)
        return -ENOMEM;
    take_signals();
    int result = loop_run(session->loop);
    if (result < 0)
        log_error("the connection to the kernel failed: %s", strerror(-result));
    return result;
}

const char *session_passing(const struct session *session) {
    return passing_state(session->context.passing);
}

bool session_is_mounted(const struct session *session) {
    struct pollfd device = {.fd = fuse_session_fd(session->fuse)};
    return poll(&device, 1, 0) == 0 || !(device.revents & (POLLERR | POLLNVAL));
}

void session_stop(struct session *session) {
    if (!session)
        return;
    speaking = NULL;
    vfs_lock_stop(session->context.vfs); /* who waits is answered while there is a session */
    notify_stop(session->names);
    notify_stop(session->notify);
    loop_free(session->loop);
    orphans_free(session->context.orphans);
}

struct session *session_free(struct session *session) {
    if (!session)
        return NULL;
    if (session->mounted)
        fuse_session_unmount(session->fuse);
    if (session->fuse)
        fuse_session_destroy(session->fuse);
    passing_free(session->context.passing);
    trace_free(session->context.trace);
    free(session);
    return NULL;
}

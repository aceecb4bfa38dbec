// SPDX-License-Identifier: Apache-2.0
#include "fs/porter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"

enum { LEAVE_MS = 300, SOURCE_MOST = 1024 };

struct porter {
    int socket;
};

struct request {
    enum { MOUNT, LEAVE } what;
    char source[SOURCE_MOST];
};

/* ---- the porter ---- */

struct post {
    const struct porter_config *config;
    int socket, daemon; /* to ask, and to see its end */
    int directory;      /* that was asked for, wherever its path leads by now */
    bool mounted;
};

static int mount_there(struct post *post, const char *source, int device) {
    const struct porter_config *config = post->config;
    char options[160], directory[32];
    unsigned long flags = MS_NOSUID | MS_NODEV | (config->read_only ? MS_RDONLY : 0) |
                          (config->noexec ? MS_NOEXEC : 0) | (config->noatime ? MS_NOATIME : 0);
    snprintf(options, sizeof options, "fd=%d,rootmode=40000,user_id=%u,group_id=%u,default_permissions%s", device,
             config->uid, config->gid, config->allow_other ? ",allow_other" : "");
    snprintf(directory, sizeof directory, "/proc/self/fd/%d", post->directory);
    if (mount(source, directory, MOUNTPOINT_TYPE, flags, options))
        return -errno;
    post->mounted = true;
    setsid(); /* see daemon_ready(); what the terminal's keys end is not the porter */
    return 0;
}

static void reply(const struct post *post, int result, int device) {
    struct iovec body = {.iov_base = &result, .iov_len = sizeof result};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof device)];
    } control = {.header = {.cmsg_len = CMSG_LEN(sizeof device), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
    struct msghdr message = {.msg_iov = &body, .msg_iovlen = 1};
    if (device >= 0) {
        memcpy(CMSG_DATA(&control.header), &device, sizeof device);
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    (void)sendmsg(post->socket, &message, MSG_NOSIGNAL);
}

static void do_mount(struct post *post, const char *source) {
    cleanup_fd int device = post->mounted ? -1 : open("/dev/fuse", O_RDWR | O_CLOEXEC);
    int result = post->mounted ? -EBUSY : device < 0 ? -errno : mount_there(post, source, device);
    reply(post, result, result ? -1 : device);
}

static void do_leave(struct post *post) {
    bool there = post->mounted && mountpoint_is_ours(post->config->mountpoint);
    reply(post, there ? mountpoint_leave(post->config->mountpoint, true) : 0, -1);
}

/* Its connection is dead only when all its files are closed: when it has ended. */
static void outlive(struct post *post) {
    struct pollfd ended = {.fd = post->daemon, .events = POLLIN};
    poll(&ended, 1, -1);
    if (post->mounted && mountpoint_is_dead(post->config->mountpoint) && mountpoint_is_ours(post->config->mountpoint))
        (void)mountpoint_leave(post->config->mountpoint, true);
}

__attribute__((noreturn)) static void stand_at_the_door(struct post *post) {
    struct request request;
    ssize_t size;
    while ((size = recv(post->socket, &request, sizeof request, 0)) > 0) {
        if (size != sizeof request)
            continue;
        request.source[SOURCE_MOST - 1] = '\0';
        if (request.what == MOUNT)
            do_mount(post, request.source);
        else if (request.what == LEAVE)
            do_leave(post);
    }
    outlive(post);
    _exit(0);
}

/* Keeps nothing of the daemon's open, least of all what somebody waits for the end of. */
static void keep_three(struct post *post) {
    int *kept[] = {&post->socket, &post->daemon, &post->directory};
    enum { KEPT = sizeof kept / sizeof *kept, FIRST = STDERR_FILENO + 1 };
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; nothing >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(nothing, fd);
    for (int i = 0; i < KEPT; i++)
        *kept[i] = fcntl(*kept[i], F_DUPFD_CLOEXEC, FIRST + KEPT);
    for (int i = 0; i < KEPT; i++)
        *kept[i] = dup3(*kept[i], FIRST + i, O_CLOEXEC);
    close_range(FIRST + KEPT, UINT_MAX, 0);
}

__attribute__((noreturn)) static void become_porter(struct post *post) {
    static const int for_the_daemon[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};
    for (size_t i = 0; i < sizeof for_the_daemon / sizeof *for_the_daemon; i++)
        signal(for_the_daemon[i], SIG_IGN);
    keep_three(post);
    if (chdir("/") == 0)
        stand_at_the_door(post);
    _exit(1);
}

/* ---- for the daemon ---- */

/* The directory itself: who may write above it could lead the path elsewhere until it is mounted on. */
static int open_directory(const char *path) {
    char link[32], now[PATH_MAX];
    int directory = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (directory < 0)
        return -errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
    ssize_t size = readlink(link, now, sizeof now - 1);
    if (size >= 0 && (size_t)size == strlen(path) && memcmp(now, path, (size_t)size) == 0)
        return directory;
    close(directory);
    return -ESTALE;
}

int porter_new(const struct porter_config *config, struct porter **ret_porter) {
    int ends[2];
    cleanup_free struct porter *porter = malloc(sizeof *porter);
    cleanup_fd int directory = open_directory(config->mountpoint);
    cleanup_fd int daemon = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (!porter || directory < 0 || daemon < 0)
        return !porter ? -ENOMEM : directory < 0 ? directory : -errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends))
        return -errno;
    pid_t pid = fork();
    int error = errno;
    if (pid == 0)
        become_porter(&(struct post){.config = config, .socket = ends[1], .daemon = daemon, .directory = directory});
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return -error;
    }
    porter->socket = ends[0];
    *ret_porter = steal_ptr(&porter);
    return 0;
}

static int receive(const struct porter *porter, int *ret_result, int *ret_device) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof *ret_device)];
    } control;
    struct iovec body = {.iov_base = ret_result, .iov_len = sizeof *ret_result};
    struct msghdr message = {
        .msg_iov = &body, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t size;
    while ((size = recvmsg(porter->socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (size != sizeof *ret_result)
        return size < 0 ? -errno : -EPIPE;
    const struct cmsghdr *part = CMSG_FIRSTHDR(&message);
    if (part && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS)
        memcpy(ret_device, CMSG_DATA(part), sizeof *ret_device);
    return 0;
}

static int ask(const struct porter *porter, const struct request *request) {
    return send(porter->socket, request, sizeof *request, MSG_NOSIGNAL) == sizeof *request ? 0 : -errno;
}

int porter_mount(struct porter *porter, const char *source, int *ret_device) {
    struct request request = {.what = MOUNT};
    int result = 0, device = -1;
    snprintf(request.source, sizeof request.source, "%s", source);
    int asked = ask(porter, &request);
    if (asked == 0)
        asked = receive(porter, &result, &device);
    if (asked || result)
        return asked ? asked : result;
    if (device < 0)
        return -EIO;
    *ret_device = device;
    return 0;
}

void porter_leave(struct porter *porter) {
    struct request request = {.what = LEAVE};
    struct pollfd replied = {.fd = porter->socket, .events = POLLIN};
    int result, device = -1;
    if (ask(porter, &request) == 0 && poll(&replied, 1, LEAVE_MS) == 1)
        (void)receive(porter, &result, &device);
}

struct porter *porter_free(struct porter *porter) {
    if (porter)
        close(porter->socket);
    free(porter);
    return NULL;
}

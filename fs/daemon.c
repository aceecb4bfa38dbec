// SPDX-License-Identifier: Apache-2.0
#include "fs/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

void daemon_ready(int ready_fd) {
    if (ready_fd < 0)
        return;
    setsid(); /* only now: an automount lets the process group of its manager pass, and has all others wait for the mount */
    int moved = chdir("/"); /* only now: a URI may name files by relative paths */
    (void)moved;            /* the parent must be told in any case: it waits */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = STDIN_FILENO; null >= 0 && fd <= STDERR_FILENO; fd++)
        dup2(null, fd);
    if (null > STDERR_FILENO)
        close(null);
    ssize_t told = write(ready_fd, "", 1);
    (void)told; /* the parent is gone: nobody to tell */
    close(ready_fd);
}

static int wait_for_end(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) ? WEXITSTATUS(status) : 1;
}

int daemon_start(daemon_serve *serve, void *context, pid_t *ret_pid) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC))
        return -errno;
    pid_t pid = fork();
    if (pid < 0) {
        int error = -errno;
        close(ends[0]);
        close(ends[1]);
        return error;
    }
    if (pid == 0) {
        close(ends[0]);
        exit(serve(context, ends[1]));
    }
    close(ends[1]);
    char byte;
    ssize_t got;
    while ((got = read(ends[0], &byte, 1)) < 0 && errno == EINTR)
        ;
    close(ends[0]);
    if (got != 1)
        return wait_for_end(pid);
    *ret_pid = pid;
    return 0;
}

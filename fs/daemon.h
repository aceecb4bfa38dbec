// SPDX-License-Identifier: Apache-2.0
/* A process that serves a mount, started by one that waits until it is usable.
 *
 * Threads: none yet: fork() comes before the driver is initialised. */
#ifndef FS_DAEMON_H
#define FS_DAEMON_H

#include <stdbool.h>
#include <sys/types.h>

/* Runs in the child; calls daemon_ready() when the mount is usable. Its result is the child's exit status. */
typedef int daemon_serve(void *context, int ready_fd);

/* Forks a child. Returns when it is ready, or ended before. 0 and *ret_pid, or the child's exit
 * status (> 0), or -errno. */
int daemon_start(daemon_serve *serve, void *context, pid_t *ret_pid);
/* In the child: tells the parent, and lets go of the terminal, its session and the working directory. */
void daemon_ready(int ready_fd);

#endif

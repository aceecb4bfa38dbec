// SPDX-License-Identifier: Apache-2.0
/* The process that serves a mount, from its options to its end.
 *
 * Threads: serving_run() in the main thread, before there are others. */
#ifndef FS_SERVING_H
#define FS_SERVING_H

#include <signal.h>

/* A daemon_serve: its context is a struct options, which it ends. Mounts, serves until it is told to end, and prints what goes
 * wrong. */
int serving_run(void *options, int ready_fd);
/* The password is in memory: no core dump, and what /proc tells of this process is root's. For good, until a user is
 * changed. */
void serving_keep_secrets(void);
/* Those that end a mount. */
sigset_t serving_ending_signals(void);

#endif

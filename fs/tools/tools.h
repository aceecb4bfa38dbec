// SPDX-License-Identifier: Apache-2.0
/* Subcommands that talk to a running mount through its .gridfs. Each returns an exit status and prints its own error. */
#ifndef FS_TOOLS_TOOLS_H
#define FS_TOOLS_TOOLS_H

#include <stdbool.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* 0 healthy, 1 degraded, 2 not a gridmount; until it is healthy, waits for so many seconds, and then says how it is. A
 * mount that does not answer a second after those is 1. */
int tools_status(const char *path, bool json, double wait_seconds);
/* Shows it every so many seconds, until a signal comes: on a terminal in place, else one below the other. Returns as it was
 * last seen. */
int tools_watch(const char *path, double seconds);
/* 0 when it is unmounted and its process has ended. */
int tools_umount(const char *path);

#endif

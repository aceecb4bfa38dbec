// SPDX-License-Identifier: Apache-2.0
/* The programs that requests come from, as /proc shows them.
 *
 * Threads: any. */
#ifndef FS_FUSE_PROCESS_H
#define FS_FUSE_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether SIGKILL waits for it (as it does for each thread of a program that another signal ends), or it is on its way out.
 * `pid` is that of a thread. */
bool process_is_dying(pid_t pid);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Threads whose open() was answered ESTALE: within the same call the kernel looks the name up again and opens what that
 * finds. It found the newest since the call began, so it is not asked for once more: else a file that is replaced all the
 * time could not be opened.
 *
 *     open() ESTALE [retries_expect] -> lookup finds it -> open() [retries_take: true, once]
 *                                    -> lookup in vain [retries_forget]: the call is over
 *
 * It is no cache: what the kernel remembers from one call to the next is asked for at each open().
 * Threads: safe from any thread. Memory: none of its own. */
#ifndef FS_VFS_RETRIES_H
#define FS_VFS_RETRIES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache/base/lock.h"

enum { RETRIES = 64 };

struct retry {
    pid_t thread;
    uint64_t name; /* digest of the path */
    int64_t at_ms;
};

struct retries {
    struct lock lock;
    struct retry list[RETRIES]; /* the latest; a ring */
    unsigned next;
};

void retries_init(struct retries *retries);
void retries_done(struct retries *retries);
/* This thread's open() is answered ESTALE. */
void retries_expect(struct retries *retries, pid_t thread, const char *path);
/* Whether this open() is the second of such a call, of an inode that was last asked about at `checked_ms`. */
bool retries_take(struct retries *retries, pid_t thread, const char *path, int64_t checked_ms);
/* This thread looked something up and found nothing, so it opens nothing. */
void retries_forget(struct retries *retries, pid_t thread);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Requests from when they are read from the kernel until they are answered. What passes is noted; here is decided what
 * the server's silence means for it:
 *
 *     read --> served --> answered
 *       |       ^  |
 *       |       |  '--[it could not reach the server, and waits for it: `hard`]--.
 *       '--[enough of its kind are served]-----------------> set aside <----------'
 *
 * Set aside. Threads are bounded, and a silent server holds each up for long. So of those that may need it, only so many
 * are served at once; there always is a thread for the others (df, status, what is let go of). Who answers a request
 * takes the next that was set aside, before the kernel is asked for one.
 *
 * Orphans: requests whose program was killed while a silent server holds them up. They are answered with EINTR, so that
 * the program goes at once and not after the timeout. The kernel tells when a signal comes for a program that waits, not
 * which, and once only. So a request that was interrupted is looked at until it is answered, and when its program is dying
 * and a second has passed, it is answered from here. What the request does goes on to its end: its own answer comes too
 * late then, and fails, so that the operation takes back what it would have handed out. Until then it uses inodes and
 * handles that the kernel may let go of: what ends their life is put off (orphans_end).
 * A program that goes on living is only interrupted with `hard`, and while the server is silent: it could not know what
 * became of its call.
 *
 * Threads: one of its own, which sleeps while nothing is interrupted. A thread that serves is in turn in orphans_take() and
 * orphans_served(), and what it serves in between is its request. */
#ifndef FS_FUSE_ORPHANS_H
#define FS_FUSE_ORPHANS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/fuse/put_off.h"

struct operations_context;
struct orphans;

/* Of a session that is mounted, in whose context it is to be put before it is served. NULL without memory or threads. */
struct orphans *orphans_new(const struct operations_context *context, bool hard);
/* The next request that is to be served, into the buffer. Its size, or -1 and errno of read(). */
ssize_t orphans_take(struct orphans *orphans, void *buffer, size_t size);
/* The thread's request failed with -errno. Whether it is not to be answered now, but served again later; else *error is
 * what to answer, or 0: it was done before. */
bool orphans_retry(struct orphans *orphans, int *error);
/* Another thread answers the thread's request, which is to say orphans_answered() then, about what is returned. `error`: 0 or
 * -errno. */
uint64_t orphans_defer(struct orphans *orphans);
void orphans_answered(struct orphans *orphans, uint64_t request, int error);
/* The thread's request was answered, or is to be served again or answered elsewhere. */
void orphans_served(struct orphans *orphans);
/* Does what the kernel asks to let go of an inode or a handle: at once, or when all that was answered early has ended. */
void orphans_end(struct orphans *orphans, put_off_act *act, struct vfs *vfs, void *what, uint64_t count);
/* When nothing passes any more, and the session is still there. Takes NULL, returns NULL. */
struct orphans *orphans_free(struct orphans *orphans);

#endif

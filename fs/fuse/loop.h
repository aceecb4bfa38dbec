// SPDX-License-Identifier: Apache-2.0
/* The threads that serve the requests of a session: as many as once were wanted at the same time, up to LOOP_THREADS.
 *
 * Not fuse_session_loop_mt(): requests pass through orphans.h, which takes fuse_session_custom_io() there, and libfuse 3.18.3
 * and later refuse that unless they are built for it.
 *
 * Threads: its own, which take no signals when loop_new() was called with them blocked, but SIGURG (reading.h). */
#ifndef FS_FUSE_LOOP_H
#define FS_FUSE_LOOP_H

struct loop;
struct operations_context;

enum { LOOP_THREADS = 416, LOOP_LARGEST = 1 << 20 }; /* bytes that a request may write */

/* Begins to serve the session of the context, which is mounted and has its orphans. NULL without memory or threads. */
struct loop *loop_new(const struct operations_context *context);
/* Until it is unmounted, or told to end and what is being served is answered. 0, or -errno: the connection to the kernel
 * failed. Once. */
int loop_run(struct loop *loop);
/* It is to end. From any thread, and from a signal handler. */
void loop_end(struct loop *loop);
/* After loop_run(). Takes NULL, returns NULL. */
struct loop *loop_free(struct loop *loop);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Reads requests from the kernel, by threads that each have a buffer for the largest.
 *
 * There are as many threads as once had to wait for the server at the same time; most have nothing to do ever after. What
 * large requests left in the buffers of those is given back to the system, but for READING_KEPT threads.
 *
 * Threads: any; a thread always brings the same buffer. */
#ifndef FS_FUSE_READING_H
#define FS_FUSE_READING_H

#include <pthread.h>
#include <stddef.h>
#include <sys/types.h>

enum { READING_KEPT = 10 };

/* Before the threads that read are made, by who makes them. */
void reading_prepare(void);
/* As read(). What is in the buffer is of no use any more. */
ssize_t reading_read(int device, void *buffer, size_t size);
/* A thread that waits in there comes back, with EINTR; in whatever else one does, it is not interrupted. It may be about to
 * wait: so this is to be said again, until it has ended. */
void reading_wake(pthread_t thread);

#endif

// SPDX-License-Identifier: Apache-2.0
/* A bounded pool of threads that run bounded queues of tasks: for work nobody waits for, like reading ahead, and for
 * lending a hand with what somebody does wait for.
 *
 * What it is not: a scheduler. Tasks run in the order they came, cannot be cancelled, and must end by themselves. All
 * threads work, or as many as workers_limit() says.
 *
 * Threads: workers_submit() from any thread; it never blocks. workers_share() lasts as long as its pieces. Tasks run
 *          without any lock held.
 * Memory: the pool owns its threads; a task's argument belongs to the task.
 * Errors: workers_submit() returns false when the queue is full or the pool is stopping: the task will not run.
 * Facts (workers_check): queued tasks <= capacity. */
#ifndef CACHE_BASE_WORKERS_H
#define CACHE_BASE_WORKERS_H

#include <stdbool.h>

struct workers;

typedef void workers_task(void *argument);

/* A pool of `threads` threads with room for `capacity` waiting tasks. Returns NULL without memory or threads. */
struct workers *workers_new(unsigned threads, unsigned capacity);
/* Runs what is queued, waits for the threads. Takes NULL, returns NULL. */
struct workers *workers_free(struct workers *workers);
bool workers_submit(struct workers *workers, workers_task *task, void *argument);
/* The same before all that is queued. */
bool workers_submit_first(struct workers *workers, workers_task *task, void *argument);
/* So many tasks, at least one, run at once from now on; what runs goes on. */
void workers_limit(struct workers *workers, unsigned most);

/* One of several pieces of work, by its number. */
typedef void workers_piece(void *context, unsigned number);

/* Does the pieces 0 to count - 1, in any order, and returns when all are done. The caller works on them itself, side by
 * side with threads of the pool that have nothing else to do: it never waits for a piece that nobody has begun. */
void workers_share(struct workers *workers, unsigned count, workers_piece *piece, void *context);
void workers_check(struct workers *workers);

#endif

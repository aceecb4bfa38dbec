/* A bounded pool of threads that run bounded queues of tasks: for work nobody waits for, like reading ahead.
 *
 * What it is not: a scheduler. Tasks run in the order they came, cannot be cancelled, and must end by themselves.
 *
 * Threads: workers_submit() from any thread; it never blocks. Tasks run without any lock held.
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
void workers_check(struct workers *workers);

#endif

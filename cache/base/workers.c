// SPDX-License-Identifier: Apache-2.0
#include "cache/base/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "cache/base/check.h"
#include "cache/base/lock.h"

struct task {
    workers_task *run;
    void *argument;
};

struct workers {
    struct lock lock;
    struct condition wanted; /* a task was queued, or the pool stops */
    bool stopping;
    unsigned capacity, first, queued, running, limit;
    struct task *ring; /* ring[(first + i) % capacity], i < queued */
    unsigned started;
    pthread_t threads[];
};

static void *work(void *argument) {
    struct workers *workers = argument;
    lock_acquire(&workers->lock);
    for (;;) {
        while (!(workers->queued && workers->running < workers->limit) && !(workers->stopping && !workers->queued))
            condition_wait(&workers->wanted, &workers->lock);
        if (!workers->queued)
            break;
        struct task task = workers->ring[workers->first];
        workers->first = (workers->first + 1) % workers->capacity;
        workers->queued--;
        workers->running++;
        lock_release(&workers->lock);
        task.run(task.argument);
        lock_acquire(&workers->lock);
        workers->running--;
        if (workers->stopping && !workers->queued)
            condition_broadcast(&workers->wanted);
    }
    lock_release(&workers->lock);
    return NULL;
}

/* Signals are for the main thread: a worker in the middle of a reply must not be the one that gets SIGTERM. */
static int start_without_signals(pthread_t *thread, struct workers *workers) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(thread, NULL, work, workers);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}

struct workers *workers_new(unsigned threads, unsigned capacity) {
    struct workers *workers = calloc(1, sizeof *workers + threads * sizeof *workers->threads);
    if (!workers)
        return NULL;
    lock_init(&workers->lock, LOCK_WORKERS);
    condition_init(&workers->wanted);
    workers->capacity = capacity;
    workers->limit = threads;
    workers->ring = calloc(capacity, sizeof *workers->ring);
    while (workers->ring && workers->started < threads) {
        if (start_without_signals(&workers->threads[workers->started], workers))
            break;
        workers->started++;
    }
    return workers->started == threads ? workers : workers_free(workers);
}

struct workers *workers_free(struct workers *workers) {
    if (!workers)
        return NULL;
    lock_acquire(&workers->lock);
    workers->stopping = true;
    condition_broadcast(&workers->wanted);
    lock_release(&workers->lock);
    for (unsigned i = 0; i < workers->started; i++)
        pthread_join(workers->threads[i], NULL);
    condition_done(&workers->wanted);
    lock_done(&workers->lock);
    free(workers->ring);
    free(workers);
    return NULL;
}

static bool submit(struct workers *workers, workers_task *task, void *argument, bool first) {
    lock_acquire(&workers->lock);
    bool accepted = !workers->stopping && workers->queued < workers->capacity;
    if (accepted) {
        if (first)
            workers->first = (workers->first + workers->capacity - 1) % workers->capacity;
        unsigned place = first ? workers->first : (workers->first + workers->queued) % workers->capacity;
        workers->ring[place] = (struct task){.run = task, .argument = argument};
        workers->queued++;
        condition_signal(&workers->wanted);
    }
    lock_release(&workers->lock);
    return accepted;
}

bool workers_submit(struct workers *workers, workers_task *task, void *argument) {
    return submit(workers, task, argument, false);
}

bool workers_submit_first(struct workers *workers, workers_task *task, void *argument) {
    return submit(workers, task, argument, true);
}

void workers_limit(struct workers *workers, unsigned most) {
    CHECK(most >= 1);
    lock_acquire(&workers->lock);
    bool more = most > workers->limit;
    workers->limit = most;
    if (more)
        condition_broadcast(&workers->wanted);
    lock_release(&workers->lock);
}

/* ---- work that is shared ---- */

struct shared {
    workers_piece *piece;
    void *context; /* of the caller, who leaves when all is done */
    unsigned count;
    struct lock lock; /* guards what follows */
    struct condition changed;
    unsigned next;       /* the first piece that nobody has begun */
    unsigned done;       /* pieces */
    unsigned references; /* the caller's, and one of each task that was submitted */
};

static void do_pieces(struct shared *shared) {
    lock_acquire(&shared->lock);
    while (shared->next < shared->count) {
        unsigned number = shared->next++;
        lock_release(&shared->lock);
        shared->piece(shared->context, number);
        lock_acquire(&shared->lock);
        shared->done++;
    }
    condition_broadcast(&shared->changed);
    lock_release(&shared->lock);
}

static void leave(struct shared *shared) {
    lock_acquire(&shared->lock);
    bool last = --shared->references == 0;
    lock_release(&shared->lock);
    if (!last)
        return;
    condition_done(&shared->changed);
    lock_done(&shared->lock);
    free(shared);
}

static void help(void *argument) {
    do_pieces(argument);
    leave(argument);
}

void workers_share(struct workers *workers, unsigned count, workers_piece *piece, void *context) {
    struct shared *shared = count > 1 ? malloc(sizeof *shared) : NULL;
    if (!shared) {
        for (unsigned number = 0; number < count; number++)
            piece(context, number);
        return;
    }
    *shared = (struct shared){.piece = piece, .context = context, .count = count, .references = count};
    lock_init(&shared->lock, LOCK_SHARED);
    condition_init(&shared->changed);
    for (unsigned helpers = 1; helpers < count; helpers++)
        if (!workers_submit(workers, help, shared))
            leave(shared);
    do_pieces(shared);
    lock_acquire(&shared->lock);
    while (shared->done < count)
        condition_wait(&shared->changed, &shared->lock);
    lock_release(&shared->lock);
    leave(shared);
}

void workers_check(struct workers *workers) {
    lock_acquire(&workers->lock);
    CHECK(workers->queued <= workers->capacity);
    CHECK(workers->first < workers->capacity);
    lock_release(&workers->lock);
}

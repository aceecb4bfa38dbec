// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/loop.h"

#include <errno.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "fs/fuse/opcodes.h"
#include "fs/fuse/operations.h"
#include "fs/fuse/orphans.h"
#include "fs/fuse/reading.h"

enum { HEAD = 4096, BUFFER = HEAD + LOOP_LARGEST, WAKE_US = 1000 }; /* HEAD: what the kernel wants for that of a write */

struct loop {
    const struct operations_context *context;
    sem_t ended;      /* a signal handler can post it */
    atomic_int error; /* of the first thread that failed */
    atomic_bool told; /* to end, by loop_end() */
    atomic_uint idle;
    struct lock lock; /* guards what follows */
    bool stopping;
    unsigned count;
    pthread_t threads[LOOP_THREADS];
};

static void *serve(void *argument);

/* Whether there is one more. */
static bool add_thread(struct loop *loop) {
    lock_acquire(&loop->lock);
    bool wanted = !loop->stopping && loop->count < LOOP_THREADS;
    if (wanted)
        atomic_fetch_add(&loop->idle, 1);
    int error = wanted ? pthread_create(&loop->threads[loop->count], NULL, serve, loop) : 0;
    bool added = wanted && error == 0;
    if (added) {
        loop->count++;
    } else if (wanted) {
        atomic_fetch_sub(&loop->idle, 1);
        log_debug("no more threads than %u can be had: %s", loop->count, strerror(error));
    }
    lock_release(&loop->lock);
    return added;
}

/* Somebody is left to take the next request, unless this one takes no time. */
static void serve_one(struct loop *loop, struct fuse_buf *request) {
    uint32_t opcode = ((const struct fuse_in_header *)request->mem)->opcode;
    bool occupied = opcode_is_answered(opcode);
    if (occupied && atomic_fetch_sub(&loop->idle, 1) == 1)
        (void)add_thread(loop);
    fuse_session_process_buf(loop->context->fuse, request);
    orphans_served(loop->context->orphans);
    if (occupied)
        atomic_fetch_add(&loop->idle, 1);
    if (opcode == FUSE_INIT && fuse_session_exited(loop->context->fuse) && !atomic_load(&loop->told))
        atomic_store(&loop->error, -EPROTO); /* libfuse could not agree with the kernel */
}

/* Whether it goes on after a request could not be read. */
static bool goes_on(struct loop *loop, int error) {
    if (error == EINTR || error == EAGAIN || error == ENOENT) /* its program did not wait for it */
        return true;
    if (error == ENODEV || error == ECONNABORTED) /* unmounted, perhaps while a request was taken */
        loop->context->left(loop->context->ready_context); /* others may wait for the server still */
    else
        atomic_store(&loop->error, -error);
    return false;
}

static void *serve(void *argument) {
    struct loop *loop = argument;
    struct fuse_buf request = {.mem = malloc(BUFFER)};
    bool going = request.mem || goes_on(loop, ENOMEM);
    while (going && !fuse_session_exited(loop->context->fuse)) {
        ssize_t got = orphans_take(loop->context->orphans, request.mem, BUFFER);
        request.size = (size_t)got;
        if (got < 0)
            going = goes_on(loop, errno);
        else
            serve_one(loop, &request);
    }
    loop_end(loop);
    free(request.mem);
    return NULL;
}

void loop_end(struct loop *loop) {
    atomic_store(&loop->told, true);
    fuse_session_exit(loop->context->fuse);
    (void)sem_post(&loop->ended);
}

/* Wakes it while it has nothing to do; else it comes to its end. Not by pthread_cancel(): the frames that it leaves out are
 * errors to AddressSanitizer. */
static void join(pthread_t thread) {
    while (pthread_tryjoin_np(thread, NULL) == EBUSY) {
        reading_wake(thread);
        (void)usleep(WAKE_US);
    }
}

static void join_all(struct loop *loop) {
    lock_acquire(&loop->lock);
    loop->stopping = true;
    lock_release(&loop->lock);
    for (unsigned i = 0; i < loop->count; i++)
        reading_wake(loop->threads[i]); /* all at once first */
    for (unsigned i = 0; i < loop->count; i++)
        join(loop->threads[i]);
}

int loop_run(struct loop *loop) {
    while (!fuse_session_exited(loop->context->fuse))
        (void)sem_wait(&loop->ended);
    join_all(loop);
    return atomic_load(&loop->error);
}

struct loop *loop_new(const struct operations_context *context) {
    struct loop *loop = calloc(1, sizeof *loop);
    if (!loop)
        return NULL;
    loop->context = context;
    lock_init(&loop->lock, LOCK_REQUESTS);
    sem_init(&loop->ended, 0, 0);
    reading_prepare();
    return add_thread(loop) ? loop : loop_free(loop);
}

struct loop *loop_free(struct loop *loop) {
    if (!loop)
        return NULL;
    sem_destroy(&loop->ended);
    lock_done(&loop->lock);
    free(loop);
    return NULL;
}

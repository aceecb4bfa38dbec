// SPDX-License-Identifier: Apache-2.0
#include "tests/store/stepped.h"

#include <dlfcn.h>
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <semaphore.h>

#include "tests/unit/unit.h"

struct stepped {
    void (*run)(void *context);
    void *context;
    pthread_t thread;
    sem_t may_go, waits; /* also once it has returned */
    bool returned;
};

static _Thread_local struct stepped *self;

static void wait_until_asked(sem_t *semaphore) {
    while (sem_wait(semaphore))
        continue; /* a signal */
}

typedef mongoc_client_t *pop(mongoc_client_pool_t *pool);

/* In place of the driver's: each question takes a client before it is asked. */
mongoc_client_t *mongoc_client_pool_pop(mongoc_client_pool_t *pool) {
    if (self) {
        sem_post(&self->waits);
        wait_until_asked(&self->may_go);
    }
    return ((pop *)dlsym(RTLD_NEXT, "mongoc_client_pool_pop"))(pool);
}

static void *run_thread(void *argument) {
    self = argument;
    self->run(self->context);
    self->returned = true;
    sem_post(&self->waits);
    return NULL;
}

struct stepped *stepped_start(void (*run)(void *context), void *context) {
    struct stepped *stepped = calloc(1, sizeof *stepped);
    assert_non_null(stepped);
    stepped->run = run;
    stepped->context = context;
    sem_init(&stepped->may_go, 0, 0);
    sem_init(&stepped->waits, 0, 0);
    assert_int_equal(pthread_create(&stepped->thread, NULL, run_thread, stepped), 0);
    wait_until_asked(&stepped->waits);
    return stepped;
}

bool stepped_step(struct stepped *stepped) {
    if (stepped->returned)
        return false;
    sem_post(&stepped->may_go);
    wait_until_asked(&stepped->waits);
    return !stepped->returned;
}

struct stepped *stepped_finish(struct stepped *stepped) {
    while (stepped_step(stepped))
        continue;
    pthread_join(stepped->thread, NULL);
    sem_destroy(&stepped->may_go);
    sem_destroy(&stepped->waits);
    free(stepped);
    return NULL;
}

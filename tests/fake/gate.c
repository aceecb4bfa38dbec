// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/gate.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

void gate_init(struct gate *gate) {
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->changed, NULL);
    gate->shut = false;
    gate->waiting = 0;
}

void gate_done(struct gate *gate) {
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
}

static void set(struct gate *gate, bool shut) {
    pthread_mutex_lock(&gate->mutex);
    gate->shut = shut;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void gate_shut(struct gate *gate) {
    set(gate, true);
}

void gate_open(struct gate *gate) {
    set(gate, false);
}

void gate_pass(struct gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->shut)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    gate->waiting--;
    pthread_mutex_unlock(&gate->mutex);
}

void gate_await(struct gate *gate, unsigned count) {
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += 10;
    pthread_mutex_lock(&gate->mutex);
    while (gate->waiting < count)
        if (pthread_cond_timedwait(&gate->changed, &gate->mutex, &deadline)) {
            fprintf(stderr, "gate: %u threads came, %u were expected\n", gate->waiting, count);
            abort();
        }
    pthread_mutex_unlock(&gate->mutex);
}

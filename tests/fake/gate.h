// SPDX-License-Identifier: Apache-2.0
/* A gate that a test shuts to hold threads at a known place, and opens again.
 *
 * Threads: any. A gate starts open. */
#ifndef TESTS_FAKE_GATE_H
#define TESTS_FAKE_GATE_H

#include <pthread.h>
#include <stdbool.h>

struct gate {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool shut;
    unsigned waiting;
};

void gate_init(struct gate *gate);
void gate_done(struct gate *gate);
void gate_shut(struct gate *gate);
void gate_open(struct gate *gate);
/* Goes through, or waits until the gate is open. */
void gate_pass(struct gate *gate);
/* Waits until `count` threads wait at the gate. Aborts after ten seconds: the test would hang. */
void gate_await(struct gate *gate, unsigned count);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Hosts that ask one question at a time, when the test says: so that what they do at once happens in a known order. Each is
 * a thread that has a bucket of its own (named_other); questions of other threads go on as ever. */
#ifndef TESTS_STORE_STEPPED_H
#define TESTS_STORE_STEPPED_H

#include <stdbool.h>

struct stepped;

/* Calls `run` up to its first question. */
struct stepped *stepped_start(void (*run)(void *context), void *context);
/* Up to the next question, with the answer to the one before; false: it has returned. */
bool stepped_step(struct stepped *stepped);
/* Up to its end. Returns NULL. */
struct stepped *stepped_finish(struct stepped *stepped);

#endif

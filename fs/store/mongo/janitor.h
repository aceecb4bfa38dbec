// SPDX-License-Identifier: Apache-2.0
/* The parts of housekeeping that one mount at a time does for all: see tidy.c.
 *
 * Threads: one at a time per bucket. Errors: those of store.h; what was not done is done next time. */
#ifndef FS_STORE_MONGO_JANITOR_H
#define FS_STORE_MONGO_JANITOR_H

#include "fs/store/mongo/bucket.h"

struct round {
    struct bucket *bucket;
    int64_t now_ms; /* the server's */
    int64_t end_ms; /* on the own steady clock: what is not done by then waits for the next round */
    struct revision *const *open;
    uint32_t open_count;
};

/* Deletes retired revisions whose time has come, and the oldest of more than may be kept. */
int janitor_empty_trash(const struct round *round);
/* Deletes the chunks of puts that died. */
int janitor_end_intents(const struct round *round);
/* Gives the lease back, if this mount has it, so that others need not wait for it to expire. */
void janitor_done(struct bucket *bucket);

#endif

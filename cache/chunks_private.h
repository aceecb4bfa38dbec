// SPDX-License-Identifier: Apache-2.0
/* What the chunk cache is made of; included by chunks.c and flights.c only. All under the lock. */
#ifndef CACHE_CHUNKS_PRIVATE_H
#define CACHE_CHUNKS_PRIVATE_H

#include <stdatomic.h>
#include <string.h>

#include "cache/base/lock.h"
#include "cache/chunks.h"
#include "cache/flow.h"

/* What a fetch brings in. */
struct cargo {
    struct blob *blobs[CHUNKS_FETCH_MOST];
    int errors[CHUNKS_FETCH_MOST];
};

/* One fetch under way: chunks [first, first + count) of a revision, or the only chunks of `count` revisions.
 *
 *     QUEUED -> RUNNING [claim: a worker, or a reader that will not wait for one] -> DONE [finish]
 *
 * One that is stuck is run a second time beside: who has the chunks first ends it. That is of use to a reader only while
 * another thread is the one that is stuck, so it hands its flight over where fetches are slow.
 *
 * Which of the queued ones a worker takes: of the file with the fewest under way, and among those of the one that has waited
 * longest, the oldest. So files that are read at once share the link, however far ahead each would be. */
struct flight {
    struct chunks *chunks;
    uint32_t first, count;
    bool heads;          /* of files[0 .. count); else a range of files[0] */
    bool twice;          /* it was stuck */
    bool ahead;          /* begun before anybody asked for any of it */
    unsigned references; /* the list's, each task's and runner's, each waiter's */
    unsigned runners;
    enum { QUEUED, RUNNING, DONE } state;
    int64_t began_ms; /* or was queued */
    uint64_t turn;    /* when one of this file was last begun: who waits longest is next */
    int error; /* of the fetch as a whole */
    struct condition done;
    struct flight *prev, *next;
    struct cargo cargo; /* once it is DONE */
    struct chunk_file files[];
};

struct chunks {
    struct lock lock; /* guards all below but `window` */
    struct budget *budget;
    struct chunk_source source;
    struct workers *workers;
    struct lru *lru;
    struct flight *flights;
    struct flow flow;
    unsigned queued; /* flights that wait for a worker */
    unsigned tasks;  /* that are to run one: no fewer */
    uint64_t turns;  /* flights begun so far */
    unsigned stuck;  /* flights that are run twice: these do not count in the width */
    unsigned handed; /* tasks of flights that readers handed over: likewise */
    size_t reserved; /* bytes that flights will bring in */
    bool stopping;   /* queued flights are given up */
    atomic_llong window;
};

static inline struct chunk_key chunk_key_of(const struct chunk_file *file, uint32_t n) {
    struct chunk_key key = {.n = n};
    memcpy(key.revision, file->revision, sizeof key.revision);
    return key;
}

/* ---- chunks.c ---- */

void chunks_keep_budget(struct chunks *chunks);
/* Chunks that are about to come take the memory of as many that were passed, unless few were: pages that are given back
 * and got anew cost more than to copy into them. */
void chunks_reuse(struct chunks *chunks, uint32_t count);

/* ---- flights.c ---- */

/* Sets how many workers fetch at once. */
void flights_set_width(struct chunks *chunks);
/* The flight that brings chunk n; NULL: none. */
struct flight *flight_of(struct chunks *chunks, const struct chunk_file *file, uint32_t n);
/* Of chunks [first, first + count) of files[0], or of the heads of `count` files. The list has its reference. */
struct flight *flight_new(struct chunks *chunks, const struct chunk_file *files, bool heads, uint32_t first,
                          uint32_t count);
/* Waits for chunk n of a flight, and sees to it that it is run at once. */
int flight_join(struct flight *flight, const struct chunk_file *file, uint32_t n, struct blob **ret_blob);
/* Hands a new flight, or NULL, to the workers; false when they will not take it, which ends it. */
bool flight_send(struct chunks *chunks, struct flight *flight);
void flights_check(struct chunks *chunks);

#endif

// SPDX-License-Identifier: Apache-2.0
/* A store in front of another one: counts calls, fails the one it is told to or any, holds calls at a gate.
 *
 * Threads: any. Memory: it does not own the store behind it, which outlives it. Revisions that come through it ask it
 * for their chunks. */
#ifndef TESTS_FAKE_FAULTY_STORE_H
#define TESTS_FAKE_FAULTY_STORE_H

#include <stdatomic.h>

#include "fs/store/store.h"
#include "tests/fake/gate.h"

enum faulty_call {
    FAULTY_LOOKUP,
    FAULTY_NEWEST,
    FAULTY_BY_ID,
    FAULTY_HISTORY,
    FAULTY_IS_RETIRED,
    FAULTY_SURVEY,
    FAULTY_LIST_OPEN,
    FAULTY_LIST_NEXT,
    FAULTY_FETCH,
    FAULTY_FETCH_HEADS,
    FAULTY_UPLOAD_BEGIN,
    FAULTY_UPLOAD_OFFER, /* fails in secret */
    FAULTY_PUT,
    FAULTY_RESERVE,
    FAULTY_RELEASE, /* cannot fail */
    FAULTY_MAKE,
    FAULTY_KEEP_DIRECTORY,
    FAULTY_REMOVE,
    FAULTY_REMOVE_DIRECTORY,
    FAULTY_RENAME,
    FAULTY_LINK,
    FAULTY_SET_ATTRIBUTES,
    FAULTY_XATTRS,
    FAULTY_XATTRS_OF,
    FAULTY_SET_XATTR,
    FAULTY_KEEP,
    FAULTY_TIDY,
    FAULTY_CALLS
};

/* What may happen to any call. */
enum faulty_fault {
    FAULTY_DELAYED, /* a little */
    FAULTY_BEFORE,  /* it fails and does nothing */
    FAULTY_AFTER,   /* a change fails although it was made: its answer is lost */
    FAULTY_CUT,     /* an answer in parts has the first only */
    FAULTY_TWICE,   /* a question is asked again, its first answer came to nobody */
    FAULTY_FAULTS
};

struct faulty_plan {
    atomic_uint countdown; /* 1: the next call fails; 0: none */
    atomic_int error;
};

struct faulty_store {
    struct store store; /* first: what is given to others */
    struct store *behind;
    struct gate gates[FAULTY_CALLS]; /* each call passes its gate */
    atomic_uint calls[FAULTY_CALLS];
    atomic_uint odds[FAULTY_FAULTS]; /* of each fault, in a thousand calls */
    atomic_ulong dice;
    atomic_bool away; /* all calls answer with -ETIMEDOUT, and do nothing */
    struct faulty_plan before[FAULTY_CALLS], after[FAULTY_CALLS];
};

void faulty_store_init(struct faulty_store *faulty, struct store *behind);
void faulty_store_done(struct faulty_store *faulty);
/* The nth call from now (1: the next) answers with this -errno, and does nothing. */
void faulty_store_fail(struct faulty_store *faulty, enum faulty_call call, unsigned nth, int error);
/* The nth change from now that succeeds answers with this -errno all the same, as when the server's answer was lost. */
void faulty_store_lose_answer(struct faulty_store *faulty, enum faulty_call call, unsigned nth, int error);
/* From now on so many in a thousand calls, any of those that it can happen to, have this fault. */
void faulty_store_set_odds(struct faulty_store *faulty, enum faulty_fault fault, unsigned per_mille);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Where the _ids of new revisions come from: records in <bucket>.gridmount.intents, each of which reserves many.
 *
 *     {_id: <the first ObjectId>, kind: "put", owner: <this mount>, count: 256, until: <date of the server's clock>}
 *
 * Chunks whose files_id lies in a record that has expired, and that no files document has, were left by a put that
 * died; chunks of any other files_id are nobody's business but their owner's. A record is renewed by the puts that use
 * it, and goes when it is used up and all its puts have settled; one whose put left chunks behind stays, to expire.
 *
 * Threads: any. No lock is held across a question: two puts at once may make a record each.
 * Errors: those of store.h. */
#ifndef FS_STORE_MONGO_INTENTS_H
#define FS_STORE_MONGO_INTENTS_H

#include <bson/bson.h>
#include <stdbool.h>

#include "cache/base/lock.h"

enum { INTENT_IDS = 256, INTENT_LEASE_MS = 10 * 60 * 1000 };

struct bucket;
struct intent;

struct intents {
    struct lock lock;       /* guards what follows, and all intents */
    bson_oid_t owner;       /* this mount */
    struct intent *current; /* the one with free ids, or NULL */
};

void intents_init(struct intents *intents);
/* Gives up the record that has ids left. Asks the server only when it is there. */
void intents_done(struct bucket *bucket);

/* A new _id, under *ret_intent, which is for intents_settle(). */
int intents_take(struct bucket *bucket, bson_oid_t *ret_id, struct intent **ret_intent);
/* Renews the record when half of its time is over: to be called at least once a minute while a put goes on, and right
 * before its commit. -ETIMEDOUT: it expired, so that the chunks may be gone. */
int intents_keep(struct bucket *bucket, struct intent *intent);
/* The put is over; `clean`: its files document is there, or none of its chunks. */
void intents_settle(struct bucket *bucket, struct intent *intent, bool clean);

#endif

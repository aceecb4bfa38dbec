// SPDX-License-Identifier: Apache-2.0
/* Leases: names claimed for a creation, in <bucket>.gridmount.locks: {_id: path, owner, until: a date of the server}.
 *
 * Who creates what, and what excludes whom:
 *   a file       claims the name here, then looks for a node and a file of that name; its put is the publication
 *   a node       claims the name here, is inserted, looks whether the claim still holds, then for a file, and goes again
 *                when there is one; nobody waits for its claim to be deleted
 * One holds the claim at a time and finds what is there or makes what it came for: so of all who come at once one wins,
 * whatever they make. Clients of GridFS know no claims and are not excluded.
 *
 * Claims that are held are renewed by a thread of the bucket, which also deletes those given up: nobody waits for that.
 * A claim that was given up but is still there is no obstacle in this mount, and for a moment one in others. One that may have been
 * made, since the answer got lost, counts as given up.
 *
 * Threads: any; a lease is ended once. No lock is held across a question. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_LEASE_H
#define FS_STORE_MONGO_LEASE_H

#include <bson/bson.h>

#include "cache/base/lock.h"

enum { LEASE_LIFE_MS = 60 * 1000, LEASE_RENEW_MS = LEASE_LIFE_MS / 3, LEASES_AT_ONCE = 500 };

struct bucket;

struct store_lease {
    bson_oid_t owner; /* this claim */
    char *path;
    int64_t asked_ms; /* when it was taken or before, on a clock that goes on while the machine sleeps */
    struct store_lease *prev, *next;
};

struct leases {
    struct lock lock; /* guards all of it */
    struct condition changed;
    struct store_lease *held;
    struct store_lease *ended;  /* still there: to be deleted */
    struct store_lease *ending; /* being deleted */
    bool started, stopping;
    pthread_t thread;
};

/* ---- one claim ---- */

/* Claims a name, whatever is there. -EEXIST: it is claimed. */
int lease_take(struct bucket *bucket, const char *path, struct store_lease **ret_lease);
/* Likewise for a node, which is made at once. -EEXIST: something is there, or a file is being made there for long. */
int lease_take_for_node(struct bucket *bucket, const char *path, struct store_lease **ret_lease);
/* Whether the claim still holds: 0, -EEXIST when it was lost, or another -errno. The server is asked unless it was
 * taken so short ago that no other host may take it over until long after the commit. */
int lease_check(struct bucket *bucket, const struct store_lease *lease);
/* Gives it up, to be deleted soon. Takes NULL, returns NULL. */
struct store_lease *lease_end(struct bucket *bucket, struct store_lease *lease);

/* ---- all of a bucket ---- */

void leases_init(struct leases *leases);
/* Deletes what was given up, unless the server is away. */
void leases_done(struct bucket *bucket);
/* For lease.c: adds one that is on the server to those held, and starts the thread with the first. */
int leases_hold(struct bucket *bucket, struct store_lease *lease);
/* The owner of a claim to this name that this mount has given up. */
bool leases_ended_owner(struct bucket *bucket, const char *path, bson_oid_t *ret_owner);

#endif

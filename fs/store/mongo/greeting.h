// SPDX-License-Identifier: Apache-2.0
/* What the servers of a connection string say first, while a mount is made: a refusal that no waiting cures is told at
 * once, where an outage is waited for.
 *
 * Threads: greeting_heard() from the driver's, which hold its locks; the others from the one that connects.
 * Memory: a few bytes for each server, until greeting_done(). */
#ifndef FS_STORE_MONGO_GREETING_H
#define FS_STORE_MONGO_GREETING_H

#include <mongoc/mongoc.h>
#include <stdbool.h>

#include "cache/base/lock.h"

struct greeting {
    struct lock lock; /* guards all below */
    struct condition heard;
    unsigned servers;         /* to be heard of */
    unsigned refusing;        /* how many of them refuse for good */
    struct first_word *words; /* of each that was heard of */
    bool over;                /* one answered, or nobody waits any more */
    bson_error_t refusal;     /* the last */
};

void greeting_init(struct greeting *greeting);
void greeting_done(struct greeting *greeting);
/* There is one more server to be heard of. */
void greeting_expect(struct greeting *greeting);
/* A server, as "host:port", could not be used; `error` NULL: it could. */
void greeting_heard(struct greeting *greeting, const char *server, const bson_error_t *error);
/* Waits until one answered or all were heard of, at most so long. Whether all refuse for good. */
bool greeting_refused(struct greeting *greeting, int milliseconds, bson_error_t *ret_refusal);

#endif

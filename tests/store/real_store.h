// SPDX-License-Identifier: Apache-2.0
/* What the tests of the store share: a bucket of a real server, and a second client that looks past the store.
 *
 * The server is the one GRIDMOUNT_STORE_URI names; its database is used up by the program. Each test has a bucket of
 * its own name. */
#ifndef TESTS_STORE_REAL_STORE_H
#define TESTS_STORE_REAL_STORE_H

#include <mongoc/mongoc.h>

#include "fs/store/mongo/bucket.h"
#include "tests/unit/unit.h"

struct real_store {
    struct store *store;
    struct bucket *bucket; /* the same */
    mongoc_client_t *client;
    mongoc_database_t *database;
    char name[32];
};

struct real_store real_store_open(const char *name);
void real_store_close(struct real_store *real);
/* Waits until it deletes no claims any more, which it does behind: round trips are counted for the whole program, so those
 * of one bucket would be another's. Closing does it too. */
void real_store_quiet(struct real_store *real);

/* Documents past the store; `collection` is the part behind the bucket's name ("files"). JSON has single quotes. */
bson_t *real_store_json(const char *json, ...) __attribute__((format(printf, 1, 2)));
mongoc_collection_t *real_store_collection(struct real_store *real, const char *collection);
void real_store_insert(struct real_store *real, const char *collection, bson_t *document); /* takes it */
/* Takes both. */
void real_store_update(struct real_store *real, const char *collection, bson_t *filter, bson_t *update);
int64_t real_store_count(struct real_store *real, const char *collection, bson_t *filter); /* takes it */
/* The first that matches, or NULL; to be destroyed. Takes the filter. */
bson_t *real_store_first(struct real_store *real, const char *collection, bson_t *filter);

#endif

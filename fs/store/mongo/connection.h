// SPDX-License-Identifier: Apache-2.0
/* The connection to a server: a pool of clients, the questions asked through it, and what its errors mean.
 *
 * Each question takes a client from the pool and gives it back before it returns: a request never holds two. A list
 * that is read on for long may pin one (connection_pin); the number of pins is bounded so that questions never starve.
 *
 * Threads: all functions from any thread. Blocking is bounded by the timeout of the configuration.
 * Errors: the one table that turns server errors into -errno is in connection_errno().
 * In two parts: connection.c has the pool, questions.c what is asked through it. */
#ifndef FS_STORE_MONGO_CONNECTION_H
#define FS_STORE_MONGO_CONNECTION_H

#include <mongoc/mongoc.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/base/workers.h"
#include "fs/store/mongo/server.h"

struct connection;

/* On failure *ret_error is one line for the user, to be freed: cause and cure, no secret. */
int connection_new(const struct server_config *config, struct connection **ret_connection, char **ret_error);
struct connection *connection_free(struct connection *connection);
/* "host:port" of the first host, and the database. Live as long as the connection. */
const char *connection_address(const struct connection *connection);
const char *connection_database(const struct connection *connection);
bool connection_healthy(const struct connection *connection);
/* Milliseconds that the server's fastest answer took: about one round trip. */
int64_t connection_round_trip_ms(const struct connection *connection);

/* A client of the pool for the time of one question; NULL when none came free in time. */
mongoc_client_t *connection_pop(struct connection *connection);
void connection_push(struct connection *connection, mongoc_client_t *client);
/* The same for longer. NULL when too many are pinned. */
mongoc_client_t *connection_pin(struct connection *connection);
void connection_unpin(struct connection *connection, mongoc_client_t *client);

/* A client of the caller's own, outside of the pool, whose questions are not counted; to be destroyed. A server that is
 * silent for so long is away to it. NULL without memory. */
mongoc_client_t *connection_client(struct connection *connection, int silence_ms);

/* What an error of the driver means as -errno; logs what a user should know of. `asking` says what was asked. */
int connection_errno(const bson_error_t *error, const char *asking);

/* Called for each document; another result than 0 ends the question with it. */
typedef int connection_visit(void *context, const bson_t *document);
/* find(filter, options) on a collection; options as mongoc_collection_find_with_opts() takes them. `preference` NULL:
 * what the URI says. Returns 0, the visitor's result, or -errno (-ETIME: maxTimeMS passed). */
int connection_find(struct connection *connection, const char *collection, const bson_t *filter,
                    const bson_t *options, const mongoc_read_prefs_t *preference, connection_visit *visit,
                    void *context);
/* aggregate(pipeline) of the primary, likewise. -EOPNOTSUPP: the server does not know a part of it, or the user may not. */
int connection_aggregate(struct connection *connection, const char *collection, const bson_t *pipeline,
                         connection_visit *visit, void *context);
/* The reply to find(filter) itself, with up to `documents` in it, for who keeps them where they are. -E2BIG when there
 * are more, or more than a server puts into one reply: connection_find() gets those. *ret_reply is the caller's. */
int connection_find_whole(struct connection *connection, const char *collection, const bson_t *filter,
                          int32_t documents, const mongoc_read_prefs_t *preference, bson_t *ret_reply);
/* Does pieces of work that each ask a question, and returns when all are done: side by side (workers_share()), unless
 * the server is so near that waiting costs less than changing threads, and it would only work for longer. */
void connection_share(struct connection *connection, unsigned count, workers_piece *piece, void *context);
/* How many questions of this thread were left without an answer so far. */
uint64_t connection_unanswered(void);
/* A command on the database, asked of the primary. *ret_reply is initialised in any case. */
int connection_command(struct connection *connection, const bson_t *command, bson_t *ret_reply, bson_error_t *ret_error);

#endif

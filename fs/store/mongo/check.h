// SPDX-License-Identifier: Apache-2.0
/* The checks of a bucket (fs/store/check.h), and what they share. Each is a pair {find, repair} in a file of its own.
 *
 * A whole collection is read by a stream, in the order of an index: each answer is a page of it and comes within the
 * connection's timeout. Streams pin their clients: a program that checks does nothing else with its pool.
 *
 * Threads: one. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_CHECK_H
#define FS_STORE_MONGO_CHECK_H

#include "fs/store/check.h"
#include "fs/store/mongo/bucket.h"

struct bucket_checks {
    struct checks checks; /* first */
    struct bucket *bucket;
    bool sizes_refused; /* the server does not compute the size of a chunk: its data is read instead */
};

int check_uploads(struct checks *checks, const struct check_listener *listener);
int check_renames(struct checks *checks, const struct check_listener *listener);
int check_trash(struct checks *checks, const struct check_listener *listener);
/* What housekeeping takes away: all of the three above. */
int check_tidy(struct checks *checks);
int check_claims(struct checks *checks, const struct check_listener *listener);
int check_claims_repair(struct checks *checks);
int check_links(struct checks *checks, const struct check_listener *listener);
int check_links_repair(struct checks *checks);
int check_names(struct checks *checks, const struct check_listener *listener);
int check_content(struct checks *checks, const struct check_listener *listener);
int check_indexes(struct checks *checks, const struct check_listener *listener);

/* ---- shared ---- */

/* find() of the primary; unlike bucket_find() it says what may not be read. */
int check_read(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
               connection_visit *visit, void *context);
/* The text of {_id: value}, see .gridfs/id; to be freed. NULL without memory. */
char *check_id_text(const bson_t *id);
/* Reports how many there are of something, if there are any. */
void check_report_count(const struct check_listener *listener, enum check_class class, int64_t count, int64_t bytes);

struct check_stream {
    struct bucket *bucket;
    const struct check_listener *listener; /* who hears of the progress, or NULL */
    const char *collection;
    mongoc_client_t *client;
    mongoc_collection_t *handle;
    mongoc_cursor_t *cursor;
    int64_t seen;
};

/* Begins to read what find(filter, options) of the primary gives. */
int check_stream_open(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
                      struct check_stream *ret_stream);
/* 1 and the next document, lent until the next call; 0 at the end; -errno. */
int check_stream_next(struct check_stream *stream, const bson_t **ret_document);
/* What ended it, 0 or -errno. */
int check_stream_error(const struct check_stream *stream);
void check_stream_close(struct check_stream *stream);

#endif

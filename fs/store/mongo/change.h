// SPDX-License-Identifier: Apache-2.0
/* Changes to a bucket: single documents, written so that they stay. Whatever the URI says, a change is acknowledged by
 * a majority and the journal (w: majority, j: true).
 *
 * All functions here look first whether the bucket may be changed (bucket_begin_changing), and mark it with the format
 * of this program before the first write outside the GridFS collections.
 *
 * Threads: any. Blocking is bounded by the connection's timeout. The driver repeats single changes once where the
 * server has sessions; those of many documents are repeated here, where the connection broke or the primary changed: so they
 * have to be such that making them twice does no harm, and have no count. A server that was started in between may have
 * forgotten that it made the change (SecantusDB has), and make it anew: then it finds nothing to change or delete, or what
 * it is to insert, and that is -ETIMEDOUT, for a repeated change only.
 * Errors: those of store.h. -EEXIST: the _id, or another unique key, is there. -ETIMEDOUT: it may have been made. */
#ifndef FS_STORE_MONGO_CHANGE_H
#define FS_STORE_MONGO_CHANGE_H

#include "fs/store/mongo/bucket.h"

int bucket_insert(struct bucket *bucket, const char *collection, const bson_t *document);
/* `update` is one of operators, or a pipeline (an array). *ret_matched, unless NULL: how many were there before; NULL with
 * `many`. */
int bucket_update(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *update, bool many,
                  bool upsert, int64_t *ret_matched);
int bucket_delete(struct bucket *bucket, const char *collection, const bson_t *filter, bool many,
                  int64_t *ret_deleted);

/* Milliseconds since 1970 on the server's clock, late by what the network takes at most and never early: measured every
 * few minutes, carried on by the own steady clock. */
int bucket_now_ms(struct bucket *bucket, int64_t *ret_now_ms);

/* Whether the bucket may be changed: -EROFS when it has a format this program does not know, said in the log. Makes
 * the indexes of the specification in a bucket that is empty. Believed for a minute. */
int bucket_begin_changing(struct bucket *bucket);
/* Makes sure that nodes holds {_id: "", format: 1}. Before anything is written to nodes, locks, trash or intents. */
int bucket_mark_format(struct bucket *bucket);

/* Whether a change that began then failed by a connection that broke so soon that another try still ends in time. A server
 * that is silent, or that cannot be reached, takes half of the timeout at least. Asked by who then makes that try: it is
 * counted. */
bool bucket_broke_off(const struct bucket *bucket, int result, int64_t began_ms);

/* For changes of other forms: a handle that writes with the concern above, to be destroyed before its client is given
 * back; and what an error of the driver means when changing. -EEXIST says that something is there for good: of a reply by
 * which a majority has not confirmed what is there, it is -ETIMEDOUT. `reply` may be NULL. */
mongoc_collection_t *bucket_collection(struct bucket *bucket, mongoc_client_t *client, const char *collection);
int bucket_change_errno(struct bucket *bucket, const bson_error_t *error, const bson_t *reply, const char *collection);
bool change_is_unconfirmed(const bson_t *reply);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Some chunks of a new revision as documents, made around the bytes that the content's read() gives.
 *
 * Threads: one at a time. Memory: one allocation for all documents. */
#ifndef FS_STORE_MONGO_CHUNK_BATCH_H
#define FS_STORE_MONGO_CHUNK_BATCH_H

#include "cache/base/cleanup.h"
#include "fs/store/mongo/upload.h"

struct chunk_batch {
    uint32_t count;
    const bson_t **documents;
    unsigned char **bytes; /* the content in each, of sizes[i] */
    uint32_t *sizes;
    bson_t *places; /* the documents themselves */
    unsigned char *memory;
};

/* Reads the chunks of a run. */
int chunk_batch_new(const struct upload *upload, struct upload_run run, struct chunk_batch **ret_batch);
/* Takes NULL, returns NULL. */
struct chunk_batch *chunk_batch_free(struct chunk_batch *batch);
/* Inserts them. What is there already of an earlier try counts as done. *ret_repeated, unless NULL: whether there was
 * one, which may still arrive. */
int chunk_batch_send(struct bucket *bucket, const struct chunk_batch *batch, bool *ret_repeated);

DEFINE_CLEANUP(struct chunk_batch, chunk_batch_free)

#endif

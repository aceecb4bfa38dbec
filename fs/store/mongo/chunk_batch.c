// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/chunk_batch.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/pages.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"

enum { DATA_HEAD = 1 + 5 + 4 + 1, AROUND_MOST = 128 }; /* type, "data\0", size, subtype; all but the content */

struct chunk_batch *chunk_batch_free(struct chunk_batch *batch) {
    if (!batch)
        return NULL;
    for (uint32_t i = 0; batch->places && i < batch->count; i++)
        bson_destroy(&batch->places[i]);
    free(batch->documents);
    free(batch->bytes);
    free(batch->sizes);
    free(batch->places);
    pages_free(batch->memory);
    free(batch);
    return NULL;
}

static struct chunk_batch *allocate(uint32_t count, size_t content) {
    struct chunk_batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return NULL;
    batch->documents = calloc(count, sizeof *batch->documents);
    batch->bytes = calloc(count, sizeof *batch->bytes);
    batch->sizes = calloc(count, sizeof *batch->sizes);
    batch->places = aligned_alloc(_Alignof(bson_t), count * sizeof *batch->places);
    batch->memory = pages_new(content + (size_t)count * AROUND_MOST);
    if (batch->documents && batch->bytes && batch->sizes && batch->places && batch->memory)
        return batch;
    return chunk_batch_free(batch);
}

static void put_number(unsigned char *at, uint32_t number) {
    for (int i = 0; i < 4; i++)
        at[i] = (unsigned char)(number >> (8 * i));
}

/* Writes a document of a chunk but for its content, as BSON lays it out: the driver's own functions would copy the
 * content once more. Returns where the content goes; the document ends one byte behind it. */
static unsigned char *lay_out(unsigned char *at, const bson_oid_t *files_id, uint32_t n, uint32_t size) {
    static const unsigned char data_head[] = {0x05, 'd', 'a', 't', 'a', '\0'};
    bson_oid_t id;
    bson_t head = BSON_INITIALIZER;
    bson_oid_init(&id, NULL);
    BSON_APPEND_OID(&head, "_id", &id);
    BSON_APPEND_OID(&head, "files_id", files_id);
    BSON_APPEND_INT32(&head, "n", (int32_t)n);
    uint32_t head_size = head.len - 1; /* without its end */
    CHECK(head_size + DATA_HEAD + 1 <= AROUND_MOST);
    memcpy(at, bson_get_data(&head), head_size);
    bson_destroy(&head);
    put_number(at, head_size + DATA_HEAD + size + 1);
    memcpy(at + head_size, data_head, sizeof data_head);
    put_number(at + head_size + sizeof data_head, size);
    at[head_size + DATA_HEAD - 1] = BSON_SUBTYPE_BINARY;
    at[head_size + DATA_HEAD + size] = 0;
    return at + head_size + DATA_HEAD;
}

int chunk_batch_new(const struct upload *upload, struct upload_run run, struct chunk_batch **ret_batch) {
    const struct store_content *content = upload->content;
    int64_t offset = (int64_t)run.first * upload->chunk_size, rest = content->length - offset;
    int64_t whole = (int64_t)run.count * upload->chunk_size;
    struct chunk_batch *batch = allocate(run.count, (size_t)(rest < whole ? rest : whole));
    if (!batch)
        return -ENOMEM;
    unsigned char *at = batch->memory;
    for (uint32_t i = 0; i < run.count; i++) {
        uint32_t size = rest < upload->chunk_size ? (uint32_t)rest : upload->chunk_size;
        batch->bytes[i] = lay_out(at, upload->id, run.first + i, size);
        batch->sizes[i] = size;
        int result = content->read(content->context, offset, size, batch->bytes[i]);
        if (result)
            return chunk_batch_free(batch), result;
        unsigned char *end = batch->bytes[i] + size + 1;
        CHECK(bson_init_static(&batch->places[i], at, (size_t)(end - at)));
        batch->documents[i] = &batch->places[i];
        batch->count++;
        at = end;
        offset += size;
        rest -= size;
    }
    *ret_batch = batch;
    return 0;
}

/* Whether each of the errors says that the document is there. */
static bool only_duplicates(const bson_t *reply) {
    bson_iter_t errors, each, code;
    if (!bson_iter_init_find(&errors, reply, "writeErrors") || !bson_iter_recurse(&errors, &each))
        return false;
    while (bson_iter_next(&each))
        if (!bson_iter_recurse(&each, &code) || !bson_iter_find(&code, "code") || bson_iter_as_int64(&code) != 11000)
            return false;
    return !change_is_unconfirmed(reply);
}

static int insert(struct bucket *bucket, const struct chunk_batch *batch, bool again) {
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return log_error("%s: no connection came free in time", bucket->chunks), -ETIMEDOUT;
    bson_t *options = BCON_NEW("ordered", BCON_BOOL(false), "validate", BCON_BOOL(false)), reply;
    bson_error_t error = {0};
    mongoc_collection_t *chunks = bucket_collection(bucket, client, bucket->chunks);
    int result = 0;
    if (!mongoc_collection_insert_many(chunks, (const bson_t **)batch->documents, batch->count, options, &reply,
                                       &error))
        result = again && only_duplicates(&reply) ? 0 : bucket_change_errno(bucket, &error, &reply, bucket->chunks);
    bson_destroy(&reply);
    bson_destroy(options);
    mongoc_collection_destroy(chunks);
    connection_push(bucket->connection, client);
    return result;
}

int chunk_batch_send(struct bucket *bucket, const struct chunk_batch *batch, bool *ret_repeated) {
    int64_t began = clock_now_ms();
    int result = insert(bucket, batch, false);
    /* The driver repeats a batch only where the server has sessions. Once more, if that still ends in time. */
    bool repeated = bucket_broke_off(bucket, result, began) || result == -EEXIST;
    if (repeated)
        result = insert(bucket, batch, true);
    for (uint32_t i = 0; result == 0 && i < batch->count; i++)
        stats_add(STAT_chunk_bytes_uploaded, batch->sizes[i]);
    if (result == 0 && ret_repeated)
        *ret_repeated = repeated;
    return result;
}

// SPDX-License-Identifier: Apache-2.0
/* Many small files in one question: the only chunk of each. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/id_list.h"

struct heads {
    struct revision *const *revisions;
    uint32_t count;
    struct budget *budget;
    struct blob **blobs;
    bool spoiled[STORE_FETCH_MOST]; /* something was wrong: let fetch() say what */
};

/* The index of the revision that a chunk belongs to; heads->count: none. */
static uint32_t owner_of(const struct heads *heads, const bson_t *chunk) {
    bson_iter_t files_id;
    bool there = bson_iter_init_find(&files_id, chunk, "files_id");
    return there ? id_list_find(heads->revisions, heads->count, &files_id) : heads->count;
}

static int take_head(void *context, const bson_t *chunk) {
    struct heads *heads = context;
    bson_iter_t iter;
    bson_subtype_t subtype;
    const uint8_t *bytes = NULL;
    uint32_t size = 0, i = owner_of(heads, chunk);
    int64_t n;
    stats_add(STAT_chunks_fetched, 1);
    if (i == heads->count)
        return 0;
    bool numbered = bson_iter_init_find(&iter, chunk, "n") && document_whole_number(&iter, 0, 1, &n);
    if (bson_iter_init_find(&iter, chunk, "data") && BSON_ITER_HOLDS_BINARY(&iter))
        bson_iter_binary(&iter, &subtype, &size, &bytes);
    stats_add(STAT_chunk_bytes_fetched, size);
    if (numbered && n == 1 && size == 0)
        return 0; /* an empty one behind the last is harmless */
    if (!numbered || n != 0 || !bytes || bucket_may_reuse_id(heads->revisions[i]) || size != heads->revisions[i]->length || heads->blobs[i]) {
        heads->spoiled[i] = true;
        return 0;
    }
    heads->blobs[i] = blob_new(heads->budget, size);
    if (!heads->blobs[i])
        return -ENOMEM;
    memcpy(heads->blobs[i]->bytes, bytes, size);
    return 0;
}

/* {files_id: {$in: [...]}, n: {$gte: 0, $lt: 2}}: chunk 1 would show a file that is too long. */
static void make_filter(const struct heads *heads, bson_t *filter) {
    bson_t range;
    id_list_match(filter, "files_id", heads->revisions, heads->count);
    bson_append_document_begin(filter, "n", -1, &range);
    BSON_APPEND_INT32(&range, "$gte", 0);
    BSON_APPEND_INT32(&range, "$lt", 2);
    bson_append_document_end(filter, &range);
}

int bucket_fetch_heads(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    struct bucket *bucket = (struct bucket *)store;
    struct heads heads = {.revisions = revisions, .count = count, .budget = budget, .blobs = ret_blobs};
    CHECK(count > 0 && count <= STORE_FETCH_MOST);
    bson_t filter = BSON_INITIALIZER;
    make_filter(&heads, &filter);
    bson_t *options = BCON_NEW("batchSize", BCON_INT32((int32_t)count * 2 + 1));
    int result = connection_find(bucket->connection, bucket->chunks, &filter, options, NULL, take_head, &heads);
    bson_destroy(options);
    bson_destroy(&filter);
    for (uint32_t i = 0; i < count; i++) {
        if (result || heads.spoiled[i])
            ret_blobs[i] = blob_unref(ret_blobs[i]);
        ret_errors[i] = ret_blobs[i] ? 0 : -EAGAIN;
    }
    return result;
}

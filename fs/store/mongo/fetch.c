// SPDX-License-Identifier: Apache-2.0
/* The chunks of a revision: one bounded range of n, every document checked before a byte of it is believed. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"

struct fetching {
    const struct revision *revision;
    struct budget *budget;
    uint32_t first, count, chunks; /* chunks: how many the file has */
    struct blob_block *block; /* that the documents lie in, and blobs may stay in; or NULL */
    const uint8_t *memory;    /* of the block */
    struct blob **blobs;
    const char **damage; /* per chunk: what is wrong */
};

/* A blob of bytes of a document. */
static struct blob *keep(const struct fetching *fetching, const uint8_t *bytes, size_t size) {
    if (fetching->block)
        return blob_new_in(fetching->block, (size_t)(bytes - fetching->memory), size);
    struct blob *blob = blob_new(fetching->budget, size);
    if (blob)
        memcpy(blob->bytes, bytes, size);
    return blob;
}

static int take_chunk(void *context, const bson_t *document) {
    struct fetching *fetching = context;
    bson_iter_t iter;
    int64_t n;
    bson_subtype_t subtype;
    uint32_t size;
    const uint8_t *bytes;
    stats_add(STAT_chunks_fetched, 1);
    if (!bson_iter_init_find(&iter, document, "n") || !document_whole_number(&iter, 0, INT32_MAX, &n) ||
        n < fetching->first)
        return 0; /* no chunk of ours: the one it should be is missing */
    if (!bson_iter_init_find(&iter, document, "data") || !BSON_ITER_HOLDS_BINARY(&iter))
        size = 0, bytes = NULL;
    else
        bson_iter_binary(&iter, &subtype, &size, &bytes);
    stats_add(STAT_chunk_bytes_fetched, size);
    if (n >= fetching->chunks) { /* an empty one behind the last is harmless, as for other drivers */
        if (size)
            fetching->damage[fetching->chunks - 1 - fetching->first] = "there is a chunk behind the last";
        return 0;
    }
    uint32_t i = (uint32_t)n - fetching->first, length = revision_chunk_length(fetching->revision, (uint32_t)n);
    if (i >= fetching->count)
        return 0;
    if (fetching->blobs[i])
        fetching->damage[i] = "there are two of it";
    else if (!bytes)
        fetching->damage[i] = "it has no data";
    else if (size != length)
        fetching->damage[i] = size < length ? "it is too short" : "it is too long";
    if (fetching->damage[i])
        return 0;
    fetching->blobs[i] = keep(fetching, bytes, size);
    return fetching->blobs[i] ? 0 : -ENOMEM;
}

static int take_batch(struct fetching *fetching, const uint8_t *memory, uint32_t size) {
    bson_t reply, document;
    bson_iter_t root, batch, chunk;
    if (!bson_init_static(&reply, memory, size) || !bson_iter_init(&root, &reply) ||
        !bson_iter_find_descendant(&root, "cursor.firstBatch", &batch) || !bson_iter_recurse(&batch, &chunk))
        return -EIO;
    int result = 0;
    while (result == 0 && bson_iter_next(&chunk)) {
        const uint8_t *bytes;
        uint32_t length;
        if (!BSON_ITER_HOLDS_DOCUMENT(&chunk))
            continue;
        bson_iter_document(&chunk, &length, &bytes);
        if (bson_init_static(&document, bytes, length))
            result = take_chunk(fetching, &document);
    }
    return result;
}

/* Chunks stay in the reply they came in, unless it is small or holds much else. Takes the reply over. */
static int take_reply(struct fetching *fetching, bson_t *reply) {
    enum { WORTH = 64 << 10 };
    uint32_t size;
    uint8_t *memory = bson_destroy_with_steal(reply, true, &size);
    int64_t expected = 0;
    for (uint32_t i = 0; i < fetching->count; i++)
        expected += revision_chunk_length(fetching->revision, fetching->first + i);
    if (memory && size >= WORTH && size <= expected + expected / 4) {
        memory = bson_realloc(memory, size); /* the driver rounds up, to twice as much at the worst */
        fetching->block = blob_block_new(fetching->budget, memory, size, bson_free);
        fetching->memory = memory;
    }
    int result = memory ? take_batch(fetching, memory, size) : -ENOMEM;
    if (fetching->block)
        fetching->block = blob_block_unref(fetching->block);
    else
        bson_free(memory);
    return result;
}

static int ask(struct bucket *bucket, struct fetching *fetching, const mongoc_read_prefs_t *preference) {
    bool last = fetching->first + fetching->count == fetching->chunks;
    int64_t end = (int64_t)fetching->first + fetching->count + (last ? 1 : 0); /* one more shows an extra chunk */
    bson_t id, filter = BSON_INITIALIZER, range;
    CHECK(bson_init_static(&id, fetching->revision->id, fetching->revision->id_size));
    bucket_match_id(&filter, "files_id", &id);
    bson_append_document_begin(&filter, "n", -1, &range);
    BSON_APPEND_INT32(&range, "$gte", (int32_t)fetching->first);
    BSON_APPEND_INT64(&range, "$lt", end);
    bson_append_document_end(&filter, &range);
    bson_t reply;
    int result = connection_find_whole(bucket->connection, bucket->chunks, &filter, (int32_t)fetching->count + 2,
                                       preference, &reply);
    if (result == 0)
        result = take_reply(fetching, &reply);
    else if (result == -E2BIG)
        result = connection_find(bucket->connection, bucket->chunks, &filter, NULL, preference, take_chunk, fetching);
    bson_destroy(&filter);
    return result;
}

static bool complete(const struct fetching *fetching) {
    for (uint32_t i = 0; i < fetching->count; i++)
        if (!fetching->blobs[i] || fetching->damage[i])
            return false;
    return true;
}

static void forget(struct fetching *fetching) {
    for (uint32_t i = 0; i < fetching->count; i++) {
        fetching->blobs[i] = blob_unref(fetching->blobs[i]);
        fetching->damage[i] = NULL;
    }
}

/* A secondary may lag: a chunk counts as damaged only when the primary says so too. */
static int ask_primary(struct bucket *bucket, struct fetching *fetching) {
    forget(fetching);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = ask(bucket, fetching, primary);
    mongoc_read_prefs_destroy(primary);
    return result;
}

struct owner {
    struct bucket *bucket;
    const struct revision *revision;
    bool there;
    char name[256];
};

static int take_owner(void *context, const bson_t *document) {
    struct owner *owner = context;
    cleanup_with(revision_unref) struct revision *now = NULL;
    if (document_revision(document, &owner->bucket->store, &now))
        return 0;
    owner->there = revision_same_content(now, owner->revision);
    size_t size = 0;
    const char *name = document_filename(document, &size);
    snprintf(owner->name, sizeof owner->name, "%.*s", (int)(size < 200 ? size : 200), name ? name : "");
    return 1;
}

/* Whether the revision is still in the files collection: without it, it was deleted and is not damaged. */
static int find_owner(struct bucket *bucket, struct owner *owner) {
    bson_t id, filter = BSON_INITIALIZER;
    CHECK(bson_init_static(&id, owner->revision->id, owner->revision->id_size));
    bucket_match_id(&filter, "_id", &id);
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), DOCUMENT_FILE_FIELDS);
    int result = bucket_find(bucket, bucket->files, &filter, options, take_owner, owner);
    bson_destroy(options);
    bson_destroy(&filter);
    return result < 0 ? result : 0;
}

/* Applications put again under an _id of their own making: then the chunks may be another content's. The files document
 * goes first and comes last, so if it is still there after the chunks were read, they were this revision's. */
static int check_owner(struct bucket *bucket, const struct revision *revision) {
    struct owner owner = {.bucket = bucket, .revision = revision};
    int result = find_owner(bucket, &owner);
    return result ? result : owner.there ? 0 : -ESTALE;
}

/* Gives each chunk that is not sound its error, and says so in the log. */
static int judge(struct bucket *bucket, struct fetching *fetching, int *ret_errors) {
    struct owner owner = {.bucket = bucket, .revision = fetching->revision};
    int result = find_owner(bucket, &owner);
    if (result)
        return result;
    for (uint32_t i = 0; i < fetching->count; i++) {
        const char *damage = fetching->damage[i] ? fetching->damage[i] : fetching->blobs[i] ? NULL : "it is missing";
        if (!damage)
            continue;
        fetching->blobs[i] = blob_unref(fetching->blobs[i]);
        ret_errors[i] = owner.there ? -EIO : -ESTALE;
        if (owner.there) {
            stats_add(STAT_damaged_chunks, 1);
            log_error("file '%s' in bucket %s is damaged at chunk %u: %s", owner.name, bucket->store.bucket,
                      fetching->first + i, damage);
        }
    }
    return 0;
}

static int fetch_range(struct bucket *bucket, const struct revision *revision, uint32_t first, uint32_t count,
                       struct budget *budget, struct blob **ret_blobs, int *ret_errors) {
    const char *damage[STORE_FETCH_MOST] = {0};
    struct fetching fetching = {.revision = revision,
                                .budget = budget,
                                .first = first,
                                .count = count,
                                .chunks = revision_chunks(revision),
                                .blobs = ret_blobs,
                                .damage = damage};
    CHECK(count > 0 && count <= STORE_FETCH_MOST && first + count <= fetching.chunks);
    /* A secondary that lags may still have the chunks of what such an _id had before, and those look sound. */
    int result = bucket_may_reuse_id(revision) ? ask_primary(bucket, &fetching) : ask(bucket, &fetching, NULL);
    if (result == 0 && !complete(&fetching))
        result = ask_primary(bucket, &fetching);
    if (result == 0 && complete(&fetching) && bucket_may_reuse_id(revision))
        result = check_owner(bucket, revision);
    if (result == 0 && !complete(&fetching))
        result = judge(bucket, &fetching, ret_errors);
    if (result)
        forget(&fetching);
    return result;
}

/* A connection that breaks in the middle of a range would break there again: what it carries becomes less each time, down
 * to a chunk, which is tried until the timeout is over. */
int bucket_fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors) {
    struct bucket *bucket = (struct bucket *)store;
    int64_t end_ms = clock_now_ms() + bucket->policy.timeout_ms;
    int result = 0;
    for (uint32_t done = 0, piece = count; result == 0 && done < count;) {
        int64_t began_ms = clock_now_ms();
        uint32_t now = piece < count - done ? piece : count - done;
        result = fetch_range(bucket, revision, first + done, now, budget, ret_blobs + done, ret_errors + done);
        if (result == 0) {
            done += now;
        } else if (began_ms < end_ms && bucket_broke_off(bucket, result, began_ms)) {
            piece = piece > 1 ? piece / 2 : 1;
            result = 0;
        }
        for (uint32_t i = 0; result && i < done; i++)
            ret_blobs[i] = blob_unref(ret_blobs[i]);
    }
    return result;
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/janitor.h"

struct expired {
    bson_oid_t first;
    bool there;
    bool published[INTENT_IDS];
};

static int take_expired(void *context, const bson_t *document) {
    struct expired *expired = context;
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, "_id") || !BSON_ITER_HOLDS_OID(&iter))
        return 0;
    expired->first = *bson_iter_oid(&iter);
    expired->there = expired->first.bytes[11] == 0;
    return expired->there;
}

/* Claims one: its owner, should it live, cannot renew it from here on. Not even if that is this mount, which may have had
 * nothing to say of an upload for long. */
static int claim_expired(const struct round *round, struct expired *expired) {
    struct bucket *bucket = round->bucket;
    int64_t claimed = 0;
    bson_t *filter = BCON_NEW("kind", BCON_UTF8("put"), "until", "{", "$lt", BCON_DATE_TIME(round->now_ms), "}", "_id",
                              "{", "$type", "objectId", "}");
    bson_t *options = BCON_NEW("batchSize", BCON_INT32(16)); /* the first that a mount may have made, however many others */
    int result = bucket_find(bucket, bucket->intents, filter, options, take_expired, expired);
    bson_destroy(options);
    bson_destroy(filter);
    if (result > 0) {
        bson_oid_t claimer;
        bson_oid_init(&claimer, NULL);
        filter = BCON_NEW("_id", BCON_OID(&expired->first), "until", "{", "$lt", BCON_DATE_TIME(round->now_ms), "}");
        bson_t *update = BCON_NEW("$set", "{", "owner", BCON_OID(&claimer), "until",
                                  BCON_DATE_TIME(round->now_ms + INTENT_LEASE_MS), "}");
        result = bucket_update(bucket, bucket->intents, filter, update, false, false, &claimed);
        bson_destroy(update);
        bson_destroy(filter);
        expired->there = claimed > 0;
    }
    return result < 0 ? result : 0;
}

static int take_published(void *context, const bson_t *document) {
    struct expired *expired = context;
    bson_iter_t iter;
    if (bson_iter_init_find(&iter, document, "_id") && BSON_ITER_HOLDS_OID(&iter))
        expired->published[bson_iter_oid(&iter)->bytes[11]] = true;
    return 0;
}

static int find_published(struct bucket *bucket, const char *collection, struct expired *expired) {
    bson_oid_t last = expired->first;
    last.bytes[11] = INTENT_IDS - 1;
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_OID(&expired->first), "$lte", BCON_OID(&last), "}");
    bson_t *options = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, collection, filter, options, take_published, expired);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

static int delete_chunks_of(struct bucket *bucket, const bson_oid_t *from, const bson_oid_t *to) {
    bson_t *filter = BCON_NEW("files_id", "{", "$gte", BCON_OID(from), "$lte", BCON_OID(to), "}");
    int result = bucket_delete(bucket, bucket->chunks, filter, true, NULL);
    bson_destroy(filter);
    return result;
}

/* By runs of ids without a file: mostly one, of those that were never used. */
static int delete_unpublished(struct bucket *bucket, const struct expired *expired) {
    int result = 0;
    for (unsigned first = 0, end; result == 0 && first < INTENT_IDS; first = end + 1) {
        for (end = first; end < INTENT_IDS && !expired->published[end]; end++)
            continue;
        bson_oid_t from = expired->first, to = expired->first;
        from.bytes[11] = (uint8_t)first;
        to.bytes[11] = (uint8_t)(end - 1);
        if (end > first)
            result = delete_chunks_of(bucket, &from, &to);
    }
    return result;
}

static int delete_intent(struct bucket *bucket, const struct expired *expired) {
    bson_t *filter = BCON_NEW("_id", BCON_OID(&expired->first));
    int result = bucket_delete(bucket, bucket->intents, filter, false, NULL);
    bson_destroy(filter);
    return result;
}

int janitor_end_intents(const struct round *round) {
    int result = 0;
    while (result == 0 && clock_now_ms() < round->end_ms) {
        struct expired expired = {0};
        result = claim_expired(round, &expired);
        if (result || !expired.there)
            break;
        log_debug("cleaning up after a mount of bucket %s that ended, or made no use of its ids for long",
                  round->bucket->store.bucket);
        result = find_published(round->bucket, round->bucket->files, &expired);
        if (result == 0) /* what was retired since is there to be read until it is due */
            result = find_published(round->bucket, round->bucket->trash, &expired);
        if (result == 0)
            result = delete_unpublished(round->bucket, &expired);
        if (result == 0)
            result = delete_intent(round->bucket, &expired);
    }
    return result;
}

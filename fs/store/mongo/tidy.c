// SPDX-License-Identifier: Apache-2.0
/* Housekeeping, about once a minute: one mount at a time, by a lease ({_id: "janitor"} in intents) that it renews each
 * time, empties the trash and ends what dead mounts began. Another goes on where it stopped when the lease has expired;
 * that this may be in the middle of a long step of its own does no harm. */
#include <errno.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/janitor.h"
#include "fs/store/mongo/rename.h"

enum { LEASE_MS = 90 * 1000, ROUND_MS = 30 * 1000 };

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

static int has_any(struct bucket *bucket, const char *collection) {
    bson_t everything = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, collection, &everything, options, found_one, NULL);
    bson_destroy(options);
    bson_destroy(&everything);
    return result;
}

/* ---- one mount at a time ---- */

static int update_lease(const struct round *round, bson_t *filter, int64_t *ret_matched) {
    struct bucket *bucket = round->bucket;
    bson_t *update = BCON_NEW("$set", "{", "owner", BCON_OID(&bucket->puts.owner), "until",
                              BCON_DATE_TIME(round->now_ms + LEASE_MS), "}");
    int result = bucket_update(bucket, bucket->intents, filter, update, false, false, ret_matched);
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

/* 1 when this mount is the janitor for LEASE_MS, 0 when another is. */
static int become_janitor(const struct round *round) {
    struct bucket *bucket = round->bucket;
    int64_t matched = 0;
    int result = update_lease(round, BCON_NEW("_id", BCON_UTF8("janitor"), "owner", BCON_OID(&bucket->puts.owner)),
                              &matched);
    if (result == 0 && matched == 0)
        result = update_lease(round, BCON_NEW("_id", BCON_UTF8("janitor"), "until", "{", "$not", "{", "$gte",
                                              BCON_DATE_TIME(round->now_ms), "}", "}"), &matched); /* or is no date */
    if (result || matched)
        return result ? result : 1;
    bson_t *lease = BCON_NEW("_id", BCON_UTF8("janitor"), "kind", BCON_UTF8("janitor"), "owner",
                             BCON_OID(&bucket->puts.owner), "until", BCON_DATE_TIME(round->now_ms + LEASE_MS));
    result = bucket_insert(bucket, bucket->intents, lease);
    bson_destroy(lease);
    return result == -EEXIST ? 0 : result ? result : 1;
}

void janitor_done(struct bucket *bucket) {
    if (!bucket->is_janitor || !connection_healthy(bucket->connection))
        return;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8("janitor"), "owner", BCON_OID(&bucket->puts.owner));
    if (bucket_delete(bucket, bucket->intents, filter, false, NULL))
        log_debug("the janitor's lease could not be given back; it will expire");
    bson_destroy(filter);
}

int bucket_tidy(struct store *store, struct revision *const *open, uint32_t count) {
    struct bucket *bucket = (struct bucket *)store;
    struct round round = {.bucket = bucket, .open = open, .open_count = count};
    round.end_ms = clock_now_ms() + ROUND_MS;
    int trash = has_any(bucket, bucket->trash), intents = has_any(bucket, bucket->intents);
    if (trash < 0 || intents < 0 || (!trash && !intents)) /* on an untouched bucket nothing is written */
        return trash < 0 ? trash : intents < 0 ? intents : 0;
    int result = bucket_now_ms(bucket, &round.now_ms);
    if (result == 0)
        result = become_janitor(&round);
    if (result >= 0)
        bucket->is_janitor = result;
    if (result > 0) {
        result = janitor_empty_trash(&round);
        int ended = janitor_end_intents(&round);
        int renamed = rename_recover(bucket, round.end_ms);
        result = result ? result : ended ? ended : renamed;
    }
    return result;
}

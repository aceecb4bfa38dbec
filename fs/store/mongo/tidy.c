/* Housekeeping, about once a minute. Every mount keeps what it has open out of the trash's reach; one mount at a time,
 * by a lease ({_id: "janitor"} in intents), empties the trash and ends what dead mounts began. */
#include <errno.h>

#include "cache/base/clock.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/janitor.h"
#include "fs/store/mongo/rename.h"
#include "fs/store/mongo/retire.h"

enum { LEASE_MS = 3 * 60 * 1000, ROUND_MS = 30 * 1000, OPEN_AT_ONCE = 500 };

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

/* ---- what is open here stays ---- */

static int keep_some(const struct round *round, struct revision *const *open, uint32_t count) {
    bson_t filter = BSON_INITIALIZER, among, ids, id;
    bson_iter_t value;
    bson_append_document_begin(&filter, "_id", -1, &among);
    bson_append_array_begin(&among, "$in", -1, &ids);
    for (uint32_t i = 0; i < count; i++) {
        char text[16];
        const char *index;
        (void)bson_uint32_to_string(i, &index, text, sizeof text);
        if (bson_init_static(&id, open[i]->id, open[i]->id_size) && bson_iter_init_find(&value, &id, "_id"))
            document_append(&ids, index, &value);
    }
    bson_append_array_end(&among, &ids);
    bson_append_document_end(&filter, &among);
    bson_t *update = BCON_NEW("$max", "{", "due", BCON_DATE_TIME(round->now_ms + RETIRE_GRACE_MS), "}");
    int result = bucket_update(round->bucket, round->bucket->trash, &filter, update, true, false, NULL);
    bson_destroy(update);
    bson_destroy(&filter);
    return result;
}

static int keep_open(const struct round *round) {
    int result = 0;
    for (uint32_t i = 0; result == 0 && i < round->open_count; i += OPEN_AT_ONCE) {
        uint32_t left = round->open_count - i;
        result = keep_some(round, round->open + i, left < OPEN_AT_ONCE ? left : OPEN_AT_ONCE);
    }
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
        result = update_lease(round, BCON_NEW("_id", BCON_UTF8("janitor"), "until", "{", "$lt",
                                              BCON_DATE_TIME(round->now_ms), "}"), &matched);
    if (result || matched)
        return result ? result : 1;
    bson_t *lease = BCON_NEW("_id", BCON_UTF8("janitor"), "kind", BCON_UTF8("janitor"), "owner",
                             BCON_OID(&bucket->puts.owner), "until", BCON_DATE_TIME(round->now_ms + LEASE_MS));
    result = bucket_insert(bucket, bucket->intents, lease);
    bson_destroy(lease);
    return result == -EEXIST ? 0 : result ? result : 1;
}

int bucket_tidy(struct store *store, struct revision *const *open, uint32_t count) {
    struct bucket *bucket = (struct bucket *)store;
    struct round round = {.bucket = bucket, .open = open, .open_count = count};
    round.end_ms = clock_now_ms() + ROUND_MS;
    int trash = has_any(bucket, bucket->trash), intents = has_any(bucket, bucket->intents);
    if (trash < 0 || intents < 0 || (!trash && !intents)) /* on an untouched bucket nothing is written */
        return trash < 0 ? trash : intents < 0 ? intents : 0;
    int result = bucket_now_ms(bucket, &round.now_ms);
    if (result == 0 && trash)
        result = keep_open(&round);
    if (result == 0)
        result = become_janitor(&round);
    if (result > 0) {
        result = janitor_empty_trash(&round);
        int ended = janitor_end_intents(&round);
        int renamed = rename_recover(bucket, round.end_ms);
        result = result ? result : ended ? ended : renamed;
    }
    return result;
}

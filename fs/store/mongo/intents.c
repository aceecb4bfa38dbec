// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/intents.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cache/base/log.h"
#include "fs/store/mongo/change.h"

struct intent {
    bson_oid_t first;
    unsigned used, under_way;
    bool left_over; /* a put left chunks behind */
    int64_t until_ms;
};

void intents_init(struct intents *intents) {
    lock_init(&intents->lock, LOCK_SURVEY);
    bson_oid_init(&intents->owner, NULL);
}

/* The last byte counts the ids of a record, the two before it the records made within a second. */
static void make_first(bson_oid_t *ret_first) {
    static atomic_uint counter;
    unsigned count = atomic_fetch_add(&counter, 1);
    bson_oid_init(ret_first, NULL);
    ret_first->bytes[9] = (uint8_t)(count >> 8);
    ret_first->bytes[10] = (uint8_t)count;
    ret_first->bytes[11] = 0;
}

static int make_intent(struct bucket *bucket, struct intent **ret_intent) {
    int64_t now;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    struct intent *intent = calloc(1, sizeof *intent);
    if (!intent)
        return -ENOMEM;
    make_first(&intent->first);
    intent->until_ms = now + INTENT_LEASE_MS;
    bson_t *record = BCON_NEW("_id", BCON_OID(&intent->first), "kind", BCON_UTF8("put"), "owner",
                              BCON_OID(&bucket->puts.owner), "count", BCON_INT32(INTENT_IDS), "until",
                              BCON_DATE_TIME(intent->until_ms));
    result = bucket_insert(bucket, bucket->intents, record);
    bson_destroy(record);
    if (result)
        free(intent);
    else
        *ret_intent = intent;
    return result;
}

static void delete_record(struct bucket *bucket, const bson_oid_t *first) {
    bson_t *filter = BCON_NEW("_id", BCON_OID(first), "owner", BCON_OID(&bucket->puts.owner));
    if (bucket_delete(bucket, bucket->intents, filter, false, NULL))
        log_debug("an intent could not be taken back; it will expire");
    bson_destroy(filter);
}

/* Whether it is of no use any more; then it is the caller's. */
static bool is_over(struct intents *intents, struct intent *intent) {
    return intent != intents->current && intent->under_way == 0;
}

static void end_intent(struct bucket *bucket, struct intent *intent) {
    if (!intent->left_over && connection_healthy(bucket->connection))
        delete_record(bucket, &intent->first);
    free(intent);
}

/* Makes `intent` (or none) the one that ids are taken from. */
static void replace_current(struct bucket *bucket, struct intent *intent) {
    struct intents *intents = &bucket->puts;
    lock_acquire(&intents->lock);
    struct intent *before = intents->current;
    intents->current = intent;
    bool over = before && is_over(intents, before);
    lock_release(&intents->lock);
    if (over)
        end_intent(bucket, before);
}

void intents_done(struct bucket *bucket) {
    replace_current(bucket, NULL);
    lock_done(&bucket->puts.lock);
}

/* An id of the current record, when it has one and time left. */
static struct intent *take_locked(struct intents *intents, int64_t now, bson_oid_t *ret_id) {
    struct intent *intent = intents->current;
    if (!intent || intent->used == INTENT_IDS || intent->until_ms - now < INTENT_LEASE_MS / 2)
        return NULL;
    *ret_id = intent->first;
    ret_id->bytes[11] = (uint8_t)intent->used++;
    intent->under_way++;
    return intent;
}

int intents_take(struct bucket *bucket, bson_oid_t *ret_id, struct intent **ret_intent) {
    struct intents *intents = &bucket->puts;
    for (;;) {
        int64_t now;
        int result = bucket_now_ms(bucket, &now);
        if (result)
            return result;
        lock_acquire(&intents->lock);
        struct intent *intent = take_locked(intents, now, ret_id);
        lock_release(&intents->lock);
        if (intent) {
            *ret_intent = intent;
            return 0;
        }
        result = make_intent(bucket, &intent);
        if (result)
            return result;
        replace_current(bucket, intent);
    }
}

int intents_keep(struct bucket *bucket, struct intent *intent) {
    struct intents *intents = &bucket->puts;
    int64_t now, renewed = 0;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    lock_acquire(&intents->lock);
    int64_t left = intent->until_ms - now;
    lock_release(&intents->lock);
    if (left >= INTENT_LEASE_MS / 2)
        return 0;
    bson_t *filter = BCON_NEW("_id", BCON_OID(&intent->first), "owner", BCON_OID(&intents->owner));
    bson_t *update = BCON_NEW("$set", "{", "until", BCON_DATE_TIME(now + INTENT_LEASE_MS), "}");
    result = bucket_update(bucket, bucket->intents, filter, update, false, false, &renewed);
    bson_destroy(filter);
    bson_destroy(update);
    if (result)
        return result;
    if (!renewed)
        return log_error("an upload was without contact for so long that others cleaned up after it"), -ETIMEDOUT;
    lock_acquire(&intents->lock);
    intent->until_ms = now + INTENT_LEASE_MS;
    lock_release(&intents->lock);
    return 0;
}

void intents_settle(struct bucket *bucket, struct intent *intent, bool clean) {
    struct intents *intents = &bucket->puts;
    lock_acquire(&intents->lock);
    intent->under_way--;
    if (!clean) {
        intent->left_over = true;
        if (intents->current == intent)
            intents->current = NULL;
    }
    bool over = is_over(intents, intent);
    lock_release(&intents->lock);
    if (over)
        end_intent(bucket, intent);
}

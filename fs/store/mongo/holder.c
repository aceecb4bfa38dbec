// SPDX-License-Identifier: Apache-2.0
/* Mounts that hold locks: whether this one lives, and whether another does. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/hold.h"

enum { FRESH_MS = HOLD_LIFE_MS / 2, DOUBT_MS = 1000, AGAIN_MS = 500 };

static int64_t now_awake_or_not_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bson_t *document_of(const bson_oid_t *mount) {
    char text[25], id[64];
    bson_oid_to_string(mount, text);
    snprintf(id, sizeof id, "/mount/%s", text);
    return BCON_NEW("_id", BCON_UTF8(id));
}

/* ---- this one ---- */

static int enter(struct bucket *bucket, const bson_oid_t *mount) {
    int64_t now;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_t *document = document_of(mount);
    BSON_APPEND_DATE_TIME(document, "until", now + HOLD_LIFE_MS);
    result = bucket_insert(bucket, bucket->locks, document);
    bson_destroy(document);
    return result == -EEXIST ? 0 : result; /* by another thread */
}

/* -ENOLCK: others have found it dead. */
static int renew(struct bucket *bucket, const bson_oid_t *mount) {
    int64_t now, matched = 0;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_t *filter = document_of(mount);
    bson_t *update = BCON_NEW("$set", "{", "until", BCON_DATE_TIME(now + HOLD_LIFE_MS), "}");
    result = bucket_update(bucket, bucket->locks, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    return result ? result : matched ? 0 : -ENOLCK;
}

/* What became of the mount that was entered or renewed at this time. */
static void note(struct bucket *bucket, const bson_oid_t *mount, int64_t asked_ms, int result) {
    struct holder *holder = &bucket->holder;
    bool lost = false;
    lock_acquire(&holder->lock);
    if (bson_oid_equal(&holder->mount, mount)) {
        if (result == 0) {
            holder->registered = true;
            holder->renewed_ms = asked_ms > holder->renewed_ms ? asked_ms : holder->renewed_ms;
        } else if (result == -ENOLCK) {
            lost = holder->holding > 0;
            holder->registered = false;
            bson_oid_init(&holder->mount, NULL);
        }
    }
    lock_release(&holder->lock);
    if (lost)
        log_error("bucket %s: locks were lost, since the server has not heard of this mount for %d s",
                  bucket->store.bucket, HOLD_LIFE_MS / 1000);
}

static int refresh(struct bucket *bucket, const bson_oid_t *mount, bool registered) {
    int64_t asked_ms = now_awake_or_not_ms();
    int result = registered ? renew(bucket, mount) : enter(bucket, mount);
    note(bucket, mount, asked_ms, result);
    return result;
}

int holder_live(struct bucket *bucket, bson_oid_t *ret_mount) {
    struct holder *holder = &bucket->holder;
    lock_acquire(&holder->lock);
    bson_oid_t mount = holder->mount;
    bool registered = holder->registered;
    bool fresh = registered && now_awake_or_not_ms() - holder->renewed_ms < FRESH_MS;
    lock_release(&holder->lock);
    int result = fresh ? 0 : refresh(bucket, &mount, registered);
    if (result == 0)
        *ret_mount = mount;
    return result;
}

int holder_check(struct bucket *bucket, const bson_oid_t *mount) {
    bson_oid_t now = *mount;
    int result = holder_live(bucket, &now);
    return result ? result : bson_oid_equal(&now, mount) ? 0 : -ENOLCK;
}

/* ---- others ---- */

static int take_until(void *context, const bson_t *document) {
    int64_t *until = context;
    bson_iter_t field;
    *until = bson_iter_init_find(&field, document, "until") && BSON_ITER_HOLDS_DATE_TIME(&field)
                 ? bson_iter_date_time(&field)
                 : 0;
    return 1;
}

/* Who deletes its document has decided it: renewed in between, it does not match any more. */
static int bury(struct bucket *bucket, const bson_oid_t *mount, int64_t until_ms) {
    int64_t deleted = 0;
    bson_t *filter = document_of(mount);
    BSON_APPEND_DATE_TIME(filter, "until", until_ms);
    int result = bucket_delete(bucket, bucket->locks, filter, false, &deleted);
    bson_destroy(filter);
    return result ? result : deleted > 0;
}

int holder_is_dead(struct bucket *bucket, const struct hold_found *found) {
    int64_t now, until = 0;
    int result = bucket_now_ms(bucket, &now);
    if (result || found->until_ms > now)
        return result;
    bson_t *filter = document_of(&found->mount), *options = BCON_NEW("limit", BCON_INT64(1));
    result = bucket_find(bucket, bucket->locks, filter, options, take_until, &until);
    bson_destroy(options);
    bson_destroy(filter);
    if (result <= 0)
        return result < 0 ? result : 1; /* buried already */
    return until + DOUBT_MS < now ? bury(bucket, &found->mount, until) : 0;
}

/* ---- the thread ---- */

static void *keep(void *argument) {
    struct bucket *bucket = argument;
    struct holder *holder = &bucket->holder;
    lock_acquire(&holder->lock);
    while (!holder->stopping) {
        int64_t left = holder->renewed_ms + HOLD_RENEW_MS - now_awake_or_not_ms();
        bson_oid_t mount = holder->mount;
        if (!holder->holding || !holder->registered) {
            condition_wait(&holder->changed, &holder->lock);
        } else if (left > 0) {
            (void)condition_wait_for(&holder->changed, &holder->lock, left);
        } else {
            lock_release(&holder->lock);
            int result = refresh(bucket, &mount, true);
            lock_acquire(&holder->lock);
            if (result && !holder->stopping)
                (void)condition_wait_for(&holder->changed, &holder->lock, AGAIN_MS);
        }
    }
    lock_release(&holder->lock);
    return NULL;
}

void holder_init(struct holder *holder) {
    lock_init(&holder->lock, LOCK_SURVEY);
    condition_init(&holder->changed);
    bson_oid_init(&holder->mount, NULL);
}

bson_oid_t holder_mount(struct holder *holder) {
    lock_acquire(&holder->lock);
    bson_oid_t mount = holder->mount;
    lock_release(&holder->lock);
    return mount;
}

void holder_done(struct bucket *bucket) {
    struct holder *holder = &bucket->holder;
    lock_acquire(&holder->lock);
    holder->stopping = true;
    condition_broadcast(&holder->changed);
    bool started = holder->started, registered = holder->registered;
    lock_release(&holder->lock);
    if (started)
        pthread_join(holder->thread, NULL);
    if (registered && connection_healthy(bucket->connection)) {
        bson_t *document = document_of(&holder->mount);
        (void)bucket_delete(bucket, bucket->locks, document, false, NULL);
        bson_destroy(document);
    }
    condition_done(&holder->changed);
    lock_done(&holder->lock);
}

/* Without a thread what is held is renewed by who locks and unlocks, or lost. */
void holder_count(struct bucket *bucket, int change) {
    struct holder *holder = &bucket->holder;
    lock_acquire(&holder->lock);
    holder->holding = (unsigned)((int)holder->holding + change);
    if (!holder->started && holder->holding)
        holder->started = pthread_create(&holder->thread, NULL, keep, bucket) == 0;
    if (change > 0)
        condition_broadcast(&holder->changed);
    lock_release(&holder->lock);
}

// SPDX-License-Identifier: Apache-2.0
/* The thread that renews the claims of a bucket and deletes those given up, many at once. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/lease.h"

enum {
    ENDED_MOST = 10000, /* past that they are left to expire */
    GATHER_MS = 20,     /* well below what another mount waits for a claim to go */
    AGAIN_MS = 200,
};

static void lease_free(struct store_lease *lease) {
    free(lease->path);
    free(lease);
}

static void free_all(struct store_lease **list) {
    struct store_lease *lease, *next;
    DL_FOREACH_SAFE(*list, lease, next) {
        DL_DELETE(*list, lease);
        lease_free(lease);
    }
}

/* {_id: one of these paths, owner: one of these}, of at most LEASES_AT_ONCE; *ret_rest is the first left out. No claim
 * of another can match, since owners are made for one claim each. */
static bson_t *match(struct store_lease *first, struct store_lease **ret_rest) {
    bson_t *filter = bson_new(), paths = BSON_INITIALIZER, owners = BSON_INITIALIZER;
    struct store_lease *lease = first;
    for (uint32_t i = 0; lease && i < LEASES_AT_ONCE; i++, lease = lease->next) {
        char text[16];
        const char *index;
        size_t size = bson_uint32_to_string(i, &index, text, sizeof text);
        bson_append_utf8(&paths, index, (int)size, lease->path, -1);
        bson_append_oid(&owners, index, (int)size, &lease->owner);
    }
    BCON_APPEND(filter, "_id", "{", "$in", BCON_ARRAY(&paths), "}", "owner", "{", "$in", BCON_ARRAY(&owners), "}");
    bson_destroy(&paths);
    bson_destroy(&owners);
    *ret_rest = lease;
    return filter;
}

/* ---- deleting ---- */

/* More may come: one deletion serves them all. */
static void gather_locked(struct leases *leases) {
    int64_t until = clock_now_ms() + GATHER_MS, left;
    while (!leases->stopping && (left = until - clock_now_ms()) > 0)
        (void)condition_wait_for(&leases->changed, &leases->lock, left);
}

/* Called with the lock, which it gives up while it asks. */
static void delete_ended_locked(struct bucket *bucket) {
    struct leases *leases = &bucket->leases;
    struct store_lease *rest;
    bson_t *filter = match(leases->ended, &rest);
    while (leases->ended != rest) {
        struct store_lease *lease = leases->ended;
        DL_DELETE(leases->ended, lease);
        DL_APPEND(leases->ending, lease);
    }
    lock_release(&leases->lock);
    int result = bucket_delete(bucket, bucket->locks, filter, true, NULL);
    bson_destroy(filter);
    lock_acquire(&leases->lock);
    bool again = result && result != -EACCES && !leases->stopping;
    if (again) { /* else others would wait for a claim that nobody holds, until it expires */
        DL_CONCAT(leases->ended, leases->ending);
        leases->ending = NULL;
        (void)condition_wait_for(&leases->changed, &leases->lock, AGAIN_MS);
        return;
    }
    free_all(&leases->ending);
    if (result) {
        log_debug("claims of bucket %s are left to expire", bucket->store.bucket);
        free_all(&leases->ended);
    }
}

/* ---- renewing ---- */

static void renew(struct bucket *bucket, bson_t *const *filters, unsigned count) {
    int64_t now;
    int result = count ? bucket_now_ms(bucket, &now) : 0;
    for (unsigned i = 0; i < count; i++) {
        bson_t *update = BCON_NEW("$set", "{", "until", BCON_DATE_TIME(now + LEASE_LIFE_MS), "}");
        if (result == 0)
            result = bucket_update(bucket, bucket->locks, filters[i], update, true, false, NULL);
        bson_destroy(update);
    }
    if (result)
        log_debug("claims of bucket %s could not be renewed", bucket->store.bucket); /* checked before they count */
}

static void renew_held_locked(struct bucket *bucket) {
    enum { FILTERS = 64 };
    struct leases *leases = &bucket->leases;
    bson_t *filters[FILTERS];
    unsigned count = 0;
    for (struct store_lease *rest = leases->held; rest && count < FILTERS;)
        filters[count++] = match(rest, &rest);
    lock_release(&leases->lock);
    renew(bucket, filters, count);
    while (count)
        bson_destroy(filters[--count]);
    lock_acquire(&leases->lock);
}

/* ---- the thread ---- */

static void *keep(void *argument) {
    struct bucket *bucket = argument;
    struct leases *leases = &bucket->leases;
    int64_t renewed = clock_now_ms();
    lock_acquire(&leases->lock);
    while (!leases->stopping || leases->ended) {
        int64_t left = renewed + LEASE_RENEW_MS - clock_now_ms();
        bool away = !connection_healthy(bucket->connection);
        if (away && leases->ended && leases->stopping) { /* nobody should wait for a server that is away */
            free_all(&leases->ended);
        } else if (away && leases->ended && left > AGAIN_MS) {
            (void)condition_wait_for(&leases->changed, &leases->lock, AGAIN_MS);
        } else if (leases->ended && !away) {
            gather_locked(leases);
            delete_ended_locked(bucket);
        } else if (left <= 0) {
            renew_held_locked(bucket);
            renewed = clock_now_ms();
        } else {
            (void)condition_wait_for(&leases->changed, &leases->lock, left);
        }
    }
    lock_release(&leases->lock);
    return NULL;
}

void leases_init(struct leases *leases) {
    lock_init(&leases->lock, LOCK_SURVEY);
    condition_init(&leases->changed);
}

void leases_done(struct bucket *bucket) {
    struct leases *leases = &bucket->leases;
    lock_acquire(&leases->lock);
    bool started = leases->started;
    leases->stopping = true;
    condition_signal(&leases->changed);
    lock_release(&leases->lock);
    if (started)
        pthread_join(leases->thread, NULL);
    free_all(&leases->held);
    free_all(&leases->ended);
    condition_done(&leases->changed);
    lock_done(&leases->lock);
}

int leases_hold(struct bucket *bucket, struct store_lease *lease) {
    struct leases *leases = &bucket->leases;
    int result = 0;
    lock_acquire(&leases->lock);
    if (!leases->started)
        result = -pthread_create(&leases->thread, NULL, keep, bucket);
    leases->started = result == 0;
    if (result == 0)
        DL_APPEND(leases->held, lease);
    lock_release(&leases->lock);
    return result;
}

struct store_lease *lease_end(struct bucket *bucket, struct store_lease *lease) {
    if (!lease)
        return NULL;
    struct leases *leases = &bucket->leases;
    struct store_lease *each;
    int count = 0;
    lock_acquire(&leases->lock);
    DL_DELETE(leases->held, lease);
    DL_COUNT(leases->ended, each, count);
    if (count < ENDED_MOST)
        DL_APPEND(leases->ended, lease);
    else
        lease_free(lease);
    if (count == 0) /* else it knows */
        condition_signal(&leases->changed);
    lock_release(&leases->lock);
    return NULL;
}

static bool find_owner(struct store_lease *list, const char *path, bson_oid_t *ret_owner) {
    struct store_lease *lease;
    DL_FOREACH(list, lease) {
        if (strcmp(lease->path, path) == 0) {
            *ret_owner = lease->owner;
            return true;
        }
    }
    return false;
}

bool leases_ended_owner(struct bucket *bucket, const char *path, bson_oid_t *ret_owner) {
    struct leases *leases = &bucket->leases;
    lock_acquire(&leases->lock);
    bool found = find_owner(leases->ended, path, ret_owner) || find_owner(leases->ending, path, ret_owner);
    lock_release(&leases->lock);
    return found;
}

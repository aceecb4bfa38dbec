// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/lease.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/presence.h"

/* Another mount deletes its claim behind a creation: a name is busy only when it still is a moment later. */
enum { TRIES = 4, MOMENT_MS = 25, NODE_TRIES = 10 };

/* So long most creations take at most; what is left of the claim then is enough for any commit. */
enum { LEASE_FRESH_MS = LEASE_LIFE_MS / 6 };

static int64_t now_awake_or_not_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_a_moment(void) {
    struct timespec moment = {.tv_nsec = MOMENT_MS * 1000000L};
    nanosleep(&moment, NULL);
}

static struct store_lease *lease_new(const char *path) {
    struct store_lease *lease = calloc(1, sizeof *lease);
    if (!lease || !(lease->path = strdup(path))) {
        free(lease);
        return NULL;
    }
    bson_oid_init(&lease->owner, NULL);
    return lease;
}

static int insert(struct bucket *bucket, const struct store_lease *lease, int64_t now) {
    bson_t *claim = BCON_NEW("_id", BCON_UTF8(lease->path), "owner", BCON_OID(&lease->owner), "until",
                             BCON_DATE_TIME(now + LEASE_LIFE_MS));
    int result = bucket_insert(bucket, bucket->locks, claim);
    bson_destroy(claim);
    return result;
}

/* One that has expired, or that this mount has given up, or is this very one, inserted by a try whose answer got lost: 1; 0
 * when it is another's. */
static int take_over(struct bucket *bucket, const struct store_lease *lease, int64_t now) {
    bson_oid_t ended = lease->owner;
    int64_t matched = 0;
    (void)leases_ended_owner(bucket, lease->path, &ended);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(lease->path), "$or", "[", "{", "owner", "{", "$in", "[",
                              BCON_OID(&lease->owner), BCON_OID(&ended), "]", "}", "}", "{", "until", "{", "$not", "{", "$gte",
                              BCON_DATE_TIME(now), "}", "}", "}", "]"); /* or is no date */
    bson_t *update = BCON_NEW("$set", "{", "owner", BCON_OID(&lease->owner), "until",
                              BCON_DATE_TIME(now + LEASE_LIFE_MS), "}");
    int result = bucket_update(bucket, bucket->locks, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    return result ? result : matched > 0;
}

static int claim(struct bucket *bucket, struct store_lease *lease) {
    for (int i = 0; i < TRIES; i++) {
        int64_t now;
        lease->asked_ms = now_awake_or_not_ms();
        int result = bucket_now_ms(bucket, &now);
        if (result == 0)
            result = insert(bucket, lease, now);
        if (result != -EEXIST)
            return result;
        result = take_over(bucket, lease, now);
        if (result)
            return result < 0 ? result : 0;
        wait_a_moment();
    }
    return -EEXIST;
}

int lease_take(struct bucket *bucket, const char *path, struct store_lease **ret_lease) {
    struct store_lease *lease = lease_new(path);
    if (!lease)
        return -ENOMEM;
    int result = claim(bucket, lease);
    bool may_be_there = result == 0 || result == -ETIMEDOUT || result == -EIO;
    int held = may_be_there ? leases_hold(bucket, lease) : result;
    if (held) {
        free(lease->path);
        free(lease);
    } else if (result) {
        lease_end(bucket, lease);
    } else {
        *ret_lease = lease;
    }
    return result ? result : held;
}

/* Renewed in the same step, so that it still holds while the commit is on its way. One that has expired is lost even if
 * nobody took it over: a node may have been made meanwhile. */
int lease_check(struct bucket *bucket, const struct store_lease *lease) {
    if (now_awake_or_not_ms() - lease->asked_ms < LEASE_FRESH_MS)
        return 0;
    int64_t now, matched = 0;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(lease->path), "owner", BCON_OID(&lease->owner), "until", "{", "$gt",
                              BCON_DATE_TIME(now), "}");
    bson_t *update = BCON_NEW("$set", "{", "until", BCON_DATE_TIME(now + LEASE_LIFE_MS), "}");
    result = bucket_update(bucket, bucket->locks, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    return result ? result : matched ? 0 : -EEXIST;
}

/* Who is refused here looks next at what is there, as makedirs() does: so another's node is waited for. */
int lease_take_for_node(struct bucket *bucket, const char *path, struct store_lease **ret_lease) {
    int result = -EEXIST;
    for (int i = 0; result == -EEXIST && i < NODE_TRIES; i++) {
        result = lease_take(bucket, path, ret_lease);
        int there = result == -EEXIST ? presence_of_any(bucket, path) : 0;
        if (there)
            return there < 0 ? there : -EEXIST;
    }
    return result;
}

/* ---- the operations ---- */

int bucket_reserve(struct store *store, const char *path, struct store_lease **ret_lease) {
    struct bucket *bucket = (struct bucket *)store;
    struct store_lease *lease;
    int result = presence_check_path(path);
    if (result == 0)
        result = lease_take(bucket, path, &lease);
    if (result)
        return result;
    result = presence_of_any(bucket, path);
    if (result) {
        lease_end(bucket, lease);
        return result < 0 ? result : -EEXIST;
    }
    *ret_lease = lease;
    return 0;
}

struct store_lease *bucket_release(struct store *store, struct store_lease *lease) {
    return lease_end((struct bucket *)store, lease);
}

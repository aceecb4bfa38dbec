// SPDX-License-Identifier: Apache-2.0
/* What this mount holds of a file: written first, then compared with what others hold. */
#include "fs/store/mongo/hold.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/store/mongo/change.h"

enum { TRIES = 5, LOOKS = 4, PAUSE_MOST_MS = 8 };

int bucket_hold_open(struct store *store, const char *path, char kind, struct store_hold **ret_hold) {
    (void)store;
    struct store_hold *hold = calloc(1, sizeof *hold);
    if (!hold || asprintf(&hold->prefix, "/%c/%s//", kind, path) < 0) {
        free(hold);
        return -ENOMEM;
    }
    *ret_hold = hold;
    return 0;
}

struct store_hold *bucket_hold_close(struct store *store, struct store_hold *hold) {
    if (!hold)
        return NULL;
    if (hold->held.count)
        holder_count((struct bucket *)store, -1);
    free(hold->held.list);
    free(hold->prefix);
    free(hold);
    return NULL;
}

/* ---- what others hold ---- */

enum { LOOKED_MOST = 64 };

struct look {
    const struct store_hold *hold;
    const struct hold_ranges *wanted;
    bool others; /* there are some */
    bool senior; /* one that is in the way comes before this mount when both have come at once */
    uint32_t count;
    struct hold_found in_the_way[LOOKED_MOST];
    struct store_range range; /* one that is */
};

static int take(void *context, const bson_t *document) {
    struct look *look = context;
    struct hold_found found;
    if (!hold_parse(document, &found) || bson_oid_equal(&found.mount, &look->hold->mount))
        return 0;
    look->others = true;
    if (look->count < LOOKED_MOST && hold_excludes(document, look->wanted->list, look->wanted->count, &look->range))
        look->in_the_way[look->count++] = found;
    return 0;
}

static bson_t *document_of(const struct store_hold *hold, const bson_oid_t *mount) {
    cleanup_free char *id = NULL;
    char text[25];
    bson_oid_to_string(mount, text);
    return asprintf(&id, "%s%s", hold->prefix, text) < 0 ? NULL : BCON_NEW("_id", BCON_UTF8(id));
}

/* 1 when a mount that is in the way lives, 0 when it is dead: then what it held goes. */
static int is_in_the_way(struct bucket *bucket, const struct store_hold *hold, const struct hold_found *found) {
    int dead = holder_is_dead(bucket, found);
    if (dead <= 0)
        return dead < 0 ? dead : 1;
    bson_t *document = document_of(hold, &found->mount);
    int result = document ? bucket_delete(bucket, bucket->locks, document, false, NULL) : -ENOMEM;
    bson_destroy(document);
    return result;
}

/* 1 and who is in the way when others exclude what is wanted, 0 when nobody does. */
static int look_around(struct bucket *bucket, struct store_hold *hold, const struct hold_ranges *wanted,
                       struct look *ret_look) {
    struct look look = {.hold = hold, .wanted = wanted};
    cleanup_free char *until = strdup(hold->prefix);
    if (!until)
        return -ENOMEM;
    until[strlen(until) - 1]++; /* all that begins with the prefix is less */
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(hold->prefix), "$lt", BCON_UTF8(until), "}");
    bson_t *options = bson_new();
    int result = bucket_find(bucket, bucket->locks, filter, options, take, &look);
    bson_destroy(options);
    bson_destroy(filter);
    hold->crowded = look.others;
    int alive = 0;
    for (uint32_t i = 0; result == 0 && alive >= 0 && i < look.count; i++) {
        int one = is_in_the_way(bucket, hold, &look.in_the_way[i]);
        look.senior |= one > 0 && bson_oid_compare(&look.in_the_way[i].mount, &hold->mount) < 0;
        alive = one ? one : alive;
    }
    if (alive > 0)
        *ret_look = look;
    return result ? result : alive;
}

/* ---- what this mount holds ---- */

static int replace(struct bucket *bucket, const struct store_hold *hold, const struct hold_ranges *ranges) {
    int64_t now, matched = 0;
    int result = bucket_now_ms(bucket, &now);
    bson_t *filter = result ? NULL : document_of(hold, &hold->mount);
    if (!filter)
        return result ? result : -ENOMEM;
    bson_t fields = BSON_INITIALIZER;
    hold_append(&fields, &hold->mount, now + HOLD_LIFE_MS, ranges);
    bson_t *update = BCON_NEW("$set", BCON_DOCUMENT(&fields));
    result = bucket_update(bucket, bucket->locks, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(&fields);
    bson_destroy(filter);
    return result ? result : matched ? 0 : -ENOLCK;
}

/* One of this mount that is there already is from a try whose answer was lost. */
static int insert(struct bucket *bucket, const struct store_hold *hold, const struct hold_ranges *ranges) {
    int64_t now;
    int result = bucket_now_ms(bucket, &now);
    bson_t *document = result ? NULL : document_of(hold, &hold->mount);
    if (!document)
        return result ? result : -ENOMEM;
    hold_append(document, &hold->mount, now + HOLD_LIFE_MS, ranges);
    result = bucket_insert(bucket, bucket->locks, document);
    bson_destroy(document);
    return result == -EEXIST ? replace(bucket, hold, ranges) : result;
}

static int erase(struct bucket *bucket, const struct store_hold *hold) {
    bson_t *document = document_of(hold, &hold->mount);
    int result = document ? bucket_delete(bucket, bucket->locks, document, false, NULL) : -ENOMEM;
    bson_destroy(document);
    return result;
}

/* From `before` to `after`. -ENOLCK: what was held before is not there any more. */
static int go_from(struct bucket *bucket, const struct store_hold *hold, const struct hold_ranges *before,
                   const struct hold_ranges *after) {
    if (!after->count)
        return erase(bucket, hold);
    return before->count ? replace(bucket, hold, after) : insert(bucket, hold, after);
}

static int note(struct bucket *bucket, struct store_hold *hold, const struct hold_ranges *ranges) {
    struct store_range *list = NULL;
    if (ranges->count && !(list = malloc(ranges->count * sizeof *list)))
        return -ENOMEM;
    if (ranges->count)
        memcpy(list, ranges->list, ranges->count * sizeof *list);
    if (!hold->held.count != !ranges->count)
        holder_count(bucket, ranges->count ? 1 : -1);
    free(hold->held.list);
    hold->held = (struct hold_ranges){.list = list, .count = ranges->count};
    return 0;
}

/* This mount lives, as who it was. */
static int live(struct bucket *bucket, struct store_hold *hold) {
    bson_oid_t mount = hold->mount;
    int result = holder_live(bucket, &mount);
    if (result == 0 && hold->held.count && !bson_oid_equal(&mount, &hold->mount))
        return -ENOLCK;
    if (result == 0)
        hold->mount = mount;
    return result;
}

static void pause_a_little(struct bucket *bucket) {
    int64_t most = connection_round_trip_ms(bucket->connection) + PAUSE_MOST_MS;
    int64_t pause_us = clock_now_ns() / 16 % (most * 1000); /* as good as random, and not the same in two mounts */
    struct timespec moment = {.tv_sec = pause_us / 1000000, .tv_nsec = pause_us % 1000000 * 1000};
    nanosleep(&moment, NULL);
}

/* It is written what we want. Of two that have come at once, one waits for the other to go back. */
static int look_whether_alone(struct bucket *bucket, struct store_hold *hold, const struct hold_ranges *ranges) {
    struct look look;
    int result = look_around(bucket, hold, ranges, &look);
    for (int looks = 1; result > 0 && !look.senior && looks < LOOKS; looks++) {
        pause_a_little(bucket);
        result = look_around(bucket, hold, ranges, &look);
    }
    return result;
}

/* 0, 1 when another came at the same time, or -errno. */
static int try_to_grow(struct bucket *bucket, struct store_hold *hold, const struct hold_ranges *ranges) {
    struct look look;
    int result = hold->crowded ? look_around(bucket, hold, ranges, &look) : 0;
    if (result)
        return result > 0 ? -EAGAIN : result;
    result = go_from(bucket, hold, &hold->held, ranges);
    if (result == 0)
        result = look_whether_alone(bucket, hold, ranges);
    if (result <= 0)
        return result;
    result = go_from(bucket, hold, ranges, &hold->held);
    return result ? result : 1;
}

static int set(struct bucket *bucket, struct store_hold *hold, const struct hold_ranges *ranges) {
    if (!ranges->count)
        return erase(bucket, hold);
    int result = live(bucket, hold);
    if (result == 0 && hold_covers(&hold->held, ranges))
        return go_from(bucket, hold, &hold->held, ranges);
    for (int tries = 0; result == 0 && tries < TRIES; tries++) {
        result = try_to_grow(bucket, hold, ranges);
        if (result <= 0)
            return result;
        result = 0;
        pause_a_little(bucket);
    }
    return result ? result : -EAGAIN;
}

int bucket_hold_set(struct store *store, struct store_hold *hold, const struct store_range *list, uint32_t count) {
    struct bucket *bucket = (struct bucket *)store;
    struct hold_ranges ranges = {.list = (struct store_range *)list, .count = count}, nothing = {0};
    int result = set(bucket, hold, &ranges);
    if (result == 0)
        result = note(bucket, hold, &ranges);
    else if (result == -ENOLCK)
        (void)note(bucket, hold, &nothing);
    return result;
}

int bucket_hold_find(struct store *store, struct store_hold *hold, const struct store_range *wanted,
                     struct store_range *ret_found) {
    struct hold_ranges ranges = {.list = (struct store_range *)wanted, .count = 1};
    struct look look;
    int result = look_around((struct bucket *)store, hold, &ranges, &look);
    if (result > 0)
        *ret_found = look.range;
    return result;
}

int bucket_hold_check(struct store *store, const struct store_hold *hold) {
    return hold->held.count ? holder_check((struct bucket *)store, &hold->mount) : 0;
}

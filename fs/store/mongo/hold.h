// SPDX-License-Identifier: Apache-2.0
/* Holds: locks of files across mounts, in <bucket>.gridmount.locks, beside the leases.
 *
 *   {_id: "/mount/<mount>", until}                              a mount that lives, renewed while it holds anything
 *   {_id: "/<kind>/<path>//<mount>", mount, until, held: [{start, end, exclusive}...]}      what it holds of a file
 *
 * No path of a lease begins with "/", and none has "//" in it. A mount only writes what is its own, so nothing is ever
 * compared and swapped, which not every server can: it writes what it wants to hold, then looks what others hold, and
 * goes back when that excludes it. Of two that come at once at least one sees the other; when both do, the one
 * whose mount was made first waits for the other to go back.
 *
 * `until` of what is held is when it may first be doubted: who is in its way then looks at the mount's own document,
 * and deletes that when its time is over. From then on the mount is dead: it cannot renew, and its holds are deleted by
 * who meets them. Dates are the server's.
 *
 * Threads: as store.h says; the thread of a bucket renews. No lock is held across a question. */
#ifndef FS_STORE_MONGO_HOLD_H
#define FS_STORE_MONGO_HOLD_H

#include <bson/bson.h>

#include "cache/base/lock.h"
#include "fs/store/store.h"

enum { HOLD_LIFE_MS = 12 * 1000, HOLD_RENEW_MS = HOLD_LIFE_MS / 4 };

struct bucket;

/* What a mount holds of a file. */
struct hold_ranges {
    struct store_range *list;
    uint32_t count;
};

struct store_hold {
    char *prefix;            /* of the _ids of all who hold any of the file */
    bson_oid_t mount;        /* as which it holds what it holds */
    struct hold_ranges held; /* as last written */
    bool crowded;            /* others hold some of the file, or did: look first */
};

/* Another's hold, as it was found. */
struct hold_found {
    bson_oid_t mount;
    int64_t until_ms;
};

/* This mount as one that holds. */
struct holder {
    struct lock lock; /* guards all of it */
    struct condition changed;
    bson_oid_t mount;
    bool registered;    /* it has a document, for all we know */
    int64_t renewed_ms; /* when that was last asked for, on a clock that goes on while the machine sleeps */
    unsigned holding;   /* holds with something held */
    bool started, stopping;
    pthread_t thread;
};

/* ---- documents; others may have written them ---- */

/* The path and the mount that the _id of a hold has; *ret_path is lent by it. False: it is no hold's. */
bool hold_parse_id(const char *id, size_t size, const char **ret_path, size_t *ret_size, bson_oid_t *ret_mount);
/* Appends {field: what all _ids of holds match}. */
void hold_match_ids(bson_t *filter, const char *field);
/* Whose it is, and until when it is not to be doubted. False: it is no hold. */
bool hold_parse(const bson_t *document, struct hold_found *ret_found);
/* Whether what it holds excludes one of these ranges: *ret_range. */
bool hold_excludes(const bson_t *document, const struct store_range *ranges, uint32_t count,
                   struct store_range *ret_range);
/* Appends {mount, until, held}. */
void hold_append(bson_t *document, const bson_oid_t *mount, int64_t until_ms, const struct hold_ranges *held);
/* Matches what is no hold of a file: leases and mounts, which are over with their date. */
bson_t *hold_nothing(void);
/* Whether `held` has each byte of these ranges, exclusive where they are. */
bool hold_covers(const struct hold_ranges *held, const struct hold_ranges *ranges);

/* ---- mounts ---- */

void holder_init(struct holder *holder);
/* As which this mount holds what it holds just now. */
bson_oid_t holder_mount(struct holder *holder);
/* Takes the own document away, unless the server is away. */
void holder_done(struct bucket *bucket);
/* This mount lives, as `ret_mount`, for some seconds from now on. -ENOLCK: it was found dead, and is another one the
 * next time. */
int holder_live(struct bucket *bucket, bson_oid_t *ret_mount);
/* A hold has something from now on, or nothing any more. */
void holder_count(struct bucket *bucket, int change);
/* Whether this is still the mount that it was. Asks the server only when it is long since it was renewed. */
int holder_check(struct bucket *bucket, const bson_oid_t *mount);
/* 1 when another mount is dead, which it is for good then; 0 when it lives; or -errno. */
int holder_is_dead(struct bucket *bucket, const struct hold_found *found);

#endif

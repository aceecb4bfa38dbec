// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/janitor.h"
#include "fs/store/mongo/retire.h"

enum {
    AT_ONCE = 256,         /* records */
    CHUNKS_AT_ONCE = 512,  /* of all of them */
    CHUNKS_MOST = 1 << 22, /* of one: 1 TiB, commonly */
};

static const int64_t BEYOND_ANY_MS = INT64_C(366) * 24 * 3600 * 1000; /* from now: no due is later */

struct record {
    bson_t *id; /* {_id: value} */
    int64_t bytes, chunks; /* chunks: 0 when it is not known how many */
    bool there;            /* the revision is, after all */
};

struct records {
    const struct round *round;
    bool early; /* only those that nobody has open, by all that is known */
    struct record list[AT_ONCE];
    uint32_t count, seen;
};

static bool is_open(const struct round *round, const bson_t *id) {
    for (uint32_t i = 0; i < round->open_count; i++)
        if (round->open[i]->id_size == id->len && memcmp(round->open[i]->id, bson_get_data(id), id->len) == 0)
            return true;
    return false;
}

static int64_t number_in(const bson_t *document, const char *field) {
    bson_iter_t iter, number;
    int64_t value = 0;
    if (bson_iter_init(&iter, document) && bson_iter_find_descendant(&iter, field, &number))
        (void)document_whole_number(&number, 0, INT64_MAX, &value);
    return value;
}

static int64_t date_in(const bson_t *document, const char *field) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, field) && BSON_ITER_HOLDS_DATE_TIME(&iter) ? bson_iter_date_time(&iter)
                                                                                            : INT64_MIN;
}

/* Others say that they have it open, or had no time to. */
static bool may_be_in_use(const struct round *round, const bson_t *document) {
    return date_in(document, "kept") >= round->now_ms ||
           date_in(document, "retired") >= round->now_ms - RETIRE_LEAST_MS;
}

static int take_record(void *context, const bson_t *document) {
    struct records *records = context;
    bson_iter_t iter;
    records->seen++;
    if (!bson_iter_init_find(&iter, document, "_id") || (records->early && may_be_in_use(records->round, document)))
        return 0;
    bson_t *id = bson_new();
    document_append(id, "_id", &iter);
    if (is_open(records->round, id)) {
        bson_destroy(id);
        return 0;
    }
    int64_t bytes = number_in(document, "document.length"), size = number_in(document, "document.chunkSize");
    bool counted = size > 0 && bytes / size < CHUNKS_MOST; /* else of others, who may write any number: as many as there are */
    records->list[records->count++] = (struct record){.id = id, .bytes = bytes, .chunks = counted ? bytes / size + 1 : 0};
    return records->count == AT_ONCE;
}

static void forget(struct records *records) {
    for (uint32_t i = 0; i < records->count; i++)
        bson_destroy(records->list[i].id);
    records->count = 0;
}

/* Records with an earlier due than `before`, the earliest first, but for those open here. */
static int find_records(struct records *records, int64_t before) {
    struct bucket *bucket = records->round->bucket;
    bson_t *filter = BCON_NEW("due", "{", "$lt", BCON_DATE_TIME(before), "}");
    bson_t *options = BCON_NEW("sort", "{", "due", BCON_INT32(1), "}", "limit",
                               BCON_INT64(AT_ONCE + (int64_t)records->round->open_count), "projection", "{",
                               "document.length", BCON_INT32(1), "document.chunkSize", BCON_INT32(1), "retired",
                               BCON_INT32(1), "kept", BCON_INT32(1), "}");
    records->seen = 0;
    int result = bucket_find(bucket, bucket->trash, filter, options, take_record, records);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : 0;
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* A files document with this _id is a revision that was not retired after all: only the record goes. */
static int delete_record(struct bucket *bucket, const struct record *record) {
    bson_t filter = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    bucket_match_id(&filter, "_id", record->id);
    int result = bucket_find(bucket, bucket->files, &filter, options, found_one, NULL);
    if (result == 0)
        result = retire_chunks(bucket, record->id, record->chunks);
    if (result >= 0)
        result = bucket_delete(bucket, bucket->trash, &filter, false, NULL);
    bson_destroy(options);
    bson_destroy(&filter);
    return result;
}

/* ---- many small ones at once ---- */

struct group {
    struct record *first;
    uint32_t count;
};

static int note_there(void *context, const bson_t *document) {
    struct group *group = context;
    for (uint32_t i = 0; i < group->count; i++)
        if (bson_equal(group->first[i].id, document))
            group->first[i].there = true;
    return 0;
}

/* {field: {$in: [_ids]}}, of those that are not there only, or of all; NULL: of none. */
static bson_t *match_group(const struct group *group, const char *field, bool all) {
    bson_t ids = BSON_INITIALIZER, *filter = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        char text[16];
        const char *index;
        bson_iter_t id;
        if ((all || !group->first[i].there) && bson_iter_init_find(&id, group->first[i].id, "_id")) {
            bson_uint32_to_string(count++, &index, text, sizeof text);
            document_append(&ids, index, &id);
        }
    }
    if (count)
        filter = BCON_NEW(field, "{", "$in", BCON_ARRAY(&ids), "}");
    bson_destroy(&ids);
    return filter;
}

/* As one by one, in three questions. */
static int delete_group(struct bucket *bucket, struct group group) {
    bson_t *all = match_group(&group, "_id", true);
    bson_t *options = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, all, options, note_there, &group);
    bson_t *gone = match_group(&group, "files_id", false);
    if (result == 0 && gone)
        result = bucket_delete(bucket, bucket->chunks, gone, true, NULL);
    if (result == 0)
        result = bucket_delete(bucket, bucket->trash, all, true, NULL);
    bson_destroy(gone);
    bson_destroy(options);
    bson_destroy(all);
    return result;
}

static bool is_small(const struct record *record) {
    bson_iter_t id;
    return record->chunks > 0 && record->chunks <= CHUNKS_AT_ONCE / 8 && bson_iter_init_find(&id, record->id, "_id") &&
           BSON_ITER_HOLDS_OID(&id);
}

/* How many from the first on are small enough to go at once, and what `excess` bytes allow. */
static uint32_t count_small(const struct record *first, uint32_t most, int64_t excess) {
    uint32_t count = 0;
    int64_t chunks = 0, bytes = 0;
    while (count < most && bytes < excess && is_small(first + count) && chunks + first[count].chunks <= CHUNKS_AT_ONCE) {
        chunks += first[count].chunks;
        bytes += first[count++].bytes;
    }
    return count;
}

/* Deletes records until `excess` bytes are gone; the time of a round is bounded. */
static int delete_records(const struct round *round, struct records *records, int64_t *excess) {
    int result = 0;
    for (uint32_t i = 0; result == 0 && *excess > 0 && i < records->count;) {
        struct record *first = records->list + i;
        uint32_t small = count_small(first, records->count - i, *excess), count = small > 1 ? small : 1;
        if (clock_now_ms() >= round->end_ms)
            return -ETIME;
        result = small > 1 ? delete_group(round->bucket, (struct group){first, small})
                           : delete_record(round->bucket, first);
        for (; count > 0; count--, i++)
            *excess -= records->list[i].bytes;
    }
    return result;
}

static int delete_before(const struct round *round, int64_t before, int64_t excess) {
    int result = 0;
    for (bool more = true; result == 0 && more && excess > 0;) {
        struct records records = {.round = round, .early = before > round->now_ms};
        result = find_records(&records, before);
        more = records.count == AT_ONCE;
        if (result == 0)
            result = delete_records(round, &records, &excess);
        forget(&records);
    }
    return result == -ETIME ? 0 : result;
}

static int add_length(void *context, const bson_t *document) {
    int64_t *sum = context, length = number_in(document, "document.length");
    *sum = length < INT64_MAX - *sum ? *sum + length : INT64_MAX;
    return 0;
}

static int measure(struct bucket *bucket, int64_t *ret_bytes) {
    bson_t everything = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("projection", "{", "document.length", BCON_INT32(1), "}");
    int64_t bytes = 0;
    int result = bucket_find(bucket, bucket->trash, &everything, options, add_length, &bytes);
    bson_destroy(options);
    bson_destroy(&everything);
    if (result == 0)
        *ret_bytes = bytes;
    return result;
}

int janitor_empty_trash(const struct round *round) {
    int64_t most = round->bucket->policy.trash_max, bytes = 0;
    int result = delete_before(round, round->now_ms, INT64_MAX);
    if (result || most == 0)
        return result;
    result = measure(round->bucket, &bytes);
    if (result || bytes <= most)
        return result;
    log_warning("the trash of bucket %s has grown over trash_max: the oldest retired revisions go early",
                round->bucket->store.bucket);
    return delete_before(round, round->now_ms + BEYOND_ANY_MS, bytes - most);
}

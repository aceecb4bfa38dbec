// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/retire.h"

#include <errno.h>

#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/ordered.h"

enum { CHUNKS_AT_ONCE = 2048 };

bool retire_unwrap(const bson_t *record, bson_t *ret_document) {
    bson_iter_t iter;
    uint32_t size;
    const uint8_t *bytes;
    if (!bson_iter_init_find(&iter, record, "document") || !BSON_ITER_HOLDS_DOCUMENT(&iter))
        return false;
    bson_iter_document(&iter, &size, &bytes);
    return bson_init_static(ret_document, bytes, size);
}

int64_t retire_due_ms(const struct bucket *bucket, int64_t now_ms) {
    int64_t grace = bucket->policy.grace_ms;
    return now_ms + (grace > RETIRE_LEAST_MS ? grace : RETIRE_LEAST_MS);
}

static int delete_range(struct bucket *bucket, const bson_t *id, int64_t first, int64_t until) {
    bson_t filter = BSON_INITIALIZER, range;
    bucket_match_id(&filter, "files_id", id);
    bson_append_document_begin(&filter, "n", -1, &range);
    BSON_APPEND_INT64(&range, "$gte", first);
    BSON_APPEND_INT64(&range, "$lt", until);
    bson_append_document_end(&filter, &range);
    int result = bucket_delete(bucket, bucket->chunks, &filter, true, NULL);
    bson_destroy(&filter);
    return result;
}

int retire_chunk_range(struct bucket *bucket, const bson_t *id, int64_t first, int64_t until) {
    int result = 0;
    for (int64_t end; result == 0 && first < until; first = end) {
        end = until - first > CHUNKS_AT_ONCE ? first + CHUNKS_AT_ONCE : until;
        result = delete_range(bucket, id, first, end);
    }
    return result;
}

int retire_chunks(struct bucket *bucket, const bson_t *id, int64_t count) {
    int result = count > CHUNKS_AT_ONCE ? retire_chunk_range(bucket, id, 0, count - CHUNKS_AT_ONCE) : 0;
    if (result)
        return result;
    bson_t filter = BSON_INITIALIZER;
    bucket_match_id(&filter, "files_id", id);
    result = bucket_delete(bucket, bucket->chunks, &filter, true, NULL);
    bson_destroy(&filter);
    return result;
}

/* A files document as it was seen: meanwhile others may have renamed it, so that it is not what was replaced, or put again
 * under an _id of their own making. */
static void match_as_seen(const bson_t *files_document, const bson_t *id, bson_t *filter) {
    bson_iter_t field;
    bucket_match_id(filter, "_id", id);
    if (bson_iter_init_find(&field, files_document, "filename") && BSON_ITER_HOLDS_UTF8(&field))
        document_append(filter, "filename", &field);
    if (bson_iter_init_find(&field, files_document, "uploadDate") && BSON_ITER_HOLDS_DATE_TIME(&field))
        document_append(filter, "uploadDate", &field);
}

static int delete_as_seen(struct bucket *bucket, const bson_t *files_document, const bson_t *id, int64_t *ret_deleted) {
    bson_t filter = BSON_INITIALIZER;
    match_as_seen(files_document, id, &filter);
    int result = bucket_delete(bucket, bucket->files, &filter, false, ret_deleted);
    bson_destroy(&filter);
    return result;
}

/* A record that is there already is from a try that went no further, and says what was true then. */
static int renew_record(struct bucket *bucket, const bson_t *files_document, const bson_t *id, int64_t due) {
    bson_t filter = BSON_INITIALIZER, update = BSON_INITIALIZER, set;
    bucket_match_id(&filter, "_id", id);
    bool made = BSON_APPEND_DOCUMENT_BEGIN(&update, "$set", &set) &&
                BSON_APPEND_DOCUMENT(&set, "document", files_document) && BSON_APPEND_DATE_TIME(&set, "due", due) &&
                bson_append_document_end(&update, &set);
    int result = made ? bucket_update(bucket, bucket->trash, &filter, &update, false, false, NULL) : -ENOSPC;
    bson_destroy(&update);
    bson_destroy(&filter);
    return result;
}

/* By one command, behind which those that match `others` are counted, unless that is NULL. 1: to be done by two. */
static int record_and_delete(struct bucket *bucket, const bson_t *record, const bson_t *filter, const bson_t *others,
                             int64_t ret_counts[ORDERED_MOST]) {
    struct ordered ordered;
    if (!ordered_begin(bucket, &ordered))
        return 1;
    ordered_insert(&ordered, bucket->trash, record);
    ordered_delete(&ordered, bucket->files, filter);
    if (others)
        ordered_count(&ordered, bucket->files, others);
    return ordered_end(&ordered, ret_counts);
}

static int record_then_delete(struct bucket *bucket, const bson_t *record, const bson_t *files_document,
                              const bson_t *id, int64_t due, int64_t *ret_deleted) {
    int result = bucket_insert(bucket, bucket->trash, record);
    if (result == -EEXIST)
        result = renew_record(bucket, files_document, id, due);
    return result ? result : delete_as_seen(bucket, files_document, id, ret_deleted);
}

static int make_record(struct bucket *bucket, const bson_t *files_document, const bson_t *id, bson_t *record,
                       int64_t *ret_due) {
    int64_t now;
    bson_iter_t value;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    *ret_due = retire_due_ms(bucket, now);
    bool made = bson_iter_init_find(&value, id, "_id") && document_append(record, "_id", &value) &&
                BSON_APPEND_DOCUMENT(record, "document", files_document) &&
                BSON_APPEND_DATE_TIME(record, "retired", now) && BSON_APPEND_DATE_TIME(record, "due", *ret_due);
    return made ? 0 : -ENOSPC;
}

static int throw_away(struct bucket *bucket, const bson_t *files_document, const bson_t *id, int64_t *ret_deleted) {
    int64_t due, counts[ORDERED_MOST] = {0};
    bson_t record = BSON_INITIALIZER, filter = BSON_INITIALIZER;
    match_as_seen(files_document, id, &filter);
    int result = make_record(bucket, files_document, id, &record, &due);
    if (result == 0)
        result = record_and_delete(bucket, &record, &filter, NULL, counts);
    if (result == 0 && ret_deleted)
        *ret_deleted = counts[1];
    if (result > 0)
        result = record_then_delete(bucket, &record, files_document, id, due, ret_deleted);
    bson_destroy(&filter);
    bson_destroy(&record);
    return result;
}

/* Nobody may have linked it since. */
static int throw_away_only(struct bucket *bucket, const bson_t *files_document, const bson_t *id, const bson_t *others,
                           bool *ret_gone) {
    int64_t due, counts[ORDERED_MOST] = {0};
    bson_t record = BSON_INITIALIZER, filter = BSON_INITIALIZER;
    match_as_seen(files_document, id, &filter);
    BCON_APPEND(&filter, "metadata.posix.links", "{", "$not", "{", "$gt", BCON_INT32(1), "}", "}");
    int result = make_record(bucket, files_document, id, &record, &due);
    if (result == 0)
        result = record_and_delete(bucket, &record, &filter, others, counts);
    *ret_gone = counts[1] == 1 || counts[1] == ORDERED_UNKNOWN; /* and not when others had retired it, whose record is there */
    bson_destroy(&filter);
    bson_destroy(&record);
    return result < 0 ? result : result == 0 && counts[1] == 1 && counts[2] == 0;
}

static int delete_at_once(struct bucket *bucket, const bson_t *files_document, const bson_t *id, int64_t count,
                          int64_t *ret_deleted) {
    int result = delete_as_seen(bucket, files_document, id, ret_deleted);
    return result || *ret_deleted == 0 ? result : retire_chunks(bucket, id, count);
}

int retire_document(struct bucket *bucket, const bson_t *files_document, bool *ret_went) {
    struct revision *revision;
    int64_t deleted = 0;
    bson_t id;
    int result = document_revision(files_document, &bucket->store, &revision);
    if (result)
        return result;
    int64_t count = revision->damage ? 0 : revision_chunks(revision);
    if (!bson_init_static(&id, revision->id, revision->id_size))
        result = -EINVAL;
    else if (bucket_may_reuse_id(revision))
        result = delete_at_once(bucket, files_document, &id, count, &deleted);
    else
        result = throw_away(bucket, files_document, &id, ret_went ? &deleted : NULL);
    revision_unref(revision);
    if (result == 0 && ret_went)
        *ret_went = deleted != 0; /* or that is not known */
    return result;
}

int retire_only(struct bucket *bucket, const bson_t *files_document, const bson_t *others, bool *ret_gone) {
    struct revision *revision;
    bson_t id;
    if (!ordered_possible(bucket))
        return 0;
    int result = document_revision(files_document, &bucket->store, &revision);
    if (result)
        return result;
    if (bson_init_static(&id, revision->id, revision->id_size) && !bucket_may_reuse_id(revision) &&
        !links_possible(bucket, &revision->attributes))
        result = throw_away_only(bucket, files_document, &id, others, ret_gone);
    revision_unref(revision);
    return result;
}

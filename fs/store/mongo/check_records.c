// SPDX-License-Identifier: Apache-2.0
/* What mounts note down of work in progress (intents), of retired revisions (trash) and of claimed names (locks). */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/check.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/janitor.h"

struct records {
    struct bucket *bucket;
    const struct check_listener *listener;
    int64_t now_ms;
    bool tended; /* a mount does the housekeeping: what is due is in good hands */
    int64_t waiting, waiting_bytes;
};

static bool date_of(const bson_t *document, const char *field, int64_t *ret_ms) {
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, field) || !BSON_ITER_HOLDS_DATE_TIME(&iter))
        return false;
    *ret_ms = bson_iter_date_time(&iter);
    return true;
}

static const char *text_of(const bson_t *document, const char *field, uint32_t *ret_size) {
    bson_iter_t iter;
    *ret_size = 0;
    return bson_iter_init_find(&iter, document, field) && BSON_ITER_HOLDS_UTF8(&iter) ? bson_iter_utf8(&iter, ret_size)
                                                                                      : NULL;
}

static int report(const struct records *records, enum check_class class, const bson_t *document, const char *name,
                  size_t size, const char *detail) {
    bson_iter_t iter;
    bson_t id = BSON_INITIALIZER;
    if (bson_iter_init_find(&iter, document, "_id"))
        document_append(&id, "_id", &iter);
    cleanup_free char *text = check_id_text(&id);
    bson_destroy(&id);
    if (!text)
        return -ENOMEM;
    bool same = class == CHECK_DEAD_CLAIM; /* the name is the _id */
    const struct check_finding finding = {
        .class = class, .count = 1, .name = name, .name_size = size, .id = same ? NULL : text, .detail = detail};
    records->listener->found(records->listener->context, &finding);
    return 0;
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* Whether a mount holds the janitor's lease, and is not this program. */
static int is_tended(struct bucket *bucket, int64_t now_ms) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8("janitor"), "until", "{", "$gte", BCON_DATE_TIME(now_ms), "}", "owner",
                              "{", "$ne", BCON_OID(&bucket->puts.owner), "}");
    bson_t *options = BCON_NEW("limit", BCON_INT64(1));
    int result = check_read(bucket, bucket->intents, filter, options, found_one, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

/* Reads a collection of records, of which `options` may leave out what is not looked at. Takes filter and options. */
static int read_records(struct checks *checks, const struct check_listener *listener, const char *collection,
                        bson_t *filter, bson_t *options, connection_visit *visit, struct records *ret_records) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    struct records records = {.bucket = bucket, .listener = listener};
    int result = bucket_now_ms(bucket, &records.now_ms);
    if (result == 0)
        result = is_tended(bucket, records.now_ms);
    records.tended = result > 0;
    if (result == -EACCES && collection != bucket->intents) /* then nobody is known to be */
        result = 0;
    if (result >= 0)
        result = check_read(bucket, collection, filter, options, visit, &records);
    bson_destroy(filter);
    bson_destroy(options);
    *ret_records = records;
    return result;
}

/* ---- uploads ---- */

static bool is_kind(const bson_t *document, const char *kind) {
    uint32_t size;
    const char *text = text_of(document, "kind", &size);
    return text && strcmp(text, kind) == 0;
}

static int take_upload(void *context, const bson_t *document) {
    struct records *records = context;
    bson_iter_t id;
    int64_t until;
    if (is_kind(document, "rename") || is_kind(document, "exchange") || is_kind(document, "janitor"))
        return 0;
    if (!is_kind(document, "put"))
        return report(records, CHECK_UNREADABLE, document, NULL, 0, "work in progress of an unknown kind");
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_OID(&id) ||
        bson_iter_oid(&id)->bytes[11] != 0 || !date_of(document, "until", &until))
        return report(records, CHECK_UNREADABLE, document, NULL, 0, "an upload's record without a date or proper _id");
    if (until < records->now_ms && !records->tended)
        return report(records, CHECK_DEAD_UPLOAD, document, NULL, 0, "ids reserved for uploads, and what was sent");
    records->waiting++;
    return 0;
}

int check_uploads(struct checks *checks, const struct check_listener *listener) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    struct records records;
    int result = read_records(checks, listener, bucket->intents, bson_new(), bson_new(), take_upload, &records);
    check_report_count(listener, CHECK_UPLOADS, records.waiting, 0);
    return result;
}

/* ---- renames ---- */

static int take_rename(void *context, const bson_t *document) {
    struct records *records = context;
    int64_t until;
    uint32_t from_size, to_size;
    const char *from = text_of(document, "from", &from_size), *to = text_of(document, "to", &to_size);
    if (!from || !to || !date_of(document, "until", &until))
        return report(records, CHECK_UNREADABLE, document, from, from_size, "a rename's record without names or date");
    if (until >= records->now_ms || records->tended)
        return records->waiting++, 0;
    cleanup_free char *detail = NULL;
    if (asprintf(&detail, "to '%.200s' was begun", to) < 0)
        return -ENOMEM;
    return report(records, CHECK_DEAD_RENAME, document, from, from_size, detail);
}

int check_renames(struct checks *checks, const struct check_listener *listener) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    struct records records;
    bson_t *filter = BCON_NEW("kind", "{", "$in", "[", "rename", "exchange", "]", "}");
    int result = read_records(checks, listener, bucket->intents, filter, bson_new(), take_rename, &records);
    check_report_count(listener, CHECK_RENAMES, records.waiting, 0);
    return result;
}

/* ---- trash ---- */

static int take_retired(void *context, const bson_t *document) {
    struct records *records = context;
    bson_iter_t root, iter;
    int64_t due, bytes = 0;
    uint32_t size = 0;
    const char *name = NULL;
    if (bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "document.filename", &iter) &&
        BSON_ITER_HOLDS_UTF8(&iter))
        name = bson_iter_utf8(&iter, &size);
    if (bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "document.length", &iter))
        (void)document_whole_number(&iter, 0, INT64_MAX, &bytes);
    if (!date_of(document, "due", &due))
        return report(records, CHECK_UNREADABLE, document, name, size, "a retired revision without a date");
    if (due < records->now_ms && !records->tended)
        return report(records, CHECK_OVERDUE, document, name, size, "was replaced or removed");
    records->waiting++;
    records->waiting_bytes = bytes < INT64_MAX - records->waiting_bytes ? records->waiting_bytes + bytes : INT64_MAX;
    return 0;
}

int check_trash(struct checks *checks, const struct check_listener *listener) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    struct records records;
    bson_t *options = BCON_NEW("projection", "{", "due", BCON_INT32(1), "document.filename", BCON_INT32(1),
                               "document.length", BCON_INT32(1), "}");
    int result = read_records(checks, listener, bucket->trash, bson_new(), options, take_retired, &records);
    check_report_count(listener, CHECK_TRASH, records.waiting, records.waiting_bytes);
    return result;
}

/* ---- the repair of these three: the housekeeping of a mount ---- */

static int count_one(void *context, const bson_t *document) {
    (void)document;
    ++*(int64_t *)context;
    return 0;
}

static int count_due(struct bucket *bucket, const char *collection, const char *field, int64_t now_ms,
                     int64_t *count) {
    bson_t *filter = BCON_NEW(field, "{", "$lt", BCON_DATE_TIME(now_ms), "}");
    bson_t *options = BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
    int result = check_read(bucket, collection, filter, options, count_one, count);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

static int count_all_due(struct bucket *bucket, int64_t *ret_count) {
    int64_t now, count = 0;
    int result = bucket_now_ms(bucket, &now);
    if (result == 0)
        result = count_due(bucket, bucket->trash, "due", now, &count);
    if (result == 0)
        result = count_due(bucket, bucket->intents, "until", now, &count);
    *ret_count = count;
    return result;
}

/* A round is bounded in time: as many as take anything away. */
int check_tidy(struct checks *checks) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    int64_t before, after;
    int result = count_all_due(bucket, &after);
    do {
        before = after;
        if (result == 0)
            result = bucket_begin_changing(bucket);
        if (result == 0)
            result = bucket_tidy(&bucket->store, NULL, 0);
        if (result == 0 && before && !bucket->is_janitor)
            result = -EBUSY;
        result = result < 0 ? result : count_all_due(bucket, &after);
    } while (result == 0 && after && after < before);
    janitor_done(bucket);
    bucket->is_janitor = false;
    return result;
}

/* ---- claims ---- */

static int take_claim(void *context, const bson_t *document) {
    struct records *records = context;
    int64_t until;
    uint32_t size;
    const char *name = text_of(document, "_id", &size);
    if (!name || !date_of(document, "until", &until))
        return report(records, CHECK_UNREADABLE, document, name, size, "a claim without a name or date");
    if (until < records->now_ms)
        return report(records, CHECK_DEAD_CLAIM, document, name, size, "was claimed by a mount that ended");
    records->waiting++;
    return 0;
}

int check_claims(struct checks *checks, const struct check_listener *listener) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    struct records records;
    int result = read_records(checks, listener, bucket->locks, hold_nothing(), bson_new(), take_claim, &records);
    check_report_count(listener, CHECK_CLAIMS, records.waiting, 0);
    return result;
}

/* Whoever held one finds at his commit that it is gone, as when another had taken it over. */
int check_claims_repair(struct checks *checks) {
    struct bucket *bucket = ((struct bucket_checks *)checks)->bucket;
    int64_t now;
    int result = bucket_now_ms(bucket, &now);
    if (result)
        return result;
    bson_t *filter = hold_nothing();
    BCON_APPEND(filter, "until", "{", "$lt", BCON_DATE_TIME(now), "}");
    result = bucket_delete(bucket, bucket->locks, filter, true, NULL);
    bson_destroy(filter);
    return result;
}

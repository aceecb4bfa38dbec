// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/change.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/indexes.h"

enum { FORMAT = 1, TRUST_FORMAT_MS = 60 * 1000, TRUST_CLOCK_MS = 5 * 60 * 1000, WIRE_VERSION_8_0 = 25 };

/* ---- one change ---- */

static void say_if_weaker(struct bucket *bucket, const mongoc_client_t *client) {
    const mongoc_write_concern_t *concern = mongoc_uri_get_write_concern(mongoc_client_get_uri(client));
    if (!concern || atomic_exchange(&bucket->changing.concern_said, true))
        return;
    int32_t acknowledged_by = mongoc_write_concern_get_w(concern);
    bool unjournaled = mongoc_write_concern_journal_is_set(concern) && !mongoc_write_concern_get_journal(concern);
    if (unjournaled || acknowledged_by == 0 || acknowledged_by == 1)
        log_warning("the URI asks for weaker writes than w=majority and journal=true; bucket %s is written with those",
                    bucket->store.bucket);
}

mongoc_collection_t *bucket_collection(struct bucket *bucket, mongoc_client_t *client, const char *collection) {
    mongoc_collection_t *handle =
        mongoc_client_get_collection(client, connection_database(bucket->connection), collection);
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(concern, 0);
    mongoc_write_concern_set_journal(concern, true);
    mongoc_collection_set_write_concern(handle, concern);
    mongoc_write_concern_destroy(concern);
    say_if_weaker(bucket, client);
    return handle;
}

bool change_is_unconfirmed(const bson_t *reply) {
    bson_iter_t errors, each;
    return bson_iter_init_find(&errors, reply, "writeConcernErrors") && bson_iter_recurse(&errors, &each) &&
           bson_iter_next(&each);
}

int bucket_change_errno(struct bucket *bucket, const bson_error_t *error, const bson_t *reply, const char *collection) {
    enum { UNAUTHORIZED = 13 };
    bool from_server = error->domain == MONGOC_ERROR_SERVER || error->domain == MONGOC_ERROR_WRITE_CONCERN;
    if (!from_server || error->code != UNAUTHORIZED) {
        int result = connection_errno(error, collection);
        return result == -EEXIST && reply && change_is_unconfirmed(reply) ? -ETIMEDOUT : result;
    }
    if (!atomic_exchange(&bucket->changing.denied_said, true))
        log_warning("bucket %s cannot be changed with this user: %s", bucket->store.bucket, error->message);
    return -EACCES;
}

static bool is_file_collection(const struct bucket *bucket, const char *collection) {
    return collection == bucket->files || collection == bucket->chunks;
}

/* A collection with the client it came from, for one change. */
struct changing {
    mongoc_client_t *client;
    mongoc_collection_t *handle;
    bson_t *options, reply;
    uint64_t unanswered; /* before it */
};

static int begin(struct bucket *bucket, const char *collection, bool makes, struct changing *ret_changing) {
    int result = bucket_begin_changing(bucket);
    if (result == 0 && makes && !is_file_collection(bucket, collection))
        result = bucket_mark_format(bucket);
    if (result)
        return result;
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return log_error("%s: no connection came free in time", collection), -ETIMEDOUT;
    ret_changing->client = client;
    ret_changing->handle = bucket_collection(bucket, client, collection);
    ret_changing->options = bson_new();
    ret_changing->unanswered = connection_unanswered();
    return 0;
}

/* `validate`: the driver would refuse fields of others that it does not like, as empty names. */
static void trust_documents(bson_t *options) {
    BSON_APPEND_BOOL(options, "validate", false);
}

static int64_t reply_number(const bson_t *reply, const char *field) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, reply, field) ? bson_iter_as_int64(&iter) : 0;
}

static bool was_repeated(const struct changing *changing) {
    return connection_unanswered() != changing->unanswered;
}

/* How many documents a change found. */
static int take_count(const struct changing *changing, int64_t count, int64_t *ret_count) {
    if (count == 0 && was_repeated(changing))
        return -ETIMEDOUT;
    *ret_count = count;
    return 0;
}

static int end(struct bucket *bucket, const char *collection, struct changing *changing, bool done,
               const bson_error_t *error) {
    int result = done ? 0 : bucket_change_errno(bucket, error, &changing->reply, collection);
    bson_destroy(&changing->reply);
    bson_destroy(changing->options);
    mongoc_collection_destroy(changing->handle);
    connection_push(bucket->connection, changing->client);
    return result == -EEXIST && was_repeated(changing) ? -ETIMEDOUT : result;
}

int bucket_insert(struct bucket *bucket, const char *collection, const bson_t *document) {
    struct changing changing;
    bson_error_t error = {0};
    int result = begin(bucket, collection, true, &changing);
    if (result)
        return result;
    trust_documents(changing.options);
    bool done = mongoc_collection_insert_one(changing.handle, document, changing.options, &changing.reply, &error);
    return end(bucket, collection, &changing, done, &error);
}

static int update_once(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *update,
                       bool many, bool upsert, int64_t *ret_matched) {
    struct changing changing;
    bson_error_t error = {0};
    int result = begin(bucket, collection, upsert, &changing);
    if (result)
        return result;
    trust_documents(changing.options);
    BSON_APPEND_BOOL(changing.options, "upsert", upsert);
    bool done = (many ? mongoc_collection_update_many : mongoc_collection_update_one)(
        changing.handle, filter, update, changing.options, &changing.reply, &error);
    int64_t matched = reply_number(&changing.reply, "matchedCount");
    result = end(bucket, collection, &changing, done, &error);
    return result == 0 && ret_matched ? take_count(&changing, matched, ret_matched) : result;
}

int bucket_update(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *update, bool many,
                  bool upsert, int64_t *ret_matched) {
    int64_t began = clock_now_ms();
    int result = update_once(bucket, collection, filter, update, many, upsert, ret_matched);
    if (many && bucket_broke_off(bucket, result, began))
        result = update_once(bucket, collection, filter, update, many, upsert, ret_matched);
    return result;
}

static int delete_once(struct bucket *bucket, const char *collection, const bson_t *filter, bool many,
                       int64_t *ret_deleted) {
    struct changing changing;
    bson_error_t error = {0};
    int result = begin(bucket, collection, false, &changing);
    if (result)
        return result;
    bool done = (many ? mongoc_collection_delete_many : mongoc_collection_delete_one)(
        changing.handle, filter, changing.options, &changing.reply, &error);
    int64_t deleted = reply_number(&changing.reply, "deletedCount");
    result = end(bucket, collection, &changing, done, &error);
    return result == 0 && ret_deleted ? take_count(&changing, deleted, ret_deleted) : result;
}

int bucket_delete(struct bucket *bucket, const char *collection, const bson_t *filter, bool many,
                  int64_t *ret_deleted) {
    int64_t began = clock_now_ms();
    int result = delete_once(bucket, collection, filter, many, ret_deleted);
    if (many && bucket_broke_off(bucket, result, began))
        result = delete_once(bucket, collection, filter, many, ret_deleted);
    return result;
}

/* ---- the server's clock ---- */

/* As if the answer took no time: so a put is never dated later than it is, and who puts after it is newer. That it may be
 * dated earlier does no harm, since a put is lifted over what it replaces; a put by another client is not. */
static int measure_clock(struct bucket *bucket) {
    bson_t *hello = BCON_NEW("isMaster", BCON_INT32(1)); /* `hello` is younger than the oldest servers */
    bson_t reply;
    bson_error_t error = {0};
    bson_iter_t iter;
    int result = connection_command(bucket->connection, hello, &reply, &error);
    int64_t heard = clock_now_ms();
    if (result)
        result = connection_errno(&error, "hello");
    else if (!bson_iter_init_find(&iter, &reply, "localTime") || !BSON_ITER_HOLDS_DATE_TIME(&iter))
        result = (log_error("the server does not tell its time"), -EIO);
    else
        atomic_store(&bucket->clock.offset_ms, bson_iter_date_time(&iter) - heard);
    if (result == 0)
        atomic_store(&bucket->changing.ordered, reply_number(&reply, "maxWireVersion") >= WIRE_VERSION_8_0);
    if (result == 0)
        atomic_store(&bucket->clock.until_ms, heard + TRUST_CLOCK_MS);
    bson_destroy(&reply);
    bson_destroy(hello);
    return result;
}

int bucket_now_ms(struct bucket *bucket, int64_t *ret_now_ms) {
    int result = 0;
    if (clock_now_ms() >= atomic_load(&bucket->clock.until_ms))
        result = measure_clock(bucket);
    if (result == 0)
        *ret_now_ms = clock_now_ms() + atomic_load(&bucket->clock.offset_ms);
    return result;
}

/* ---- the format ---- */

struct format {
    bool there, known, hard_links;
};

static int take_format(void *context, const bson_t *document) {
    struct format *format = context;
    bson_iter_t iter;
    int64_t number;
    format->there = true;
    format->known = bson_iter_init_find(&iter, document, "format") &&
                    document_whole_number(&iter, FORMAT, FORMAT, &number);
    format->hard_links = bson_iter_init_find(&iter, document, "hard_links");
    return 1;
}

static int look_at_format(struct bucket *bucket) {
    struct format format = {0};
    bson_t *filter = BCON_NEW("_id", BCON_UTF8("")), *options = BCON_NEW("limit", BCON_INT64(1));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_format, &format);
    bson_destroy(options);
    bson_destroy(filter);
    if (result < 0)
        return result;
    atomic_store(&bucket->changing.marked, format.there);
    atomic_store(&bucket->changing.hard_links, format.hard_links);
    if (!format.there || format.known)
        return 0;
    if (!atomic_exchange(&bucket->changing.format_said, true))
        log_error("bucket %s is read-only: %s says that a newer gridmount wrote it; use that version to change it",
                  bucket->store.bucket, bucket->nodes);
    return -EROFS;
}

bool bucket_broke_off(const struct bucket *bucket, int result, int64_t began_ms) {
    bool broke_off = result == -ETIMEDOUT && clock_now_ms() - began_ms < bucket->policy.timeout_ms / 4;
    stats_add(STAT_retries, broke_off);
    return broke_off;
}

int bucket_begin_changing(struct bucket *bucket) {
    int64_t now = clock_now_ms();
    if (now < atomic_load(&bucket->changing.until_ms))
        return 0;
    int result = look_at_format(bucket);
    if (result == 0)
        result = indexes_make_if_empty(bucket);
    if (result == 0)
        atomic_store(&bucket->changing.until_ms, now + TRUST_FORMAT_MS);
    return result;
}

int bucket_mark_format(struct bucket *bucket) {
    if (atomic_load(&bucket->changing.marked))
        return 0;
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return -ETIMEDOUT;
    bson_error_t error = {0};
    mongoc_collection_t *nodes = bucket_collection(bucket, client, bucket->nodes);
    bson_t *mark = BCON_NEW("_id", BCON_UTF8(""), "format", BCON_INT32(FORMAT));
    bool done = mongoc_collection_insert_one(nodes, mark, NULL, NULL, &error);
    bson_destroy(mark);
    mongoc_collection_destroy(nodes);
    connection_push(bucket->connection, client);
    int result = done ? 0 : bucket_change_errno(bucket, &error, NULL, bucket->nodes);
    if (result == 0)
        atomic_store(&bucket->changing.marked, true);
    return result == -EEXIST ? look_at_format(bucket) : result; /* another mount was first: of which format? */
}

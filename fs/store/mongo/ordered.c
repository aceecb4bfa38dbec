// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/ordered.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"

enum { KEY_SIZE = 16, NAMESPACE_SIZE = 512 }; /* more than a server allows */

bool ordered_possible(struct bucket *bucket) {
    int64_t now; /* what the server can do is read along with its clock */
    return bucket_now_ms(bucket, &now) == 0 && atomic_load(&bucket->changing.ordered) &&
           !atomic_load(&bucket->changing.ordered_refused);
}

bool ordered_begin(struct bucket *bucket, struct ordered *ret_ordered) {
    if (!ordered_possible(bucket) || bucket_begin_changing(bucket) || bucket_mark_format(bucket))
        return false;
    *ret_ordered = (struct ordered){.bucket = bucket};
    bson_init(&ret_ordered->operations);
    bson_init(&ret_ordered->namespaces);
    return true;
}

/* The place of a collection among the namespaces, each of which is to be there once. */
static int32_t place_of(struct ordered *ordered, const char *collection) {
    char text[KEY_SIZE], namespace[NAMESPACE_SIZE];
    const char *key;
    bson_t named;
    for (uint32_t i = 0; i < ordered->namespace_count; i++)
        if (ordered->collections[i] == collection)
            return (int32_t)i;
    int size = (int)bson_uint32_to_string(ordered->namespace_count, &key, text, sizeof text);
    snprintf(namespace, sizeof namespace, "%s.%s", connection_database(ordered->bucket->connection), collection);
    bson_append_document_begin(&ordered->namespaces, key, size, &named);
    BSON_APPEND_UTF8(&named, "ns", namespace);
    bson_append_document_end(&ordered->namespaces, &named);
    ordered->collections[ordered->namespace_count] = collection;
    return (int32_t)ordered->namespace_count++;
}

/* {verb: collection, what: document} and more, until finish(). */
static void append(struct ordered *ordered, const char *verb, const char *what, const char *collection,
                   const bson_t *document, bson_t *ret_operation) {
    char text[KEY_SIZE];
    const char *key;
    int32_t place = place_of(ordered, collection);
    CHECK(ordered->count < ORDERED_MOST);
    int size = (int)bson_uint32_to_string(ordered->count++, &key, text, sizeof text);
    bson_append_document_begin(&ordered->operations, key, size, ret_operation);
    bson_append_int32(ret_operation, verb, -1, place);
    bson_append_document(ret_operation, what, -1, document);
}

static void finish(struct ordered *ordered, bson_t *operation) {
    bson_append_document_end(&ordered->operations, operation);
}

void ordered_insert(struct ordered *ordered, const char *collection, const bson_t *document) {
    bson_t operation;
    append(ordered, "insert", "document", collection, document, &operation);
    finish(ordered, &operation);
}

void ordered_update(struct ordered *ordered, const char *collection, const bson_t *filter, const bson_t *update) {
    bson_t operation;
    append(ordered, "update", "filter", collection, filter, &operation);
    BSON_APPEND_DOCUMENT(&operation, "updateMods", update);
    finish(ordered, &operation);
}

void ordered_delete(struct ordered *ordered, const char *collection, const bson_t *filter) {
    bson_t operation;
    append(ordered, "delete", "filter", collection, filter, &operation);
    finish(ordered, &operation);
}

/* An update of all that match which sets something on insertion only: it has nothing to insert. */
void ordered_count(struct ordered *ordered, const char *collection, const bson_t *filter) {
    bson_t operation, mods, never;
    append(ordered, "update", "filter", collection, filter, &operation);
    BSON_APPEND_DOCUMENT_BEGIN(&operation, "updateMods", &mods);
    BSON_APPEND_DOCUMENT_BEGIN(&mods, "$setOnInsert", &never);
    BSON_APPEND_BOOL(&never, "counted", true);
    bson_append_document_end(&mods, &never);
    bson_append_document_end(&operation, &mods);
    BSON_APPEND_BOOL(&operation, "multi", true);
    finish(ordered, &operation);
}

/* What a server says that only seemed to know it, or wants other roles for it. */
static bool is_refusal(const bson_error_t *error) {
    enum { UNAUTHORIZED = 13, COMMAND_NOT_FOUND = 59, NOT_IMPLEMENTED = 238 };
    return error->domain == MONGOC_ERROR_SERVER && (error->code == UNAUTHORIZED || error->code == COMMAND_NOT_FOUND ||
                                                    error->code == NOT_IMPLEMENTED);
}

static bool all_made(const bson_t *reply) {
    bson_iter_t errors;
    return bson_iter_init_find(&errors, reply, "nErrors") && bson_iter_as_int64(&errors) == 0;
}

/* {cursor: {firstBatch: [{idx, n}, ...]}}, which ends with one that failed; false when it does not tell all. */
static bool read_counts(const struct ordered *ordered, const bson_t *reply, int64_t ret_counts[ORDERED_MOST]) {
    bson_iter_t root, batch, each, field;
    uint32_t found = 0;
    if (!bson_iter_init(&root, reply) || !bson_iter_find_descendant(&root, "cursor.firstBatch", &batch) ||
        !BSON_ITER_HOLDS_ARRAY(&batch) || !bson_iter_recurse(&batch, &each))
        return false;
    while (bson_iter_next(&each)) {
        int64_t index = -1, count = -1;
        for (bool more = BSON_ITER_HOLDS_DOCUMENT(&each) && bson_iter_recurse(&each, &field);
             more && bson_iter_next(&field);) {
            if (strcmp(bson_iter_key(&field), "idx") == 0)
                index = bson_iter_as_int64(&field);
            else if (strcmp(bson_iter_key(&field), "n") == 0)
                count = bson_iter_as_int64(&field);
        }
        if (index != found || count < 0 || found == ordered->count)
            return false;
        ret_counts[found++] = count;
    }
    bool ended = found < ordered->count && found > 0 && !all_made(reply);
    for (uint32_t i = found; ended && i < ordered->count; i++)
        ret_counts[i] = 0; /* it was not come to */
    return ended || found == ordered->count;
}

static int make_all(struct ordered *ordered, const bson_t *command, int64_t *ret_counts) {
    struct bucket *bucket = ordered->bucket;
    int64_t began = clock_now_ms();
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return log_error("bulkWrite: no connection came free in time"), -ETIMEDOUT;
    bson_t *options = BCON_NEW("writeConcern", "{", "w", "majority", "j", BCON_BOOL(true), "}"), reply;
    bson_error_t error = {0};
    bool answered = mongoc_client_write_command_with_opts(client, "admin", command, options, &reply, &error);
    bool told = answered && (!ret_counts || read_counts(ordered, &reply, ret_counts)), made = told && all_made(&reply);
    int result = !made;
    if (!answered && is_refusal(&error))
        atomic_store(&bucket->changing.ordered_refused, true);
    else if (!answered)
        result = bucket_change_errno(bucket, &error, NULL, "bulkWrite");
    bson_destroy(&reply);
    bson_destroy(options);
    connection_push(bucket->connection, client);
    /* What else is wrong is said better of single changes; a connection that broke at once leaves time for them. */
    return result != -ETIMEDOUT || bucket_broke_off(bucket, result, began) ? result != 0 : result;
}

int ordered_end(struct ordered *ordered, int64_t ret_counts[ORDERED_MOST]) {
    int result = 1;
    for (uint32_t i = 0; ret_counts && i < ordered->count; i++)
        ret_counts[i] = ORDERED_UNKNOWN;
    if (ordered->operations.len <= ORDERED_BYTES_MOST) {
        bson_t *command = BCON_NEW("bulkWrite", BCON_INT32(1), "ops", BCON_ARRAY(&ordered->operations), "nsInfo",
                                   BCON_ARRAY(&ordered->namespaces), "ordered", BCON_BOOL(true));
        result = make_all(ordered, command, ret_counts);
        bson_destroy(command);
    }
    bson_destroy(&ordered->operations);
    bson_destroy(&ordered->namespaces);
    return result;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/bulk.h"

#include <errno.h>

#include "cache/base/log.h"
#include "fs/store/mongo/change.h"

int bulk_begin(struct bucket *bucket, const char *collection, struct bulk *ret_bulk) {
    int result = bucket_begin_changing(bucket);
    if (result == 0 && collection != bucket->files && collection != bucket->chunks)
        result = bucket_mark_format(bucket);
    if (result)
        return result;
    struct bulk bulk = {.bucket = bucket, .collection = collection, .client = connection_pop(bucket->connection)};
    if (!bulk.client)
        return log_error("%s: no connection came free in time", collection), -ETIMEDOUT;
    bulk.handle = bucket_collection(bucket, bulk.client, collection);
    bson_t *options = BCON_NEW("ordered", BCON_BOOL(false));
    bulk.changes = mongoc_collection_create_bulk_operation_with_opts(bulk.handle, options);
    bson_destroy(options);
    *ret_bulk = bulk;
    return 0;
}

static void note(struct bulk *bulk, bool added, const bson_error_t *error) {
    if (!added && bulk->result == 0)
        bulk->result = bucket_change_errno(bulk->bucket, error, NULL, bulk->collection);
}

/* `validate`: the driver would refuse fields of others that it does not like. */
void bulk_insert(struct bulk *bulk, const bson_t *document) {
    bson_error_t error = {0};
    bson_t *options = BCON_NEW("validate", BCON_BOOL(false));
    note(bulk, mongoc_bulk_operation_insert_with_opts(bulk->changes, document, options, &error), &error);
    bson_destroy(options);
}

void bulk_update(struct bulk *bulk, const bson_t *filter, const bson_t *update, bool upsert) {
    bson_error_t error = {0};
    bson_t *options = BCON_NEW("validate", BCON_BOOL(false), "upsert", BCON_BOOL(upsert));
    note(bulk, mongoc_bulk_operation_update_one_with_opts(bulk->changes, filter, update, options, &error), &error);
    bson_destroy(options);
}

/* Whether nothing went wrong but that some were there. */
static bool only_there(const bson_t *reply) {
    enum { DUPLICATE_KEY = 11000 };
    bson_iter_t iter, each, code;
    if (change_is_unconfirmed(reply) || !bson_iter_init_find(&iter, reply, "writeErrors") || !bson_iter_recurse(&iter, &each))
        return false;
    bool any = false;
    while (bson_iter_next(&each)) {
        if (!bson_iter_recurse(&each, &code) || !bson_iter_find(&code, "code") ||
            bson_iter_as_int64(&code) != DUPLICATE_KEY)
            return false;
        any = true;
    }
    return any;
}

/* The driver calls it an error when there is nothing to do. */
static bool has_changes(const bson_error_t *error) {
    return error->domain != MONGOC_ERROR_COMMAND || error->code != MONGOC_ERROR_COMMAND_INVALID_ARG;
}

int bulk_end(struct bulk *bulk) {
    bson_error_t error = {0};
    bson_t reply;
    int result = bulk->result;
    if (result == 0) {
        bool done = mongoc_bulk_operation_execute(bulk->changes, &reply, &error) != 0;
        if (!done && has_changes(&error) && !only_there(&reply))
            result = bucket_change_errno(bulk->bucket, &error, &reply, bulk->collection);
        bson_destroy(&reply);
    }
    mongoc_bulk_operation_destroy(bulk->changes);
    mongoc_collection_destroy(bulk->handle);
    connection_push(bulk->bucket->connection, bulk->client);
    return result;
}

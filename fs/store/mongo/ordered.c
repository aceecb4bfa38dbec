#include "fs/store/mongo/ordered.h"

#include <errno.h>
#include <stdio.h>

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

static void append(struct ordered *ordered, const char *verb, const char *what, const char *collection,
                   const bson_t *document) {
    char text[KEY_SIZE], namespace[NAMESPACE_SIZE];
    const char *key;
    bson_t operation, named;
    int size = (int)bson_uint32_to_string(ordered->count, &key, text, sizeof text);
    snprintf(namespace, sizeof namespace, "%s.%s", connection_database(ordered->bucket->connection), collection);
    bson_append_document_begin(&ordered->namespaces, key, size, &named);
    BSON_APPEND_UTF8(&named, "ns", namespace);
    bson_append_document_end(&ordered->namespaces, &named);
    bson_append_document_begin(&ordered->operations, key, size, &operation);
    bson_append_int32(&operation, verb, -1, (int32_t)ordered->count++);
    bson_append_document(&operation, what, -1, document);
    bson_append_document_end(&ordered->operations, &operation);
}

void ordered_insert(struct ordered *ordered, const char *collection, const bson_t *document) {
    append(ordered, "insert", "document", collection, document);
}

void ordered_delete(struct ordered *ordered, const char *collection, const bson_t *filter) {
    append(ordered, "delete", "filter", collection, filter);
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

static int make_all(struct ordered *ordered, const bson_t *command) {
    struct bucket *bucket = ordered->bucket;
    int64_t began = clock_now_ms();
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return log_error("bulkWrite: no connection came free in time"), -ETIMEDOUT;
    bson_t *options = BCON_NEW("writeConcern", "{", "w", "majority", "j", BCON_BOOL(true), "}"), reply;
    bson_error_t error = {0};
    bool answered = mongoc_client_write_command_with_opts(client, "admin", command, options, &reply, &error);
    int result = answered ? !all_made(&reply) : 1;
    if (!answered && is_refusal(&error))
        atomic_store(&bucket->changing.ordered_refused, true);
    else if (!answered)
        result = bucket_change_errno(bucket, &error, "bulkWrite");
    bson_destroy(&reply);
    bson_destroy(options);
    connection_push(bucket->connection, client);
    /* What else is wrong is said better of single changes; a connection that broke at once leaves time for them. */
    return result != -ETIMEDOUT || clock_now_ms() - began < bucket->policy.timeout_ms / 2 ? result != 0 : result;
}

int ordered_end(struct ordered *ordered) {
    int result = 1;
    if (ordered->operations.len <= ORDERED_BYTES_MOST) {
        bson_t *command = BCON_NEW("bulkWrite", BCON_INT32(1), "ops", BCON_ARRAY(&ordered->operations), "nsInfo",
                                   BCON_ARRAY(&ordered->namespaces), "ordered", BCON_BOOL(true));
        result = make_all(ordered, command);
        bson_destroy(command);
    }
    bson_destroy(&ordered->operations);
    bson_destroy(&ordered->namespaces);
    return result;
}

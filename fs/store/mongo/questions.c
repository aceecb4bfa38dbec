// SPDX-License-Identifier: Apache-2.0
/* The questions that are asked through a connection, and what its errors mean. */
#include <errno.h>

#include "cache/base/check.h"
#include "cache/base/log.h"
#include "fs/store/mongo/connection.h"

enum { AT_ONCE_MOST = 100 }; /* documents: a first batch has them */

int connection_errno(const bson_error_t *error, const char *asking) {
    static const struct {
        uint32_t code;
        int result;
        enum log_level level;
    } answers[] = {
        {13, -EACCES, LOG_LEVEL_WARNING},      /* Unauthorized */
        {18, -EACCES, LOG_LEVEL_ERROR},        /* AuthenticationFailed */
        {26, -ENOENT, LOG_LEVEL_DEBUG},        /* NamespaceNotFound */
        {28, -EPERM, LOG_LEVEL_DEBUG},         /* PathNotViable: metadata is there, but no document */
        {43, -ESTALE, LOG_LEVEL_DEBUG},        /* CursorNotFound: a list resumes behind its last name */
        {50, -ETIME, LOG_LEVEL_DEBUG},         /* MaxTimeMSExpired: asked for by us */
        {11000, -EEXIST, LOG_LEVEL_DEBUG},     /* DuplicateKey */
        {121, -EPERM, LOG_LEVEL_WARNING},      /* DocumentValidationFailure: rules of the database's owner */
        {10334, -ENOSPC, LOG_LEVEL_WARNING},   /* BSONObjectTooLarge */
        {17280, -ENOSPC, LOG_LEVEL_WARNING},   /* KeyTooLong */
        {17419, -ENOSPC, LOG_LEVEL_WARNING},   /* the updated document would be larger than 16 MiB */
        {14031, -ENOSPC, LOG_LEVEL_ERROR},     /* OutOfDiskSpace */
        {64, -ETIMEDOUT, LOG_LEVEL_WARNING},   /* WriteConcernFailed: no majority in time */
        {91, -ETIMEDOUT, LOG_LEVEL_WARNING},   /* ShutdownInProgress, and what else ends with a new primary: */
        {189, -ETIMEDOUT, LOG_LEVEL_WARNING},  /* PrimarySteppedDown */
        {10058, -ETIMEDOUT, LOG_LEVEL_WARNING}, /* LegacyNotPrimary */
        {10107, -ETIMEDOUT, LOG_LEVEL_WARNING}, /* NotWritablePrimary */
        {11600, -ETIMEDOUT, LOG_LEVEL_WARNING}, /* InterruptedAtShutdown */
        {11602, -ETIMEDOUT, LOG_LEVEL_WARNING}, /* InterruptedDueToReplStateChange */
        {13435, -ETIMEDOUT, LOG_LEVEL_WARNING}, /* NotPrimaryNoSecondaryOk */
        {13436, -ETIMEDOUT, LOG_LEVEL_WARNING}, /* NotPrimaryOrSecondary */
    };
    bool from_server = error->domain == MONGOC_ERROR_SERVER || error->domain == MONGOC_ERROR_WRITE_CONCERN;
    for (size_t i = 0; from_server && i < sizeof answers / sizeof *answers; i++)
        if (error->code == answers[i].code) {
            log_write(answers[i].level, "%s: %s", asking, error->message);
            return answers[i].result;
        }
    if (error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE)
        return log_error("%s: %s", asking, error->message), -EACCES;
    if (error->domain == MONGOC_ERROR_BSON) /* the driver's own check: larger than the server takes */
        return log_warning("%s: %s", asking, error->message), -ENOSPC;
    bool away = error->domain == MONGOC_ERROR_STREAM || error->domain == MONGOC_ERROR_SERVER_SELECTION;
    log_error("%s: %s", asking, error->message);
    return away ? -ETIMEDOUT : -EIO;
}

static int no_client(const char *asking) {
    log_error("%s: no connection came free in time", asking);
    return -ETIMEDOUT;
}

/* Visits what a cursor gives, until the visitor has enough. False: the error that ended it. */
static bool visit_all(mongoc_cursor_t *cursor, connection_visit *visit, void *context, int *ret_result,
                      bson_error_t *ret_error) {
    const bson_t *document;
    int result = 0;
    while (result == 0 && mongoc_cursor_next(cursor, &document))
        result = visit(context, document);
    *ret_result = result;
    return result || !mongoc_cursor_error(cursor, ret_error);
}

int connection_aggregate(struct connection *connection, const char *collection, const bson_t *pipeline,
                         connection_visit *visit, void *context) {
    mongoc_client_t *client = connection_pop(connection);
    if (!client)
        return no_client(collection);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    mongoc_collection_t *handle = mongoc_client_get_collection(client, connection_database(connection), collection);
    mongoc_cursor_t *cursor = mongoc_collection_aggregate(handle, MONGOC_QUERY_NONE, pipeline, NULL, primary);
    bson_error_t error;
    int result;
    if (!visit_all(cursor, visit, context, &result, &error)) {
        bool refused = error.domain == MONGOC_ERROR_SERVER;
        if (refused)
            log_debug("%s: %s", collection, error.message);
        result = refused ? -EOPNOTSUPP : connection_errno(&error, collection);
    }
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(handle);
    mongoc_read_prefs_destroy(primary);
    connection_push(connection, client);
    return result;
}

/* Lets the server forget a cursor. It would do so by itself, minutes later. */
static void give_up(mongoc_client_t *client, const char *database, const char *collection, int64_t cursor,
                    const mongoc_read_prefs_t *preference) {
    bson_t *command = BCON_NEW("killCursors", BCON_UTF8(collection), "cursors", "[", BCON_INT64(cursor), "]");
    (void)mongoc_client_read_command_with_opts(client, database, command, preference, NULL, NULL, NULL);
    bson_destroy(command);
}

static int64_t cursor_of(const bson_t *reply) {
    bson_iter_t root, id;
    bool found = bson_iter_init(&root, reply) && bson_iter_find_descendant(&root, "cursor.id", &id);
    return found ? bson_iter_as_int64(&id) : 0;
}

/* Few enough for one reply, unless they are large. A cursor knows how a read concern goes with the URI's. */
static bool is_few(const bson_t *options) {
    bson_iter_t limit;
    return bson_iter_init_find(&limit, options, "limit") && bson_iter_as_int64(&limit) > 0 &&
           bson_iter_as_int64(&limit) <= AT_ONCE_MOST && !bson_has_field(options, "readConcern");
}

static int visit_batch(const bson_t *reply, connection_visit *visit, void *context) {
    bson_iter_t root, batch, each;
    int result = 0;
    if (!bson_iter_init(&root, reply) || !bson_iter_find_descendant(&root, "cursor.firstBatch", &batch) ||
        !BSON_ITER_HOLDS_ARRAY(&batch) || !bson_iter_recurse(&batch, &each))
        return -EIO;
    while (result == 0 && bson_iter_next(&each)) {
        bson_t document;
        uint32_t size = 0;
        const uint8_t *bytes = NULL;
        if (BSON_ITER_HOLDS_DOCUMENT(&each))
            bson_iter_document(&each, &size, &bytes);
        result = bytes && bson_init_static(&document, bytes, size) ? visit(context, &document) : -EIO;
    }
    return result;
}

/* As a command: a cursor of the driver costs about half as much again as the question. -E2BIG: the reply has not all. */
static int find_at_once(struct connection *connection, mongoc_client_t *client, const char *collection,
                        const bson_t *filter, const bson_t *options, const mongoc_read_prefs_t *preference,
                        connection_visit *visit, void *context) {
    bson_t *question = BCON_NEW("find", BCON_UTF8(collection), "filter", BCON_DOCUMENT(filter)), reply;
    bson_error_t error;
    bson_concat(question, options);
    bool answered = mongoc_client_read_command_with_opts(client, connection_database(connection), question, preference,
                                                         NULL, &reply, &error);
    int64_t cursor = answered ? cursor_of(&reply) : 0;
    int result = !answered ? connection_errno(&error, collection)
                 : cursor  ? -E2BIG
                           : visit_batch(&reply, visit, context);
    if (cursor)
        give_up(client, connection_database(connection), collection, cursor, preference);
    bson_destroy(&reply);
    bson_destroy(question);
    return result;
}

static int find_by_cursor(struct connection *connection, mongoc_client_t *client, const char *collection,
                          const bson_t *filter, const bson_t *options, const mongoc_read_prefs_t *preference,
                          connection_visit *visit, void *context) {
    mongoc_collection_t *handle = mongoc_client_get_collection(client, connection_database(connection), collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(handle, filter, options, preference);
    bson_error_t error;
    int result;
    if (!visit_all(cursor, visit, context, &result, &error))
        result = connection_errno(&error, collection);
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(handle);
    return result;
}

int connection_find(struct connection *connection, const char *collection, const bson_t *filter,
                    const bson_t *options, const mongoc_read_prefs_t *preference, connection_visit *visit,
                    void *context) {
    mongoc_client_t *client = connection_pop(connection);
    if (!client)
        return no_client(collection);
    int result = -E2BIG;
    if (is_few(options))
        result = find_at_once(connection, client, collection, filter, options, preference, visit, context);
    if (result == -E2BIG)
        result = find_by_cursor(connection, client, collection, filter, options, preference, visit, context);
    connection_push(connection, client);
    return result;
}

int connection_find_whole(struct connection *connection, const char *collection, const bson_t *filter,
                          int32_t documents, const mongoc_read_prefs_t *preference, bson_t *ret_reply) {
    mongoc_client_t *client = connection_pop(connection);
    if (!client)
        return no_client(collection);
    bson_t *question = BCON_NEW("find", BCON_UTF8(collection), "filter", BCON_DOCUMENT(filter), "batchSize",
                                BCON_INT32(documents));
    bson_t reply;
    bson_error_t error;
    bool answered = mongoc_client_read_command_with_opts(client, connection_database(connection), question, preference,
                                                         NULL, &reply, &error);
    int64_t cursor = answered ? cursor_of(&reply) : 0;
    int result = !answered ? connection_errno(&error, collection) : cursor ? -E2BIG : 0;
    if (cursor)
        give_up(client, connection_database(connection), collection, cursor, preference);
    connection_push(connection, client);
    if (result)
        bson_destroy(&reply);
    else
        CHECK(bson_steal(ret_reply, &reply));
    bson_destroy(question);
    return result;
}

int connection_command(struct connection *connection, const bson_t *command, bson_t *ret_reply,
                       bson_error_t *ret_error) {
    mongoc_client_t *client = connection_pop(connection);
    if (!client) {
        bson_init(ret_reply);
        bson_set_error(ret_error, MONGOC_ERROR_CLIENT, 0, "no connection came free in time");
        return -ETIMEDOUT;
    }
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    bool done = mongoc_client_command_simple(client, connection_database(connection), command, primary, ret_reply,
                                             ret_error);
    mongoc_read_prefs_destroy(primary);
    connection_push(connection, client);
    return done ? 0 : -EIO;
}

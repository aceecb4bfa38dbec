// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/check.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/identity.h"

static const struct check table[] = {
    {"uploads", check_uploads, check_tidy},
    {"renames", check_renames, check_tidy},
    {"trash", check_trash, check_tidy},
    {"claims", check_claims, check_claims_repair},
    {"links", check_links, check_links_repair},
    {"names", check_names, NULL},
    {"content", check_content, NULL},
    {"indexes", check_indexes, NULL},
};

static struct checks *checks_free(struct checks *checks) {
    free(checks);
    return NULL;
}

int server_checks(struct server *server, const char *name, struct checks **ret_checks) {
    struct store *store;
    int result = server->ops->bucket(server, name, &store);
    struct bucket_checks *made = result ? NULL : calloc(1, sizeof *made);
    if (!made)
        return result ? result : -ENOMEM;
    made->checks = (struct checks){table, sizeof table / sizeof *table, checks_free};
    made->bucket = (struct bucket *)store;
    *ret_checks = &made->checks;
    return 0;
}

/* ---- shared ---- */

int check_read(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
               connection_visit *visit, void *context) {
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = connection_find(bucket->connection, collection, filter, options, primary, visit, context);
    mongoc_read_prefs_destroy(primary);
    return result;
}

char *check_id_text(const bson_t *id) {
    struct revision *revision = revision_new(bson_get_data(id), id->len);
    char *text = revision ? identity_text(revision) : NULL;
    revision_unref(revision);
    return text;
}

void check_report_count(const struct check_listener *listener, enum check_class class, int64_t count, int64_t bytes) {
    if (count)
        listener->found(listener->context, &(struct check_finding){.class = class, .count = count, .bytes = bytes});
}

int check_stream_open(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
                      struct check_stream *ret_stream) {
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return log_error("%s: no connection came free; let maxPoolSize be at least 8", collection), -ETIMEDOUT;
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    *ret_stream = (struct check_stream){.bucket = bucket, .collection = collection, .client = client};
    ret_stream->handle = mongoc_client_get_collection(client, connection_database(bucket->connection), collection);
    ret_stream->cursor = mongoc_collection_find_with_opts(ret_stream->handle, filter, options, primary);
    mongoc_read_prefs_destroy(primary);
    return 0;
}

int check_stream_error(const struct check_stream *stream) {
    bson_error_t error;
    return mongoc_cursor_error(stream->cursor, &error) ? connection_errno(&error, stream->collection) : 0;
}

int check_stream_next(struct check_stream *stream, const bson_t **ret_document) {
    enum { PROGRESS_EACH = 1000 };
    if (mongoc_cursor_next(stream->cursor, ret_document)) {
        if (stream->listener && ++stream->seen % PROGRESS_EACH == 0)
            stream->listener->progress(stream->listener->context, stream->seen);
        return 1;
    }
    return check_stream_error(stream);
}

void check_stream_close(struct check_stream *stream) {
    if (!stream->client)
        return;
    mongoc_cursor_destroy(stream->cursor);
    mongoc_collection_destroy(stream->handle);
    connection_push(stream->bucket->connection, stream->client);
    memset(stream, 0, sizeof *stream);
}

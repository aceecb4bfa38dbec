// SPDX-License-Identifier: Apache-2.0
#include "tests/store/real_store.h"

#include <string.h>
#include <unistd.h>

#include "cache/base/clock.h"

static struct server *server; /* one for the program: the driver cannot be started twice */

static void close_server(void) {
    server->ops->free(server);
}

static void open_server(const char *uri) {
    char *error = NULL;
    struct server_config config = {.uri = uri, .bucket = "fs", .timeout_ms = 20000};
    if (server_open(&config, &server, &error))
        fail_msg("%s", error);
    atexit(close_server);
}

struct real_store real_store_open(const char *name) {
    struct real_store real = {0};
    const char *uri = getenv("GRIDMOUNT_STORE_URI");
    if (!uri)
        fail_msg("GRIDMOUNT_STORE_URI names no server");
    if (!server)
        open_server(uri);
    assert_int_equal(server->ops->bucket(server, name, &real.store), 0);
    real.bucket = (struct bucket *)real.store;
    snprintf(real.name, sizeof real.name, "%s", name);
    real.client = mongoc_client_new(uri);
    real.database = mongoc_client_get_database(real.client, server->database);
    return real;
}

static bool deletes_claims(struct leases *leases) {
    lock_acquire(&leases->lock);
    bool deletes = leases->ended || leases->ending;
    lock_release(&leases->lock);
    return deletes;
}

void real_store_quiet(struct real_store *real) {
    enum { MOST_MS = 30000, LOOK_US = 2000 };
    for (int64_t until = clock_now_ms() + MOST_MS; deletes_claims(&real->bucket->leases) && clock_now_ms() < until;)
        usleep(LOOK_US);
}

void real_store_close(struct real_store *real) {
    real_store_quiet(real);
    mongoc_database_destroy(real->database);
    mongoc_client_destroy(real->client);
}

bson_t *real_store_json(const char *json, ...) {
    char *text = NULL;
    bson_error_t error;
    va_list arguments;
    va_start(arguments, json);
    assert_true(vasprintf(&text, json, arguments) > 0);
    va_end(arguments);
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    bson_t *document = bson_new_from_json((const uint8_t *)text, -1, &error);
    if (!document)
        fail_msg("%s: %s", text, error.message);
    free(text);
    return document;
}

mongoc_collection_t *real_store_collection(struct real_store *real, const char *collection) {
    char name[64];
    snprintf(name, sizeof name, "%s.%s", real->name, collection);
    return mongoc_database_get_collection(real->database, name);
}

void real_store_insert(struct real_store *real, const char *collection, bson_t *document) {
    mongoc_collection_t *handle = real_store_collection(real, collection);
    bson_error_t error = {0};
    bson_t *as_it_is = BCON_NEW("validate", BCON_BOOL(false));
    if (!mongoc_collection_insert_one(handle, document, as_it_is, NULL, &error))
        fail_msg("%s", error.message);
    bson_destroy(as_it_is);
    mongoc_collection_destroy(handle);
    bson_destroy(document);
}

void real_store_update(struct real_store *real, const char *collection, bson_t *filter, bson_t *update) {
    mongoc_collection_t *handle = real_store_collection(real, collection);
    bson_error_t error = {0};
    if (!mongoc_collection_update_many(handle, filter, update, NULL, NULL, &error))
        fail_msg("%s", error.message);
    mongoc_collection_destroy(handle);
    bson_destroy(filter);
    bson_destroy(update);
}

int64_t real_store_count(struct real_store *real, const char *collection, bson_t *filter) {
    mongoc_collection_t *handle = real_store_collection(real, collection);
    bson_error_t error = {0};
    int64_t count = mongoc_collection_count_documents(handle, filter, NULL, NULL, NULL, &error);
    if (count < 0)
        fail_msg("%s", error.message);
    mongoc_collection_destroy(handle);
    bson_destroy(filter);
    return count;
}

bson_t *real_store_first(struct real_store *real, const char *collection, bson_t *filter) {
    mongoc_collection_t *handle = real_store_collection(real, collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(handle, filter, NULL, NULL);
    const bson_t *document;
    bson_t *copy = mongoc_cursor_next(cursor, &document) ? bson_copy(document) : NULL;
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(handle);
    bson_destroy(filter);
    return copy;
}

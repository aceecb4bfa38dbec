// SPDX-License-Identifier: Apache-2.0
/*
 * The limit that a directory listing is measured against: one find of the files
 * documents below a directory, every document looked at, nothing kept.
 *
 *     raw_find URI BUCKET DIRECTORY          DIRECTORY "" is the whole bucket
 */
#include <mongoc/mongoc.h>

#include "measure.h"

/* Every name below DIRECTORY lies between "DIRECTORY/" and "DIRECTORY0": '0' follows '/'. */
static bson_t *filter_below(const char *directory) {
    if (directory[0] == '\0')
        return bson_new();

    char *first = bson_strdup_printf("%s/", directory);
    char *behind = bson_strdup_printf("%s0", directory);
    bson_t *filter = BCON_NEW("filename", "{", "$gte", BCON_UTF8(first), "$lt",
                              BCON_UTF8(behind), "}");

    bson_free(behind);
    bson_free(first);
    return filter;
}

static void measure_find(mongoc_client_t *client, const char *database, const char *bucket,
                         const char *directory) {
    char *name = bson_strdup_printf("%s.files", bucket);
    mongoc_collection_t *files = mongoc_client_get_collection(client, database, name);
    bson_t *filter = filter_below(directory);
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    mongoc_cursor_t *cursor;
    const bson_t *document;
    bson_error_t error;
    int64_t bytes = 0, documents = 0;
    double start;

    if (!mongoc_client_command_simple(client, "admin", ping, NULL, NULL, &error))
        measure_stop("raw_find", error.message);
    start = measure_now();
    cursor = mongoc_collection_find_with_opts(files, filter, NULL, NULL);
    for (; mongoc_cursor_next(cursor, &document); documents++)
        bytes += document->len;
    if (mongoc_cursor_error(cursor, &error))
        measure_stop("raw_find", error.message);
    measure_report(stdout, bytes, documents, start);

    mongoc_cursor_destroy(cursor);
    bson_destroy(ping);
    bson_destroy(filter);
    mongoc_collection_destroy(files);
    bson_free(name);
}

int main(int argc, char **argv) {
    mongoc_client_t *client;
    mongoc_uri_t *uri;

    if (argc != 4)
        measure_stop("usage", "raw_find URI BUCKET DIRECTORY");
    mongoc_init();
    uri = mongoc_uri_new(argv[1]);
    if (uri == NULL || mongoc_uri_get_database(uri) == NULL)
        measure_stop("raw_find", "the URI must be valid and name a database");
    client = mongoc_client_new_from_uri(uri);
    if (client == NULL)
        measure_stop("raw_find", "cannot make a client for the URI");
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    measure_find(client, mongoc_uri_get_database(uri), argv[2], argv[3]);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return 0;
}

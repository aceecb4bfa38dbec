// SPDX-License-Identifier: Apache-2.0
/*
 * One file read through libmongoc's own GridFS download stream, in reads of 1 MiB: what
 * a C program gets from the driver without further thought.
 *
 *     gridfs_stream URI BUCKET FILENAME
 */
#include <mongoc/mongoc.h>

#include "measure.h"

enum { READ_SIZE = 1 << 20 };

static void find_file(mongoc_gridfs_bucket_t *bucket, const char *filename, bson_value_t *ret_id) {
    bson_t *filter = BCON_NEW("filename", BCON_UTF8(filename));
    bson_t *options = BCON_NEW("sort", "{", "uploadDate", BCON_INT32(-1), "}", "limit",
                               BCON_INT64(1));
    mongoc_cursor_t *cursor = mongoc_gridfs_bucket_find(bucket, filter, options);
    const bson_t *document;
    bson_iter_t id;

    if (!mongoc_cursor_next(cursor, &document) || !bson_iter_init_find(&id, document, "_id"))
        measure_stop(filename, "no such file in the bucket");
    bson_value_copy(bson_iter_value(&id), ret_id);
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    bson_destroy(filter);
}

static int64_t read_file(mongoc_gridfs_bucket_t *bucket, const bson_value_t *id) {
    bson_error_t error;
    mongoc_stream_t *stream = mongoc_gridfs_bucket_open_download_stream(bucket, id, &error);
    void *buffer = malloc(READ_SIZE);
    int64_t bytes = 0;
    ssize_t got;

    if (stream == NULL)
        measure_stop("gridfs_stream", error.message);
    if (buffer == NULL)
        measure_stop("gridfs_stream", "out of memory");
    while ((got = mongoc_stream_read(stream, buffer, READ_SIZE, 1, 0)) > 0)
        bytes += got;
    if (mongoc_gridfs_bucket_stream_error(stream, &error))
        measure_stop("gridfs_stream", error.message);
    free(buffer);
    mongoc_stream_destroy(stream);
    return bytes;
}

static void measure_file(mongoc_client_t *client, const char *database_name,
                         const char *bucket_name, const char *filename) {
    mongoc_database_t *database = mongoc_client_get_database(client, database_name);
    bson_t *options = BCON_NEW("bucketName", BCON_UTF8(bucket_name));
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    mongoc_gridfs_bucket_t *bucket;
    bson_error_t error;
    bson_value_t id;
    int64_t bytes;
    double start;

    if (!mongoc_client_command_simple(client, "admin", ping, NULL, NULL, &error))
        measure_stop("gridfs_stream", error.message);
    bucket = mongoc_gridfs_bucket_new(database, options, NULL, &error);
    if (bucket == NULL)
        measure_stop("gridfs_stream", error.message);
    start = measure_now();
    find_file(bucket, filename, &id);
    bytes = read_file(bucket, &id);
    measure_report(stdout, bytes, 1, start);

    bson_value_destroy(&id);
    mongoc_gridfs_bucket_destroy(bucket);
    bson_destroy(ping);
    bson_destroy(options);
    mongoc_database_destroy(database);
}

int main(int argc, char **argv) {
    mongoc_client_t *client;
    mongoc_uri_t *uri;

    if (argc != 4)
        measure_stop("usage", "gridfs_stream URI BUCKET FILENAME");
    mongoc_init();
    uri = mongoc_uri_new(argv[1]);
    if (uri == NULL || mongoc_uri_get_database(uri) == NULL)
        measure_stop("gridfs_stream", "the URI must be valid and name a database");
    client = mongoc_client_new_from_uri(uri);
    if (client == NULL)
        measure_stop("gridfs_stream", "cannot make a client for the URI");
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    measure_file(client, mongoc_uri_get_database(uri), argv[2], argv[3]);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return 0;
}

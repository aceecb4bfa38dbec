// SPDX-License-Identifier: Apache-2.0
/*
 * The limit that writing a file is measured against: its chunks by insert_many, one batch
 * after the other on one connection, then the files document. Nothing is prepared, nothing
 * is looked at afterwards, and the write concern is the server's own default.
 *
 *     raw_insert URI BUCKET FILE CHUNKS_PER_INSERT
 */
#include <errno.h>
#include <fcntl.h>
#include <mongoc/mongoc.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

enum { CHUNK = 255 << 10, CHUNKS_MOST = 128 };

struct target {
    mongoc_collection_t *files, *chunks;
    bson_oid_t id;
};

static bson_t *chunk_document(const struct target *target, int n, const uint8_t *bytes, size_t size) {
    bson_t *document = bson_new();

    BSON_APPEND_OID(document, "files_id", &target->id);
    BSON_APPEND_INT32(document, "n", n);
    BSON_APPEND_BINARY(document, "data", BSON_SUBTYPE_BINARY, bytes, (uint32_t)size);
    return document;
}

static void insert_batch(const struct target *target, int first, const uint8_t *bytes, size_t size) {
    bson_t *documents[CHUNKS_MOST], *options = BCON_NEW("ordered", BCON_BOOL(false));
    bson_error_t error;
    size_t count = 0;

    for (size_t at = 0; at < size; at += CHUNK, count++)
        documents[count] = chunk_document(target, first + (int)count, bytes + at,
                                          size - at < CHUNK ? size - at : CHUNK);
    if (!mongoc_collection_insert_many(target->chunks, (const bson_t **)documents, count, options,
                                       NULL, &error))
        measure_stop("raw_insert", error.message);
    for (size_t i = 0; i < count; i++)
        bson_destroy(documents[i]);
    bson_destroy(options);
}

/* Up to `size` bytes; less only at the end of the file. */
static size_t read_batch(int fd, uint8_t *buffer, size_t size) {
    size_t filled = 0;
    ssize_t got = 1;

    while (filled < size && (got = read(fd, buffer + filled, size - filled)) > 0)
        filled += (size_t)got;
    if (got < 0)
        measure_stop("raw_insert", strerror(errno));
    return filled;
}

static void insert_file(const struct target *target, const char *path, int64_t length) {
    bson_t *document = BCON_NEW("_id", BCON_OID(&target->id), "filename", BCON_UTF8(path), "length",
                                BCON_INT64(length), "chunkSize", BCON_INT32(CHUNK));
    bson_error_t error;

    bson_append_now_utc(document, "uploadDate", -1);
    if (!mongoc_collection_insert_one(target->files, document, NULL, NULL, &error))
        measure_stop("raw_insert", error.message);
    bson_destroy(document);
}

static void measure_inserts(const struct target *target, const char *path, int per_insert) {
    size_t size = (size_t)per_insert * CHUNK, got;
    uint8_t *buffer = malloc(size);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int64_t length = 0;
    double start;

    if (buffer == NULL || fd < 0)
        measure_stop(path, strerror(errno));
    memset(buffer, 0, size); /* its page faults belong before the clock */
    start = measure_now();
    for (int n = 0; (got = read_batch(fd, buffer, size)) > 0; n += per_insert, length += (int64_t)got)
        insert_batch(target, n, buffer, got);
    insert_file(target, path, length);
    measure_report(stdout, length, 1, start);
    close(fd);
    free(buffer);
}

static void measure_bucket(mongoc_client_t *client, const char *database, const char *bucket,
                           const char *path, int per_insert) {
    char *files = bson_strdup_printf("%s.files", bucket);
    char *chunks = bson_strdup_printf("%s.chunks", bucket);
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    struct target target = {.files = mongoc_client_get_collection(client, database, files),
                            .chunks = mongoc_client_get_collection(client, database, chunks)};
    bson_error_t error;

    if (!mongoc_client_command_simple(client, "admin", ping, NULL, NULL, &error))
        measure_stop("raw_insert", error.message);
    bson_oid_init(&target.id, NULL);
    measure_inserts(&target, path, per_insert);

    mongoc_collection_destroy(target.chunks);
    mongoc_collection_destroy(target.files);
    bson_destroy(ping);
    bson_free(chunks);
    bson_free(files);
}

int main(int argc, char **argv) {
    int per_insert = argc == 5 ? atoi(argv[4]) : 0;
    mongoc_client_t *client;
    mongoc_uri_t *uri;

    if (per_insert < 1 || per_insert > CHUNKS_MOST)
        measure_stop("usage", "raw_insert URI BUCKET FILE CHUNKS_PER_INSERT (1 to 128)");
    mongoc_init();
    uri = mongoc_uri_new(argv[1]);
    if (uri == NULL || mongoc_uri_get_database(uri) == NULL)
        measure_stop("raw_insert", "the URI must be valid and name a database");
    client = mongoc_client_new_from_uri(uri);
    if (client == NULL)
        measure_stop("raw_insert", "cannot make a client for the URI");
    mongoc_client_set_error_api(client, MONGOC_ERROR_API_VERSION_2);
    measure_bucket(client, mongoc_uri_get_database(uri), argv[2], argv[3], per_insert);
    mongoc_client_destroy(client);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return 0;
}

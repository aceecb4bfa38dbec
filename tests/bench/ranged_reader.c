// SPDX-License-Identifier: Apache-2.0
/*
 * The limit that gridmount is measured against: one file read by plain ranged finds of
 * eight chunks, `{files_id, n: {$gte: a, $lt: b}}`, on one or more connections.
 * There is no cache, no filesystem and no check of the chunks here.
 *
 *     ranged_reader URI BUCKET FILENAME CONNECTIONS [--output]
 *
 * The threads take ranges in order from one counter. With --output the bytes go to
 * stdout: each thread waits with its range until the ranges before it are written.
 */
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "measure.h"

enum { CHUNKS_PER_FIND = 8, CONNECTIONS_MAX = 16 };

struct job {
    mongoc_client_pool_t *pool;
    const char *database;
    const char *bucket;
    bson_value_t files_id;
    int64_t chunk_count;
    bool output;
    atomic_llong next_range;
    atomic_llong bytes;
    pthread_mutex_t turn_lock;
    pthread_cond_t turn_changed;
    int64_t turn; /* under turn_lock: the range that may be written now */
};

static mongoc_collection_t *job_collection(const struct job *job, mongoc_client_t *client,
                                           const char *suffix) {
    char name[256];

    snprintf(name, sizeof name, "%s.%s", job->bucket, suffix);
    return mongoc_client_get_collection(client, job->database, name);
}

/* The newest revision of the name; pushes no client back before everything of it is destroyed. */
static void job_find_file(struct job *job, const char *filename) {
    mongoc_client_t *client = mongoc_client_pool_pop(job->pool);
    mongoc_collection_t *files = job_collection(job, client, "files");
    bson_t *filter = BCON_NEW("filename", BCON_UTF8(filename));
    bson_t *options = BCON_NEW("sort", "{", "uploadDate", BCON_INT32(-1), "}", "limit",
                               BCON_INT64(1));
    mongoc_cursor_t *cursor = mongoc_collection_find_with_opts(files, filter, options, NULL);
    const bson_t *document;
    bson_iter_t id, length, chunk_size;

    if (!mongoc_cursor_next(cursor, &document))
        measure_stop(filename, "no such file in the bucket");
    if (!bson_iter_init_find(&id, document, "_id") ||
        !bson_iter_init_find(&length, document, "length") ||
        !bson_iter_init_find(&chunk_size, document, "chunkSize") ||
        bson_iter_as_int64(&chunk_size) <= 0)
        measure_stop(filename, "not a GridFS files document");
    bson_value_copy(bson_iter_value(&id), &job->files_id);
    job->chunk_count = (bson_iter_as_int64(&length) + bson_iter_as_int64(&chunk_size) - 1) /
                       bson_iter_as_int64(&chunk_size);
    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    bson_destroy(filter);
    mongoc_collection_destroy(files);
    mongoc_client_pool_push(job->pool, client);
}

static void write_all(const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, data, size);

        if (written < 0)
            measure_stop("ranged_reader", "cannot write to stdout");
        data += written;
        size -= (size_t)written;
    }
}

static int64_t take_chunk(const struct job *job, const bson_t *document) {
    bson_iter_t data;
    bson_subtype_t subtype;
    const uint8_t *bytes;
    uint32_t size;

    if (!bson_iter_init_find(&data, document, "data") || !BSON_ITER_HOLDS_BINARY(&data))
        measure_stop("ranged_reader", "a chunk without data");
    bson_iter_binary(&data, &subtype, &size, &bytes);
    if (job->output)
        write_all(bytes, size);
    return size;
}

static void wait_for_turn(struct job *job, int64_t range) {
    pthread_mutex_lock(&job->turn_lock);
    while (job->turn != range)
        pthread_cond_wait(&job->turn_changed, &job->turn_lock);
    pthread_mutex_unlock(&job->turn_lock);
}

static void pass_turn(struct job *job) {
    pthread_mutex_lock(&job->turn_lock);
    job->turn++;
    pthread_cond_broadcast(&job->turn_changed);
    pthread_mutex_unlock(&job->turn_lock);
}

static void read_range(struct job *job, mongoc_collection_t *chunks, int64_t range) {
    bson_t filter = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("sort", "{", "n", BCON_INT32(1), "}");
    bson_t bounds;
    mongoc_cursor_t *cursor;
    const bson_t *document;
    bson_error_t error;
    bool more;

    BSON_APPEND_VALUE(&filter, "files_id", &job->files_id);
    BSON_APPEND_DOCUMENT_BEGIN(&filter, "n", &bounds);
    BSON_APPEND_INT32(&bounds, "$gte", (int32_t)(range * CHUNKS_PER_FIND));
    BSON_APPEND_INT32(&bounds, "$lt", (int32_t)((range + 1) * CHUNKS_PER_FIND));
    bson_append_document_end(&filter, &bounds);

    cursor = mongoc_collection_find_with_opts(chunks, &filter, options, NULL);
    more = mongoc_cursor_next(cursor, &document); /* the reply is here from now on */
    if (job->output)
        wait_for_turn(job, range);
    for (; more; more = mongoc_cursor_next(cursor, &document))
        job->bytes += take_chunk(job, document);
    if (mongoc_cursor_error(cursor, &error))
        measure_stop("ranged_reader", error.message);
    if (job->output)
        pass_turn(job);

    mongoc_cursor_destroy(cursor);
    bson_destroy(options);
    bson_destroy(&filter);
}

static void *read_ranges(void *argument) {
    struct job *job = argument;
    mongoc_client_t *client = mongoc_client_pool_pop(job->pool);
    mongoc_collection_t *chunks = job_collection(job, client, "chunks");
    int64_t range_count = (job->chunk_count + CHUNKS_PER_FIND - 1) / CHUNKS_PER_FIND;
    int64_t range;

    while ((range = job->next_range++) < range_count)
        read_range(job, chunks, range);
    mongoc_collection_destroy(chunks);
    mongoc_client_pool_push(job->pool, client);
    return NULL;
}

/* Opens every connection that will be used, so that none is opened on the clock. */
static void job_connect(struct job *job, int connections) {
    mongoc_client_t *clients[CONNECTIONS_MAX];
    bson_t *ping = BCON_NEW("ping", BCON_INT32(1));
    bson_error_t error;

    for (int i = 0; i < connections; i++) {
        clients[i] = mongoc_client_pool_pop(job->pool);
        if (!mongoc_client_command_simple(clients[i], "admin", ping, NULL, NULL, &error))
            measure_stop("ranged_reader", error.message);
    }
    for (int i = 0; i < connections; i++)
        mongoc_client_pool_push(job->pool, clients[i]);
    bson_destroy(ping);
}

static void job_run(struct job *job, const char *filename, int connections) {
    pthread_t threads[CONNECTIONS_MAX];
    double start;

    job_connect(job, connections);
    start = measure_now();
    job_find_file(job, filename);
    for (int i = 0; i < connections; i++)
        if (pthread_create(&threads[i], NULL, read_ranges, job) != 0)
            measure_stop("ranged_reader", "cannot start a thread");
    for (int i = 0; i < connections; i++)
        pthread_join(threads[i], NULL);
    measure_report(job->output ? stderr : stdout, job->bytes, job->chunk_count, start);
    bson_value_destroy(&job->files_id);
}

int main(int argc, char **argv) {
    struct job job = {
        .turn_lock = PTHREAD_MUTEX_INITIALIZER,
        .turn_changed = PTHREAD_COND_INITIALIZER,
    };
    int connections = argc >= 5 ? atoi(argv[4]) : 0;
    mongoc_uri_t *uri;

    if (connections < 1 || connections > CONNECTIONS_MAX)
        measure_stop("usage",
                     "ranged_reader URI BUCKET FILENAME CONNECTIONS(1-16) [--output]");
    mongoc_init();
    uri = mongoc_uri_new(argv[1]);
    if (uri == NULL || mongoc_uri_get_database(uri) == NULL)
        measure_stop("ranged_reader", "the URI must be valid and name a database");
    job.database = mongoc_uri_get_database(uri);
    job.bucket = argv[2];
    job.output = argc == 6 && strcmp(argv[5], "--output") == 0;
    job.pool = mongoc_client_pool_new(uri);
    mongoc_client_pool_set_error_api(job.pool, MONGOC_ERROR_API_VERSION_2);
    job_run(&job, argv[3], connections);
    mongoc_client_pool_destroy(job.pool);
    mongoc_uri_destroy(uri);
    mongoc_cleanup();
    return 0;
}

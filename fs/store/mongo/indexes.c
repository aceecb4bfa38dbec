// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/indexes.h"

#include <errno.h>
#include <string.h>

#include "cache/base/log.h"
#include "fs/store/mongo/document.h"

static const struct needed {
    const char *fields[2];
    const char *name;
    bool unique;
} on_files = {{"filename", "uploadDate"}, "filename_1_uploadDate_1", false},
  on_chunks = {{"files_id", "n"}, "files_id_1_n_1", true};

static bool is_needed(const bson_t *index, const struct needed *needed) {
    bson_iter_t iter, keys;
    int64_t one;
    if (!bson_iter_init_find(&iter, index, "key") || !bson_iter_recurse(&iter, &keys))
        return false;
    for (unsigned i = 0; i < 2; i++)
        if (!bson_iter_next(&keys) || strcmp(bson_iter_key(&keys), needed->fields[i]) != 0 ||
            !document_whole_number(&keys, 1, 1, &one))
            return false;
    return !bson_iter_next(&keys);
}

/* 1 when the index is there, 0 when not, -ENOENT without a collection, or another -errno. */
static int has_index(struct bucket *bucket, const char *collection, const struct needed *needed) {
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return -ETIMEDOUT;
    mongoc_collection_t *handle =
        mongoc_client_get_collection(client, connection_database(bucket->connection), collection);
    mongoc_cursor_t *cursor = mongoc_collection_find_indexes_with_opts(handle, NULL);
    const bson_t *index;
    bson_error_t error;
    int result = 0;
    bool any = false;
    while (result == 0 && mongoc_cursor_next(cursor, &index)) {
        any = true;
        result = is_needed(index, needed);
    }
    if (result == 0 && mongoc_cursor_error(cursor, &error))
        result = connection_errno(&error, "listIndexes");
    mongoc_cursor_destroy(cursor);
    mongoc_collection_destroy(handle);
    connection_push(bucket->connection, client);
    return result == 0 && !any ? -ENOENT : result;
}

static int make_index(struct bucket *bucket, const char *collection, const struct needed *needed) {
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(collection), "indexes", "[", "{", "key", "{",
                               needed->fields[0], BCON_INT32(1), needed->fields[1], BCON_INT32(1),
                               "}", "name", BCON_UTF8(needed->name), "unique", BCON_BOOL(needed->unique), "}", "]");
    bson_t reply;
    bson_error_t error;
    int result = connection_command(bucket->connection, command, &reply, &error);
    if (result)
        log_error("cannot make the index %s on %s: %s", needed->name, collection, error.message);
    else
        log_info("made the index %s on %s", needed->name, collection);
    bson_destroy(&reply);
    bson_destroy(command);
    return result;
}

static int check(struct bucket *bucket, const char *collection, const struct needed *needed, bool create) {
    int result = has_index(bucket, collection, needed);
    if (result == -ENOENT)
        return 0;
    if (result == 0 && create)
        return make_index(bucket, collection, needed);
    if (result == 0)
        log_warning("%s lacks the index %s of the GridFS specification: every access reads the whole collection; "
                    "mount once with -o create_indexes",
                    collection, needed->name);
    return result < 0 ? result : 0;
}

int indexes_check(struct bucket *bucket, bool create) {
    int files = check(bucket, bucket->files, &on_files, create);
    int chunks = check(bucket, bucket->chunks, &on_chunks, create);
    log_debug("the indexes of bucket %s were looked at", bucket->store.bucket);
    return files ? files : chunks;
}

int indexes_missing(struct bucket *bucket, const char *ret_names[2], unsigned *ret_count) {
    int files = has_index(bucket, bucket->files, &on_files), chunks = has_index(bucket, bucket->chunks, &on_chunks);
    *ret_count = 0;
    if (files == 0)
        ret_names[(*ret_count)++] = on_files.name;
    if (chunks == 0)
        ret_names[(*ret_count)++] = on_chunks.name;
    int result = files < 0 && files != -ENOENT ? files : chunks;
    return result < 0 && result != -ENOENT ? result : 0;
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* 1 when there is a file, 0 or -errno. */
static int has_files(struct bucket *bucket) {
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    bson_t everything = BSON_INITIALIZER;
    int result = bucket_find(bucket, bucket->files, &everything, options, found_one, NULL);
    bson_destroy(&everything);
    bson_destroy(options);
    return result;
}

int indexes_make_if_empty(struct bucket *bucket) {
    int on_files_there = has_index(bucket, bucket->files, &on_files);
    int on_chunks_there = has_index(bucket, bucket->chunks, &on_chunks);
    if (on_files_there > 0 && on_chunks_there > 0)
        return 0;
    int result = has_files(bucket);
    if (result)
        return result < 0 ? result : 0;
    if (on_files_there == 0 || on_files_there == -ENOENT)
        (void)make_index(bucket, bucket->files, &on_files);
    if (on_chunks_there == 0 || on_chunks_there == -ENOENT)
        (void)make_index(bucket, bucket->chunks, &on_chunks);
    return 0;
}

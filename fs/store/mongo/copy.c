// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/copy.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/intents.h"

enum {
    RUN_LEAST = 2 << 20,      /* bytes: what is sent in about the time that one more question takes */
    PIECE_FIRST = 64 << 20,   /* bytes of the first command; the next are as large as a server does in PIECE_MS */
    PIECE_MOST = 512 << 20,
    PIECE_MS = 2000,
    REFUSED_MS = 30 * 60 * 1000,
};

struct copying {
    struct bucket *bucket;
    const struct upload *upload;
    const struct revision *source;
    int64_t piece; /* bytes of the next command */
};

/* ---- what is to be copied ---- */

/* Whether chunk n of the new revision is chunk n of the source. */
static bool is_clean(const struct upload *upload, uint32_t n) {
    const struct store_content *content = upload->content;
    int64_t offset = (int64_t)n * upload->chunk_size, rest = content->length - offset;
    uint32_t size = rest < upload->chunk_size ? (uint32_t)rest : upload->chunk_size;
    return n < revision_chunks(content->source) && revision_chunk_length(content->source, n) == size &&
           content->is_clean(content->context, offset, size);
}

static int find_runs(const struct upload *upload, struct runs *runs) {
    uint32_t chunks = (uint32_t)((upload->content->length + upload->chunk_size - 1) / upload->chunk_size);
    uint32_t least = (RUN_LEAST + upload->chunk_size - 1) / upload->chunk_size, first = 0;
    int result = 0;
    for (uint32_t n = 0; result == 0 && n <= chunks; n++) {
        if (n < chunks && is_clean(upload, n))
            continue;
        if (n - first >= least)
            result = runs_add(runs, first, n - first);
        first = n + 1;
    }
    return result;
}

/* ---- copying ---- */

/* Those that have the size they must have: damage is not copied. */
static bson_t *sound_ones(const struct revision *source) {
    uint32_t last = revision_chunks(source) - 1;
    return BCON_NEW("data", "{", "$type", BCON_INT32(BSON_TYPE_BINARY), "}", "$expr", "{", "$eq", "[", "{",
                    "$binarySize", BCON_UTF8("$data"), "}", "{", "$cond", "[", "{", "$eq", "[", BCON_UTF8("$n"),
                    BCON_INT64(last), "]", "}", BCON_INT64(revision_chunk_length(source, last)),
                    BCON_INT64(source->chunk_size), "]", "}", "]", "}");
}

static bson_t *copy_command(const struct copying *copying, struct upload_run run) {
    bson_t id, filter = BSON_INITIALIZER, range, *sound = sound_ones(copying->source);
    CHECK(bson_init_static(&id, copying->source->id, copying->source->id_size));
    bucket_match_id(&filter, "files_id", &id);
    bson_append_document_begin(&filter, "n", -1, &range);
    BSON_APPEND_INT64(&range, "$gte", run.first);
    BSON_APPEND_INT64(&range, "$lt", (int64_t)run.first + run.count);
    bson_append_document_end(&filter, &range);
    /* By files_id and n, so that a command may be repeated; the server makes the _ids. */
    bson_t *command = BCON_NEW(
        "aggregate", BCON_UTF8(copying->bucket->chunks), "pipeline", "[", "{", "$match", BCON_DOCUMENT(&filter), "}",
        "{", "$match", BCON_DOCUMENT(sound), "}", "{", "$project", "{", "_id", BCON_INT32(0), "files_id", "{",
        "$literal", BCON_OID(copying->upload->id), "}", "n", BCON_INT32(1), "data", BCON_INT32(1), "}", "}", "{", "$merge", "{", "into",
        BCON_UTF8(copying->bucket->chunks), "on", "[", BCON_UTF8("files_id"), BCON_UTF8("n"), "]", "whenMatched",
        BCON_UTF8("keepExisting"), "whenNotMatched", BCON_UTF8("insert"), "}", "}", "]", "cursor", "{", "}");
    bson_destroy(sound);
    bson_destroy(&filter);
    return command;
}

static bool run_command(struct bucket *bucket, const bson_t *command, bson_error_t *ret_error) {
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client) {
        bson_set_error(ret_error, MONGOC_ERROR_STREAM, 0, "no connection came free in time");
        return false;
    }
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(concern, 0);
    mongoc_write_concern_set_journal(concern, true);
    bson_t options = BSON_INITIALIZER, reply;
    mongoc_write_concern_append(concern, &options);
    bool done = mongoc_client_write_command_with_opts(client, connection_database(bucket->connection), command,
                                                      &options, &reply, ret_error);
    bson_destroy(&reply);
    bson_destroy(&options);
    mongoc_write_concern_destroy(concern);
    connection_push(bucket->connection, client);
    return done;
}

/* 0, -EOPNOTSUPP when the server refuses such commands, or another -errno. */
static int copy_piece(struct copying *copying, struct upload_run piece) {
    bson_error_t error = {0};
    int64_t began = clock_now_ms();
    bson_t *command = copy_command(copying, piece);
    bool done = run_command(copying->bucket, command, &error);
    bson_destroy(command);
    if (!done && error.domain == MONGOC_ERROR_SERVER) {
        log_info("the server does not copy chunks, so they are sent: %s", error.message);
        return -EOPNOTSUPP;
    }
    if (!done)
        return bucket_change_errno(copying->bucket, &error, NULL, "copying on the server");
    int64_t took = clock_now_ms() - began + 1, bytes = (int64_t)piece.count * copying->upload->chunk_size;
    int64_t next = bytes * PIECE_MS / took;
    copying->piece = next < 2 * copying->piece ? next : 2 * copying->piece;
    copying->piece = copying->piece < PIECE_MOST ? copying->piece : PIECE_MOST;
    return 0;
}

static int copy_run(struct copying *copying, struct upload_run run) {
    uint32_t done = 0;
    int result = 0;
    while (result == 0 && done < run.count) {
        uint32_t count = (uint32_t)(copying->piece / copying->upload->chunk_size);
        count = count == 0 ? 1 : count < run.count - done ? count : run.count - done;
        result = intents_keep(copying->bucket, copying->upload->intent);
        if (result == 0)
            result = copy_piece(copying, (struct upload_run){run.first + done, count});
        done += count;
    }
    return result;
}

/* Whether as many chunks are there as were to be copied: what the source lacks cannot have been. */
static int check_count(struct copying *copying, int64_t expected) {
    bson_t *command = BCON_NEW("aggregate", BCON_UTF8(copying->bucket->chunks), "pipeline", "[", "{", "$match", "{",
                               "files_id", BCON_OID(copying->upload->id), "}", "}", "{", "$group", "{", "_id",
                               BCON_NULL, "n", "{", "$sum", BCON_INT32(1), "}", "}", "}", "]", "cursor", "{", "}");
    bson_t reply;
    bson_iter_t iter, number;
    bson_error_t error = {0};
    int64_t count = 0; /* and no document when there is none */
    int result = connection_command(copying->bucket->connection, command, &reply, &error);
    if (result)
        result = connection_errno(&error, copying->bucket->chunks);
    else if (bson_iter_init(&iter, &reply) && bson_iter_find_descendant(&iter, "cursor.firstBatch.0.n", &number))
        (void)document_whole_number(&number, 0, INT32_MAX, &count);
    bson_destroy(&reply);
    bson_destroy(command);
    if (result == 0 && count != expected)
        return log_error("of %lld chunks in bucket %s only %lld are there after copying: the file they are from is "
                         "damaged or deleted",
                         (long long)expected, copying->bucket->store.bucket, (long long)count),
               -EIO;
    return result;
}

static uint64_t bytes_in(const struct upload *upload, const struct runs *runs) {
    int64_t bytes = 0;
    for (uint32_t i = 0; i < runs->count; i++) {
        int64_t first = (int64_t)runs->list[i].first * upload->chunk_size;
        int64_t end = first + (int64_t)runs->list[i].count * upload->chunk_size;
        bytes += (end < upload->content->length ? end : upload->content->length) - first;
    }
    return (uint64_t)bytes;
}

static bool may_copy(const struct bucket *bucket, const struct upload *upload) {
    const struct revision *source = upload->content->source;
    bool refused = clock_now_ms() < atomic_load(&bucket->copies_refused_until_ms);
    return !upload->sha256 && !refused && source && !source->damage && source->chunk_size == upload->chunk_size &&
           source->store == &bucket->store &&
           !bucket_may_reuse_id(source); /* chunks of such an _id can be another content's: readers check that */
}

int copy_clean_chunks(struct bucket *bucket, const struct upload *upload, struct runs *copied) {
    struct copying copying = {
        .bucket = bucket, .upload = upload, .source = upload->content->source, .piece = PIECE_FIRST};
    int result = may_copy(bucket, upload) ? find_runs(upload, copied) : 0;
    for (uint32_t i = 0; result == 0 && i < copied->count; i++)
        result = copy_run(&copying, copied->list[i]);
    if (result == 0 && copied->count > 0)
        result = check_count(&copying, runs_chunks(copied) + (upload->skip ? runs_chunks(upload->skip) : 0));
    if (result == -EOPNOTSUPP)
        atomic_store(&bucket->copies_refused_until_ms, clock_now_ms() + REFUSED_MS);
    if (result == 0 && copied->count > 0)
        stats_add(STAT_chunk_bytes_copied, bytes_in(upload, copied));
    if (result)
        runs_done(copied);
    return result == -EOPNOTSUPP ? 0 : result;
}

// SPDX-License-Identifier: Apache-2.0
/* All files and all chunks, side by side in the order of their ids. */
#include "fs/store/mongo/check_content.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/value_order.h"
#include "fs/store/names.h"

/* ---- chunks ---- */

bson_t *chunk_options(const struct bucket_checks *checks, bool with_id) {
    bson_t *options = BCON_NEW("sort", "{", "files_id", BCON_INT32(1), "n", BCON_INT32(1), "}");
    if (checks->sizes_refused)
        BCON_APPEND(options, "projection", "{", "_id", BCON_INT32(with_id), "files_id", BCON_INT32(1), "n", BCON_INT32(1),
                    "data", BCON_INT32(1), "}", "batchSize", BCON_INT32(16));
    else
        BCON_APPEND(options, "projection", "{", "_id", BCON_INT32(with_id), "files_id", BCON_INT32(1), "n", BCON_INT32(1),
                    "size", "{", "$cond", "[", "{", "$eq", "[", "{", "$type", "$data", "}", "binData", "]", "}", "{",
                    "$binarySize", "$data", "}", BCON_INT32(-1), "]", "}", "}", "batchSize", BCON_INT32(10000));
    return options;
}

struct chunk chunk_read(const bson_t *document) {
    struct chunk chunk = {.n = -1, .size = -1};
    bson_iter_t iter;
    bson_subtype_t subtype;
    uint32_t size;
    const uint8_t *bytes;
    if (bson_iter_init_find(&iter, document, "n"))
        (void)document_whole_number(&iter, 0, INT32_MAX, &chunk.n);
    if (bson_iter_init_find(&iter, document, "size")) {
        (void)document_whole_number(&iter, 0, INT32_MAX, &chunk.size);
    } else if (bson_iter_init_find(&iter, document, "data") && BSON_ITER_HOLDS_BINARY(&iter)) {
        bson_iter_binary(&iter, &subtype, &size, &bytes);
        chunk.size = size;
    }
    return chunk;
}

/* ---- the chunks of one files_id, as far as they are read ---- */

struct run {
    bson_t *id; /* {_id: files_id}; owned; NULL: there are no more */
    int64_t chunks, bytes;
    int64_t each, last; /* bytes of the first chunk, and of the one read last */
    bool even;          /* numbered 0, 1, ... and all of one size, but the last */
};

static void run_add(struct run *run, const bson_t *document) {
    struct chunk chunk = chunk_read(document);
    run->even &= chunk.n == run->chunks && chunk.size >= 0 && (run->chunks < 2 || run->last == run->each);
    if (run->chunks++ == 0)
        run->each = chunk.size;
    run->last = chunk.size;
    run->bytes += chunk.size > 0 ? chunk.size : 0;
}

static bool run_is_sound_for(const struct run *run, const struct revision *revision) {
    uint32_t chunks = revision_chunks(revision);
    return run->even && run->chunks == chunks && chunks > 0 && (chunks == 1 || run->each == revision->chunk_size) &&
           run->last == revision_chunk_length(revision, chunks - 1);
}

/* ---- the merge ---- */

struct merge {
    struct bucket_checks *checks;
    const struct check_listener *listener;
    struct check_stream files, chunks;
    const bson_t *file; /* at hand; lent; NULL: there are no more */
    const bson_t *next; /* the first chunk of the run after this, likewise */
    struct run run;
    struct orphans orphans;
    int64_t file_count, file_bytes;
};

static bson_t *id_of(const bson_t *document, const char *field) {
    bson_iter_t iter;
    bson_t *id = bson_new();
    if (!bson_iter_init_find(&iter, document, field) || !document_append(id, "_id", &iter))
        BSON_APPEND_NULL(id, "_id"); /* as servers compare it */
    return id;
}

static int next_chunk(struct merge *merge) {
    int result = check_stream_next(&merge->chunks, &merge->next);
    if (result <= 0)
        merge->next = NULL;
    return result < 0 ? result : 0;
}

static bool belongs(const bson_t *chunk, const bson_t *id) {
    bson_iter_t value, own;
    if (!bson_iter_init_find(&value, chunk, "files_id"))
        return bson_iter_init_find(&own, id, "_id") && BSON_ITER_HOLDS_NULL(&own);
    return bson_iter_init_find(&own, id, "_id") && value_order(&value, &own) == 0;
}

static int next_run(struct merge *merge) {
    int result = 0;
    if (merge->run.id)
        bson_destroy(merge->run.id);
    merge->run = (struct run){.even = true};
    if (!merge->next)
        return 0;
    merge->run.id = id_of(merge->next, "files_id");
    while (result == 0 && merge->next && belongs(merge->next, merge->run.id)) {
        run_add(&merge->run, merge->next);
        result = next_chunk(merge);
    }
    return result;
}

static int next_file(struct merge *merge) {
    int result = check_stream_next(&merge->files, &merge->file);
    if (result <= 0)
        merge->file = NULL;
    return result < 0 ? result : 0;
}

static int order_at_hand(const struct merge *merge) {
    bson_iter_t file, run;
    if (!merge->file || !merge->run.id)
        return merge->file ? -1 : 1;
    if (!bson_iter_init_find(&file, merge->file, "_id") || !bson_iter_init_find(&run, merge->run.id, "_id"))
        return -1;
    return value_order(&file, &run);
}

/* Those that the check of names does not meet. */
static int check_filename(const struct merge *merge) {
    size_t size = 0;
    const char *filename = document_filename(merge->file, &size);
    if (filename && names_is_path(filename, size))
        return 0;
    bson_t *id = id_of(merge->file, "_id");
    cleanup_free char *text = check_id_text(id);
    bson_destroy(id);
    const struct check_finding finding = {.class = CHECK_UNNAMED, .count = 1, .name = filename, .name_size = size,
        .id = text, .detail = filename ? "its filename is no path" : "it has no filename"};
    if (text)
        merge->listener->found(merge->listener->context, &finding);
    return text ? 0 : -ENOMEM;
}

static int take_file(struct merge *merge, bool has_chunks) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    int result = document_revision(merge->file, &merge->checks->bucket->store, &revision);
    if (result == 0)
        result = check_filename(merge);
    if (result)
        return result == -EINVAL ? 0 : result;
    merge->file_count++;
    if (revision->length < INT64_MAX - merge->file_bytes)
        merge->file_bytes += revision->length;
    bool sound = !revision->damage &&
                 (has_chunks ? run_is_sound_for(&merge->run, revision) : revision_chunks(revision) == 0);
    return sound ? 0 : judge_file(merge->checks, merge->file, merge->listener);
}

static int suspect_orphan(struct merge *merge) {
    struct orphan *orphan = &merge->orphans.list[merge->orphans.count++];
    bson_iter_t id;
    *orphan = (struct orphan){.id = bson_copy(merge->run.id), .last_ms = INT64_MIN};
    if (bson_iter_init_find(&id, orphan->id, "_id") && !orphan_is_askable(&id)) { /* so it is no file's */
        orphan->there = true;
        orphan->chunks = merge->run.chunks;
        orphan->bytes = merge->run.bytes;
    }
    return merge->orphans.count == ORPHANS_AT_ONCE ? judge_orphans(merge->checks, &merge->orphans, merge->listener) : 0;
}

/* What has no counterpart here may have one on a server that sorts otherwise, or by now: the judges ask for it. */
static int step(struct merge *merge) {
    int order = order_at_hand(merge);
    int result = order > 0 ? suspect_orphan(merge) : take_file(merge, order == 0);
    if (result == 0 && order >= 0)
        result = next_run(merge);
    if (result == 0 && order <= 0)
        result = next_file(merge);
    return result;
}

static int open_files(struct merge *merge) {
    bson_t everything = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}", "batchSize", BCON_INT32(5000), "projection",
                               "{", "filename", BCON_INT32(1), "length", BCON_INT32(1), "chunkSize", BCON_INT32(1),
                               "uploadDate", BCON_INT32(1), "}");
    struct bucket *bucket = merge->checks->bucket;
    int result = check_stream_open(bucket, bucket->files, &everything, options, &merge->files);
    merge->files.listener = merge->listener;
    bson_destroy(options);
    return result ? result : next_file(merge);
}

/* Not every server computes the size of what is stored: MongoDB 4.2 and FerretDB do not. */
static bool refuses_sizes(const struct merge *merge) {
    enum { UNAUTHORIZED = 13, TOO_LATE = 50 };
    bson_error_t error;
    return !merge->checks->sizes_refused && mongoc_cursor_error(merge->chunks.cursor, &error) &&
           error.domain == MONGOC_ERROR_SERVER && error.code != UNAUTHORIZED && error.code != TOO_LATE;
}

static int open_chunks(struct merge *merge) {
    bson_t everything = BSON_INITIALIZER;
    bson_t *options = chunk_options(merge->checks, false);
    struct bucket *bucket = merge->checks->bucket;
    int result = check_stream_open(bucket, bucket->chunks, &everything, options, &merge->chunks);
    bson_destroy(options);
    if (result || mongoc_cursor_next(merge->chunks.cursor, &merge->next))
        return result;
    merge->next = NULL;
    if (!refuses_sizes(merge))
        return check_stream_error(&merge->chunks);
    merge->checks->sizes_refused = true;
    check_stream_close(&merge->chunks);
    return open_chunks(merge);
}

int check_content(struct checks *checks, const struct check_listener *listener) {
    cleanup_free struct merge *merge = calloc(1, sizeof *merge);
    if (!merge)
        return -ENOMEM;
    merge->checks = (struct bucket_checks *)checks;
    merge->listener = listener;
    int result = open_files(merge);
    if (result == 0)
        result = open_chunks(merge);
    if (result == 0)
        result = next_run(merge);
    while (result == 0 && (merge->file || merge->run.id))
        result = step(merge);
    if (result == 0)
        result = judge_orphans(merge->checks, &merge->orphans, listener);
    orphans_clear(&merge->orphans);
    if (merge->run.id)
        bson_destroy(merge->run.id);
    check_stream_close(&merge->files);
    check_stream_close(&merge->chunks);
    check_report_count(listener, CHECK_FILES, merge->file_count, merge->file_bytes);
    check_report_count(listener, CHECK_UNJUDGED, merge->orphans.unjudged, merge->orphans.unjudged_bytes);
    return result;
}

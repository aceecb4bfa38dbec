// SPDX-License-Identifier: Apache-2.0
/* Put, the only commit: all chunks, then the files document, then what it replaces is retired.
 *
 *     reserve an _id [intents] -> chunks [copy, upload] -> files document -> newest? lift; retire [put_newest]
 *     or one is there, with chunks [write_behind]          ^ from here on the new content exists
 *
 * It gets the name that the base has at the commit: that is read once more when chunks have been sent, and where the base is
 * not found under that name afterwards, others have renamed it right then, and the new revision follows.
 *
 * A small file is sent with its files document and the question whether there are others, by one command (ordered.h).
 *
 * Before that moment a failure leaves what was there, and chunks that are deleted at once or by the janitor; after it
 * nothing can fail any more but housekeeping. */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/chunk_batch.h"
#include "fs/store/mongo/copy.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/lease.h"
#include "fs/store/mongo/ordered.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/mongo/put_private.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/mongo/write_behind.h"
#include "fs/store/names.h"

/* ---- its files document ---- */

void put_tell_parts(struct putting *putting) {
    putting->parts.base = putting->base;
    putting->parts.filename = putting->filename;
    putting->parts.filename_size = strlen(putting->filename);
}

int put_as_revision(struct putting *putting, bson_t *document, struct revision **ret_revision) {
    bson_reinit(document);
    int result = files_document_make(&putting->parts, document);
    return result ? result : document_revision(document, &putting->bucket->store, ret_revision);
}

/* ---- the chunks ---- */

/* What says the size of the chunks: what it replaces, or what it is a copy of. */
static const struct revision *chunk_model(const struct store_put *put) {
    return put->base ? put->base : put->content->source;
}

static int store_chunks(struct putting *putting) {
    bool checksum = putting->bucket->policy.checksum;
    struct upload upload = {.id = &putting->id,
                            .content = putting->put->content,
                            .chunk_size = putting->parts.chunk_size,
                            .skip = &putting->sent,
                            .intent = putting->intent,
                            .sha256 = checksum ? putting->sha256 : NULL};
    struct runs there = {0}; /* copied or sent before */
    int result = copy_clean_chunks(putting->bucket, &upload, &there);
    if (result == 0)
        result = runs_add_all(&there, &putting->sent);
    upload.skip = &there;
    if (result == 0)
        result = upload_chunks(putting->bucket, &upload);
    runs_done(&there);
    if (checksum)
        putting->parts.sha256 = putting->sha256;
    return result;
}

/* ---- the commit ---- */

static int64_t date_of(const bson_t *document) {
    bson_iter_t iter;
    bool usable = document && bson_iter_init_find(&iter, document, "uploadDate") && BSON_ITER_HOLDS_DATE_TIME(&iter);
    return usable ? bson_iter_date_time(&iter) : INT64_MIN;
}

/* Now, or just behind the base when that has a later date. */
static int choose_date(struct putting *putting) {
    const struct revision *base = putting->put->base;
    int64_t now, dates[2] = {base ? base->date_ms : INT64_MIN, date_of(putting->base)};
    int result = bucket_now_ms(putting->bucket, &now);
    if (result)
        return result;
    putting->parts.date_ms = now;
    for (int i = 0; i < 2; i++)
        if (dates[i] >= putting->parts.date_ms && dates[i] < INT64_MAX)
            putting->parts.date_ms = dates[i] + 1;
    return 0;
}

static int note_one(void *context, const bson_t *document) {
    (void)context, (void)document;
    stats_add(STAT_documents_fetched, 1);
    return 1;
}

/* Whether a majority has the files document; when that cannot be said, -errno. */
static int is_published(struct putting *putting) {
    bson_t *filter = BCON_NEW("_id", BCON_OID(&putting->id));
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "readConcern", "{", "level", BCON_UTF8("majority"), "}");
    int result = bucket_find(putting->bucket, putting->bucket->files, filter, options, note_one, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

/* A try may have arrived although the connection broke, so it is looked for, and made again if that still ends in time.
 * -ETIMEDOUT: it may be there or come to be. */
static int publish(struct putting *putting, const bson_t *document) {
    int64_t began = clock_now_ms();
    for (;;) {
        int result = bucket_insert(putting->bucket, putting->bucket->files, document);
        if (result != -ETIMEDOUT && result != -EEXIST)
            return result;
        int published = is_published(putting);
        if (published > 0)
            return 0;
        if (published == 0 && result == -EEXIST)
            return log_error("a unique index on %s allows no second revision of '%s'", putting->bucket->files,
                             putting->filename),
                   -EPERM;
        if (published < 0 || !bucket_broke_off(putting->bucket, -ETIMEDOUT, began))
            return -ETIMEDOUT;
    }
}

static int make_and_publish(struct putting *putting, struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    bson_t document = BSON_INITIALIZER;
    putting->parts.without_holes = atomic_load(&putting->bucket->holes_refused);
    int result = put_as_revision(putting, &document, &revision);
    if (result == 0)
        result = publish(putting, &document);
    bson_destroy(&document);
    if (result == 0)
        *ret_revision = steal_ptr(&revision);
    return result;
}

/* Whether a revision is what an earlier try at this put came to after all, though its answer was lost. */
static bool is_this_put(const struct store_put *put, const struct revision *revision) {
    const struct attributes *wanted = put->attributes, *found = &revision->attributes;
    return revision->posix == POSIX_OWN && revision->length == put->content->length && found->has & ATTRIBUTES_FILE &&
           memcmp(found->file, wanted->file, ATTRIBUTES_FILE_SIZE) == 0 && found->mtime_ns == wanted->mtime_ns;
}

static int check_not_replaced(struct putting *putting) {
    const struct store_put *put = putting->put;
    const char *name = putting->filename;
    cleanup_with(revision_unref) struct revision *newest = NULL;
    int result = bucket_newest(&putting->bucket->store, name + names_skip_spelling(name, strlen(name)), &newest);
    if (result == -ENOENT)
        return put->base ? -ESTALE : 0;
    if (result)
        return result;
    bool is_base = put->base && revision_same_content(newest, put->base);
    return is_base || is_this_put(put, newest) ? 0 : -ESTALE;
}

static int get_ready(struct putting *putting) {
    int result = intents_keep(putting->bucket, putting->intent);
    if (result == 0)
        result = choose_date(putting);
    if (result == 0 && putting->put->lease)
        result = lease_check(putting->bucket, putting->put->lease);
    if (result == 0 && putting->put->unless_replaced)
        result = check_not_replaced(putting);
    return result;
}

static int commit_ready(struct putting *putting, struct revision **ret_revision) {
    int result = make_and_publish(putting, ret_revision);
    if (result != -EIO || putting->put->content->hole_count == 0 || putting->parts.without_holes)
        return result;
    /* Some servers take no array in an array. Without holes a file only seems to take more room. */
    log_info("trying once more without the holes of '%s'", putting->filename);
    atomic_store(&putting->bucket->holes_refused, true);
    result = make_and_publish(putting, ret_revision);
    if (result)
        atomic_store(&putting->bucket->holes_refused, false);
    return result;
}

static int commit(struct putting *putting, struct revision **ret_revision) {
    int result = put_look_at_base_again(putting);
    if (result == 0)
        result = get_ready(putting);
    return result ? result : commit_ready(putting, ret_revision);
}

/* ---- chunk and commit at once ---- */

/* The revisions of its name, for one that replaces none that is known. */
static void count_all(const struct putting *putting, struct ordered *ordered) {
    const char *name = putting->filename;
    bson_t *all = presence_spellings(name + names_skip_spelling(name, strlen(name)));
    if (!all)
        return;
    ordered_count(ordered, putting->bucket->files, all);
    bson_destroy(all);
}

/* `batch` NULL: the file is empty. */
static int send_small(struct putting *putting, const struct chunk_batch *batch, struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    bson_t document = BSON_INITIALIZER;
    struct ordered ordered;
    int64_t counts[ORDERED_MOST] = {0};
    putting->parts.without_holes = atomic_load(&putting->bucket->holes_refused);
    int result = put_as_revision(putting, &document, &revision);
    if (result == 0 && !ordered_begin(putting->bucket, &ordered))
        result = 1;
    if (result == 0) {
        if (batch)
            ordered_insert(&ordered, putting->bucket->chunks, batch->documents[0]);
        ordered_insert(&ordered, putting->bucket->files, &document);
        uint32_t changes = ordered.count;
        if (!putting->base_is_there)
            count_all(putting, &ordered);
        bool counted = ordered.count > changes;
        result = ordered_end(&ordered, counts);
        putting->alone = result == 0 && counted && counts[changes] == 1; /* itself */
    }
    bson_destroy(&document);
    if (result == 0) {
        stats_add(STAT_chunk_bytes_uploaded, batch ? batch->sizes[0] : 0);
        *ret_revision = steal_ptr(&revision);
    }
    return result;
}

/* Of a small file. 1: it is none. Where one command fails, two of the same documents follow: each may be there. */
static int store_small(struct putting *putting, struct revision **ret_revision) {
    const struct store_content *content = putting->put->content;
    const struct upload upload = {
        .id = &putting->id, .content = content, .chunk_size = putting->parts.chunk_size, .intent = putting->intent};
    cleanup_with(chunk_batch_free) struct chunk_batch *batch = NULL;
    if (content->length > PUT_SMALL_MOST || content->length > upload.chunk_size || putting->sent.count ||
        putting->bucket->policy.checksum || !ordered_possible(putting->bucket))
        return 1;
    int result = get_ready(putting);
    if (result == 0 && content->length)
        result = chunk_batch_new(&upload, (struct upload_run){0, 1}, &batch);
    if (result == 0)
        result = send_small(putting, batch, ret_revision);
    if (result > 0 && (!batch || (result = chunk_batch_send(putting->bucket, batch, NULL)) == 0))
        result = commit_ready(putting, ret_revision);
    return result;
}

/* ---- the whole ---- */

/* An _id: that of what was sent before, if it is of use. */
static int take_id(struct putting *putting, uint32_t chunk_size) {
    const struct store_put *put = putting->put;
    int result = 1;
    if (put->upload)
        result = write_behind_take(put->upload, put->content, chunk_size, &putting->id, &putting->intent,
                                   &putting->sent);
    return result > 0 ? intents_take(putting->bucket, &putting->id, &putting->intent) : result;
}

static int prepare(struct putting *putting) {
    const struct store_put *put = putting->put;
    if (!names_is_path(put->path, strlen(put->path)) || names_skip_spelling(put->path, strlen(put->path))) {
        log_error("GridFS cannot hold a file named '%s'", put->path);
        return -EINVAL;
    }
    uint32_t chunk_size = upload_chunk_size(chunk_model(put));
    if (put->content->length / chunk_size >= INT32_MAX)
        return -EFBIG;
    int result = bucket_begin_changing(putting->bucket);
    if (result == 0)
        result = put_find_base(putting);
    if (result == 0 && put->restored)
        result = put_find_restored(putting);
    if (result == 0)
        result = put_choose_filename(putting);
    if (result == 0)
        result = take_id(putting, chunk_size);
    if (result == 0)
        putting->parts = (struct files_document){.base = putting->base,
                                                 .of_another = !put->base,
                                                 .id = &putting->id,
                                                 .filename = putting->filename,
                                                 .filename_size = strlen(putting->filename),
                                                 .chunk_size = chunk_size,
                                                 .content = put->content,
                                                 .sha256 = putting->has_sha256 ? putting->sha256 : NULL,
                                                 .attributes = put->attributes};
    return result;
}

/* Chunks that nobody will name. What may still arrive, or cannot be deleted now, is left to the janitor. */
static bool clean_up(struct putting *putting, int why) {
    if (putting->put->content->length == 0 && why != -ETIMEDOUT)
        return true;
    if (why == -ETIMEDOUT || !connection_healthy(putting->bucket->connection))
        return false;
    bson_t *id = BCON_NEW("_id", BCON_OID(&putting->id));
    int result = retire_chunks(putting->bucket, id, putting->put->content->length / putting->parts.chunk_size + 1);
    bson_destroy(id);
    return result == 0;
}

int bucket_put(struct store *store, const struct store_put *put, struct revision **ret_revision) {
    struct putting putting = {.bucket = (struct bucket *)store, .put = put};
    struct revision *revision = NULL;
    int result = prepare(&putting);
    if (result == 0)
        result = store_small(&putting, &revision);
    if (result > 0 && (result = store_chunks(&putting)) == 0)
        result = commit(&putting, &revision);
    if (putting.intent)
        intents_settle(putting.bucket, putting.intent, result == 0 || clean_up(&putting, result));
    if (result == 0) {
        stats_add(STAT_puts, 1);
        if (!putting.alone)
            put_become_newest(&putting, &revision);
        *ret_revision = revision;
    }
    bson_destroy(putting.base);
    runs_done(&putting.sent);
    free(putting.filename);
    return result;
}

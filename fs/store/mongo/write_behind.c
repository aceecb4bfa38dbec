// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/write_behind.h"

#include <errno.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/chunk_batch.h"
#include "fs/store/mongo/retire.h"

enum {
    SENDERS = 5,       /* batches under way of one upload */
    REPLACED_MOST = 64, /* runs of changed chunks: beyond it, deleting them takes longer than sending much again */
};

struct store_upload {
    struct bucket *bucket;
    struct store_source source;
    uint32_t chunk_size, per_batch;
    bson_oid_t id; /* fixed once there is an intent */
    struct lock lock; /* guards what follows */
    struct condition changed;
    unsigned references; /* the owner's, and one of each task */
    unsigned tasks;      /* queued or running */
    unsigned sending, reading;
    struct intent *intent; /* NULL: nothing was sent yet, or a put has it */
    uint32_t next, ready;  /* the next chunk to be sent; those before `ready` are complete */
    struct runs arrived;
    bool closed;
    bool failed;   /* what was sent last may be there or not, or come to be */
    bool repeated; /* the first try of something that is there may still come */
    bool left;     /* to the janitor */
};

/* ---- the end ---- */

static int delete_chunks(struct store_upload *upload) {
    bson_t *id = BCON_NEW("_id", BCON_OID(&upload->id));
    int result = retire_chunks(upload->bucket, id, upload->next);
    bson_destroy(id);
    return result;
}

/* What no put has taken. */
static void drop(struct store_upload *upload) {
    bool nothing = upload->arrived.count == 0 && !upload->failed;
    bool can_delete = !upload->failed && !upload->left && connection_healthy(upload->bucket->connection);
    bool clean = nothing || (can_delete && delete_chunks(upload) == 0);
    intents_settle(upload->bucket, upload->intent, clean);
}

static void unref(void *argument) {
    struct store_upload *upload = argument;
    lock_acquire(&upload->lock);
    bool last = --upload->references == 0;
    lock_release(&upload->lock);
    if (!last)
        return;
    if (upload->intent)
        drop(upload);
    runs_done(&upload->arrived);
    condition_done(&upload->changed);
    lock_done(&upload->lock);
    free(upload);
}

struct store_upload *bucket_upload_end(struct store *store, struct store_upload *upload) {
    (void)store;
    if (!upload)
        return NULL;
    lock_acquire(&upload->lock);
    upload->closed = true;
    while (upload->reading > 0)
        condition_wait(&upload->changed, &upload->lock);
    bool sent = upload->intent || upload->sending > 0;
    lock_release(&upload->lock);
    if (sent && uploaders_submit(upload->bucket->uploaders, unref, upload))
        return NULL;
    lock_acquire(&upload->lock);
    upload->left = true;
    lock_release(&upload->lock);
    unref(upload);
    return NULL;
}

/* ---- sending ---- */

static void send_next(void *argument);

/* Has batches sent that are complete, as many at once as may be. */
static void start_tasks(struct store_upload *upload) {
    for (;;) {
        lock_acquire(&upload->lock);
        unsigned most = upload->intent ? SENDERS : 1; /* the first finds the _id */
        uint64_t batches = upload->tasks - upload->sending + 1; /* that are not claimed yet */
        bool starts = !upload->closed && !upload->failed && upload->tasks < most &&
                      upload->ready >= upload->next + batches * upload->per_batch;
        upload->tasks += starts;
        upload->references += starts;
        lock_release(&upload->lock);
        if (!starts)
            return;
        if (uploaders_submit(upload->bucket->uploaders, send_next, upload))
            continue;
        lock_acquire(&upload->lock);
        upload->tasks--;
        upload->references--; /* the caller has another */
        lock_release(&upload->lock);
        return;
    }
}

/* The next batch, to be sent; or a count of 0. */
static struct upload_run claim(struct store_upload *upload) {
    struct upload_run run = {0};
    lock_acquire(&upload->lock);
    if (!upload->closed && !upload->failed && upload->ready - upload->next >= upload->per_batch) {
        run = (struct upload_run){upload->next, upload->per_batch};
        upload->next += run.count;
        upload->sending++;
    }
    lock_release(&upload->lock);
    return run;
}

/* The upload has an _id, whose intent goes on. */
static int keep_intent(struct store_upload *upload) {
    struct bucket *bucket = upload->bucket;
    struct intent *intent = upload->intent; /* only the first task, while it is the only one, finds none */
    int result = bucket_begin_changing(bucket);
    if (result == 0 && intent)
        result = intents_keep(bucket, intent);
    else if (result == 0)
        result = intents_take(bucket, &upload->id, &intent);
    if (result == 0) {
        lock_acquire(&upload->lock);
        upload->intent = intent;
        lock_release(&upload->lock);
    }
    return result;
}

/* -EAGAIN: the source has not got it any more. */
static int read_batch(struct store_upload *upload, struct upload_run run, struct chunk_batch **ret_batch) {
    struct store_content content = {.context = upload->source.context,
                                    .length = ((int64_t)run.first + run.count) * upload->chunk_size,
                                    .read = upload->source.read};
    struct upload parts = {.id = &upload->id, .content = &content, .chunk_size = upload->chunk_size};
    lock_acquire(&upload->lock);
    bool reads = !upload->closed;
    upload->reading += reads;
    lock_release(&upload->lock);
    if (!reads)
        return -EAGAIN;
    int result = chunk_batch_new(&parts, run, ret_batch);
    lock_acquire(&upload->lock);
    upload->reading--;
    condition_broadcast(&upload->changed);
    lock_release(&upload->lock);
    return result;
}

static void send_run(struct store_upload *upload, struct upload_run run) {
    cleanup_with(chunk_batch_free) struct chunk_batch *batch = NULL;
    bool repeated = false;
    int result = keep_intent(upload), unread = result ? 0 : read_batch(upload, run, &batch);
    if (batch)
        result = chunk_batch_send(upload->bucket, batch, &repeated);
    lock_acquire(&upload->lock);
    if (batch && result == 0)
        result = runs_add(&upload->arrived, run.first, run.count);
    upload->failed |= result != 0;
    upload->repeated |= repeated;
    lock_release(&upload->lock);
    if (result)
        log_info("content is not sent while it is written, but when it is closed");
    else if (unread && unread != -EAGAIN)
        log_debug("some content could not be read while it is written: error %d", -unread);
}

/* A task: one batch; further ones wait for their turn. */
static void send_next(void *argument) {
    struct store_upload *upload = argument;
    struct uploaders *uploaders = upload->bucket->uploaders;
    size_t room = (size_t)upload->per_batch * upload->chunk_size;
    uploaders_take_room(uploaders, room);
    struct upload_run run = claim(upload);
    if (run.count)
        send_run(upload, run);
    uploaders_give_room(uploaders, room);
    lock_acquire(&upload->lock);
    upload->tasks--;
    upload->sending -= run.count > 0;
    condition_broadcast(&upload->changed);
    lock_release(&upload->lock);
    start_tasks(upload);
    unref(upload);
}

int bucket_upload_begin(struct store *store, const struct revision *model, const struct store_source *source,
                        int64_t start, struct store_upload **ret_upload) {
    struct bucket *bucket = (struct bucket *)store;
    uint32_t chunk_size = upload_chunk_size(model);
    if (bucket->policy.checksum) /* it is made of all content in order */
        return -EOPNOTSUPP;
    int64_t first = (start + chunk_size - 1) / chunk_size;
    if (first >= INT32_MAX)
        return -EFBIG;
    struct store_upload *upload = calloc(1, sizeof *upload);
    if (!upload)
        return -ENOMEM;
    upload->bucket = bucket;
    upload->source = *source;
    upload->chunk_size = chunk_size;
    upload->per_batch = upload_batch_chunks(chunk_size);
    upload->references = 1;
    upload->next = upload->ready = (uint32_t)first;
    lock_init(&upload->lock, LOCK_UPLOADS);
    condition_init(&upload->changed);
    *ret_upload = upload;
    return 0;
}

void bucket_upload_offer(struct store *store, struct store_upload *upload, int64_t end) {
    (void)store;
    int64_t ready = end / upload->chunk_size;
    lock_acquire(&upload->lock);
    if (ready > upload->ready && ready < INT32_MAX)
        upload->ready = (uint32_t)ready;
    lock_release(&upload->lock);
    start_tasks(upload);
}

/* ---- what a put makes of it ---- */

/* Nothing is sent any more. Returns whether the server was silent for too long. */
static bool wait_for_senders(struct store_upload *upload) {
    int64_t began = clock_now_ms();
    lock_acquire(&upload->lock);
    upload->closed = true;
    while (upload->sending > 0)
        condition_wait(&upload->changed, &upload->lock);
    bool failed = upload->failed;
    lock_release(&upload->lock);
    return failed && !bucket_broke_off(upload->bucket, -ETIMEDOUT, began);
}

static bool is_as_sent(const struct store_upload *upload, const struct store_content *content, uint32_t n) {
    int64_t offset = (int64_t)n * upload->chunk_size;
    return content->length - offset >= upload->chunk_size &&
           content->is_sent(content->context, offset, upload->chunk_size);
}

static int sort_out(const struct store_upload *upload, const struct store_content *content, struct runs *sent,
                    struct runs *replaced) {
    int result = 0;
    for (uint32_t i = 0; i < upload->arrived.count; i++) {
        struct upload_run run = upload->arrived.list[i];
        for (uint32_t n = run.first; result == 0 && n < run.first + run.count; n++)
            result = runs_add(is_as_sent(upload, content, n) ? sent : replaced, n, 1);
    }
    return result;
}

static int delete_replaced(struct store_upload *upload, const struct runs *replaced) {
    bson_t *id = BCON_NEW("_id", BCON_OID(&upload->id));
    int result = upload->repeated || replaced->count > REPLACED_MOST ? -EAGAIN : 0;
    for (uint32_t i = 0; result == 0 && i < replaced->count; i++) {
        struct upload_run run = replaced->list[i];
        result = retire_chunk_range(upload->bucket, id, run.first, (int64_t)run.first + run.count);
    }
    bson_destroy(id);
    return result;
}

/* A task that has nothing to send any more may still look. */
static void note_failure(struct store_upload *upload) {
    lock_acquire(&upload->lock);
    upload->failed = true;
    lock_release(&upload->lock);
}

static struct intent *take_intent(struct store_upload *upload) {
    lock_acquire(&upload->lock);
    struct intent *intent = steal_ptr(&upload->intent);
    lock_release(&upload->lock);
    return intent;
}

int write_behind_take(struct store_upload *upload, const struct store_content *content, uint32_t chunk_size,
                      bson_oid_t *ret_id, struct intent **ret_intent, struct runs *sent) {
    struct runs replaced = {0};
    if (wait_for_senders(upload))
        return -ETIMEDOUT;
    if (upload->failed || !upload->intent || upload->chunk_size != chunk_size)
        return 1;
    int result = sort_out(upload, content, sent, &replaced);
    bool pays = runs_chunks(sent) > runs_chunks(&replaced);
    if (result == 0 && pays)
        result = intents_keep(upload->bucket, upload->intent);
    if (result == 0 && pays && replaced.count > 0 && (result = delete_replaced(upload, &replaced)))
        note_failure(upload); /* what was not deleted yet may be deleted later */
    runs_done(&replaced);
    if (result || !pays) {
        runs_done(sent);
        return 1;
    }
    *ret_id = upload->id;
    *ret_intent = take_intent(upload);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/upload.h"

#include <errno.h>
#include <openssl/evp.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/lock.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/chunk_batch.h"
#include "fs/store/mongo/intents.h"

enum { THREADS = 5, QUEUED = 64, HELPERS = 4, CHUNK_DEFAULT = 255 << 10, CHUNK_LEAST = 64 << 10 };

/* ---- what all uploads of a server share ---- */

struct uploaders {
    struct budget *budget; /* or NULL */
    struct workers *workers;
    struct lock lock; /* guards the room */
    struct condition freed;
    size_t used; /* bytes of room */
};

struct uploaders *uploaders_new(struct budget *budget) {
    struct uploaders *uploaders = calloc(1, sizeof *uploaders);
    if (!uploaders)
        return NULL;
    uploaders->budget = budget;
    lock_init(&uploaders->lock, LOCK_UPLOADS);
    condition_init(&uploaders->freed);
    uploaders->workers = workers_new(THREADS, QUEUED);
    return uploaders->workers ? uploaders : uploaders_free(uploaders);
}

struct uploaders *uploaders_free(struct uploaders *uploaders) {
    if (!uploaders)
        return NULL;
    workers_free(uploaders->workers);
    CHECK(uploaders->used == 0);
    condition_done(&uploaders->freed);
    lock_done(&uploaders->lock);
    free(uploaders);
    return NULL;
}

bool uploaders_submit(struct uploaders *uploaders, workers_task *task, void *argument) {
    return workers_submit(uploaders->workers, task, argument);
}

void uploaders_take_room(struct uploaders *uploaders, size_t bytes) {
    lock_acquire(&uploaders->lock);
    while (uploaders->used + 2 * bytes > UPLOAD_ROOM)
        condition_wait(&uploaders->freed, &uploaders->lock);
    uploaders->used += 2 * bytes;
    lock_release(&uploaders->lock);
    if (uploaders->budget)
        budget_force(uploaders->budget, 2 * bytes);
}

void uploaders_give_room(struct uploaders *uploaders, size_t bytes) {
    if (uploaders->budget)
        budget_give(uploaders->budget, 2 * bytes);
    lock_acquire(&uploaders->lock);
    uploaders->used -= 2 * bytes;
    condition_broadcast(&uploaders->freed);
    lock_release(&uploaders->lock);
}

/* ---- one upload, worked on by several threads ----
 *
 * A thread claims the next batch, reads it, waits for its turn to add it to the checksum, and sends it. Batches are
 * claimed in order and room is taken before, so whose turn it is can always go on. */

struct work {
    struct bucket *bucket;
    const struct upload *upload; /* of the caller, who leaves when `active` is 0 and nothing is left */
    uint32_t chunks, per_batch;
    EVP_MD_CTX *checksum;
    struct lock lock; /* guards what follows */
    struct condition changed;
    unsigned references; /* the caller's, and one of each helper that was submitted */
    unsigned active;
    uint32_t next, skipped; /* the next chunk; how many runs lie before it */
    uint32_t hashed;        /* chunks of the checksum so far */
    int result;
};

/* The next batch, or a count of 0. */
static struct upload_run claim_locked(struct work *work) {
    static const struct runs nothing;
    const struct runs *skip = work->upload->skip ? work->upload->skip : &nothing;
    while (work->skipped < skip->count && skip->list[work->skipped].first == work->next)
        work->next += skip->list[work->skipped++].count;
    uint32_t until = work->skipped < skip->count ? skip->list[work->skipped].first : work->chunks;
    uint32_t left = until - work->next;
    struct upload_run batch = {work->next, left < work->per_batch ? left : work->per_batch};
    work->next += batch.count;
    return batch;
}

static struct upload_run claim(struct work *work) {
    struct upload_run batch = {0};
    lock_acquire(&work->lock);
    if (work->result == 0)
        batch = claim_locked(work);
    lock_release(&work->lock);
    return batch;
}

static int add_to_checksum(struct work *work, struct upload_run run, const struct chunk_batch *batch) {
    if (!work->checksum)
        return 0;
    lock_acquire(&work->lock);
    while (work->result == 0 && work->hashed != run.first)
        condition_wait(&work->changed, &work->lock);
    int result = work->result;
    lock_release(&work->lock);
    for (uint32_t i = 0; result == 0 && i < batch->count; i++)
        if (!EVP_DigestUpdate(work->checksum, batch->bytes[i], batch->sizes[i]))
            result = -ENOMEM;
    lock_acquire(&work->lock);
    work->hashed = run.first + run.count;
    condition_broadcast(&work->changed);
    lock_release(&work->lock);
    return result;
}

static int send_batch(struct work *work, struct upload_run run) {
    const struct upload *upload = work->upload;
    cleanup_with(chunk_batch_free) struct chunk_batch *batch = NULL;
    int result = intents_keep(work->bucket, upload->intent);
    if (result == 0)
        result = chunk_batch_new(upload, run, &batch);
    if (result == 0)
        result = add_to_checksum(work, run, batch);
    if (result == 0)
        result = chunk_batch_send(work->bucket, batch, NULL);
    return result;
}

static void fail(struct work *work, int result) {
    lock_acquire(&work->lock);
    if (work->result == 0)
        work->result = result;
    condition_broadcast(&work->changed);
    lock_release(&work->lock);
}

/* What the caller and each helper do until nothing is left. */
static void send_batches(struct work *work) {
    size_t room = (size_t)work->per_batch * work->upload->chunk_size;
    if (room > (size_t)work->upload->content->length)
        room = (size_t)work->upload->content->length;
    for (;;) {
        uploaders_take_room(work->bucket->uploaders, room);
        struct upload_run run = claim(work);
        int result = run.count ? send_batch(work, run) : 0;
        uploaders_give_room(work->bucket->uploaders, room);
        if (result)
            fail(work, result);
        if (result || !run.count)
            return;
    }
}

static void work_unref(struct work *work) {
    lock_acquire(&work->lock);
    bool last = --work->references == 0;
    lock_release(&work->lock);
    if (!last)
        return;
    condition_done(&work->changed);
    lock_done(&work->lock);
    EVP_MD_CTX_free(work->checksum);
    free(work);
}

/* A task of the uploaders. It may start when the upload is long over, and with it all but the work itself. */
static void help(void *argument) {
    struct work *work = argument;
    lock_acquire(&work->lock);
    bool wanted = work->upload && work->next < work->chunks && work->result == 0;
    work->active += wanted;
    lock_release(&work->lock);
    if (wanted) {
        send_batches(work);
        lock_acquire(&work->lock);
        work->active--;
        condition_broadcast(&work->changed);
        lock_release(&work->lock);
    }
    work_unref(work);
}

static void ask_for_help(struct work *work) {
    for (uint32_t i = 0; i < HELPERS && work->per_batch * (i + 1) < work->chunks; i++) {
        lock_acquire(&work->lock);
        work->references++;
        lock_release(&work->lock);
        if (!uploaders_submit(work->bucket->uploaders, help, work)) {
            work_unref(work);
            return;
        }
    }
}

static int wait_for_helpers(struct work *work) {
    lock_acquire(&work->lock);
    while (work->active > 0)
        condition_wait(&work->changed, &work->lock);
    work->upload = NULL;
    int result = work->result;
    lock_release(&work->lock);
    return result;
}

uint32_t upload_chunk_size(const struct revision *model) {
    if (!model || model->damage)
        return CHUNK_DEFAULT;
    if (model->chunk_size < CHUNK_LEAST)
        return CHUNK_LEAST;
    return model->chunk_size < UPLOAD_CHUNK_MOST ? model->chunk_size : UPLOAD_CHUNK_MOST;
}

uint32_t upload_batch_chunks(uint32_t chunk_size) {
    return (UPLOAD_BATCH + chunk_size - 1) / chunk_size;
}

static struct work *work_new(struct bucket *bucket, const struct upload *upload, uint32_t chunks) {
    struct work *work = calloc(1, sizeof *work);
    if (!work)
        return NULL;
    work->bucket = bucket;
    work->upload = upload;
    work->chunks = chunks;
    work->per_batch = upload_batch_chunks(upload->chunk_size);
    work->references = 1;
    lock_init(&work->lock, LOCK_UPLOADS);
    condition_init(&work->changed);
    work->checksum = upload->sha256 ? EVP_MD_CTX_new() : NULL;
    if (upload->sha256 && (!work->checksum || !EVP_DigestInit_ex(work->checksum, EVP_sha256(), NULL)))
        return work_unref(work), NULL;
    return work;
}

int upload_chunks(struct bucket *bucket, const struct upload *upload) {
    int64_t chunks = (upload->content->length + upload->chunk_size - 1) / upload->chunk_size;
    CHECK(chunks < INT32_MAX && upload->chunk_size <= UPLOAD_CHUNK_MOST);
    CHECK(!upload->sha256 || !upload->skip || upload->skip->count == 0);
    struct work *work = work_new(bucket, upload, (uint32_t)chunks);
    if (!work)
        return -ENOMEM;
    if (chunks > 0) {
        ask_for_help(work);
        send_batches(work);
    }
    int result = wait_for_helpers(work);
    if (result == 0 && work->checksum && !EVP_DigestFinal_ex(work->checksum, upload->sha256, NULL))
        result = -ENOMEM;
    work_unref(work);
    return result;
}

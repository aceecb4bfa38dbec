#include "cache/chunks.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/lock.h"
#include "cache/base/stats.h"

/* One fetch under way: chunks [first, first + count) of a revision.
 *
 *     QUEUED -> RUNNING [claim: a worker, or a reader that will not wait for one] -> DONE [finish]
 */
struct flight {
    struct chunks *chunks;
    struct chunk_file file;
    uint32_t first, count;
    unsigned references; /* the list's, the task's, each waiter's; under the lock */
    enum { QUEUED, RUNNING, DONE } state;
    int error; /* of the fetch as a whole */
    struct condition done;
    struct flight *prev, *next;
    struct blob *blobs[CHUNKS_FETCH_MOST];
    int errors[CHUNKS_FETCH_MOST];
};

struct chunks {
    struct lock lock; /* guards all below */
    struct budget *budget;
    struct chunk_source source;
    struct workers *workers;
    struct lru *lru;
    struct flight *flights;
    size_t reserved; /* bytes that flights will bring in */
};

struct chunks *chunks_new(struct budget *budget, const struct chunk_source *source, struct workers *workers) {
    struct chunks *chunks = calloc(1, sizeof *chunks);
    if (!chunks)
        return NULL;
    lock_init(&chunks->lock, LOCK_CHUNKS);
    chunks->budget = budget;
    chunks->source = *source;
    chunks->workers = workers;
    chunks->lru = lru_new();
    return chunks->lru ? chunks : chunks_free(chunks);
}

struct chunks *chunks_free(struct chunks *chunks) {
    if (!chunks)
        return NULL;
    CHECK(!chunks->flights);
    lru_free(chunks->lru);
    lock_done(&chunks->lock);
    free(chunks);
    return NULL;
}

static struct chunk_key key_of(const struct chunk_file *file, uint32_t n) {
    struct chunk_key key = {.n = n};
    memcpy(key.revision, file->revision, sizeof key.revision);
    return key;
}

static struct flight *flight_of(struct chunks *chunks, const struct chunk_file *file, uint32_t n) {
    struct flight *flight;
    DL_FOREACH(chunks->flights, flight) {
        if (n >= flight->first && n - flight->first < flight->count &&
            memcmp(flight->file.revision, file->revision, sizeof file->revision) == 0)
            return flight;
    }
    return NULL;
}

static size_t size_of(const struct flight *flight) {
    return flight->count * blob_cost(flight->file.chunk_size);
}

static bool room_for(struct chunks *chunks, size_t bytes) {
    size_t taken = budget_used(chunks->budget) + chunks->reserved;
    return taken <= chunks->budget->limit && bytes <= chunks->budget->limit - taken;
}

static bool make_room(struct chunks *chunks, size_t bytes) {
    while (!room_for(chunks, bytes)) {
        if (!lru_evict(chunks->lru))
            return false;
        stats_add(STAT_cache_evictions, 1);
    }
    return true;
}

/* How many chunks from n on are neither cached nor in flight, `most` at the most. */
static uint32_t missing_run(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t limit) {
    uint32_t run = 0;
    while (run < limit && run < CHUNKS_FETCH_MOST) {
        struct chunk_key key = key_of(file, n + run);
        if (lru_contains(chunks->lru, &key) || flight_of(chunks, file, n + run))
            break;
        run++;
    }
    return run;
}

static struct flight *flight_new(struct chunks *chunks, const struct chunk_file *file, uint32_t first,
                                 uint32_t count) {
    struct flight *flight = calloc(1, sizeof *flight);
    if (!flight)
        return NULL;
    flight->chunks = chunks;
    flight->file = *file;
    flight->first = first;
    flight->count = count;
    flight->references = 1;
    condition_init(&flight->done);
    chunks->source.ref(file->handle);
    chunks->reserved += size_of(flight);
    DL_APPEND(chunks->flights, flight);
    return flight;
}

static void flight_unref_locked(struct flight *flight) {
    if (--flight->references)
        return;
    CHECK(flight->state == DONE);
    for (uint32_t i = 0; i < flight->count; i++)
        blob_unref(flight->blobs[i]);
    condition_done(&flight->done);
    free(flight);
}

static void finish_locked(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    chunks->reserved -= size_of(flight);
    for (uint32_t i = 0; i < flight->count; i++) {
        struct chunk_key key = key_of(&flight->file, flight->first + i);
        if (flight->blobs[i])
            (void)lru_put(chunks->lru, &key, flight->blobs[i]); /* without memory it is just not kept */
    }
    make_room(chunks, 0);
    flight->state = DONE;
    DL_DELETE(chunks->flights, flight);
    condition_broadcast(&flight->done);
    flight_unref_locked(flight);
}

/* Runs a claimed flight. Called, and returns, with the lock held. */
static void run_locked(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    flight->state = RUNNING;
    lock_release(&chunks->lock);
    flight->error = chunks->source.fetch(chunks->source.context, flight->file.handle, flight->first, flight->count,
                                         chunks->budget, flight->blobs, flight->errors);
    chunks->source.unref(flight->file.handle);
    lock_acquire(&chunks->lock);
    finish_locked(flight);
}

/* What a finished flight says of chunk n. */
static int result_of(const struct flight *flight, uint32_t n, struct blob **ret_blob) {
    uint32_t i = n - flight->first;
    if (flight->error)
        return flight->error;
    if (!flight->blobs[i])
        return flight->errors[i] ? flight->errors[i] : -EIO;
    *ret_blob = blob_ref(flight->blobs[i]);
    return 0;
}

static int fetch_locked(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t wanted,
                        struct blob **ret_blob) {
    uint32_t count = missing_run(chunks, file, n, wanted);
    make_room(chunks, count * blob_cost(file->chunk_size));
    struct flight *flight = flight_new(chunks, file, n, count);
    if (!flight)
        return -ENOMEM;
    flight->references++;
    run_locked(flight);
    int result = result_of(flight, n, ret_blob);
    flight_unref_locked(flight);
    return result;
}

static int join_locked(struct flight *flight, uint32_t n, struct blob **ret_blob) {
    flight->references++;
    if (flight->state == QUEUED)
        run_locked(flight);
    while (flight->state != DONE)
        condition_wait(&flight->done, &flight->chunks->lock);
    int result = result_of(flight, n, ret_blob);
    flight_unref_locked(flight);
    return result;
}

int chunks_get(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t wanted,
               struct blob **ret_blob) {
    struct chunk_key key = key_of(file, n);
    int result = -EAGAIN;
    lock_acquire(&chunks->lock);
    struct blob *cached = lru_get(chunks->lru, &key);
    struct flight *flight = cached ? NULL : flight_of(chunks, file, n);
    if (cached) {
        stats_add(STAT_cache_hits, 1);
        *ret_blob = blob_ref(cached);
        result = 0;
    } else if (flight) {
        stats_add(STAT_cache_joins, 1);
        result = join_locked(flight, n, ret_blob);
    }
    if (result) { /* absent; or someone's fetch of more than this chunk failed: ask for it alone */
        stats_add(STAT_cache_misses, 1);
        cached = lru_get(chunks->lru, &key);
        if (cached) {
            *ret_blob = blob_ref(cached);
            result = 0;
        } else {
            flight = flight_of(chunks, file, n);
            result = flight ? join_locked(flight, n, ret_blob)
                            : fetch_locked(chunks, file, n, result == -EAGAIN ? wanted : 1, ret_blob);
        }
    }
    lock_release(&chunks->lock);
    return result;
}

static void run_task(void *argument) {
    struct flight *flight = argument;
    struct chunks *chunks = flight->chunks;
    lock_acquire(&chunks->lock);
    if (flight->state == QUEUED) {
        stats_add(STAT_readahead_chunks, flight->count);
        run_locked(flight);
    }
    flight_unref_locked(flight);
    lock_release(&chunks->lock);
}

/* A flight that no worker will run: nobody can have joined it yet. */
static void abandon_locked(struct flight *flight) {
    flight->error = -EAGAIN;
    flight->references--; /* the task's */
    flight->chunks->source.unref(flight->file.handle);
    finish_locked(flight);
}

/* Starts one fetch of the missing chunks at n; *ret_next is where to go on. False when there is no room. */
static bool prefetch_locked(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t end,
                            uint32_t unit, uint32_t *ret_next) {
    uint32_t count = missing_run(chunks, file, n, end - n < unit ? end - n : unit);
    *ret_next = n + (count ? count : 1);
    if (!count)
        return true;
    if (!make_room(chunks, count * blob_cost(file->chunk_size)))
        return false;
    struct flight *flight = flight_new(chunks, file, n, count);
    if (!flight)
        return false;
    flight->references++;
    if (!workers_submit(chunks->workers, run_task, flight)) {
        abandon_locked(flight);
        return false;
    }
    return true;
}

uint32_t chunks_prefetch(struct chunks *chunks, const struct chunk_file *file, uint32_t first, uint32_t count) {
    enum { FETCH_BYTES = 2 << 20 };
    uint32_t unit = file->chunk_size < FETCH_BYTES ? FETCH_BYTES / file->chunk_size : 1;
    uint32_t n = first, next;
    lock_acquire(&chunks->lock);
    while (n < first + count && prefetch_locked(chunks, file, n, first + count, unit, &next))
        n = next;
    lock_release(&chunks->lock);
    return n < first + count ? n : first + count;
}

void chunks_hold(struct chunks *chunks, const struct chunk_file *file) {
    chunks->source.ref(file->handle);
}

void chunks_drop(struct chunks *chunks, const struct chunk_file *file) {
    chunks->source.unref(file->handle);
}

struct budget *chunks_budget(struct chunks *chunks) {
    return chunks->budget;
}

void chunks_check(struct chunks *chunks) {
    lock_acquire(&chunks->lock);
    lru_check(chunks->lru);
    struct flight *one, *other;
    DL_FOREACH(chunks->flights, one) {
        CHECK(one->state != DONE && one->references > 0);
        for (uint32_t i = 0; i < one->count; i++) {
            other = flight_of(chunks, &one->file, one->first + i);
            CHECK(other == one);
        }
    }
    lock_release(&chunks->lock);
}

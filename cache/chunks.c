#include "cache/chunks.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/lock.h"
#include "cache/base/stats.h"

/* One fetch under way: chunks [first, first + count) of a revision, or the only chunks of `count` revisions.
 *
 *     QUEUED -> RUNNING [claim: a worker, or a reader that will not wait for one] -> DONE [finish]
 */
struct flight {
    struct chunks *chunks;
    uint32_t first, count;
    bool heads;          /* of files[0 .. count); else a range of files[0] */
    unsigned references; /* the list's, the task's, each waiter's; under the lock */
    enum { QUEUED, RUNNING, DONE } state;
    int error; /* of the fetch as a whole */
    struct condition done;
    struct flight *prev, *next;
    struct blob *blobs[CHUNKS_FETCH_MOST];
    int errors[CHUNKS_FETCH_MOST];
    struct chunk_file files[];
};

struct chunks {
    struct lock lock; /* guards all below */
    struct budget *budget;
    struct chunk_source source;
    struct workers *workers;
    struct lru *lru;
    struct flight *flights;
    size_t reserved; /* bytes that flights will bring in */
    bool stopping;   /* queued flights are given up */
};

static void keep_budget_locked(struct chunks *chunks) {
    while (budget_exceeded(chunks->budget) && lru_count(chunks->lru) > 1) { /* the last stays: it is being read */
        lru_evict(chunks->lru);
        stats_add(STAT_cache_evictions, 1);
    }
}

static void make_room_for_others(void *context) {
    struct chunks *chunks = context;
    lock_acquire(&chunks->lock);
    keep_budget_locked(chunks);
    lock_release(&chunks->lock);
}

struct chunks *chunks_new(struct budget *budget, const struct chunk_source *source, struct workers *workers) {
    struct chunks *chunks = calloc(1, sizeof *chunks);
    if (!chunks)
        return NULL;
    lock_init(&chunks->lock, LOCK_CHUNKS);
    chunks->budget = budget;
    chunks->source = *source;
    chunks->workers = workers;
    chunks->lru = lru_new();
    if (!chunks->lru)
        return chunks_free(chunks);
    budget_ask_for_room(budget, make_room_for_others, chunks);
    return chunks;
}

struct chunks *chunks_free(struct chunks *chunks) {
    if (!chunks)
        return NULL;
    CHECK(!chunks->flights);
    budget_ask_for_room(chunks->budget, NULL, NULL);
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

static bool same_file(const struct chunk_file *one, const struct chunk_file *other) {
    return memcmp(one->revision, other->revision, sizeof one->revision) == 0;
}

/* What the i-th chunk of a flight is. */
static const struct chunk_file *file_at(const struct flight *flight, uint32_t i) {
    return &flight->files[flight->heads ? i : 0];
}

static uint32_t number_at(const struct flight *flight, uint32_t i) {
    return flight->heads ? 0 : flight->first + i;
}

/* Which chunk of a flight is n of `file`; flight->count: none. */
static uint32_t index_in(const struct flight *flight, const struct chunk_file *file, uint32_t n) {
    if (!flight->heads) {
        bool in_range = n >= flight->first && n - flight->first < flight->count;
        return in_range && same_file(&flight->files[0], file) ? n - flight->first : flight->count;
    }
    uint32_t i = 0;
    while (i < flight->count && (n != 0 || !same_file(&flight->files[i], file)))
        i++;
    return i;
}

static struct flight *flight_of(struct chunks *chunks, const struct chunk_file *file, uint32_t n) {
    struct flight *flight;
    DL_FOREACH(chunks->flights, flight) {
        if (index_in(flight, file, n) < flight->count)
            return flight;
    }
    return NULL;
}

static size_t size_of(const struct flight *flight) {
    size_t size = 0;
    for (uint32_t i = 0; i < flight->count; i++)
        size += blob_cost(file_at(flight, i)->chunk_size);
    return size;
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

/* Room for what nobody waits for: nothing is dropped for what will not fit anyhow. */
static bool make_spare_room(struct chunks *chunks, size_t bytes) {
    return chunks->reserved + bytes <= chunks->budget->limit && make_room(chunks, bytes);
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

/* Of chunks [first, first + count) of files[0], or of the heads of `count` files. */
static struct flight *flight_new(struct chunks *chunks, const struct chunk_file *files, bool heads, uint32_t first,
                                 uint32_t count) {
    uint32_t file_count = heads ? count : 1;
    struct flight *flight = calloc(1, sizeof *flight + file_count * sizeof *files);
    if (!flight)
        return NULL;
    flight->chunks = chunks;
    flight->heads = heads;
    flight->first = first;
    flight->count = count;
    flight->references = 1;
    condition_init(&flight->done);
    for (uint32_t i = 0; i < file_count; i++) {
        flight->files[i] = files[i];
        chunks->source.ref(files[i].handle);
    }
    chunks->reserved += size_of(flight);
    DL_APPEND(chunks->flights, flight);
    return flight;
}

static void unref_files(struct flight *flight) {
    for (uint32_t i = 0; i < (flight->heads ? flight->count : 1); i++)
        flight->chunks->source.unref(flight->files[i].handle);
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
        struct chunk_key key = key_of(file_at(flight, i), number_at(flight, i));
        if (flight->blobs[i])
            (void)lru_put(chunks->lru, &key, flight->blobs[i]); /* without memory it is just not kept */
    }
    keep_budget_locked(chunks);
    flight->state = DONE;
    DL_DELETE(chunks->flights, flight);
    condition_broadcast(&flight->done);
    flight_unref_locked(flight);
}

static int fetch(struct flight *flight) {
    const struct chunk_source *source = &flight->chunks->source;
    struct budget *budget = flight->chunks->budget;
    if (!flight->heads)
        return source->fetch(source->context, flight->files[0].handle, flight->first, flight->count, budget,
                             flight->blobs, flight->errors);
    void *handles[CHUNKS_FETCH_MOST];
    for (uint32_t i = 0; i < flight->count; i++)
        handles[i] = flight->files[i].handle;
    return source->fetch_heads(source->context, handles, flight->count, budget, flight->blobs, flight->errors);
}

/* Runs a claimed flight. Called, and returns, with the lock held. */
static void run_locked(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    flight->state = RUNNING;
    lock_release(&chunks->lock);
    flight->error = fetch(flight);
    unref_files(flight);
    lock_acquire(&chunks->lock);
    finish_locked(flight);
}

/* What a finished flight says of its i-th chunk. */
static int result_of(const struct flight *flight, uint32_t i, struct blob **ret_blob) {
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
    struct flight *flight = flight_new(chunks, file, false, n, count);
    if (!flight)
        return -ENOMEM;
    flight->references++;
    run_locked(flight);
    int result = result_of(flight, 0, ret_blob);
    flight_unref_locked(flight);
    return result;
}

static int join_locked(struct flight *flight, const struct chunk_file *file, uint32_t n, struct blob **ret_blob) {
    flight->references++;
    if (flight->state == QUEUED)
        run_locked(flight);
    while (flight->state != DONE)
        condition_wait(&flight->done, &flight->chunks->lock);
    int result = result_of(flight, index_in(flight, file, n), ret_blob);
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
        result = join_locked(flight, file, n, ret_blob);
    }
    if (result && result != -ETIMEDOUT) { /* absent; or someone's fetch of more than this chunk failed: ask for it alone */
        stats_add(STAT_cache_misses, 1);
        cached = lru_get(chunks->lru, &key);
        if (cached) {
            *ret_blob = blob_ref(cached);
            result = 0;
        } else {
            flight = flight_of(chunks, file, n);
            result = flight ? join_locked(flight, file, n, ret_blob)
                            : fetch_locked(chunks, file, n, result == -EAGAIN ? wanted : 1, ret_blob);
        }
    }
    lock_release(&chunks->lock);
    return result;
}

void chunks_put(struct chunks *chunks, const struct chunk_file *file, uint32_t n, struct blob *blob) {
    struct chunk_key key = key_of(file, n);
    lock_acquire(&chunks->lock);
    (void)lru_put(chunks->lru, &key, blob);
    keep_budget_locked(chunks);
    lock_release(&chunks->lock);
}

static void run_task(void *argument) {
    struct flight *flight = argument;
    struct chunks *chunks = flight->chunks;
    lock_acquire(&chunks->lock);
    if (flight->state == QUEUED && chunks->stopping) {
        flight->error = -EAGAIN;
        unref_files(flight);
        finish_locked(flight);
    } else if (flight->state == QUEUED) {
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
    unref_files(flight);
    finish_locked(flight);
}

/* Hands a new flight to the workers; false when they will not take it. */
static bool send_locked(struct chunks *chunks, struct flight *flight) {
    if (!flight)
        return false;
    flight->references++; /* the task's */
    if (workers_submit(chunks->workers, run_task, flight))
        return true;
    abandon_locked(flight);
    return false;
}

/* Starts one fetch of the missing chunks at n; *ret_next is where to go on. False when there is no room. */
static bool prefetch_locked(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t end,
                            uint32_t unit, uint32_t *ret_next) {
    uint32_t count = missing_run(chunks, file, n, end - n < unit ? end - n : unit);
    *ret_next = n + (count ? count : 1);
    if (!count)
        return true;
    return make_spare_room(chunks, count * blob_cost(file->chunk_size)) &&
           send_locked(chunks, flight_new(chunks, file, false, n, count));
}

void chunks_prefetch_heads(struct chunks *chunks, const struct chunk_file *files, uint32_t count) {
    struct chunk_file missing[CHUNKS_FETCH_MOST];
    uint32_t found = 0;
    size_t bytes = 0;
    lock_acquire(&chunks->lock);
    for (uint32_t i = 0; i < count && found < CHUNKS_FETCH_MOST; i++)
        if (missing_run(chunks, &files[i], 0, 1)) {
            missing[found++] = files[i];
            bytes += blob_cost(files[i].chunk_size);
        }
    if (found && make_spare_room(chunks, bytes))
        (void)send_locked(chunks, flight_new(chunks, missing, true, 0, found));
    lock_release(&chunks->lock);
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

void chunks_pass(struct chunks *chunks, const struct chunk_file *file, uint32_t first, uint32_t count) {
    enum { PASSED_SHARE = 16 }; /* of the budget */
    lock_acquire(&chunks->lock);
    for (uint32_t n = first; n < first + count; n++) {
        struct chunk_key key = key_of(file, n);
        lru_pass(chunks->lru, &key);
    }
    while (lru_passed(chunks->lru) > chunks->budget->limit / PASSED_SHARE) {
        lru_evict(chunks->lru);
        stats_add(STAT_cache_evictions, 1);
    }
    lock_release(&chunks->lock);
}

void chunks_stop(struct chunks *chunks) {
    lock_acquire(&chunks->lock);
    chunks->stopping = true;
    lock_release(&chunks->lock);
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
            other = flight_of(chunks, file_at(one, i), number_at(one, i));
            CHECK(other == one);
        }
    }
    lock_release(&chunks->lock);
}

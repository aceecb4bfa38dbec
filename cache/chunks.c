// SPDX-License-Identifier: Apache-2.0
#include "cache/chunks.h"

#include <errno.h>

#include "cache/base/check.h"
#include "cache/base/stats.h"
#include "cache/chunks_private.h"

/* Of the budget: what is kept of chunks that were passed, at the most (as what is fetched ahead), and when there is use
 * for their memory: parts of a read may come late. */
enum { PASSED_SHARE = 4, LATE_SHARE = 16 };

/* False when there is nothing left. */
static bool evict(struct chunks *chunks) {
    if (!lru_evict(chunks->lru))
        return false;
    stats_add(STAT_cache_evictions, 1);
    return true;
}

void chunks_keep_budget(struct chunks *chunks) {
    while (budget_exceeded(chunks->budget) && lru_count(chunks->lru) > 1) /* the last stays: it is being read */
        evict(chunks);
}

static void make_room_for_others(void *context) {
    struct chunks *chunks = context;
    lock_acquire(&chunks->lock);
    chunks_keep_budget(chunks);
    lock_release(&chunks->lock);
}

/* What is under way at once stays a small part of the budget. */
static unsigned width_for(const struct budget *budget) {
    enum { SHARE = 8 * (2 << 20) };
    size_t width = budget->limit / SHARE;
    return width < FLOW_FIRST ? FLOW_FIRST : width < FLOW_MOST ? (unsigned)width : FLOW_MOST;
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
    flow_init(&chunks->flow, width_for(budget), source->round_trip_ms);
    flights_set_width(chunks);
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

static bool room_for(struct chunks *chunks, size_t bytes) {
    size_t taken = budget_used(chunks->budget) + chunks->reserved;
    return taken <= chunks->budget->limit && bytes <= chunks->budget->limit - taken;
}

static bool make_room(struct chunks *chunks, size_t bytes) {
    while (!room_for(chunks, bytes))
        if (!evict(chunks))
            return false;
    return true;
}

void chunks_reuse(struct chunks *chunks, uint32_t count) {
    for (uint32_t i = 0; i < count && lru_passed(chunks->lru) > chunks->budget->limit / LATE_SHARE; i++)
        evict(chunks);
}

/* Room for what nobody waits for: nothing is dropped for what will not fit anyhow. */
static bool make_spare_room(struct chunks *chunks, size_t bytes) {
    return chunks->reserved + bytes <= chunks->budget->limit && make_room(chunks, bytes);
}

/* How many chunks from n on are neither cached nor in flight, `most` at the most. */
static uint32_t missing_run(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t limit) {
    uint32_t run = 0;
    while (run < limit && run < CHUNKS_FETCH_MOST) {
        struct chunk_key key = chunk_key_of(file, n + run);
        if (lru_contains(chunks->lru, &key) || flight_of(chunks, file, n + run))
            break;
        run++;
    }
    return run;
}

static int fetch_locked(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t wanted,
                        struct blob **ret_blob) {
    uint32_t count = missing_run(chunks, file, n, wanted);
    make_room(chunks, count * blob_cost(file->chunk_size));
    struct flight *flight = flight_new(chunks, file, false, n, count);
    if (!flight)
        return -ENOMEM;
    return flight_join(flight, file, n, ret_blob);
}

int chunks_get(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t wanted,
               struct blob **ret_blob, bool *ret_hit) {
    struct chunk_key key = chunk_key_of(file, n);
    int result = -EAGAIN;
    lock_acquire(&chunks->lock);
    struct blob *cached = lru_get(chunks->lru, &key);
    if (ret_hit)
        *ret_hit = cached != NULL;
    struct flight *flight = cached ? NULL : flight_of(chunks, file, n);
    if (cached) {
        stats_add(STAT_cache_hits, 1);
        *ret_blob = blob_ref(cached);
        result = 0;
    } else if (flight) {
        stats_add(STAT_cache_joins, 1);
        result = flight_join(flight, file, n, ret_blob);
    }
    if (result && result != -ETIMEDOUT) { /* absent; or someone's fetch of more than this chunk failed: ask for it alone */
        stats_add(STAT_cache_misses, 1);
        cached = lru_get(chunks->lru, &key);
        if (cached) {
            *ret_blob = blob_ref(cached);
            result = 0;
        } else {
            flight = flight_of(chunks, file, n);
            result = flight ? flight_join(flight, file, n, ret_blob)
                            : fetch_locked(chunks, file, n, result == -EAGAIN ? wanted : 1, ret_blob);
        }
    }
    lock_release(&chunks->lock);
    return result;
}

void chunks_put(struct chunks *chunks, const struct chunk_file *file, uint32_t n, struct blob *blob) {
    struct chunk_key key = chunk_key_of(file, n);
    lock_acquire(&chunks->lock);
    (void)lru_put(chunks->lru, &key, blob, false);
    chunks_keep_budget(chunks);
    lock_release(&chunks->lock);
}

/* Starts one fetch of the missing chunks at n; *ret_next is where to go on. False when there is no room. */
static bool prefetch_locked(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t end,
                            uint32_t unit, uint32_t *ret_next) {
    uint32_t count = missing_run(chunks, file, n, end - n < unit ? end - n : unit);
    *ret_next = n + (count ? count : 1);
    if (!count)
        return true;
    return make_spare_room(chunks, count * blob_cost(file->chunk_size)) &&
           flight_send(chunks, flight_new(chunks, file, false, n, count));
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
        (void)flight_send(chunks, flight_new(chunks, missing, true, 0, found));
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
    lock_acquire(&chunks->lock);
    for (uint32_t n = first; n < first + count; n++) {
        struct chunk_key key = chunk_key_of(file, n);
        lru_pass(chunks->lru, &key);
    }
    while (lru_passed(chunks->lru) > chunks->budget->limit / PASSED_SHARE)
        evict(chunks);
    lock_release(&chunks->lock);
}

int64_t chunks_window(struct chunks *chunks) {
    return atomic_load_explicit(&chunks->window, memory_order_relaxed);
}

void chunks_stop(struct chunks *chunks) {
    lock_acquire(&chunks->lock);
    chunks->stopping = true;
    lock_release(&chunks->lock);
}

int chunks_whole(struct chunks *chunks, const struct chunk_file *file) {
    const struct chunk_source *source = &chunks->source;
    return source->whole ? source->whole(source->context, file->handle) : -EOPNOTSUPP;
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
    flights_check(chunks);
    lock_release(&chunks->lock);
}

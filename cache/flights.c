// SPDX-License-Identifier: Apache-2.0
/* Fetches under way: who runs them, who waits for them, and how many there are at once. All under the cache's lock, which
 * is released while a source is asked. */
#include <errno.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "cache/chunks_private.h"

/* When more are stuck it is the server, not a connection. */
enum { STUCK_MOST = 2, HANDED_MOST = 8 };
_Static_assert(CHUNKS_WORKERS == FLOW_MOST + STUCK_MOST + HANDED_MOST, "a worker for each fetch");

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

struct flight *flight_of(struct chunks *chunks, const struct chunk_file *file, uint32_t n) {
    struct flight *flight;
    DL_FOREACH(chunks->flights, flight) {
        if (index_in(flight, file, n) < flight->count)
            return flight;
    }
    return NULL;
}

static bool goes_with(const struct flight *flight, const struct flight *other) {
    return flight->heads == other->heads && (flight->heads || same_file(&flight->files[0], &other->files[0]));
}

/* What the others of a file's flights say of its share: how many are under way, and when one was last begun. */
static unsigned share_of(const struct flight *flight, uint64_t *ret_turn) {
    unsigned running = 0;
    const struct flight *other;
    *ret_turn = 0;
    DL_FOREACH(flight->chunks->flights, other) {
        if (goes_with(flight, other)) {
            running += other->state == RUNNING;
            *ret_turn = other->turn > *ret_turn ? other->turn : *ret_turn;
        }
    }
    return running;
}

/* The queued one whose turn it is; NULL: none is. */
static struct flight *next_flight(struct chunks *chunks) {
    struct flight *flight, *next = NULL;
    unsigned least = 0;
    uint64_t first = 0;
    DL_FOREACH(chunks->flights, flight) {
        uint64_t turn = 0;
        unsigned running = flight->state == QUEUED ? share_of(flight, &turn) : 0;
        if (flight->state == QUEUED && (!next || running < least || (running == least && turn < first))) {
            next = flight;
            least = running;
            first = turn;
        }
    }
    return next;
}

static size_t size_of(const struct flight *flight) {
    size_t size = 0;
    for (uint32_t i = 0; i < flight->count; i++)
        size += blob_cost(file_at(flight, i)->chunk_size);
    return size;
}

struct flight *flight_new(struct chunks *chunks, const struct chunk_file *files, bool heads, uint32_t first,
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
    flight->began_ms = clock_now_ms();
    condition_init(&flight->done);
    for (uint32_t i = 0; i < file_count; i++) {
        flight->files[i] = files[i];
        chunks->source.ref(files[i].handle);
    }
    chunks->reserved += size_of(flight);
    chunks->queued++;
    DL_APPEND(chunks->flights, flight);
    return flight;
}

static void unref_cargo(struct cargo *cargo, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        blob_unref(cargo->blobs[i]);
}

static void flight_unref(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    if (--flight->references)
        return;
    CHECK(flight->state == DONE && flight->runners == 0);
    for (uint32_t i = 0; i < (flight->heads ? flight->count : 1); i++)
        chunks->source.unref(flight->files[i].handle);
    unref_cargo(&flight->cargo, flight->count);
    if (flight->twice) {
        chunks->stuck--;
        flights_set_width(chunks);
    }
    condition_done(&flight->done);
    free(flight);
}

/* ---- running ---- */

void flights_set_width(struct chunks *chunks) {
    enum { UNIT = 2 << 20, UNITS = 2 }; /* one that is under way and one that waits for its turn */
    atomic_store(&chunks->window, (long long)UNIT * UNITS * chunks->flow.width);
    workers_limit(chunks->workers, chunks->flow.width + chunks->stuck + chunks->handed);
}

static void finish(struct flight *flight, int error) {
    struct chunks *chunks = flight->chunks;
    flight->error = error;
    chunks->queued -= flight->state == QUEUED;
    chunks->reserved -= size_of(flight);
    for (uint32_t i = 0; i < flight->count; i++) {
        struct chunk_key key = chunk_key_of(file_at(flight, i), number_at(flight, i));
        if (flight->cargo.blobs[i])
            (void)lru_put(chunks->lru, &key, flight->cargo.blobs[i], flight->ahead); /* without memory it is just not kept */
    }
    chunks_keep_budget(chunks);
    flight->state = DONE;
    DL_DELETE(chunks->flights, flight);
    condition_broadcast(&flight->done);
    flight_unref(flight);
}

static int fetch(const struct flight *flight, struct cargo *cargo) {
    const struct chunk_source *source = &flight->chunks->source;
    struct budget *budget = flight->chunks->budget;
    if (!flight->heads)
        return source->fetch(source->context, flight->files[0].handle, flight->first, flight->count, budget,
                             cargo->blobs, cargo->errors);
    void *handles[CHUNKS_FETCH_MOST];
    for (uint32_t i = 0; i < flight->count; i++)
        handles[i] = flight->files[i].handle;
    return source->fetch_heads(source->context, handles, flight->count, budget, cargo->blobs, cargo->errors);
}

static void note(struct flight *flight, int64_t began, const struct cargo *cargo) {
    struct chunks *chunks = flight->chunks;
    unsigned width = chunks->flow.width;
    int64_t bytes = 0;
    for (uint32_t i = 0; i < flight->count; i++)
        bytes += cargo->blobs[i] ? (int64_t)cargo->blobs[i]->size : 0;
    flow_ended(&chunks->flow, began, clock_now_ns(), bytes, chunks->queued > 0);
    if (chunks->flow.width != width)
        flights_set_width(chunks);
}

/* A failure ends it when nobody else may succeed; silence in any case: it was waited for long enough. */
static bool ends(const struct flight *flight, int error) {
    return flight->state != DONE && (!error || error == -ETIMEDOUT || flight->runners == 0);
}

static void begin(struct flight *flight) {
    struct flight *other;
    flight->chunks->turns++;
    DL_FOREACH(flight->chunks->flights, other) {
        if (goes_with(flight, other))
            other->turn = flight->chunks->turns;
    }
    flight->state = RUNNING;
    flight->began_ms = clock_now_ms();
    flight->chunks->queued--;
}

/* Runs a flight, its first time or beside another who does. */
static void run(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    struct cargo cargo = {0};
    int64_t began = clock_now_ns();
    if (flight->state == QUEUED)
        begin(flight);
    flight->references++;
    flight->runners++;
    chunks_reuse(chunks, flight->count);
    lock_release(&chunks->lock);
    int error = fetch(flight, &cargo);
    lock_acquire(&chunks->lock);
    flight->runners--;
    if (error == CHUNKS_NEAR)
        error = 0;
    else if (!error && !flight->heads)
        note(flight, began, &cargo);
    if (ends(flight, error)) {
        flight->cargo = cargo;
        finish(flight, error);
    } else {
        unref_cargo(&cargo, flight->count);
    }
    flight_unref(flight);
}

/* There are at least as many tasks as queued flights; which of them runs which does not matter. */
static void run_next(struct chunks *chunks) {
    struct flight *next = next_flight(chunks);
    if (next && chunks->stopping) {
        finish(next, -EAGAIN);
    } else if (next) {
        next->ahead = true;
        stats_add(STAT_readahead_chunks, next->count);
        run(next);
    }
}

static void run_task(void *argument) {
    struct flight *flight = argument;
    struct chunks *chunks = flight->chunks;
    lock_acquire(&chunks->lock);
    chunks->tasks--;
    run_next(chunks);
    flight_unref(flight);
    lock_release(&chunks->lock);
}

bool flight_send(struct chunks *chunks, struct flight *flight) {
    if (!flight)
        return false;
    flight->references++; /* the task's */
    chunks->tasks++;
    if (workers_submit(chunks->workers, run_task, flight))
        return true;
    chunks->tasks--;
    flight->references--; /* nobody can have joined it yet */
    finish(flight, -EAGAIN);
    return false;
}

/* ---- waiting ---- */

static void run_handed_task(void *argument) {
    struct flight *flight = argument;
    struct chunks *chunks = flight->chunks;
    lock_acquire(&chunks->lock);
    chunks->tasks--;
    if (flight->state == QUEUED)
        run(flight);
    else /* another task ran it, and left its own to this one */
        run_next(chunks);
    chunks->handed--;
    flights_set_width(chunks);
    flight_unref(flight);
    lock_release(&chunks->lock);
}

/* Has a worker run it at once, for a reader; false: nothing of the kind. */
static bool hand_over(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    if (!flow_is_slow(&chunks->flow) || chunks->handed == HANDED_MOST)
        return false;
    flight->references++; /* the task's */
    if (!workers_submit_first(chunks->workers, run_handed_task, flight)) {
        flight->references--;
        return false;
    }
    chunks->tasks++;
    chunks->handed++;
    flights_set_width(chunks);
    return true;
}

static void run_again_task(void *argument) {
    struct flight *flight = argument;
    struct chunks *chunks = flight->chunks;
    lock_acquire(&chunks->lock);
    if (flight->state == RUNNING && !chunks->stopping)
        run(flight);
    flight_unref(flight);
    lock_release(&chunks->lock);
}

/* Another connection may do better than the one that a flight is stuck on. */
static void run_again(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    if (flight->twice || chunks->stopping || chunks->stuck == STUCK_MOST)
        return;
    flight->references++; /* the task's */
    if (!workers_submit_first(chunks->workers, run_again_task, flight)) {
        flight->references--;
        return;
    }
    flight->twice = true;
    chunks->stuck++;
    flights_set_width(chunks);
    stats_add(STAT_hedged_fetches, 1);
}

static int64_t patience_with(const struct flight *flight) {
    return flow_patience_ms(&flight->chunks->flow) - (clock_now_ms() - flight->began_ms);
}

static void await(struct flight *flight) {
    struct chunks *chunks = flight->chunks;
    int64_t patience;
    while (flight->state != DONE && (patience = patience_with(flight)) > 0)
        (void)condition_wait_for(&flight->done, &chunks->lock, patience);
    if (flight->state == QUEUED) /* handed over, but the workers are all stuck */
        run(flight);
    else if (flight->state == RUNNING)
        run_again(flight);
    while (flight->state != DONE)
        condition_wait(&flight->done, &chunks->lock);
}

/* What a flight that has ended says of its i-th chunk. */
static int result_of(const struct flight *flight, uint32_t i, struct blob **ret_blob) {
    if (flight->error)
        return flight->error;
    if (!flight->cargo.blobs[i])
        return flight->cargo.errors[i] ? flight->cargo.errors[i] : -EIO;
    *ret_blob = blob_ref(flight->cargo.blobs[i]);
    return 0;
}

int flight_join(struct flight *flight, const struct chunk_file *file, uint32_t n, struct blob **ret_blob) {
    flight->references++;
    if (flight->state == QUEUED && !hand_over(flight))
        run(flight);
    await(flight);
    int result = result_of(flight, index_in(flight, file, n), ret_blob);
    struct chunk_key key = chunk_key_of(file, n);
    lru_read(flight->chunks->lru, &key);
    flight_unref(flight);
    return result;
}

void flights_check(struct chunks *chunks) {
    struct flight *flight;
    flow_check(&chunks->flow);
    CHECK(chunks->stuck <= STUCK_MOST && chunks->handed <= HANDED_MOST);
    unsigned queued = 0;
    DL_FOREACH(chunks->flights, flight) {
        queued += flight->state == QUEUED;
        CHECK(flight->state != DONE && flight->references > 0);
        for (uint32_t i = 0; i < flight->count; i++)
            CHECK(flight_of(chunks, file_at(flight, i), number_at(flight, i)) == flight);
    }
    CHECK(queued == chunks->queued && queued <= chunks->tasks);
}

// SPDX-License-Identifier: Apache-2.0
/* The chunk cache: the chunks of published revisions, fetched once, kept within the budget.
 *
 *              [chunks_get, chunks_prefetch]            [published]
 *     absent ---------------------------> in flight ----------------> cached
 *       ^                                     |                          |
 *       '------------ [fetch failed] ---------'------- [evicted] --------'
 *     absent --- [chunks_put] ---> cached
 *
 * However many readers want a chunk, one fetch is under way for it; the others wait for that one, and when it is stuck it
 * is made once more beside: a worker runs it wherever that costs nothing, since a reader that is stuck cannot be helped.
 * How many are under way at once follows the link (flow.h). A chunk that is damaged is never
 * cached: its error goes to those who asked.
 * What it is not: it knows neither GridFS nor the length of files; a key is all it has.
 *
 * Threads: all functions from any thread. chunks_get() blocks for as long as the source does; no lock is held then.
 * Memory: a returned blob is a reference of the caller's. In flight and cached stay within the budget as far as
 *         readahead goes; what a reader waits for is fetched even beyond it, and the newest chunk is always kept.
 * Errors: those of the source, for the chunk asked for only; -ENOMEM.
 * Facts (chunks_check): no chunk is in flight twice; the tier's own facts. */
#ifndef CACHE_CHUNKS_H
#define CACHE_CHUNKS_H

#include "cache/base/workers.h"
#include "cache/lru.h"

/* A file as the cache sees it. `handle` is whatever the source knows it by. */
struct chunk_file {
    unsigned char revision[REVISION_KEY_SIZE];
    uint32_t chunk_size; /* bytes, an upper bound: what room to make before a fetch */
    void *handle;
};

/* Where chunks come from; given by the layer above. Fetching may block and is done without a lock held; ref and unref
 * only count. */
struct chunk_source {
    void *context;
    /* Chunks [first, first + count) of a file, `count` <= CHUNKS_FETCH_MOST. Either -errno, or 0 and for each chunk
     * a blob of the caller's or NULL with an -errno of its own; CHUNKS_NEAR for 0 when all were near at hand, so that
     * it says nothing of the link. Blobs are charged to `budget`. */
    int (*fetch)(void *context, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                 struct blob **ret_blobs, int *ret_errors);
    /* Chunk 0 of each of these files, which have no other; likewise. */
    int (*fetch_heads)(void *context, void *const *handles, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors);
    /* A descriptor of the file's content as it is, to be read by the kernel and closed by the caller, or -errno. NULL: it
     * never has one. */
    int (*whole)(void *context, void *handle);
    void (*ref)(void *handle);
    void (*unref)(void *handle);
    /* How long a question to it takes at the least, as far as that is known: what a first fetch is worth. */
    int64_t round_trip_ms;
};

enum {
    CHUNKS_NEAR = 1,
    CHUNKS_FETCH_MOST = 64,
    CHUNKS_WORKERS = 26, /* it has use for so many, on a long link */
};

struct chunks;

/* `budget` and `workers`, which nobody else uses, outlive the cache. NULL without memory. */
struct chunks *chunks_new(struct budget *budget, const struct chunk_source *source, struct workers *workers);
/* What is queued is not fetched any more: its readers get -EAGAIN. */
void chunks_stop(struct chunks *chunks);
/* The workers' tasks are over by then. Takes NULL, returns NULL. */
struct chunks *chunks_free(struct chunks *chunks);
/* Chunk n. When it has to be fetched, up to `wanted` >= 1 chunks from n on come with it. `ret_hit` (or NULL): whether
 * memory had it. */
int chunks_get(struct chunks *chunks, const struct chunk_file *file, uint32_t n, uint32_t wanted,
               struct blob **ret_blob, bool *ret_hit);
/* Keeps chunk n without a fetch, for whoever reads what was just written. Takes a reference of its own. */
void chunks_put(struct chunks *chunks, const struct chunk_file *file, uint32_t n, struct blob *blob);
/* Starts to fetch what is missing of [first, first + count). Returns the first chunk that it found no room for, or
 * first + count. Never blocks. */
uint32_t chunks_prefetch(struct chunks *chunks, const struct chunk_file *file, uint32_t first, uint32_t count);
/* Starts to fetch what is missing of chunk 0 of these files, which have no other, in one question. Never blocks. */
void chunks_prefetch_heads(struct chunks *chunks, const struct chunk_file *files, uint32_t count);
/* How many bytes a reader in sequence should have fetched ahead, as wide as the link is. */
int64_t chunks_window(struct chunks *chunks);
/* A reader in sequence has left these chunks behind: the kernel has their bytes, so they are the first to go. Kept are no
 * more than readers have fetched ahead at the most, and what is fetched next takes their memory: so a stream needs no new
 * pages, though it goes by jerks. */
void chunks_pass(struct chunks *chunks, const struct chunk_file *file, uint32_t first, uint32_t count);
/* What the source says of it: a descriptor, or -errno. */
int chunks_whole(struct chunks *chunks, const struct chunk_file *file);
/* A reference to a file's handle, as the source keeps them, and its end. */
void chunks_hold(struct chunks *chunks, const struct chunk_file *file);
void chunks_drop(struct chunks *chunks, const struct chunk_file *file);
/* The budget that blobs of this cache are charged to. */
struct budget *chunks_budget(struct chunks *chunks);
void chunks_check(struct chunks *chunks);

#endif

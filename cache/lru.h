// SPDX-License-Identifier: Apache-2.0
/* The memory tier: chunks by key, in order of last use. Chunks that a reader in sequence has passed come after all
 * others, in the order in which they were passed or used since: the kernel has their bytes by then.
 *
 * What it is not: it fetches nothing, frees nothing but its own references, and has no limit of its own: its user asks
 * for evictions until the budget is kept.
 *
 * Threads: none of its own; the caller holds one lock around all calls.
 * Memory: holds one reference to each blob in it.
 * Errors: lru_put() returns -ENOMEM and holds nothing then.
 * Counts what was put ahead when it is first asked for (readahead_used), or dropped before (unread_chunks).
 * Facts (lru_check): each key once; lists and table agree; lru_passed() is the size of the chunks passed. */
#ifndef CACHE_LRU_H
#define CACHE_LRU_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/blob.h"

enum { REVISION_KEY_SIZE = 16 };

/* A chunk of a published revision: (bucket, _id, uploadDate, length, chunkSize) as a digest, and n. Published
 * revisions never change, so neither does what a key stands for. */
struct chunk_key {
    unsigned char revision[REVISION_KEY_SIZE];
    uint32_t n;
};

struct lru;

struct lru *lru_new(void);
/* Takes NULL, returns NULL. */
struct lru *lru_free(struct lru *lru);
/* The blob of this key, now the most recently used, or NULL. Lent: take a reference before the lock is released. */
struct blob *lru_get(struct lru *lru, const struct chunk_key *key);
/* Like lru_get(), without a use. */
bool lru_contains(struct lru *lru, const struct chunk_key *key);
/* Keeps a reference to `blob`. A key that is there already keeps what it has. `ahead`: nobody has asked for it yet. */
int lru_put(struct lru *lru, const struct chunk_key *key, struct blob *blob, bool ahead);
/* Notes that a reader in sequence has passed this chunk, if it is there. */
void lru_pass(struct lru *lru, const struct chunk_key *key);
/* Bytes of the chunks that were passed. */
size_t lru_passed(const struct lru *lru);
/* Notes that it was asked for, otherwise than by lru_get(). */
void lru_read(struct lru *lru, const struct chunk_key *key);
/* Drops the first chunk that was passed, else the least recently used one; false when there is none. */
bool lru_evict(struct lru *lru);
uint64_t lru_count(const struct lru *lru);
void lru_check(const struct lru *lru);

#endif

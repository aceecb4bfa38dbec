// SPDX-License-Identifier: Apache-2.0
/* Bytes of a file in memory, in blocks at multiples of their size, in order.
 *
 * What it is not: it does not know which bytes of a block mean anything.
 *
 * Threads: none of its own; the caller holds one lock around all calls.
 * Memory: allocates blocks; whoever has them made has counted them before (BLOCK_COST each).
 * Facts (blocks_check): starts rise and are multiples of the size. */
#ifndef CACHE_BLOCKS_H
#define CACHE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BLOCK_BYTES = 128 << 10 };

struct block {
    int64_t start;
    unsigned char bytes[BLOCK_BYTES];
};

enum { BLOCK_COST = sizeof(struct block) + 2 * sizeof(struct block *) };

/* Zeros are an empty one. */
struct blocks {
    struct block **blocks;
    size_t count, capacity;
};

void blocks_done(struct blocks *blocks);
/* Where the block ends that a position is in. */
int64_t block_end(int64_t at);
/* How many blocks of [start, end) are not there. */
size_t blocks_missing(const struct blocks *blocks, int64_t start, int64_t end);
/* Makes them, filled with anything. -ENOMEM, and then some of them may be there. */
int blocks_add(struct blocks *blocks, int64_t start, int64_t end);
/* The first block that ends behind `at`, an index; blocks->count: there is none. */
size_t blocks_from(const struct blocks *blocks, int64_t at);
/* Drops those blocks that touch [start, end) and that `keep` does not want kept. */
void blocks_filter(struct blocks *blocks, int64_t start, int64_t end,
                   bool (*keep)(const struct block *block, const void *context), const void *context);
void blocks_check(const struct blocks *blocks);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "cache/blocks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/pages.h"

void blocks_done(struct blocks *blocks) {
    for (size_t i = 0; i < blocks->count; i++)
        pages_free(blocks->blocks[i]);
    free(blocks->blocks);
    memset(blocks, 0, sizeof *blocks);
}

static int64_t block_start(int64_t at) {
    return at - at % BLOCK_BYTES;
}

int64_t block_end(int64_t at) {
    int64_t start = block_start(at);
    return start > INT64_MAX - BLOCK_BYTES ? INT64_MAX : start + BLOCK_BYTES;
}

size_t blocks_from(const struct blocks *blocks, int64_t at) {
    size_t low = 0, high = blocks->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (blocks->blocks[middle]->start < block_start(at))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

size_t blocks_missing(const struct blocks *blocks, int64_t start, int64_t end) {
    if (start >= end)
        return 0;
    size_t touched = (size_t)(block_start(end - 1) / BLOCK_BYTES - block_start(start) / BLOCK_BYTES + 1);
    size_t first = blocks_from(blocks, start), i = first;
    while (i < blocks->count && blocks->blocks[i]->start < end)
        i++;
    return touched - (i - first);
}

static int make_room(struct blocks *blocks) {
    if (blocks->count < blocks->capacity)
        return 0;
    size_t capacity = blocks->capacity ? 2 * blocks->capacity : 1;
    struct block **larger = realloc(blocks->blocks, capacity * sizeof(struct block *));
    if (!larger)
        return -ENOMEM;
    blocks->blocks = larger;
    blocks->capacity = capacity;
    return 0;
}

static int add(struct blocks *blocks, size_t index, int64_t start) {
    if (make_room(blocks))
        return -ENOMEM;
    struct block *block = pages_new(sizeof *block);
    if (!block)
        return -ENOMEM;
    block->start = start;
    struct block **at = blocks->blocks + index;
    memmove(at + 1, at, (blocks->count - index) * sizeof *at);
    *at = block;
    blocks->count++;
    return 0;
}

int blocks_add(struct blocks *blocks, int64_t start, int64_t end) {
    int result = 0;
    for (int64_t at = start; at < end && !result; at = block_end(at)) {
        size_t index = blocks_from(blocks, at);
        if (index == blocks->count || blocks->blocks[index]->start > at)
            result = add(blocks, index, block_start(at));
    }
    return result;
}

void blocks_filter(struct blocks *blocks, int64_t start, int64_t end,
                   bool (*keep)(const struct block *block, const void *context), const void *context) {
    size_t i = blocks_from(blocks, start), kept = i;
    for (; i < blocks->count && blocks->blocks[i]->start < end; i++) {
        if (keep(blocks->blocks[i], context))
            blocks->blocks[kept++] = blocks->blocks[i];
        else
            pages_free(blocks->blocks[i]);
    }
    if (kept < i)
        memmove(blocks->blocks + kept, blocks->blocks + i, (blocks->count - i) * sizeof *blocks->blocks);
    blocks->count -= i - kept;
}

void blocks_check(const struct blocks *blocks) {
    CHECK(blocks->count <= blocks->capacity);
    for (size_t i = 0; i < blocks->count; i++) {
        CHECK(blocks->blocks[i]->start >= 0 && blocks->blocks[i]->start % BLOCK_BYTES == 0);
        CHECK(i == 0 || blocks->blocks[i]->start > blocks->blocks[i - 1]->start);
    }
}

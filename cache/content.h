// SPDX-License-Identifier: Apache-2.0
/* The bytes written to a staged file: in blocks of memory, and from the first time it was spilled in a file on disk.
 *
 *     in memory [content_spill] -> on disk, but for blocks not moved yet [content_forget, of all] -> in memory
 *
 * A written byte is in its block when there is one, else on disk. Blocks are only made while nothing is on disk, so
 * that a file larger than its memory is written there directly.
 * What it is not: it does not know what was written; extents_* do, and are given to whom needs it.
 *
 * Threads: none of its own; the caller holds one lock around all calls.
 * Memory: content_wants() says what a write is about to take, content_memory() what is taken.
 * Errors: 0 or -errno, and then what was written is as it was: -ENOSPC, -EFBIG, -EIO (logged), -ENOMEM.
 * Facts (content_check): no block is without a written byte; while nothing is on disk, each written byte is in one. */
#ifndef CACHE_CONTENT_H
#define CACHE_CONTENT_H

#include "cache/blocks.h"
#include "cache/extents.h"
#include "cache/spill.h"

/* Zeros are an empty one. */
struct content {
    struct blocks blocks;
    struct spill *spill;
};

void content_done(struct content *content);
size_t content_memory(const struct content *content);
/* The memory that writing here would add. */
size_t content_wants(const struct content *content, int64_t start, int64_t end);
/* `extents` says what was written so far. */
int content_write(struct content *content, const struct extents *extents, int64_t offset, const void *bytes,
                  size_t size);
/* All of it was written. */
int content_read(const struct content *content, int64_t offset, size_t size, void *into);
/* Nothing of [start, end) counts as written any more, `extents` say so already. */
void content_forget(struct content *content, const struct extents *extents, int64_t start, int64_t end);
/* Moves up to `most` blocks to the disk of `directory`, the foremost first; from now on writes go there. */
int content_spill(struct content *content, const struct extents *extents, int directory, size_t most);
void content_check(const struct content *content, const struct extents *extents);

#endif

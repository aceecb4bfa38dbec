// SPDX-License-Identifier: Apache-2.0
/* Refcounted bytes that never change once they are shared, charged to a memory budget for as long as they live.
 *
 * A blob is filled by its creator, then only read. Whoever holds a reference may read without a lock. Several blobs may
 * lie in one block of memory that came filled, as an answer of a server does: then nothing is copied, and the whole
 * block stays for as long as one of them lives. So a block should hold little else, and blobs that go together.
 *
 * Threads: references are taken and given from any thread; filling only before the first sharing.
 * Memory: blob_new() gives one reference. The last blob_unref() frees the bytes and gives them back to the budget,
 *         which must outlive every blob. A block is charged whole, until the last of its blobs has gone.
 * Errors: NULL when there is no memory. */
#ifndef CACHE_BASE_BLOB_H
#define CACHE_BASE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>

#include "cache/base/budget.h"
#include "cache/base/cleanup.h"

struct blob_block;

struct blob {
    atomic_uint references;
    struct budget *budget;
    struct blob_block *block; /* that its bytes lie in; NULL: behind the blob */
    size_t size;
    unsigned char *bytes;
};

/* What a blob of `size` bytes takes from the budget: its bytes and the cost of keeping them in a cache. */
size_t blob_cost(size_t size);
/* A blob of `size` bytes, taken from the budget by force. */
struct blob *blob_new(struct budget *budget, size_t size);
struct blob *blob_ref(struct blob *blob);
/* Takes NULL. Returns NULL. */
struct blob *blob_unref(struct blob *blob);

/* `size` bytes of memory as a block, taken from the budget by force. Takes the memory over on success. */
struct blob_block *blob_block_new(struct budget *budget, void *memory, size_t size, void (*release)(void *memory));
/* Ends the creator's reference. Takes NULL, returns NULL. */
struct blob_block *blob_block_unref(struct blob_block *block);
/* A blob of `size` bytes from `offset` on. */
struct blob *blob_new_in(struct blob_block *block, size_t offset, size_t size);

DEFINE_CLEANUP(struct blob, blob_unref)
DEFINE_CLEANUP(struct blob_block, blob_block_unref)

#endif

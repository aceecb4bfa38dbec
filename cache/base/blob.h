/* Refcounted bytes that never change once they are shared, charged to a memory budget for as long as they live.
 *
 * A blob is filled by its creator, then only read. Whoever holds a reference may read without a lock.
 *
 * Threads: blob_ref() and blob_unref() from any thread; filling only before the first sharing.
 * Memory: blob_new() gives one reference. The last blob_unref() frees the bytes and gives them back to the budget,
 *         which must outlive every blob.
 * Errors: blob_new() returns NULL when there is no memory. */
#ifndef CACHE_BASE_BLOB_H
#define CACHE_BASE_BLOB_H

#include <stdatomic.h>
#include <stddef.h>

#include "cache/base/budget.h"
#include "cache/base/cleanup.h"

struct blob {
    atomic_uint references;
    struct budget *budget;
    size_t size;
    unsigned char bytes[];
};

/* What a blob of `size` bytes takes from the budget: its bytes and the cost of keeping them in a cache. */
size_t blob_cost(size_t size);
/* A blob of `size` bytes, taken from the budget by force. */
struct blob *blob_new(struct budget *budget, size_t size);
struct blob *blob_ref(struct blob *blob);
/* Takes NULL. Returns NULL. */
struct blob *blob_unref(struct blob *blob);

DEFINE_CLEANUP(struct blob, blob_unref)

#endif

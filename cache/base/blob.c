#include "cache/base/blob.h"

#include "cache/base/check.h"

/* The header, the allocator's own, and what a cache keeps beside it to find it again. */
enum { BLOB_OVERHEAD = 256 };

size_t blob_cost(size_t size) {
    return size + BLOB_OVERHEAD;
}

struct blob *blob_new(struct budget *budget, size_t size) {
    struct blob *blob = malloc(sizeof *blob + size);
    if (!blob)
        return NULL;
    atomic_init(&blob->references, 1);
    blob->budget = budget;
    blob->size = size;
    budget_force(budget, blob_cost(size));
    return blob;
}

struct blob *blob_ref(struct blob *blob) {
    unsigned before = atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return blob;
}

struct blob *blob_unref(struct blob *blob) {
    if (blob && atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1) {
        budget_give(blob->budget, blob_cost(blob->size));
        free(blob);
    }
    return NULL;
}

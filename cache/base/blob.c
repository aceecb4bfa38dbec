// SPDX-License-Identifier: Apache-2.0
#include "cache/base/blob.h"

#include "cache/base/check.h"
#include "cache/base/pages.h"

/* The header, the allocator's own, and what a cache keeps beside it to find it again. */
enum { BLOB_OVERHEAD = 256 };

struct blob_block {
    atomic_uint references; /* the creator's, each blob's */
    struct budget *budget;
    size_t size;
    unsigned char *memory;
    void (*release)(void *memory);
};

size_t blob_cost(size_t size) {
    return size + BLOB_OVERHEAD;
}

/* What this one takes from the budget itself. */
static size_t own_cost(const struct blob *blob) {
    return blob_cost(blob->block ? 0 : blob->size);
}

static struct blob *make(struct budget *budget, struct blob_block *block, size_t size) {
    struct blob *blob = pages_new(sizeof *blob + (block ? 0 : size));
    if (!blob)
        return NULL;
    atomic_init(&blob->references, 1);
    blob->budget = budget;
    blob->block = block;
    blob->size = size;
    blob->bytes = (unsigned char *)(blob + 1);
    budget_force(budget, own_cost(blob));
    return blob;
}

struct blob *blob_new(struct budget *budget, size_t size) {
    return make(budget, NULL, size);
}

struct blob *blob_ref(struct blob *blob) {
    unsigned before = atomic_fetch_add_explicit(&blob->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return blob;
}

struct blob *blob_unref(struct blob *blob) {
    if (blob && atomic_fetch_sub_explicit(&blob->references, 1, memory_order_acq_rel) == 1) {
        budget_give(blob->budget, own_cost(blob));
        blob_block_unref(blob->block);
        pages_free(blob);
    }
    return NULL;
}

struct blob_block *blob_block_new(struct budget *budget, void *memory, size_t size, void (*release)(void *memory)) {
    struct blob_block *block = malloc(sizeof *block);
    if (!block)
        return NULL;
    *block = (struct blob_block){.budget = budget, .size = size, .memory = memory, .release = release};
    atomic_init(&block->references, 1);
    budget_force(budget, size);
    return block;
}

struct blob_block *blob_block_unref(struct blob_block *block) {
    if (block && atomic_fetch_sub_explicit(&block->references, 1, memory_order_acq_rel) == 1) {
        budget_give(block->budget, block->size);
        block->release(block->memory);
        free(block);
    }
    return NULL;
}

struct blob *blob_new_in(struct blob_block *block, size_t offset, size_t size) {
    CHECK(offset <= block->size && size <= block->size - offset);
    struct blob *blob = make(block->budget, block, size);
    if (!blob)
        return NULL;
    atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
    blob->bytes = block->memory + offset;
    return blob;
}

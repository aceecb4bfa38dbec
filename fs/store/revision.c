// SPDX-License-Identifier: Apache-2.0
#include "fs/store/revision.h"

#include <stddef.h>
#include <string.h>

#include "cache/base/check.h"

struct revision *revision_new(const void *id, uint32_t id_size) {
    struct revision *revision = calloc(1, sizeof *revision + id_size);
    if (!revision)
        return NULL;
    atomic_init(&revision->references, 1);
    revision->id_size = id_size;
    memcpy(revision->id, id, id_size);
    return revision;
}

struct revision *revision_with(const struct revision *revision, const struct attributes *attributes) {
    struct revision *copy = revision_new(revision->id, revision->id_size);
    struct hole *holes = revision->hole_count ? malloc(revision->hole_count * sizeof *holes) : NULL;
    if (!copy || (revision->hole_count && !holes)) {
        free(copy);
        free(holes);
        return NULL;
    }
    const size_t shared = offsetof(struct revision, store); /* all but the references, which others change */
    memcpy((char *)copy + shared, (const char *)revision + shared, sizeof *copy - shared);
    copy->attributes = *attributes;
    copy->holes = holes;
    if (holes)
        memcpy(holes, revision->holes, revision->hole_count * sizeof *holes);
    return copy;
}

struct revision *revision_ref(struct revision *revision) {
    unsigned before = atomic_fetch_add_explicit(&revision->references, 1, memory_order_relaxed);
    CHECK(before > 0);
    return revision;
}

struct revision *revision_unref(struct revision *revision) {
    if (revision && atomic_fetch_sub_explicit(&revision->references, 1, memory_order_acq_rel) == 1) {
        free(revision->holes);
        free(revision);
    }
    return NULL;
}

bool revision_same_content(const struct revision *one, const struct revision *other) {
    return memcmp(one->key, other->key, sizeof one->key) == 0;
}

uint32_t revision_chunks(const struct revision *revision) {
    return (uint32_t)((revision->length + revision->chunk_size - 1) / revision->chunk_size);
}

uint32_t revision_chunk_length(const struct revision *revision, uint32_t n) {
    int64_t rest = revision->length - (int64_t)n * revision->chunk_size;
    CHECK(rest > 0);
    return rest < revision->chunk_size ? (uint32_t)rest : revision->chunk_size;
}

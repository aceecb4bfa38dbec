// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/pattern.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cache/base/check.h"

static struct blob *chunk_of(const struct pattern_file *file, uint32_t n, struct budget *budget) {
    int64_t start = (int64_t)n * file->chunk_size, rest = file->length - start;
    CHECK(rest > 0);
    struct blob *blob = blob_new(budget, rest < file->chunk_size ? (size_t)rest : file->chunk_size);
    size_t size = blob ? blob->size : 0;
    for (size_t i = 0; i < size; i++)
        blob->bytes[i] = pattern_byte(file, start + (int64_t)i);
    return blob;
}

static bool count_down(atomic_uint *count) {
    unsigned left = atomic_load(count);
    while (left && !atomic_compare_exchange_weak(count, &left, left - 1))
        ;
    return left > 0;
}

static bool is_to_fail(struct pattern *pattern) {
    return count_down(&pattern->failures);
}

static int fetch(void *context, void *handle, uint32_t first, uint32_t count, struct budget *budget,
                 struct blob **ret_blobs, int *ret_errors) {
    struct pattern *pattern = context;
    struct pattern_file *file = handle;
    CHECK(count > 0 && count <= CHUNKS_FETCH_MOST);
    CHECK(atomic_load(&file->references) > 0);
    atomic_store(&file->last, atomic_fetch_add(&pattern->fetches, 1) + 1);
    bool fail = is_to_fail(pattern);
    gate_pass(&pattern->gate);
    struct timespec takes = {.tv_nsec = atomic_load(&pattern->takes_ms) * 1000000L};
    if (takes.tv_nsec)
        nanosleep(&takes, NULL);
    if (count_down(&pattern->stuck))
        gate_pass(&pattern->jam);
    if (fail)
        return pattern->failure;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t n = first + i;
        int damage = n < PATTERN_CHUNKS ? atomic_load(&file->damage[n]) : 0;
        if (n < PATTERN_CHUNKS)
            atomic_fetch_add(&file->fetched[n], 1);
        ret_blobs[i] = damage ? NULL : chunk_of(file, n, budget);
        ret_errors[i] = damage ? damage : ret_blobs[i] ? 0 : -ENOMEM;
    }
    return pattern->near ? CHUNKS_NEAR : 0;
}

/* As a store does: what is damaged is -EAGAIN, so that a fetch of its own tells what is wrong. */
static int fetch_heads(void *context, void *const *handles, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    struct pattern *pattern = context;
    CHECK(count > 0 && count <= CHUNKS_FETCH_MOST);
    atomic_fetch_add(&pattern->head_fetches, 1);
    bool fail = is_to_fail(pattern);
    gate_pass(&pattern->gate);
    for (uint32_t i = 0; !fail && i < count; i++) {
        struct pattern_file *file = handles[i];
        CHECK(atomic_load(&file->references) > 0 && file->length <= file->chunk_size);
        atomic_fetch_add(&file->fetched[0], 1);
        ret_blobs[i] = atomic_load(&file->damage[0]) ? NULL : chunk_of(file, 0, budget);
        ret_errors[i] = ret_blobs[i] ? 0 : -EAGAIN;
    }
    return fail ? pattern->failure : 0;
}

static void ref(void *handle) {
    struct pattern_file *file = handle;
    atomic_fetch_add(&file->references, 1);
}

static void unref(void *handle) {
    struct pattern_file *file = handle;
    CHECK(atomic_fetch_sub(&file->references, 1) > 0);
}

void pattern_init(struct pattern *pattern) {
    memset(pattern, 0, sizeof *pattern);
    gate_init(&pattern->gate);
    gate_init(&pattern->jam);
    pattern->source = (struct chunk_source){
        .context = pattern, .fetch = fetch, .fetch_heads = fetch_heads, .ref = ref, .unref = unref};
}

void pattern_done(struct pattern *pattern) {
    gate_done(&pattern->gate);
    gate_done(&pattern->jam);
}

struct pattern_file *pattern_file_new(int64_t length, uint32_t chunk_size, unsigned char salt) {
    struct pattern_file *file = calloc(1, sizeof *file);
    CHECK(file);
    file->length = length;
    file->chunk_size = chunk_size;
    file->salt = salt;
    return file;
}

struct chunk_file pattern_chunk_file(struct pattern_file *file) {
    struct chunk_file chunk_file = {.chunk_size = file->chunk_size, .handle = file};
    memset(chunk_file.revision, file->salt, sizeof chunk_file.revision);
    return chunk_file;
}

unsigned pattern_most_fetched(const struct pattern_file *file) {
    unsigned most = 0;
    for (unsigned n = 0; n < PATTERN_CHUNKS; n++) {
        unsigned fetched = atomic_load(&file->fetched[n]);
        most = fetched > most ? fetched : most;
    }
    return most;
}

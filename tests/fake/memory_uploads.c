// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_changes.h"

#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/memory_records.h"

/* Chunks are "sent" by the thread that offers them, one after the other, and then stand in memory as they were. */
struct store_upload {
    struct memory_store *memory;
    struct store_source source;
    uint32_t chunk_size;
    pthread_mutex_t mutex; /* guards what follows */
    uint32_t next, capacity;
    unsigned char **chunks; /* NULL: not sent */
};

int memory_upload_begin(struct store *store, const struct revision *base, const struct store_source *source,
                        int64_t start, struct store_upload **ret_upload) {
    struct memory_store *memory = memory_of(store);
    struct store_upload *upload = calloc(1, sizeof *upload);
    CHECK(upload && start >= 0);
    upload->memory = memory;
    upload->source = *source;
    upload->chunk_size = memory_chunk_size(base);
    upload->next = (uint32_t)((start + upload->chunk_size - 1) / upload->chunk_size);
    pthread_mutex_init(&upload->mutex, NULL);
    pthread_mutex_lock(&memory->mutex);
    memory->uploads++;
    memory->uploads_begun++;
    pthread_mutex_unlock(&memory->mutex);
    *ret_upload = upload;
    return 0;
}

static void send(struct store_upload *upload, uint32_t n) {
    if (n >= upload->capacity) {
        upload->chunks = realloc(upload->chunks, (2 * n + 64) * sizeof *upload->chunks);
        CHECK(upload->chunks);
        memset(upload->chunks + upload->capacity, 0, (2 * n + 64 - upload->capacity) * sizeof *upload->chunks);
        upload->capacity = 2 * n + 64;
    }
    unsigned char *chunk = malloc(upload->chunk_size);
    CHECK(chunk);
    if (upload->source.read(upload->source.context, (int64_t)n * upload->chunk_size, upload->chunk_size, chunk))
        free(chunk);
    else
        upload->chunks[n] = chunk;
}

void memory_upload_offer(struct store *store, struct store_upload *upload, int64_t end) {
    (void)store;
    pthread_mutex_lock(&upload->mutex);
    for (; ((int64_t)upload->next + 1) * upload->chunk_size <= end; upload->next++)
        send(upload, upload->next);
    pthread_mutex_unlock(&upload->mutex);
}

bool memory_take_sent(struct memory_store *memory, const struct store_put *put, int64_t offset, size_t size,
                      unsigned char *into) {
    struct store_upload *upload = put->upload;
    const struct store_content *content = put->content;
    uint32_t n = upload ? (uint32_t)(offset / upload->chunk_size) : 0;
    if (!upload || size != upload->chunk_size || n >= upload->capacity || !upload->chunks[n] ||
        !content->is_sent(content->context, offset, size))
        return false;
    memcpy(into, upload->chunks[n], size);
    pthread_mutex_lock(&memory->mutex);
    memory->sent_chunks++;
    pthread_mutex_unlock(&memory->mutex);
    return true;
}

struct store_upload *memory_upload_end(struct store *store, struct store_upload *upload) {
    struct memory_store *memory = memory_of(store);
    if (!upload)
        return NULL;
    pthread_mutex_lock(&memory->mutex);
    memory->uploads--;
    pthread_mutex_unlock(&memory->mutex);
    for (uint32_t n = 0; n < upload->capacity; n++)
        free(upload->chunks[n]);
    free(upload->chunks);
    pthread_mutex_destroy(&upload->mutex);
    free(upload);
    return NULL;
}

// SPDX-License-Identifier: Apache-2.0
#include "tests/store/sample.h"

#include <string.h>

#include "cache/base/blob.h"

static int read_content(void *context, int64_t offset, size_t size, void *into) {
    struct content *content = context;
    if (content->fails_at >= 0 && offset + (int64_t)size > content->fails_at)
        return content->fails_with;
    memcpy(into, content->bytes + offset, size);
    return 0;
}

static bool is_clean(void *context, int64_t offset, size_t size) {
    struct content *content = context;
    return offset + (int64_t)size <= content->dirty_from || offset >= content->dirty_until;
}

static int read_to_send(void *context, int64_t offset, size_t size, void *into) {
    struct content *content = context;
    int result = read_content(content, offset, size, into);
    for (size_t i = 0; result == 0 && i < size; i++)
        if (offset + (int64_t)i >= content->stale_from && offset + (int64_t)i < content->stale_until)
            ((unsigned char *)into)[i] ^= 1;
    return result;
}

static bool is_sent(void *context, int64_t offset, size_t size) {
    struct content *content = context;
    return offset + (int64_t)size <= content->stale_from || offset >= content->stale_until;
}

void sample_make(struct content *content, int64_t length, unsigned seed) {
    struct dice dice = {.state = seed * 2 + 1};
    memset(content, 0, sizeof *content);
    content->bytes = malloc((size_t)length + 8);
    assert_non_null(content->bytes);
    for (int64_t i = 0; i < length; i += 8) {
        uint64_t number = dice_throw(&dice);
        memcpy(content->bytes + i, &number, sizeof number);
    }
    content->dirty_until = length;
    content->fails_at = -1;
    content->content = (struct store_content){
        .context = content, .length = length, .read = read_content, .is_clean = is_clean, .is_sent = is_sent};
    content->source = (struct store_source){.context = content, .read = read_to_send};
}

void sample_done(struct content *content) {
    free(content->bytes);
}

void sample_expect(const struct content *content, struct real_store *real, const struct revision *revision) {
    struct budget budget;
    budget_init(&budget, 1 << 30);
    assert_null(revision->damage);
    assert_int_equal(revision->length, content->content.length);
    uint32_t chunks = revision_chunks(revision);
    for (uint32_t n = 0; n < chunks; n += STORE_FETCH_MOST) {
        struct blob *blobs[STORE_FETCH_MOST] = {0};
        int errors[STORE_FETCH_MOST] = {0};
        uint32_t count = chunks - n < STORE_FETCH_MOST ? chunks - n : STORE_FETCH_MOST;
        assert_int_equal(real->store->ops->fetch(real->store, revision, n, count, &budget, blobs, errors), 0);
        for (uint32_t i = 0; i < count; i++) {
            assert_int_equal(errors[i], 0);
            assert_memory_equal(blobs[i]->bytes, content->bytes + (int64_t)(n + i) * revision->chunk_size,
                                blobs[i]->size);
            blob_unref(blobs[i]);
        }
    }
    bson_t id;
    bson_iter_t value;
    assert_true(bson_init_static(&id, revision->id, revision->id_size) && bson_iter_init_find(&value, &id, "_id"));
    bson_t *filter = bson_new();
    bson_append_iter(filter, "files_id", -1, &value);
    assert_int_equal(real_store_count(real, "chunks", filter), chunks);
}

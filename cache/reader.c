// SPDX-License-Identifier: Apache-2.0
#include "cache/reader.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/lock.h"
#include "cache/readahead.h"

struct reader {
    struct chunks *chunks;
    struct chunk_file file;
    int64_t length;
    int64_t share; /* of the budget, for what is read ahead */
    struct lock lock; /* guards readahead */
    struct readahead readahead;
};

static int64_t window_of(const struct reader *reader) {
    int64_t wanted = chunks_window(reader->chunks);
    wanted = wanted > READAHEAD_MOST ? wanted : READAHEAD_MOST;
    return wanted < reader->share ? wanted : reader->share;
}

struct reader *reader_new(struct chunks *chunks, const struct chunk_file *file, int64_t length) {
    struct reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return NULL;
    reader->chunks = chunks;
    reader->file = *file;
    reader->length = length;
    chunks_hold(chunks, file);
    lock_init(&reader->lock, LOCK_READAHEAD);
    reader->share = (int64_t)(chunks_budget(chunks)->limit / 4);
    readahead_init(&reader->readahead, length, file->chunk_size, window_of(reader));
    return reader;
}

struct reader *reader_free(struct reader *reader) {
    if (reader) {
        chunks_drop(reader->chunks, &reader->file);
        lock_done(&reader->lock);
        free(reader);
    }
    return NULL;
}

static void read_ahead(struct reader *reader, int64_t offset, size_t size) {
    lock_acquire(&reader->lock);
    readahead_limit(&reader->readahead, window_of(reader));
    struct readahead_plan plan = readahead_observe(&reader->readahead, offset, (int64_t)size);
    lock_release(&reader->lock);
    if (plan.passed_count)
        chunks_pass(reader->chunks, &reader->file, plan.passed, plan.passed_count);
    if (!plan.count)
        return;
    uint32_t reached = chunks_prefetch(reader->chunks, &reader->file, plan.first, plan.count);
    if (reached < plan.first + plan.count) {
        lock_acquire(&reader->lock);
        readahead_fell_short(&reader->readahead, &plan, reached);
        lock_release(&reader->lock);
    }
}

/* The part of the first chunk of [offset, offset + size). */
static int view_of(struct reader *reader, int64_t offset, size_t size, struct reader_view *ret_view) {
    int64_t chunk_size = reader->file.chunk_size;
    uint32_t n = (uint32_t)(offset / chunk_size);
    uint32_t last = (uint32_t)((offset + (int64_t)size - 1) / chunk_size);
    struct blob *blob;
    bool hit;
    int result = chunks_get(reader->chunks, &reader->file, n, last - n + 1, &blob, &hit);
    if (result)
        return result;
    size_t start = (size_t)(offset % chunk_size);
    CHECK(start < blob->size);
    size_t available = blob->size - start;
    *ret_view = (struct reader_view){
        .blob = blob, .bytes = blob->bytes + start, .size = available < size ? available : size};
    ret_view->hit = hit ? ret_view->size : 0;
    return 0;
}

/* Many small chunks in one piece: a reply has room for few views. */
static int gather(struct reader *reader, int64_t offset, size_t size, struct reader_view *ret_view) {
    cleanup_with(blob_unref) struct blob *whole = blob_new(chunks_budget(reader->chunks), size);
    if (!whole)
        return -ENOMEM;
    size_t hit = 0;
    for (size_t done = 0; done < size;) {
        struct reader_view view;
        int result = view_of(reader, offset + (int64_t)done, size - done, &view);
        if (result)
            return result;
        memcpy(whole->bytes + done, view.bytes, view.size);
        done += view.size;
        hit += view.hit;
        blob_unref(view.blob);
    }
    *ret_view = (struct reader_view){.blob = steal_ptr(&whole), .size = size, .hit = hit};
    ret_view->bytes = ret_view->blob->bytes;
    return 0;
}

int reader_read(struct reader *reader, int64_t offset, size_t size, struct reader_view *ret_views,
                unsigned *ret_count) {
    CHECK(offset >= 0);
    if (offset >= reader->length || size == 0) {
        *ret_count = 0;
        return 0;
    }
    if ((int64_t)size > reader->length - offset)
        size = (size_t)(reader->length - offset);
    read_ahead(reader, offset, size);

    unsigned count = 0;
    int result = 0;
    if (size / reader->file.chunk_size + 2 > READER_VIEWS) {
        result = gather(reader, offset, size, &ret_views[0]);
        count = result ? 0 : 1;
        size = 0;
    }
    while (size > 0 && result == 0) {
        result = view_of(reader, offset, size, &ret_views[count]);
        if (result == 0) {
            offset += (int64_t)ret_views[count].size;
            size -= ret_views[count++].size;
        }
    }
    if (result)
        reader_release(ret_views, count);
    else
        *ret_count = count;
    return result;
}

int reader_again(struct reader *reader, int64_t offset, size_t size, struct reader_view *ret_view) {
    CHECK(offset >= 0 && size > 0 && (int64_t)size <= reader->length - offset);
    return view_of(reader, offset, size, ret_view);
}

int reader_fetch(struct reader *reader, int64_t offset, size_t size, bool stays) {
    CHECK(offset >= 0);
    int64_t chunk_size = reader->file.chunk_size, left = reader->length - offset;
    if (left <= 0 || size == 0)
        return 0;
    int64_t until = offset + ((int64_t)size < left ? (int64_t)size : left);
    uint32_t first = (uint32_t)(offset / chunk_size), end = (uint32_t)((until - 1) / chunk_size) + 1;
    int result = 0;
    for (uint32_t n = first; result == 0 && n < end; n++) {
        struct blob *blob;
        result = chunks_get(reader->chunks, &reader->file, n, end - n, &blob, NULL);
        if (result == 0)
            blob_unref(blob);
    }
    if (!stays)
        chunks_pass(reader->chunks, &reader->file, first, end - first);
    return result;
}

int reader_whole(struct reader *reader) {
    return chunks_whole(reader->chunks, &reader->file);
}

void reader_provide(struct reader *reader, struct blob *content) {
    CHECK((int64_t)content->size == reader->length && content->size <= reader->file.chunk_size);
    chunks_put(reader->chunks, &reader->file, 0, content);
}

void reader_release(struct reader_view *views, unsigned count) {
    for (unsigned i = 0; i < count; i++)
        blob_unref(views[i].blob);
}

// SPDX-License-Identifier: Apache-2.0
#include "cache/readahead.h"

#include <string.h>

#include "cache/base/check.h"

/* The kernel sends the parts of one sequential read in parallel: they may arrive in any order. And who copies out of a
 * mapped file does so by pieces, of which each may be read from its end: the C library's memcpy() does. */
enum { REACH = 4 << 20 };

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

static int64_t chunks_of(const struct readahead *readahead) {
    return (readahead->length + readahead->chunk_size - 1) / readahead->chunk_size;
}

void readahead_init(struct readahead *readahead, int64_t length, int64_t chunk_size, int64_t limit) {
    CHECK(chunk_size > 0 && length >= 0);
    memset(readahead, 0, sizeof *readahead);
    readahead->length = length;
    readahead->chunk_size = chunk_size;
    readahead->most = limit;
}

void readahead_limit(struct readahead *readahead, int64_t limit) {
    readahead->most = limit;
}

static bool continues(const struct readahead *readahead, const struct readahead_stream *stream, int64_t offset) {
    int64_t reach = most(stream->next + REACH, stream->planned * readahead->chunk_size);
    return stream->last_use && offset >= stream->next - REACH && offset < reach;
}

/* The stream this read continues, else a new one in the place of the least recently used. */
static struct readahead_stream *stream_of(struct readahead *readahead, int64_t offset) {
    struct readahead_stream *found = NULL, *oldest = &readahead->streams[0];
    for (unsigned i = 0; i < READAHEAD_STREAMS; i++) {
        struct readahead_stream *stream = &readahead->streams[i];
        if (continues(readahead, stream, offset) && (!found || stream->last_use > found->last_use))
            found = stream;
        if (stream->last_use < oldest->last_use)
            oldest = stream;
    }
    if (!found) {
        int64_t chunk = offset / readahead->chunk_size;
        *oldest = (struct readahead_stream){.start = offset, .next = offset, .planned = chunk, .passed = chunk,
                                             .from_start = offset == 0};
        found = oldest;
    }
    found->last_use = ++readahead->uses;
    return found;
}

/* What speaks for a stream: what it has read, less what it has left out so far. */
static int64_t evidence(const struct readahead_stream *stream) {
    return stream->run - stream->left;
}

static bool is_trusted(const struct readahead_stream *stream) {
    return evidence(stream) >= (stream->from_start ? READAHEAD_CONFIRMED_START : READAHEAD_CONFIRMED);
}

static int64_t window_of(const struct readahead *readahead, const struct readahead_stream *stream) {
    if (!is_trusted(stream))
        return 0;
    int64_t growth = readahead->most > READAHEAD_MOST ? 4 : 2; /* on a wide link each round trip is worth more */
    return least(most(growth * evidence(stream), READAHEAD_FIRST - evidence(stream)), readahead->most);
}

/* The end of what to plan for a stream: not into what another one has read, which the kernel has. */
static int64_t clear_until(const struct readahead *readahead, const struct readahead_stream *stream, int64_t until) {
    for (unsigned i = 0; i < READAHEAD_STREAMS; i++) {
        const struct readahead_stream *other = &readahead->streams[i];
        if (other->last_use && is_trusted(other) && other->start >= stream->next)
            until = least(until, (other->start + readahead->chunk_size - 1) / readahead->chunk_size);
    }
    return until;
}

/* Chunks that no part of the stream's reads can reach back to. */
static void pass(const struct readahead *readahead, struct readahead_stream *stream, struct readahead_plan *plan) {
    int64_t until = (stream->next - REACH) / readahead->chunk_size;
    if (until > stream->passed) {
        plan->passed = (uint32_t)stream->passed;
        plan->passed_count = (uint32_t)(until - stream->passed);
        stream->passed = until;
    }
}

/* Bytes of the whole chunks between where a stream is and where it goes on. */
static int64_t left_out(const struct readahead *readahead, const struct readahead_stream *stream, int64_t offset) {
    int64_t from = (stream->next + readahead->chunk_size - 1) / readahead->chunk_size;
    return most(offset / readahead->chunk_size - from, 0) * readahead->chunk_size;
}

/* What was left out may come late. What is out of reach by now does not, and speaks against the stream for good. */
static void go_on(const struct readahead *readahead, struct readahead_stream *stream, int64_t offset, int64_t size) {
    int64_t out = left_out(readahead, stream, offset), moved = most(offset + size - stream->next, 0);
    int64_t farther = least(moved, size), late = least(size - farther, stream->left);
    int64_t missed = (stream->left - late) * least(moved, REACH) / REACH;
    stream->left += out - late - missed;
    stream->run = least(stream->run + farther + late, most(readahead->most, READAHEAD_CONFIRMED)) - missed;
    stream->run = most(stream->run, 0);
    stream->next = most(stream->next, offset + size);
}

struct readahead_plan readahead_observe(struct readahead *readahead, int64_t offset, int64_t size) {
    struct readahead_stream *stream = stream_of(readahead, offset);
    go_on(readahead, stream, offset, size);
    int64_t window = window_of(readahead, stream);

    int64_t from = most(stream->planned, (stream->next + readahead->chunk_size - 1) / readahead->chunk_size);
    int64_t until = least((stream->next + window) / readahead->chunk_size, chunks_of(readahead));
    if (stream->next + window >= readahead->length)
        until = chunks_of(readahead);
    int64_t clear = clear_until(readahead, stream, until);
    bool last = clear < until || until == chunks_of(readahead);
    until = clear;
    struct readahead_plan plan = {.first = (uint32_t)from, .stream = (unsigned)(stream - readahead->streams)};
    /* Large fetches: wait until a whole one, or half of a small window, is to be planned; take the rest at an end. */
    int64_t worth = most(least(READAHEAD_UNIT, window / 2) / readahead->chunk_size, 1);
    if (window > 0 && until > from && (until - from >= worth || last)) {
        plan.count = (uint32_t)(until - from);
        stream->planned = until;
    }
    if (window > 0)
        pass(readahead, stream, &plan);
    return plan;
}

void readahead_fell_short(struct readahead *readahead, const struct readahead_plan *plan, uint32_t chunk) {
    struct readahead_stream *stream = &readahead->streams[plan->stream];
    if (stream->planned == (int64_t)plan->first + plan->count)
        stream->planned = chunk;
}

void readahead_check(const struct readahead *readahead) {
    for (unsigned i = 0; i < READAHEAD_STREAMS; i++) {
        const struct readahead_stream *stream = &readahead->streams[i];
        CHECK(stream->last_use <= readahead->uses);
        CHECK(stream->planned <= chunks_of(readahead));
        CHECK(stream->passed <= chunks_of(readahead));
        CHECK(stream->run >= 0 && stream->left >= 0);
        CHECK(stream->start <= stream->next && stream->next <= readahead->length);
    }
}

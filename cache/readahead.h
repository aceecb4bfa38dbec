// SPDX-License-Identifier: Apache-2.0
/* The readahead policy of one file: which chunks to fetch before they are asked for.
 *
 * Several sequential readers of one file are told apart as streams; each has a window that grows with what it has read
 * in sequence. A read that continues no stream fetches nothing ahead, so random readers cost what they read; a reader
 * that began at the start of the file is trusted sooner, because most files are read from there. The parts of a stream may
 * come in any order within a few MiB. Chunks that a reader leaves out speak against it as much as read ones speak for it:
 * who picks rows in rising order out of a mapped file, of which the kernel reads 128 KiB each, has no use for what lies
 * between.
 * What it is not: it fetches nothing and knows no cache. It is pure but for its own state.
 *
 * Threads: none of its own; the caller holds one lock around all calls.
 * Units: offsets, sizes and windows in bytes; plans in chunks.
 * Facts (readahead_check): a plan lies within the file; no chunk is planned or passed twice by one stream while it goes
 * on. */
#ifndef CACHE_READAHEAD_H
#define CACHE_READAHEAD_H

#include <stdbool.h>
#include <stdint.h>

enum {
    READAHEAD_STREAMS = 8,
    READAHEAD_CONFIRMED = 512 << 10,      /* so much in sequence makes a stream: more than is read around a row of 64 KiB */
    READAHEAD_CONFIRMED_START = 64 << 10, /* less is enough at the start of a file */
    READAHEAD_FIRST = 1 << 20,            /* the smallest window, what was read included */
    READAHEAD_UNIT = 2 << 20,             /* what one fetch brings in */
    READAHEAD_MOST = 8 << 20,             /* the largest window, unless a wide link wants more */
};

struct readahead_stream {
    int64_t start;     /* of its first read */
    int64_t next;      /* where the next read in sequence starts */
    int64_t run;       /* bytes read in sequence, less those of chunks left out; no more than a window needs */
    int64_t left;      /* bytes of chunks left out that may only be late */
    int64_t planned;   /* chunks below this one were read or planned */
    int64_t passed;    /* chunks below this one were passed */
    uint64_t last_use; /* 0: free */
    bool from_start;
};

struct readahead {
    int64_t length;
    int64_t chunk_size;
    int64_t most; /* limit of a window */
    uint64_t uses;
    struct readahead_stream streams[READAHEAD_STREAMS];
};

/* Chunks [first, first + count) are worth fetching now, and the stream has left [passed, passed + passed_count) behind;
 * counts may be 0. */
struct readahead_plan {
    uint32_t first, count;
    uint32_t passed, passed_count;
    unsigned stream;
};

/* `chunk_size` > 0, 0 <= length. */
void readahead_init(struct readahead *readahead, int64_t length, int64_t chunk_size, int64_t most);
/* Windows grow up to `most` from now on. */
void readahead_limit(struct readahead *readahead, int64_t most);
/* A read of [offset, offset + size), size > 0, within the file. */
struct readahead_plan readahead_observe(struct readahead *readahead, int64_t offset, int64_t size);
/* The plan was carried out only below `chunk`: plan it again later. */
void readahead_fell_short(struct readahead *readahead, const struct readahead_plan *plan, uint32_t chunk);
void readahead_check(const struct readahead *readahead);

#endif

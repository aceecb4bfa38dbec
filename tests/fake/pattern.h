// SPDX-License-Identifier: Apache-2.0
/* A chunk source without a database: files whose bytes follow a pattern, so that every byte can be checked.
 *
 * It counts what was fetched and which handles are referenced, can be held at a gate, and damaged or made to fail.
 * Threads: any, once set up. */
#ifndef TESTS_FAKE_PATTERN_H
#define TESTS_FAKE_PATTERN_H

#include <stdatomic.h>

#include "cache/chunks.h"
#include "tests/fake/gate.h"

enum { PATTERN_CHUNKS = 4096 };

struct pattern_file {
    int64_t length;
    uint32_t chunk_size;
    unsigned char salt;
    atomic_int references;
    atomic_uint fetched[PATTERN_CHUNKS]; /* how often each of the first chunks was fetched */
    atomic_uint last;                    /* which of all fetches was its last, from 1 on */
    atomic_int damage[PATTERN_CHUNKS];   /* the -errno that a chunk answers with */
};

struct pattern {
    struct gate gate;         /* every fetch passes it */
    atomic_uint fetches;      /* calls */
    atomic_uint head_fetches; /* calls for first chunks */
    atomic_uint failures;     /* so many fetches from now on fail as a whole ... */
    int failure;              /* ... with this -errno */
    atomic_uint stuck;        /* so many fetches of ranges from now on are stuck ... */
    struct gate jam;          /* ... here */
    atomic_int takes_ms;      /* how long a fetch of a range takes at least */
    bool near;                /* which is answered as from near at hand */
    struct chunk_source source;
};

void pattern_init(struct pattern *pattern);
void pattern_done(struct pattern *pattern);
/* A file of the pattern, by its salt; to be freed. */
struct pattern_file *pattern_file_new(int64_t length, uint32_t chunk_size, unsigned char salt);
struct chunk_file pattern_chunk_file(struct pattern_file *file);
static inline unsigned char pattern_byte(const struct pattern_file *file, int64_t offset) {
    uint64_t mixed = ((uint64_t)offset + file->salt) * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned char)(mixed >> 56);
}

/* The most times any one chunk was fetched. */
unsigned pattern_most_fetched(const struct pattern_file *file);

#endif

// SPDX-License-Identifier: Apache-2.0
/* A staged file beside a plain array that the same is done to: whatever comes, both must say the same.
 *
 * What happens is drawn from numbers that the user gives: dice of a unit test, or the bytes of a fuzzer. A difference
 * is a failed CHECK. -ENOSPC may be the answer to a write at any time, and then nothing has changed.
 * Threads: one at a time. */
#ifndef TESTS_FAKE_STAGED_MODEL_H
#define TESTS_FAKE_STAGED_MODEL_H

#include <stdatomic.h>

#include "cache/staging.h"

/* A base whose bytes are in memory, by its references. */
struct model_base {
    atomic_int references;
    int64_t length;
    unsigned char *bytes;
};

struct model_numbers {
    void *context;
    uint64_t (*below)(void *context, uint64_t limit); /* 0 < limit */
};

/* Of a byte: it is not staged, it is, it was sent as it is, or it was sent and a write of it failed. */
enum model_sending { MODEL_NOT_STAGED, MODEL_UNSENT, MODEL_SENT, MODEL_DOUBTFUL };

struct staged_model {
    struct model_numbers numbers;
    struct staging *staging;
    struct staged *staged;
    int64_t length, most; /* bytes */
    bool dirty;
    unsigned char *bytes, *holes, *clean; /* of each position: what it is, and whether it is one */
    unsigned char *sending; /* of each position: a value of enum model_sending */
    unsigned char *scratch;
    uint64_t refused; /* writes that there was no space for */
};

/* One reference is the caller's. */
struct model_base *model_base_new(const unsigned char *bytes, int64_t length);
void model_base_unref(void *base);
struct staged_base model_base_of(struct model_base *base);

/* A file of up to `most` bytes over a base with holes, or over none. */
struct staged_model *staged_model_new(struct staging *staging, int64_t most, struct model_numbers numbers);
/* Does something, anything, to both, and compares a part. */
void staged_model_step(struct staged_model *model);
/* Compares all there is. */
void staged_model_compare(struct staged_model *model);
void staged_model_free(struct staged_model *model);

#endif

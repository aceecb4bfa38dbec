// SPDX-License-Identifier: Apache-2.0
/* Content for puts: bytes that can be told apart, kept in memory, with a part of them that differs from the source. */
#ifndef TESTS_STORE_SAMPLE_H
#define TESTS_STORE_SAMPLE_H

#include "tests/store/real_store.h"

struct content {
    struct store_content content;
    unsigned char *bytes;
    int64_t dirty_from, dirty_until; /* the rest is clean */
    struct store_source source;      /* the same, sent before the put */
    int64_t stale_from, stale_until; /* a part that was other bytes when it was sent */
    int64_t fails_at;                /* read() fails for ranges that reach here; -1: never */
    int fails_with;
};

/* `length` bytes made of a seed. All dirty. */
void sample_make(struct content *content, int64_t length, unsigned seed);
void sample_done(struct content *content);
/* The content of a revision as the store gives it is these bytes. */
void sample_expect(const struct content *content, struct real_store *real, const struct revision *revision);

#endif

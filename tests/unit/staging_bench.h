// SPDX-License-Identifier: Apache-2.0
/* What the programs about staged files begin with: an area in a folder of its own, files in it, what is in them. */
#ifndef TESTS_UNIT_STAGING_BENCH_H
#define TESTS_UNIT_STAGING_BENCH_H

#include <string.h>
#include <unistd.h>

#include "cache/base/stats.h"
#include "cache/staging.h"
#include "tests/fake/staged_model.h"
#include "tests/unit/unit.h"

enum { KIB = 1 << 10, MIB = 1 << 20 };

struct bench {
    char directory[32];
    struct budget budget;
    struct staging *staging;
};

static inline struct bench *bench_new(size_t memory_most) {
    struct bench *bench = calloc(1, sizeof *bench);
    strcpy(bench->directory, "/tmp/test-staging-XXXXXX");
    assert_non_null(mkdtemp(bench->directory));
    budget_init(&bench->budget, 64 * MIB);
    assert_int_equal(staging_new(&bench->budget, memory_most, bench->directory, &bench->staging), 0);
    return bench;
}

/* Sees that nothing is left over. */
static inline void bench_done(struct bench *bench) {
    assert_int_equal(staging_used(bench->staging), 0);
    assert_int_equal(stats_get(STAT_staged_bytes), 0);
    assert_null(staging_free(bench->staging));
    assert_int_equal(budget_used(&bench->budget), 0);
    assert_int_equal(rmdir(bench->directory), 0);
    free(bench);
}

static inline struct model_base *letters_new(int64_t length) {
    char *letters = malloc((size_t)length + 1);
    for (int64_t i = 0; i < length; i++)
        letters[i] = (char)('a' + i % 26);
    struct model_base *base = model_base_new((unsigned char *)letters, length);
    free(letters);
    return base;
}

static inline struct staged *file_over(struct bench *bench, struct model_base *base) {
    struct staged_base as_base = model_base_of(base);
    struct staged *staged = staged_new(bench->staging, &as_base, NULL, 0);
    assert_non_null(staged);
    return staged;
}

static inline void assert_reads(struct staged *staged, int64_t offset, const char *expected) {
    char back[256];
    int64_t size = (int64_t)strlen(expected);
    assert_int_equal(staged_read(staged, offset, (size_t)size, back), size);
    assert_memory_equal(back, expected, (size_t)size);
}

static inline void write_text(struct staged *staged, int64_t offset, const char *text) {
    assert_int_equal(staged_write(staged, offset, text, strlen(text)), 0);
    staged_check(staged);
}

static inline void write_filled(struct staged *staged, int64_t offset, size_t size, int byte) {
    unsigned char *bytes = malloc(size);
    memset(bytes, byte, size);
    assert_int_equal(staged_write(staged, offset, bytes, size), 0);
    free(bytes);
}

static inline void assert_filled(struct staged *staged, int64_t offset, size_t size, int byte) {
    unsigned char *bytes = malloc(size);
    memset(bytes, ~byte, size);
    assert_int_equal(staged_read(staged, offset, size, bytes), size);
    for (size_t i = 0; i < size; i++)
        if (bytes[i] != byte)
            fail_msg("byte %lld is %d", (long long)offset + (long long)i, bytes[i]);
    free(bytes);
}

#endif

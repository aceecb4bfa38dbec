// SPDX-License-Identifier: Apache-2.0
/* What each byte of a staged file is: a map from positions to kinds, in order.
 *
 * It covers all positions from 0 on; a neighbour of another kind begins a new extent. Everything that happens to a file
 * is one operation on it: in a range, each kind becomes another.
 *
 *      0          4096      8192            10000
 *      | BASE     | WRITTEN | HOLE          | NONE ...
 *
 * Threads: none of its own; the caller holds one lock around all calls.
 * Memory: extents are kept in leaves of up to EXTENTS_LEAF, so that one of millions is found, and changed, fast.
 * Errors: only extents_init() and extents_reserve() can fail, with -ENOMEM, and then nothing was changed.
 * Facts (extents_check): starts rise; neighbours differ; no leaf is empty; the sums are right. */
#ifndef CACHE_EXTENTS_H
#define CACHE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum extent_kind {
    EXTENT_NONE,      /* beyond the end of the file */
    EXTENT_BASE,      /* as the base has it */
    EXTENT_BASE_HOLE, /* likewise, where the base has a hole */
    EXTENT_WRITTEN,   /* staged bytes */
    EXTENT_SENT,      /* staged bytes, not written to since they were last read to be sent */
    EXTENT_ZEROS,     /* zeros that count as data */
    EXTENT_HOLE,      /* zeros that do not */
    EXTENT_KINDS
};

/* Sets of kinds. */
enum {
    EXTENTS_WRITTEN = 1 << EXTENT_WRITTEN | 1 << EXTENT_SENT,
    EXTENTS_CLEAN = 1 << EXTENT_BASE | 1 << EXTENT_BASE_HOLE,
    EXTENTS_HOLES = 1 << EXTENT_BASE_HOLE | 1 << EXTENT_HOLE,
    EXTENTS_DATA = 1 << EXTENT_BASE | EXTENTS_WRITTEN | 1 << EXTENT_ZEROS,
    EXTENTS_ALL = (1 << EXTENT_KINDS) - 1,
};

enum {
    EXTENTS_LEAF = 128,
    EXTENTS_RESERVED = 2, /* changes that one extents_reserve() is good for */
};

struct extents_leaf;

struct extents {
    struct extents_leaf **leaves;
    size_t count, capacity;
    struct extents_leaf *spare[2 * EXTENTS_RESERVED]; /* a change splits two leaves at most */
    unsigned spare_count;
    int64_t bytes[EXTENT_KINDS];
};

/* Everything is EXTENT_NONE. */
int extents_init(struct extents *extents);
/* Takes what extents_init() failed on, or zeros. */
void extents_done(struct extents *extents);
/* The next EXTENTS_RESERVED changes will find memory. */
int extents_reserve(struct extents *extents);
/* In [start, end), what was of a kind k is of the kind becomes[k]. Returns whether any byte became another. */
bool extents_change(struct extents *extents, int64_t start, int64_t end, const unsigned char becomes[EXTENT_KINDS]);
enum extent_kind extents_kind(const struct extents *extents, int64_t at);
/* The first position of [from, to) that is of one of `kinds`; `to`: there is none. */
int64_t extents_next(const struct extents *extents, int64_t from, int64_t to, unsigned kinds);
/* How many bytes are of one of `kinds`, which EXTENT_NONE is not among. */
int64_t extents_bytes(const struct extents *extents, unsigned kinds);
size_t extents_count(const struct extents *extents);
/* Bytes of memory it takes. */
size_t extents_memory(const struct extents *extents);
void extents_check(const struct extents *extents);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "cache/extents.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/check.h"

/* It ends where the next one starts; the last one never does. */
struct extent {
    int64_t start;
    unsigned char kind;
};

struct extents_leaf {
    unsigned count;
    struct extent extents[EXTENTS_LEAF];
};

struct place {
    size_t leaf;
    unsigned index;
};

int extents_init(struct extents *extents) {
    memset(extents, 0, sizeof *extents);
    extents->leaves = malloc(sizeof *extents->leaves);
    struct extents_leaf *leaf = malloc(sizeof *leaf);
    if (!extents->leaves || !leaf) {
        free(leaf);
        extents_done(extents);
        return -ENOMEM;
    }
    leaf->extents[0] = (struct extent){.start = 0, .kind = EXTENT_NONE};
    leaf->count = 1;
    extents->leaves[0] = leaf;
    extents->count = extents->capacity = 1;
    extents->bytes[EXTENT_NONE] = INT64_MAX;
    return 0;
}

void extents_done(struct extents *extents) {
    for (size_t i = 0; i < extents->count; i++)
        free(extents->leaves[i]);
    while (extents->spare_count)
        free(extents->spare[--extents->spare_count]);
    free(extents->leaves);
    memset(extents, 0, sizeof *extents);
}

int extents_reserve(struct extents *extents) {
    enum { SPARES = sizeof extents->spare / sizeof *extents->spare };
    if (extents->count == 1 && extents->leaves[0]->count + SPARES <= EXTENTS_LEAF)
        return 0; /* most files: each change begins two extents at most */
    while (extents->spare_count < SPARES) {
        struct extents_leaf *leaf = malloc(sizeof *leaf);
        if (!leaf)
            return -ENOMEM;
        extents->spare[extents->spare_count++] = leaf;
    }
    if (extents->capacity - extents->count >= SPARES)
        return 0;
    size_t capacity = 2 * extents->capacity + SPARES;
    struct extents_leaf **leaves = realloc(extents->leaves, capacity * sizeof *leaves);
    if (!leaves)
        return -ENOMEM;
    extents->leaves = leaves;
    extents->capacity = capacity;
    return 0;
}

/* The extent that covers a position. */
static struct place find(const struct extents *extents, int64_t at) {
    size_t leaf = 0, beyond = extents->count;
    while (beyond - leaf > 1) {
        size_t middle = leaf + (beyond - leaf) / 2;
        if (extents->leaves[middle]->extents[0].start <= at)
            leaf = middle;
        else
            beyond = middle;
    }
    const struct extent *inside = extents->leaves[leaf]->extents;
    unsigned index = 0, end = extents->leaves[leaf]->count;
    while (end - index > 1) {
        unsigned middle = index + (end - index) / 2;
        if (inside[middle].start <= at)
            index = middle;
        else
            end = middle;
    }
    return (struct place){.leaf = leaf, .index = index};
}

/* Moves the upper half of a leaf into a new one behind it. */
static void split(struct extents *extents, size_t at) {
    CHECK(extents->spare_count > 0 && extents->count < extents->capacity);
    struct extents_leaf *lower = extents->leaves[at], *upper = extents->spare[--extents->spare_count];
    lower->count = EXTENTS_LEAF / 2;
    upper->count = EXTENTS_LEAF - lower->count;
    memcpy(upper->extents, lower->extents + lower->count, upper->count * sizeof *upper->extents);
    struct extents_leaf **behind = extents->leaves + at + 1;
    memmove(behind + 1, behind, (extents->count - at - 1) * sizeof *behind);
    *behind = upper;
    extents->count++;
}

/* Makes an extent begin here, for now beside one of its own kind. */
static void cut(struct extents *extents, int64_t at) {
    struct place place = find(extents, at);
    struct extents_leaf *leaf = extents->leaves[place.leaf];
    if (at == INT64_MAX || leaf->extents[place.index].start == at)
        return;
    if (leaf->count == EXTENTS_LEAF) {
        split(extents, place.leaf);
        place = find(extents, at);
        leaf = extents->leaves[place.leaf];
    }
    struct extent *before = &leaf->extents[place.index];
    memmove(before + 2, before + 1, (leaf->count - place.index - 1) * sizeof *before);
    before[1] = (struct extent){.start = at, .kind = before->kind};
    leaf->count++;
}

/* A change on its way through the extents. */
struct change {
    const unsigned char *becomes;
    int64_t end;
    struct extent last;     /* that was kept */
    struct extent previous; /* that was met, as it was */
    bool altered, over;
};

/* The extent met last ends here: what of it became another kind? */
static void count(struct extents *extents, struct change *change, int64_t end) {
    unsigned char was = change->previous.kind, is = change->becomes[was];
    int64_t bytes = end - change->previous.start;
    change->altered |= was != is;
    extents->bytes[was] -= bytes;
    extents->bytes[is] += bytes;
}

/* Carries a change through one leaf, from `index` on, up to and with the first extent behind its end: that one may
 * have become like the one before it. */
static void change_leaf(struct extents *extents, struct extents_leaf *leaf, unsigned index, struct change *change) {
    unsigned kept = index;
    while (index < leaf->count && !change->over) {
        struct extent extent = leaf->extents[index++];
        if (change->previous.kind != EXTENT_KINDS)
            count(extents, change, extent.start);
        change->previous = extent;
        change->over = extent.start >= change->end;
        if (!change->over)
            extent.kind = change->becomes[extent.kind];
        if (extent.kind != change->last.kind)
            change->last = leaf->extents[kept++] = extent;
    }
    memmove(leaf->extents + kept, leaf->extents + index, (leaf->count - index) * sizeof *leaf->extents);
    leaf->count -= index - kept;
}

static void drop_leaf(struct extents *extents, struct extents_leaf *leaf) {
    if (extents->spare_count < sizeof extents->spare / sizeof *extents->spare)
        extents->spare[extents->spare_count++] = leaf;
    else
        free(leaf);
}

/* Joins leaves that became small with their neighbours, from the one before `first` to the one behind `last`. */
static void join(struct extents *extents, size_t first, size_t last) {
    size_t to = first ? first - 1 : 0, from = to + 1;
    for (; from < extents->count && from <= last + 1; from++) {
        struct extents_leaf *one = extents->leaves[to], *other = extents->leaves[from];
        if (one->count && other->count && one->count + other->count > EXTENTS_LEAF * 3 / 4) {
            extents->leaves[++to] = other;
            continue;
        }
        memcpy(one->extents + one->count, other->extents, other->count * sizeof *one->extents);
        one->count += other->count;
        drop_leaf(extents, other);
    }
    size_t dropped = from - to - 1;
    if (dropped)
        memmove(extents->leaves + to + 1, extents->leaves + from, (extents->count - from) * sizeof *extents->leaves);
    extents->count -= dropped;
}

bool extents_change(struct extents *extents, int64_t start, int64_t end, const unsigned char becomes[EXTENT_KINDS]) {
    if (start >= end)
        return false;
    cut(extents, start);
    cut(extents, end);
    struct place first = find(extents, start);
    struct extent none = {.start = -1, .kind = EXTENT_KINDS};
    struct change change = {.becomes = becomes, .end = end, .last = none, .previous = none};
    if (start > 0)
        change.last.kind = (unsigned char)extents_kind(extents, start - 1);
    size_t leaf = first.leaf;
    change_leaf(extents, extents->leaves[leaf], first.index, &change);
    while (!change.over && leaf + 1 < extents->count)
        change_leaf(extents, extents->leaves[++leaf], 0, &change);
    if (!change.over)
        count(extents, &change, INT64_MAX);
    join(extents, first.leaf, leaf);
    return change.altered;
}

enum extent_kind extents_kind(const struct extents *extents, int64_t at) {
    struct place place = find(extents, at);
    return extents->leaves[place.leaf]->extents[place.index].kind;
}

int64_t extents_next(const struct extents *extents, int64_t from, int64_t to, unsigned kinds) {
    if (from >= to)
        return to;
    struct place place = find(extents, from);
    for (size_t i = place.leaf; i < extents->count; i++) {
        const struct extents_leaf *leaf = extents->leaves[i];
        for (unsigned k = i == place.leaf ? place.index : 0; k < leaf->count; k++) {
            if (leaf->extents[k].start >= to)
                return to;
            if (kinds & 1u << leaf->extents[k].kind)
                return leaf->extents[k].start < from ? from : leaf->extents[k].start;
        }
    }
    return to;
}

int64_t extents_bytes(const struct extents *extents, unsigned kinds) {
    int64_t bytes = 0;
    for (unsigned kind = 0; kind < EXTENT_KINDS; kind++)
        bytes += kinds & 1u << kind ? extents->bytes[kind] : 0;
    return bytes;
}

size_t extents_count(const struct extents *extents) {
    size_t sum = 0;
    for (size_t i = 0; i < extents->count; i++)
        sum += extents->leaves[i]->count;
    return sum;
}

size_t extents_memory(const struct extents *extents) {
    return (extents->count + extents->spare_count) * sizeof(struct extents_leaf) +
           extents->capacity * sizeof *extents->leaves;
}

void extents_check(const struct extents *extents) {
    int64_t bytes[EXTENT_KINDS] = {0};
    struct extent last = {.start = -1, .kind = EXTENT_KINDS};
    CHECK(extents->count > 0 && extents->leaves[0]->extents[0].start == 0);
    for (size_t i = 0; i < extents->count; i++) {
        const struct extents_leaf *leaf = extents->leaves[i];
        CHECK(leaf->count > 0 && leaf->count <= EXTENTS_LEAF);
        for (unsigned k = 0; k < leaf->count; k++) {
            struct extent extent = leaf->extents[k];
            CHECK(extent.start > last.start && extent.kind != last.kind && extent.kind < EXTENT_KINDS);
            if (last.start >= 0)
                bytes[last.kind] += extent.start - last.start;
            last = extent;
        }
    }
    bytes[last.kind] += INT64_MAX - last.start;
    CHECK(memcmp(bytes, extents->bytes, sizeof bytes) == 0);
}

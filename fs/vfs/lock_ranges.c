// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/lock_ranges.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"

void lock_ranges_done(struct lock_ranges *ranges) {
    free(ranges->list);
    *ranges = (struct lock_ranges){0};
}

int lock_ranges_copy(const struct lock_ranges *ranges, struct lock_ranges *ret_copy) {
    if (!ranges->count)
        return 0;
    ret_copy->list = malloc(ranges->count * sizeof *ranges->list);
    if (!ret_copy->list)
        return -ENOMEM;
    memcpy(ret_copy->list, ranges->list, ranges->count * sizeof *ranges->list);
    ret_copy->count = ranges->count;
    return 0;
}

static bool overlap(const struct store_range *one, const struct store_range *other) {
    return one->start <= other->end && other->start <= one->end;
}

/* Whether one ends where the other begins. */
static bool adjoin(const struct store_range *one, const struct store_range *other) {
    return (one->start > 0 && one->start - 1 == other->end) || (other->start > 0 && other->start - 1 == one->end);
}

/* A list is made anew for each change: each range in it gives two at most. */
struct making {
    struct lock_range *list;
    uint32_t count;
};

static void add(struct making *making, const struct lock_range *range, int64_t start, int64_t end) {
    if (start > end)
        return;
    making->list[making->count] = *range;
    making->list[making->count].range.start = start;
    making->list[making->count++].range.end = end;
}

/* What is left of a range around one that is taken out of it. */
static void add_around(struct making *making, const struct lock_range *range, const struct store_range *out) {
    if (out->start > 0)
        add(making, range, range->range.start, out->start - 1);
    if (out->end < INT64_MAX)
        add(making, range, out->end + 1, range->range.end);
}

static bool is_same_kind(const struct lock_range *one, const struct lock_range *other) {
    return one->via == other->via && one->range.exclusive == other->range.exclusive;
}

static int change(struct lock_ranges *ranges, const struct lock_range *wanted, bool locks) {
    struct making making = {.list = malloc((2 * (size_t)ranges->count + 1) * sizeof *making.list)};
    struct lock_range grown = *wanted;
    if (!making.list)
        return -ENOMEM;
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct lock_range *each = &ranges->list[i];
        bool meets = each->owner == wanted->owner && overlap(&each->range, &wanted->range);
        bool touches = meets || (each->owner == wanted->owner && adjoin(&each->range, &wanted->range));
        if (locks && touches && is_same_kind(each, wanted)) {
            grown.range.start = each->range.start < grown.range.start ? each->range.start : grown.range.start;
            grown.range.end = each->range.end > grown.range.end ? each->range.end : grown.range.end;
        } else if (meets) {
            add_around(&making, each, &wanted->range);
        } else {
            making.list[making.count++] = *each;
        }
    }
    if (locks)
        making.list[making.count++] = grown;
    if (making.count > LOCK_RANGES_MOST) {
        free(making.list);
        return -ENOLCK;
    }
    free(ranges->list);
    *ranges = (struct lock_ranges){.list = making.list, .count = making.count};
    return 0;
}

int lock_ranges_set(struct lock_ranges *ranges, const struct lock_range *wanted) {
    return change(ranges, wanted, true);
}

int lock_ranges_clear(struct lock_ranges *ranges, const struct lock_range *unlocked) {
    return change(ranges, unlocked, false);
}

void lock_ranges_clear_via(struct lock_ranges *ranges, const void *via) {
    uint32_t kept = 0;
    for (uint32_t i = 0; i < ranges->count; i++)
        if (ranges->list[i].via != via)
            ranges->list[kept++] = ranges->list[i];
    ranges->count = kept;
}

const struct lock_range *lock_ranges_conflict(const struct lock_ranges *ranges, const struct lock_range *wanted) {
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct lock_range *each = &ranges->list[i];
        if (each->owner != wanted->owner && overlap(&each->range, &wanted->range) &&
            (each->range.exclusive || wanted->range.exclusive))
            return each;
    }
    return NULL;
}

bool lock_ranges_touches(const struct lock_ranges *ranges, const struct lock_range *wanted) {
    for (uint32_t i = 0; i < ranges->count; i++)
        if (ranges->list[i].owner == wanted->owner && overlap(&ranges->list[i].range, &wanted->range))
            return true;
    return false;
}

bool lock_ranges_has_via(const struct lock_ranges *ranges, const void *via) {
    for (uint32_t i = 0; i < ranges->count; i++)
        if (ranges->list[i].via == via)
            return true;
    return false;
}

static int by_start(const void *one, const void *other) {
    const struct store_range *first = one, *second = other;
    return (first->start > second->start) - (first->start < second->start);
}

/* As if they were one owner's, who locks all that is shared, and then what is exclusive. */
static int unite(const struct lock_ranges *ranges, struct lock_ranges *together) {
    int result = 0;
    for (int exclusive = 0; exclusive < 2; exclusive++)
        for (uint32_t i = 0; result == 0 && i < ranges->count; i++) {
            struct lock_range each = {.range = ranges->list[i].range};
            if (each.range.exclusive == exclusive)
                result = lock_ranges_set(together, &each);
        }
    return result;
}

int lock_ranges_union(const struct lock_ranges *ranges, struct store_range **ret_list, uint32_t *ret_count) {
    struct lock_ranges together = {0};
    int result = unite(ranges, &together);
    struct store_range *list = NULL;
    if (result == 0 && together.count && !(list = malloc(together.count * sizeof *list)))
        result = -ENOMEM;
    for (uint32_t i = 0; list && i < together.count; i++)
        list[i] = together.list[i].range;
    if (list)
        qsort(list, together.count, sizeof *list, by_start);
    if (result == 0) {
        *ret_list = list;
        *ret_count = together.count;
    }
    lock_ranges_done(&together);
    return result;
}

void lock_ranges_check(const struct lock_ranges *ranges) {
    CHECK(ranges->count <= LOCK_RANGES_MOST);
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct lock_range *each = &ranges->list[i];
        CHECK(each->range.start >= 0 && each->range.start <= each->range.end);
        for (uint32_t k = 0; k < i; k++)
            CHECK(each->owner != ranges->list[k].owner || !overlap(&each->range, &ranges->list[k].range));
    }
}

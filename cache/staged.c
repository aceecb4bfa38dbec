// SPDX-License-Identifier: Apache-2.0
#include "cache/staging_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"

/* What becomes of each kind; what lies beyond the end is of a kind as well. */
enum {
    NONE = EXTENT_NONE,
    BASE = EXTENT_BASE,
    BASE_HOLE = EXTENT_BASE_HOLE,
    WRITTEN = EXTENT_WRITTEN,
    SENT = EXTENT_SENT,
    ZEROS = EXTENT_ZEROS,
    HOLE = EXTENT_HOLE,
};
typedef const unsigned char table[EXTENT_KINDS];
/*                        NONE     BASE       BASE_HOLE  WRITTEN  SENT     ZEROS    HOLE */
static table laid_under = {BASE,    BASE,      BASE_HOLE, WRITTEN, SENT,    ZEROS,   HOLE};
static table with_hole  = {NONE,    BASE_HOLE, BASE_HOLE, WRITTEN, SENT,    ZEROS,   HOLE};
static table written    = {WRITTEN, WRITTEN,   WRITTEN,   WRITTEN, WRITTEN, WRITTEN, WRITTEN};
static table sent       = {NONE,    BASE,      BASE_HOLE, SENT,    SENT,    ZEROS,   HOLE};
static table unsent     = {NONE,    BASE,      BASE_HOLE, WRITTEN, WRITTEN, ZEROS,   HOLE};
static table grown      = {HOLE,    BASE,      BASE_HOLE, WRITTEN, SENT,    ZEROS,   HOLE};
static table cut_off    = {NONE,    NONE,      NONE,      NONE,    NONE,    NONE,    NONE};
static table punched    = {NONE,    HOLE,      BASE_HOLE, HOLE,    HOLE,    HOLE,    HOLE};
static table allocated  = {ZEROS,   BASE,      BASE,      WRITTEN, SENT,    ZEROS,   ZEROS};
static table published  = {NONE,    BASE,      BASE_HOLE, BASE,    BASE,    BASE,    BASE_HOLE};

static int64_t lesser(int64_t one, int64_t other) {
    return one < other ? one : other;
}

/* The end of a range, which is at most `most`. */
static int64_t end_of(int64_t offset, int64_t size, int64_t most) {
    return size > most - offset ? most : offset + size;
}

static int lay_base(struct staged *staged, const struct staged_hole *holes, uint32_t hole_count) {
    int64_t length = staged->length;
    extents_change(&staged->extents, 0, length, laid_under);
    for (uint32_t i = 0; i < hole_count; i++) {
        if (holes[i].offset < 0 || holes[i].length <= 0 || holes[i].offset >= length)
            continue;
        if (extents_reserve(&staged->extents))
            return -ENOMEM;
        int64_t end = end_of(holes[i].offset, holes[i].length, length);
        extents_change(&staged->extents, holes[i].offset, end, with_hole);
    }
    return 0;
}

struct staged *staged_new(struct staging *staging, const struct staged_base *base, const struct staged_hole *holes,
                          uint32_t hole_count) {
    struct staged *staged = calloc(1, sizeof *staged);
    if (!staged || extents_init(&staged->extents)) {
        free(staged);
        return NULL;
    }
    staged->staging = staging;
    staged->base = base->context ? *base : (struct staged_base){0};
    staged->length = staged->base.length;
    if (lay_base(staged, holes, hole_count)) {
        extents_done(&staged->extents);
        free(staged);
        return NULL;
    }
    if (base->context)
        base->ref(base->context);
    lock_init(&staged->lock, LOCK_STAGED);
    staging_enter(staged);
    return staged;
}

struct staged *staged_free(struct staged *staged) {
    if (staged)
        staging_leave(staged);
    return NULL;
}

int64_t staged_length(struct staged *staged) {
    lock_acquire(&staged->lock);
    int64_t length = staged->length;
    lock_release(&staged->lock);
    return length;
}

bool staged_dirty(struct staged *staged) {
    lock_acquire(&staged->lock);
    bool dirty = staged->dirty;
    lock_release(&staged->lock);
    return dirty;
}

int staged_prepare_locked(struct staged *staged) {
    int result = staging_admit(staged->staging);
    return result ? result : extents_reserve(&staged->extents);
}

void staged_change_locked(struct staged *staged, int64_t start, int64_t end,
                          const unsigned char becomes[EXTENT_KINDS]) {
    staged->dirty |= extents_change(&staged->extents, start, end, becomes);
    staged->version++;
}

void staged_grow_locked(struct staged *staged, int64_t length) {
    if (length <= staged->length)
        return;
    staged_change_locked(staged, staged->length, length, grown);
    staged->length = length;
}

/* -EAGAIN: there is no room in memory. */
static int write_locked(struct staged *staged, int64_t offset, const void *bytes, size_t size) {
    int64_t end = offset + (int64_t)size;
    int result = staged_prepare_locked(staged);
    if (result)
        return result;
    if (!staging_take(staged, content_wants(&staged->content, offset, end)))
        return -EAGAIN;
    result = content_write(&staged->content, &staged->extents, offset, bytes, size);
    if (!result) {
        staged_grow_locked(staged, offset);
        staged_change_locked(staged, offset, end, written);
        staged->length = end > staged->length ? end : staged->length;
    } else {
        extents_change(&staged->extents, offset, end, unsent); /* some of its bytes may have changed */
        staged->version++;
    }
    staging_settle(staged);
    return result;
}

int staged_write(struct staged *staged, int64_t offset, const void *bytes, size_t size) {
    enum { PATIENCE = 8 }; /* others may take each time what room was made */
    CHECK(offset >= 0 && size <= (uint64_t)(INT64_MAX - offset));
    if (!size)
        return 0;
    for (int tries = 0;; tries++) {
        lock_acquire(&staged->lock);
        int result = write_locked(staged, offset, bytes, size);
        lock_release(&staged->lock);
        if (result != -EAGAIN)
            return result;
        result = staging_make_room(staged, tries >= PATIENCE);
        if (result)
            return result;
    }
}

/* The parts of a read that the base is asked for, when the lock is released. */
struct asked {
    struct part {
        int64_t start, end;
    } * parts;
    size_t count, capacity;
};

static int ask(struct asked *asked, int64_t start, int64_t end) {
    if (asked->count == asked->capacity) {
        size_t capacity = 2 * asked->capacity + 4;
        struct part *parts = realloc(asked->parts, capacity * sizeof *parts);
        if (!parts)
            return -ENOMEM;
        asked->parts = parts;
        asked->capacity = capacity;
    }
    asked->parts[asked->count++] = (struct part){.start = start, .end = end};
    return 0;
}

/* Those kinds that a read finds in the same place. */
static unsigned kinds_beside(enum extent_kind kind) {
    unsigned set = 1u << kind, elsewhere = EXTENTS_WRITTEN | EXTENTS_CLEAN;
    return set & EXTENTS_WRITTEN ? EXTENTS_WRITTEN : set & EXTENTS_CLEAN ? EXTENTS_CLEAN : EXTENTS_ALL & ~elsewhere;
}

static int read_locked(struct staged *staged, int64_t offset, int64_t end, unsigned char *into, struct asked *asked) {
    int result = 0;
    for (int64_t at = offset, stop; at < end && !result; at = stop) {
        unsigned kinds = kinds_beside(extents_kind(&staged->extents, at));
        stop = extents_next(&staged->extents, at, end, EXTENTS_ALL & ~kinds);
        size_t size = (size_t)(stop - at);
        if (kinds == EXTENTS_WRITTEN)
            result = content_read(&staged->content, at, size, into + (at - offset));
        else if (kinds == EXTENTS_CLEAN)
            result = ask(asked, at, stop);
        else
            memset(into + (at - offset), 0, size);
    }
    return result;
}

/* A hole of the base is asked for like all else: its bytes are what it says they are. */
static int read_base(const struct staged_base *base, const struct asked *asked, int64_t offset, unsigned char *into) {
    int result = 0;
    for (size_t i = 0; i < asked->count && !result; i++) {
        struct part part = asked->parts[i];
        result = base->read(base->context, part.start, (size_t)(part.end - part.start), into + (part.start - offset));
    }
    return result;
}

int64_t staged_read(struct staged *staged, int64_t offset, size_t size, void *into) {
    struct asked asked = {0};
    CHECK(offset >= 0);
    lock_acquire(&staged->lock);
    int64_t rest = offset < staged->length ? staged->length - offset : 0;
    int64_t count = size < (uint64_t)rest ? (int64_t)size : rest;
    int result = read_locked(staged, offset, offset + count, into, &asked);
    struct staged_base base = staged->base;
    bool asks = !result && asked.count > 0;
    if (asks)
        base.ref(base.context); /* staged_rebase() may come while it is read */
    lock_release(&staged->lock);
    if (asks) {
        result = read_base(&base, &asked, offset, into);
        base.unref(base.context);
    }
    free(asked.parts);
    return result ? result : count;
}

int staged_read_to_send(struct staged *staged, int64_t offset, size_t size, void *into) {
    int64_t end = offset + (int64_t)size;
    lock_acquire(&staged->lock);
    bool there = extents_next(&staged->extents, offset, end, EXTENTS_ALL & ~EXTENTS_WRITTEN) == end;
    int result = there ? extents_reserve(&staged->extents) : -EAGAIN;
    if (!result)
        result = content_read(&staged->content, offset, size, into);
    if (!result)
        extents_change(&staged->extents, offset, end, sent);
    staging_settle(staged);
    lock_release(&staged->lock);
    return result;
}

bool staged_is_sent(struct staged *staged, int64_t offset, size_t size) {
    int64_t end = offset + (int64_t)size;
    lock_acquire(&staged->lock);
    bool is_sent = extents_next(&staged->extents, offset, end, EXTENTS_ALL & ~(1u << EXTENT_SENT)) == end;
    lock_release(&staged->lock);
    return is_sent;
}

/* Changes a range, and lets go of what was staged there when `forgets`. */
static int change_range_locked(struct staged *staged, int64_t start, int64_t end, const unsigned char *becomes,
                               bool forgets) {
    int result = extents_reserve(&staged->extents);
    if (result)
        return result;
    bool staged_bytes = extents_next(&staged->extents, start, end, EXTENTS_WRITTEN) < end;
    staged_change_locked(staged, start, end, becomes);
    if (staged_bytes && forgets)
        content_forget(&staged->content, &staged->extents, start, end);
    return 0;
}

int staged_truncate(struct staged *staged, int64_t length) {
    CHECK(length >= 0);
    int result = 0;
    lock_acquire(&staged->lock);
    if (length < staged->length)
        result = change_range_locked(staged, length, staged->length, cut_off, true);
    else if (length > staged->length)
        result = change_range_locked(staged, staged->length, length, grown, false);
    if (!result)
        staged->length = length;
    staging_settle(staged);
    lock_release(&staged->lock);
    return result;
}

int staged_punch(struct staged *staged, int64_t offset, int64_t size) {
    CHECK(offset >= 0 && size >= 0);
    lock_acquire(&staged->lock);
    int result = staging_admit(staged->staging);
    if (!result && offset < staged->length)
        result = change_range_locked(staged, offset, end_of(offset, size, staged->length), punched, true);
    staging_settle(staged);
    lock_release(&staged->lock);
    return result;
}

int staged_allocate(struct staged *staged, int64_t offset, int64_t size, bool keep_length) {
    CHECK(offset >= 0 && size >= 0 && size <= INT64_MAX - offset);
    lock_acquire(&staged->lock);
    int64_t end = keep_length ? lesser(offset + size, staged->length) : offset + size;
    int result = size && offset < end ? staged_prepare_locked(staged) : 0;
    if (!result && size && offset < end) {
        staged_grow_locked(staged, offset);
        staged_change_locked(staged, offset, end, allocated);
        staged->length = end > staged->length ? end : staged->length;
    }
    staging_settle(staged);
    lock_release(&staged->lock);
    return result;
}

bool staged_is_clean(struct staged *staged, int64_t offset, size_t size) {
    lock_acquire(&staged->lock);
    CHECK(offset >= 0 && offset <= staged->length && size <= (uint64_t)(staged->length - offset));
    int64_t end = offset + (int64_t)size;
    bool clean = extents_next(&staged->extents, offset, end, EXTENTS_ALL & ~EXTENTS_CLEAN) == end;
    lock_release(&staged->lock);
    return clean;
}

int64_t staged_seek(struct staged *staged, int64_t offset, bool data) {
    lock_acquire(&staged->lock);
    int64_t length = staged->length, found = length;
    if (offset >= 0 && offset < length)
        found = extents_next(&staged->extents, offset, length, data ? EXTENTS_DATA : EXTENTS_HOLES);
    bool missing = offset < 0 || offset >= length || (data && found == length);
    lock_release(&staged->lock);
    return missing ? -ENXIO : found;
}

int64_t staged_allocated(struct staged *staged) {
    lock_acquire(&staged->lock);
    int64_t bytes = extents_bytes(&staged->extents, EXTENTS_DATA);
    lock_release(&staged->lock);
    return bytes;
}

uint64_t staged_bytes(struct staged *staged) {
    lock_acquire(&staged->lock);
    int64_t bytes = extents_bytes(&staged->extents, EXTENTS_WRITTEN);
    lock_release(&staged->lock);
    return (uint64_t)bytes;
}

static int by_length(const void *one, const void *other) {
    int64_t a = ((const struct staged_hole *)one)->length, b = ((const struct staged_hole *)other)->length;
    return (a < b) - (a > b);
}

static int by_offset(const void *one, const void *other) {
    int64_t a = ((const struct staged_hole *)one)->offset, b = ((const struct staged_hole *)other)->offset;
    return (a > b) - (a < b);
}

/* Returns how many holes there are; notes them where `holes` is given. */
static size_t walk_holes_locked(struct staged *staged, struct staged_hole *holes) {
    const struct extents *extents = &staged->extents;
    size_t count = 0;
    int64_t at = extents_next(extents, 0, staged->length, EXTENTS_HOLES);
    while (at < staged->length) {
        int64_t end = extents_next(extents, at, staged->length, EXTENTS_DATA);
        if (holes)
            holes[count] = (struct staged_hole){.offset = at, .length = end - at};
        count++;
        at = extents_next(extents, end, staged->length, EXTENTS_HOLES);
    }
    return count;
}

int staged_holes(struct staged *staged, uint32_t most, struct staged_hole **ret_holes, uint32_t *ret_count) {
    lock_acquire(&staged->lock);
    size_t count = walk_holes_locked(staged, NULL);
    cleanup_free struct staged_hole *holes = malloc((count + 1) * sizeof *holes);
    if (holes)
        walk_holes_locked(staged, holes);
    lock_release(&staged->lock);
    if (!holes)
        return -ENOMEM;
    if (count > most) {
        qsort(holes, count, sizeof *holes, by_length);
        qsort(holes, most, sizeof *holes, by_offset);
        count = most;
    }
    *ret_count = (uint32_t)count;
    *ret_holes = steal_ptr(&holes);
    return 0;
}

struct staged_base staged_under(struct staged *staged) {
    lock_acquire(&staged->lock);
    struct staged_base base = staged->base;
    if (base.context)
        base.ref(base.context);
    lock_release(&staged->lock);
    return base;
}

void staged_rebase(struct staged *staged, const struct staged_base *base) {
    if (base->context)
        base->ref(base->context);
    lock_acquire(&staged->lock);
    struct staged_base old = staged->base;
    CHECK((base->context ? base->length : 0) == staged->length);
    extents_change(&staged->extents, 0, staged->length, published);
    content_done(&staged->content);
    staged->base = base->context ? *base : (struct staged_base){0};
    staged->dirty = false;
    staging_settle(staged);
    lock_release(&staged->lock);
    if (old.context)
        old.unref(old.context);
}

int staged_move(struct staged *staged, const struct staged_base *base, const struct staged_hole *holes,
                uint32_t hole_count) {
    lock_acquire(&staged->lock);
    struct staged_base old = staged->base;
    int result = staged->dirty ? -EBUSY : staged_prepare_locked(staged);
    if (result == 0) {
        if (base->context)
            base->ref(base->context);
        extents_change(&staged->extents, 0, staged->length, cut_off);
        staged->base = base->context ? *base : (struct staged_base){0};
        staged->length = staged->base.length;
        (void)lay_base(staged, holes, hole_count); /* a hole that is not known of is zeros */
        staging_settle(staged);
    }
    lock_release(&staged->lock);
    if (result == 0 && old.context)
        old.unref(old.context);
    return result;
}

void staged_check(struct staged *staged) {
    const struct extents *extents = &staged->extents;
    lock_acquire(&staged->lock);
    extents_check(extents);
    content_check(&staged->content, extents);
    CHECK(extents_next(extents, 0, staged->length, 1u << EXTENT_NONE) == staged->length);
    CHECK(extents_next(extents, staged->length, INT64_MAX, EXTENTS_ALL & ~(1u << EXTENT_NONE)) == INT64_MAX);
    CHECK(extents_next(extents, staged->base.length, INT64_MAX, EXTENTS_CLEAN) == INT64_MAX);
    CHECK(staged->dirty || extents_next(extents, 0, staged->length, EXTENTS_ALL & ~EXTENTS_CLEAN) == staged->length);
    lock_release(&staged->lock);
}

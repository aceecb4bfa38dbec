// SPDX-License-Identifier: Apache-2.0
/* Copying between staged files: what is the base's is shared, all else is moved through memory. */
#include <errno.h>
#include <stdlib.h>

#include "cache/base/check.h"
#include "cache/base/pages.h"
#include "cache/staging_private.h"

enum {
    MOVED_AT_ONCE = 1 << 20,
    MOVED_MOST = 8 << 20, /* bytes of one call */
};

struct copying {
    struct staged *to, *from;
    int64_t shift; /* from a position in `from` to that in `to` */
    void *buffer;
    int64_t moved; /* bytes */
};

/* A range of the source that is of one kind; of a clean one, the base with a reference. */
struct piece {
    int64_t start, end;
    enum extent_kind kind;
    struct staged_base base;
};

static struct piece piece_at(struct staged *from, int64_t start, int64_t end) {
    lock_acquire(&from->lock);
    int64_t most = end < from->length ? end : from->length;
    struct piece piece = {.start = start, .end = start};
    if (start < most) {
        piece.kind = extents_kind(&from->extents, start);
        piece.end = extents_next(&from->extents, start, most, EXTENTS_ALL & ~(1u << piece.kind));
        if (EXTENTS_CLEAN & 1u << piece.kind) {
            piece.base = from->base;
            piece.base.ref(piece.base.context);
        }
    }
    lock_release(&from->lock);
    return piece;
}

/* Whether another base shows in `to` outside of the piece. */
static bool others_show_locked(struct staged *to, const struct piece *piece) {
    if (to->base.context == piece->base.context)
        return false;
    return extents_next(&to->extents, 0, piece->start, EXTENTS_CLEAN) < piece->start ||
           extents_next(&to->extents, piece->end, INT64_MAX, EXTENTS_CLEAN) < INT64_MAX;
}

static void lay_locked(struct staged *to, const struct piece *piece) {
    unsigned char becomes[EXTENT_KINDS];
    for (unsigned kind = 0; kind < EXTENT_KINDS; kind++)
        becomes[kind] = (unsigned char)piece->kind;
    bool staged_bytes = extents_next(&to->extents, piece->start, piece->end, EXTENTS_WRITTEN) < piece->end;
    staged_grow_locked(to, piece->start);
    staged_change_locked(to, piece->start, piece->end, becomes);
    to->dirty = true; /* also where one base's range became another's */
    to->length = piece->end > to->length ? piece->end : to->length;
    if (staged_bytes)
        content_forget(&to->content, &to->extents, piece->start, piece->end);
}

/* Makes a clean piece, at the same place, the base's in `to` as well: 1; 0 when it cannot be; or -errno. */
static int share(struct staged *to, const struct piece *piece) {
    struct staged_base old = {0};
    lock_acquire(&to->lock);
    bool possible = !others_show_locked(to, piece);
    int result = possible ? staged_prepare_locked(to) : 0;
    if (possible && !result) {
        lay_locked(to, piece);
        if (to->base.context != piece->base.context) {
            old = to->base;
            to->base = piece->base;
            to->base.ref(to->base.context);
        }
        result = 1;
    }
    staging_settle(to);
    lock_release(&to->lock);
    if (old.context)
        old.unref(old.context);
    return result;
}

/* The number of bytes moved, or -errno. */
static int64_t move(struct copying *copying, int64_t start, int64_t end) {
    size_t size = end - start < MOVED_AT_ONCE ? (size_t)(end - start) : MOVED_AT_ONCE;
    if (!copying->buffer && !(copying->buffer = pages_new(MOVED_AT_ONCE)))
        return -ENOMEM;
    int64_t count = staged_read(copying->from, start, size, copying->buffer);
    if (count <= 0)
        return count;
    int result = staged_write(copying->to, start + copying->shift, copying->buffer, (size_t)count);
    copying->moved += count;
    return result ? result : count;
}

/* Copies some of [start, end). The number of bytes, 0 at the end of the source, or -errno. */
static int64_t copy_some(struct copying *copying, int64_t start, int64_t end) {
    if (copying->shift)
        return move(copying, start, end);
    struct piece piece = piece_at(copying->from, start, end);
    int64_t result = piece.base.context ? share(copying->to, &piece) : 0;
    if (piece.base.context)
        piece.base.unref(piece.base.context);
    if (result > 0)
        return piece.end - piece.start;
    return result ? result : move(copying, piece.start, piece.end);
}

int64_t staged_copy(struct staged *to, int64_t to_offset, struct staged *from, int64_t offset, int64_t size) {
    struct copying copying = {.to = to, .from = from, .shift = to_offset - offset};
    CHECK(offset >= 0 && to_offset >= 0 && size >= 0);
    CHECK(size <= INT64_MAX - offset && size <= INT64_MAX - to_offset);
    int64_t done = 0, some = 1;
    while (done < size && some > 0 && copying.moved < MOVED_MOST) {
        some = copy_some(&copying, offset + done, offset + size);
        done += some > 0 ? some : 0;
    }
    pages_free(copying.buffer);
    return done > 0 ? done : some < 0 ? some : 0;
}

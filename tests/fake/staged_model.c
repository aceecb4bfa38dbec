// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/staged_model.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/check.h"

struct range {
    int64_t start, end;
};

struct model_base *model_base_new(const unsigned char *bytes, int64_t length) {
    struct model_base *base = calloc(1, sizeof *base);
    CHECK(base);
    atomic_init(&base->references, 1);
    base->length = length;
    base->bytes = malloc((size_t)length + 1);
    CHECK(base->bytes);
    memcpy(base->bytes, bytes, (size_t)length);
    return base;
}

static void ref_base(void *context) {
    struct model_base *base = context;
    CHECK(atomic_fetch_add(&base->references, 1) > 0);
}

void model_base_unref(void *context) {
    struct model_base *base = context;
    if (atomic_fetch_sub(&base->references, 1) > 1)
        return;
    free(base->bytes);
    free(base);
}

static int read_base(void *context, int64_t offset, size_t size, void *into) {
    const struct model_base *base = context;
    CHECK(offset >= 0 && size > 0 && offset < base->length && size <= (size_t)(base->length - offset));
    memcpy(into, base->bytes + offset, size);
    return 0;
}

struct staged_base model_base_of(struct model_base *base) {
    return (struct staged_base){.context = base,
                                .length = base ? base->length : 0,
                                .read = read_base,
                                .ref = ref_base,
                                .unref = model_base_unref};
}

static int64_t draw(struct staged_model *model, int64_t limit) {
    return limit > 0 ? (int64_t)model->numbers.below(model->numbers.context, (uint64_t)limit) : 0;
}

/* A range of [0, limit), mostly short, now and then as long as can be, sometimes even. */
static struct range draw_range(struct staged_model *model, int64_t limit) {
    int64_t start = draw(model, limit), longest = draw(model, 20) ? limit / 16 + 2 : limit + 1;
    int64_t end = start + draw(model, longest);
    if (draw(model, 4) == 0) {
        start &= ~INT64_C(4095);
        end |= 4095;
    }
    return (struct range){.start = start, .end = end < limit ? end : limit};
}

static void fill(struct staged_model *model, unsigned char *bytes, int64_t size) {
    uint64_t number = (uint64_t)draw(model, INT64_MAX) | 1;
    for (int64_t i = 0; i < size; i += (int64_t)sizeof number) {
        number ^= number << 13, number ^= number >> 7, number ^= number << 17;
        size_t rest = (size_t)(size - i);
        memcpy(bytes + i, &number, rest < sizeof number ? rest : sizeof number);
    }
}

static uint32_t draw_holes(struct staged_model *model, struct staged_hole *holes, uint32_t most) {
    uint32_t count = (uint32_t)draw(model, most + 1);
    for (uint32_t i = 0; i < count; i++) {
        struct range range = draw_range(model, model->length + 10);
        holes[i] = (struct staged_hole){.offset = range.start, .length = range.end - range.start};
        range.end = range.end < model->length ? range.end : model->length;
        if (range.start >= range.end)
            continue;
        memset(model->bytes + range.start, 0, (size_t)(range.end - range.start));
        memset(model->holes + range.start, 1, (size_t)(range.end - range.start));
    }
    return count;
}

struct staged_model *staged_model_new(struct staging *staging, int64_t most, struct model_numbers numbers) {
    enum { HOLES = 8 };
    struct staged_model *model = calloc(1, sizeof *model);
    struct staged_hole holes[HOLES];
    CHECK(model);
    *model = (struct staged_model){.staging = staging, .numbers = numbers, .most = most};
    model->bytes = calloc((size_t)most, 5);
    CHECK(model->bytes);
    model->holes = model->bytes + most;
    model->clean = model->holes + most;
    model->sending = model->clean + most;
    model->scratch = model->sending + most;
    model->length = draw(model, 3) ? draw(model, most) : 0;
    fill(model, model->bytes, model->length);
    memset(model->clean, 1, (size_t)model->length);
    uint32_t hole_count = draw_holes(model, holes, HOLES);
    struct model_base *base = model->length ? model_base_new(model->bytes, model->length) : NULL;
    struct staged_base as_base = model_base_of(base);
    model->staged = staged_new(staging, &as_base, holes, hole_count);
    CHECK(model->staged);
    if (base)
        model_base_unref(base);
    staged_model_compare(model);
    return model;
}

void staged_model_free(struct staged_model *model) {
    staged_free(model->staged);
    free(model->bytes);
    free(model);
}

static void grow(struct staged_model *model, int64_t length) {
    if (length <= model->length)
        return;
    size_t size = (size_t)(length - model->length);
    memset(model->bytes + model->length, 0, size);
    memset(model->holes + model->length, 1, size);
    memset(model->clean + model->length, 0, size);
    memset(model->sending + model->length, MODEL_NOT_STAGED, size);
    model->length = length;
    model->dirty = true;
}

/* A write that failed there may have marked some of it as changed. */
static void doubt(struct staged_model *model, struct range range) {
    for (int64_t i = range.start; i < range.end && i < model->length; i++)
        if (model->sending[i] == MODEL_SENT)
            model->sending[i] = MODEL_DOUBTFUL;
}

static void do_write(struct staged_model *model) {
    struct range range = draw_range(model, draw(model, 2) ? model->most : model->length);
    size_t size = range.start < range.end ? (size_t)(range.end - range.start) : 0;
    fill(model, model->scratch, (int64_t)size);
    int result = staged_write(model->staged, range.start, model->scratch, size);
    CHECK(result == 0 || result == -ENOSPC);
    if (result) {
        model->refused++;
        doubt(model, range);
        staged_model_compare(model);
    }
    if (result || !size)
        return;
    grow(model, range.end);
    memcpy(model->bytes + range.start, model->scratch, size);
    memset(model->holes + range.start, 0, size);
    memset(model->clean + range.start, 0, size);
    memset(model->sending + range.start, MODEL_UNSENT, size);
    model->dirty = true;
}

static void do_send(struct staged_model *model) {
    struct range range = draw_range(model, model->length);
    size_t size = range.start < range.end ? (size_t)(range.end - range.start) : 0;
    if (!size)
        return;
    bool all = !memchr(model->sending + range.start, MODEL_NOT_STAGED, size);
    int result = staged_read_to_send(model->staged, range.start, size, model->scratch);
    CHECK(result == (all ? 0 : -EAGAIN));
    if (!all)
        return;
    CHECK(memcmp(model->scratch, model->bytes + range.start, size) == 0);
    memset(model->sending + range.start, MODEL_SENT, size);
}

static void do_truncate(struct staged_model *model) {
    int64_t length = draw(model, 10) ? draw(model, model->most) : 0;
    if (draw(model, 2) && length < model->length / 2)
        length = model->length - model->length / 10;
    CHECK(staged_truncate(model->staged, length) == 0);
    grow(model, length);
    model->dirty |= length != model->length;
    model->length = length;
}

static void do_punch(struct staged_model *model) {
    struct range range = draw_range(model, model->most);
    if (range.start > range.end)
        range.end = range.start;
    CHECK(staged_punch(model->staged, range.start, range.end - range.start) == 0);
    for (int64_t i = range.start; i < range.end && i < model->length; i++) {
        if (model->holes[i])
            continue;
        model->bytes[i] = model->clean[i] = 0;
        model->sending[i] = MODEL_NOT_STAGED;
        model->holes[i] = 1;
        model->dirty = true;
    }
}

static void do_allocate(struct staged_model *model) {
    struct range range = draw_range(model, model->most);
    bool keep_length = draw(model, 2);
    if (range.start >= range.end)
        return;
    CHECK(staged_allocate(model->staged, range.start, range.end - range.start, keep_length) == 0);
    if (!keep_length)
        grow(model, range.end);
    for (int64_t i = range.start; i < range.end && i < model->length; i++) {
        model->dirty |= model->holes[i];
        model->holes[i] = 0;
    }
}

static void do_rebase(struct staged_model *model) {
    struct model_base *base = model->length ? model_base_new(model->bytes, model->length) : NULL;
    struct staged_base as_base = model_base_of(base);
    staged_rebase(model->staged, &as_base);
    if (base)
        model_base_unref(base);
    memset(model->clean, 1, (size_t)model->length);
    memset(model->sending, MODEL_NOT_STAGED, (size_t)model->length);
    model->dirty = false;
}

/* ---- copies of another file, which lies over a base of its own ---- */

enum { OF_BASE, OF_BASE_HOLE, OF_WRITTEN };

struct other {
    struct staged *staged;
    int64_t length;
    unsigned char *bytes, *kinds; /* of each position */
};

static struct other other_new(struct staged_model *model) {
    struct other other = {.length = 1 + draw(model, model->most)};
    other.bytes = calloc((size_t)other.length, 2);
    CHECK(other.bytes);
    other.kinds = other.bytes + other.length;
    fill(model, other.bytes, other.length);
    struct range hole = draw_range(model, other.length), written = draw_range(model, other.length);
    struct staged_hole holes[1] = {{.offset = hole.start, .length = hole.end - hole.start}};
    for (int64_t i = hole.start; i < hole.end; i++)
        other.bytes[i] = 0, other.kinds[i] = OF_BASE_HOLE;
    struct model_base *base = model_base_new(other.bytes, other.length);
    struct staged_base as_base = model_base_of(base);
    other.staged = staged_new(model->staging, &as_base, holes, 1);
    CHECK(other.staged);
    model_base_unref(base);
    if (written.start >= written.end)
        return other;
    unsigned char *bytes = other.bytes + written.start;
    fill(model, bytes, written.end - written.start);
    if (staged_write(other.staged, written.start, bytes, (size_t)(written.end - written.start)) == 0)
        memset(other.kinds + written.start, OF_WRITTEN, (size_t)(written.end - written.start));
    else
        CHECK(staged_read(other.staged, written.start, (size_t)(written.end - written.start), bytes) > 0);
    return other;
}

static void other_done(struct other *other) {
    staged_free(other->staged);
    free(other->bytes);
}

static bool shows_base(const struct staged_model *model, int64_t start, int64_t end) {
    return start < end && memchr(model->clean + start, 1, (size_t)(end - start));
}

/* [start, end) of the other is of one kind, and came `shift` further on. Whether its base lies under the file now. */
static bool take_piece(struct staged_model *model, const struct other *other, struct range piece, int64_t shift,
                       bool is_base) {
    unsigned char kind = other->kinds[piece.start];
    bool shared = kind != OF_WRITTEN && !shift &&
                  (is_base || !(shows_base(model, 0, piece.start < model->length ? piece.start : model->length) ||
                                shows_base(model, piece.end, model->length)));
    size_t size = (size_t)(piece.end - piece.start);
    grow(model, piece.end + shift);
    memcpy(model->bytes + piece.start + shift, other->bytes + piece.start, size);
    memset(model->holes + piece.start + shift, shared && kind == OF_BASE_HOLE, size);
    memset(model->clean + piece.start + shift, shared, size);
    memset(model->sending + piece.start + shift, shared ? MODEL_NOT_STAGED : MODEL_UNSENT, size);
    model->dirty = true;
    return is_base || shared;
}

static void do_copy(struct staged_model *model) {
    struct other other = other_new(model);
    struct range range = draw_range(model, other.length + 10);
    int64_t shift = draw(model, 3) ? 0 : draw(model, model->most) - range.start;
    int64_t rest = (shift > 0 ? model->most - shift : model->most) - range.start;
    int64_t size = range.end - range.start < rest ? range.end - range.start : rest;
    if (size > 0) {
        int64_t count = staged_copy(model->staged, range.start + shift, other.staged, range.start, size);
        int64_t inside = other.length - range.start, end = range.start + count;
        int64_t most = inside < 0 ? 0 : inside < size ? inside : size;
        CHECK(count == most || count == -ENOSPC || (0 < count && count < most)); /* of what there was space for */
        bool is_base = false;
        for (int64_t at = range.start, stop; at < end; at = stop) {
            for (stop = at + 1; stop < end && other.kinds[stop] == other.kinds[at];)
                stop++;
            is_base = take_piece(model, &other, (struct range){at, stop}, shift, is_base);
        }
        doubt(model, (struct range){(count > 0 ? end : range.start) + shift, range.start + shift + size});
    }
    other_done(&other);
}

static void compare_bytes(struct staged_model *model, int64_t offset, int64_t size) {
    int64_t rest = offset < model->length ? model->length - offset : 0, count = size < rest ? size : rest;
    CHECK(size <= model->most);
    CHECK(staged_read(model->staged, offset, (size_t)size, model->scratch) == count);
    CHECK(count == 0 || memcmp(model->scratch, model->bytes + offset, (size_t)count) == 0);
}

static void compare_clean(struct staged_model *model, struct range range) {
    range.end = range.end < model->length ? range.end : model->length;
    if (range.start > range.end)
        return;
    bool clean = !memchr(model->clean + range.start, 0, (size_t)(range.end - range.start));
    CHECK(staged_is_clean(model->staged, range.start, (size_t)(range.end - range.start)) == clean);
}

static void compare_sent(struct staged_model *model, struct range range) {
    range.end = range.end < model->length ? range.end : model->length;
    bool sent = true;
    for (int64_t i = range.start; i < range.end; i++) {
        if (model->sending[i] == MODEL_DOUBTFUL)
            return;
        sent &= model->sending[i] == MODEL_SENT;
    }
    if (range.start < range.end)
        CHECK(staged_is_sent(model->staged, range.start, (size_t)(range.end - range.start)) == sent);
}

static int64_t next(const struct staged_model *model, int64_t offset, unsigned char hole) {
    const unsigned char *found = NULL;
    if (offset < model->length)
        found = memchr(model->holes + offset, hole, (size_t)(model->length - offset));
    return found ? found - model->holes : model->length;
}

static void compare_seek(struct staged_model *model, int64_t offset) {
    int64_t data = next(model, offset, 0), hole = next(model, offset, 1);
    bool beyond = offset >= model->length;
    CHECK(staged_seek(model->staged, offset, true) == (data == model->length || beyond ? -ENXIO : data));
    CHECK(staged_seek(model->staged, offset, false) == (beyond ? -ENXIO : hole));
}

/* The holes that are told are holes, in order; none that is larger than the least of them is left out. */
static void compare_holes(struct staged_model *model, uint32_t most) {
    struct staged_hole *holes = NULL;
    uint32_t count = 0, expected = 0, told = 0;
    int64_t least = INT64_MAX, largest_left_out = 0, end;
    CHECK(staged_holes(model->staged, most, &holes, &count) == 0);
    for (int64_t at = next(model, 0, 1); at < model->length; at = next(model, end, 1), expected++) {
        end = next(model, at, 0);
        int64_t length = end - at;
        if (told < count && holes[told].offset == at) {
            CHECK(holes[told++].length == length);
            least = length < least ? length : least;
        } else if (length > largest_left_out) {
            largest_left_out = length;
        }
    }
    CHECK(told == count && count == (expected < most ? expected : most));
    CHECK(count == 0 || largest_left_out <= least);
    free(holes);
}

void staged_model_compare(struct staged_model *model) {
    int64_t allocated = 0;
    for (int64_t data = next(model, 0, 0), hole; data < model->length; data = next(model, hole, 0)) {
        hole = next(model, data, 1);
        allocated += hole - data;
    }
    staged_check(model->staged);
    CHECK(staged_length(model->staged) == model->length);
    CHECK(staged_dirty(model->staged) == model->dirty);
    CHECK(staged_allocated(model->staged) == allocated);
    compare_bytes(model, 0, model->most);
    compare_holes(model, UINT32_MAX);
    compare_holes(model, 3);
    for (int64_t at = 0; at < model->length; at = next(model, next(model, at, 1), 0))
        compare_seek(model, at);
}

void staged_model_step(struct staged_model *model) {
    static void (*const steps[])(struct staged_model *model) = {
        do_write,    do_write, do_write,    do_write,  do_write, do_write,
        do_truncate, do_punch, do_allocate, do_rebase, do_copy,  do_send,
    };
    int64_t step = draw(model, sizeof steps / sizeof *steps);
    if (steps[step] != do_rebase || draw(model, 4) == 0) /* rare, so that much is staged at times */
        steps[step](model);
    CHECK(staged_length(model->staged) == model->length);
    CHECK(staged_dirty(model->staged) == model->dirty);
    struct range range = draw_range(model, model->most);
    if (range.start < range.end)
        compare_bytes(model, range.start, range.end - range.start);
    compare_clean(model, draw_range(model, model->most));
    compare_sent(model, draw_range(model, model->most));
    compare_seek(model, draw(model, model->most));
}

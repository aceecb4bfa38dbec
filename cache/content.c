// SPDX-License-Identifier: Apache-2.0
#include "cache/content.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"

void content_done(struct content *content) {
    blocks_done(&content->blocks);
    content->spill = spill_free(content->spill);
}

size_t content_memory(const struct content *content) {
    return content->blocks.count * BLOCK_COST;
}

size_t content_wants(const struct content *content, int64_t start, int64_t end) {
    return content->spill ? 0 : blocks_missing(&content->blocks, start, end) * BLOCK_COST;
}

/* What a disk's error means to who writes a file. */
static int translated(int error) {
    if (error == 0 || error == -ENOSPC || error == -EFBIG || error == -ENOMEM)
        return error;
    if (error == -EDQUOT)
        return -ENOSPC;
    log_error("the staging directory fails: %s", strerror(-error));
    return error == -EMFILE || error == -ENFILE ? -ENFILE : -EIO;
}

/* A part of [at, end) that is in one block (the block), or on disk (NULL). */
static struct block *part(const struct content *content, int64_t at, int64_t end, int64_t *ret_stop) {
    size_t i = blocks_from(&content->blocks, at);
    struct block *next = i < content->blocks.count ? content->blocks.blocks[i] : NULL;
    bool inside = next && next->start <= at;
    int64_t stop = !next ? end : inside ? block_end(at) : next->start;
    *ret_stop = stop < end ? stop : end;
    return inside ? next : NULL;
}

/* A range with the bytes for it. */
struct source {
    int64_t offset;
    const unsigned char *bytes;
};

/* Writes what of [start, end) is of one of `kinds` to disk. */
static int write_kinds(struct content *content, const struct extents *extents, int64_t start, int64_t end,
                       unsigned kinds, const struct source *source) {
    int result = 0;
    int64_t at = extents_next(extents, start, end, kinds);
    while (at < end && !result) {
        int64_t stop = extents_next(extents, at, end, EXTENTS_ALL & ~kinds);
        result = spill_write(content->spill, at, source->bytes + (at - source->offset), (size_t)(stop - at));
        stats_add(STAT_spilled_bytes, result ? 0 : (uint64_t)(stop - at));
        at = extents_next(extents, stop, end, kinds);
    }
    return result;
}

/* Gives back what of [start, end) was written in vain. */
static void forget_unwritten(struct content *content, const struct extents *extents, int64_t start, int64_t end) {
    int64_t at = extents_next(extents, start, end, EXTENTS_ALL & ~EXTENTS_WRITTEN);
    while (at < end) {
        int64_t stop = extents_next(extents, at, end, EXTENTS_WRITTEN);
        spill_forget(content->spill, at, stop);
        at = extents_next(extents, stop, end, EXTENTS_ALL & ~EXTENTS_WRITTEN);
    }
}

/* Writes those parts that are on disk, and of these what is of one of `kinds`. */
static int write_disk_parts(struct content *content, const struct extents *extents, int64_t end, unsigned kinds,
                            const struct source *source) {
    int result = 0;
    int64_t stop;
    for (int64_t at = source->offset; at < end && !result; at = stop) {
        if (!part(content, at, end, &stop))
            result = write_kinds(content, extents, at, stop, kinds, source);
    }
    return result;
}

/* First what needs new space, and so may fail for want of it while nothing that counts was touched. */
static int write_disk(struct content *content, const struct extents *extents, int64_t end,
                      const struct source *source) {
    int result = write_disk_parts(content, extents, end, EXTENTS_ALL & ~EXTENTS_WRITTEN, source);
    if (!result)
        result = write_disk_parts(content, extents, end, EXTENTS_WRITTEN, source);
    if (result)
        forget_unwritten(content, extents, source->offset, end);
    return translated(result);
}

static bool has_written(const struct block *block, const void *context) {
    int64_t end = block_end(block->start);
    return extents_next(context, block->start, end, EXTENTS_WRITTEN) < end;
}

int content_write(struct content *content, const struct extents *extents, int64_t offset, const void *bytes,
                  size_t size) {
    int64_t end = offset + (int64_t)size, stop;
    struct source source = {.offset = offset, .bytes = bytes};
    int result = content->spill ? write_disk(content, extents, end, &source)
                                : blocks_add(&content->blocks, offset, end);
    if (result) {
        blocks_filter(&content->blocks, offset, end, has_written, extents);
        return result;
    }
    for (int64_t at = offset; at < end; at = stop) {
        struct block *block = part(content, at, end, &stop);
        if (block)
            memcpy(block->bytes + (at - block->start), source.bytes + (at - offset), (size_t)(stop - at));
    }
    return 0;
}

int content_read(const struct content *content, int64_t offset, size_t size, void *into) {
    int64_t end = offset + (int64_t)size, stop;
    int result = 0;
    for (int64_t at = offset; at < end && !result; at = stop) {
        const struct block *block = part(content, at, end, &stop);
        unsigned char *to = (unsigned char *)into + (at - offset);
        if (block)
            memcpy(to, block->bytes + (at - block->start), (size_t)(stop - at));
        else
            result = spill_read(content->spill, at, (size_t)(stop - at), to);
    }
    return translated(result);
}

void content_forget(struct content *content, const struct extents *extents, int64_t start, int64_t end) {
    if (extents_bytes(extents, EXTENTS_WRITTEN) == 0) {
        content_done(content);
        return;
    }
    blocks_filter(&content->blocks, start, end, has_written, extents);
    if (content->spill)
        spill_forget(content->spill, start, end);
}

static int spill_block(struct content *content, const struct extents *extents, const struct block *block) {
    struct source source = {.offset = block->start, .bytes = block->bytes};
    int64_t end = block_end(block->start);
    int result = write_kinds(content, extents, block->start, end, EXTENTS_WRITTEN, &source);
    if (result)
        spill_forget(content->spill, block->start, end);
    return result;
}

static bool is_behind(const struct block *block, const void *end) {
    return block->start >= *(const int64_t *)end;
}

int content_spill(struct content *content, const struct extents *extents, int directory, size_t most) {
    struct blocks *blocks = &content->blocks;
    bool first = !content->spill;
    int result = first ? spill_new(directory, &content->spill) : 0;
    int64_t moved = 0; /* what lies before is on disk now */
    for (size_t i = 0; i < blocks->count && i < most && !result; i++) {
        result = spill_block(content, extents, blocks->blocks[i]);
        moved = result ? moved : blocks->blocks[i]->start + 1;
    }
    if (result && first && !moved)
        content->spill = spill_free(content->spill);
    blocks_filter(blocks, 0, moved, is_behind, &moved);
    return moved ? 0 : translated(result);
}

void content_check(const struct content *content, const struct extents *extents) {
    blocks_check(&content->blocks);
    for (size_t i = 0; i < content->blocks.count; i++)
        CHECK(has_written(content->blocks.blocks[i], extents));
    if (content->spill)
        return;
    int64_t at = extents_next(extents, 0, INT64_MAX, EXTENTS_WRITTEN), stop;
    for (; at < INT64_MAX; at = extents_next(extents, stop, INT64_MAX, EXTENTS_WRITTEN)) {
        int64_t end = extents_next(extents, at, INT64_MAX, EXTENTS_ALL & ~EXTENTS_WRITTEN);
        CHECK(part(content, at, end, &stop));
    }
}

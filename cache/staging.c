// SPDX-License-Identifier: Apache-2.0
#include "cache/staging_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/stats.h"

enum {
    INDEX_LEAST = 16 << 20, /* what extents may take even where the share is smaller: some 500,000 of them */
    SPILLED_AT_ONCE = 8,    /* blocks: a file's lock is held that long */
};

struct staging {
    struct budget *budget;
    size_t memory_most;
    int directory;
    struct lock lock; /* guards all below */
    struct staged_shares used;
    unsigned files;
    struct staged *resident; /* least recently written first */
};

static int try_directory(struct staging *staging, const char *directory) {
    struct spill *spill = NULL;
    staging->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (staging->directory < 0)
        return -errno;
    int result = spill_new(staging->directory, &spill);
    spill_free(spill);
    return result;
}

int staging_new(struct budget *budget, size_t memory_most, const char *directory, struct staging **ret_staging) {
    struct staging *staging = calloc(1, sizeof *staging);
    if (!staging)
        return -ENOMEM;
    staging->budget = budget;
    staging->memory_most = memory_most;
    lock_init(&staging->lock, LOCK_STAGING);
    int result = try_directory(staging, directory);
    if (result)
        staging_free(staging);
    else
        *ret_staging = staging;
    return result;
}

struct staging *staging_free(struct staging *staging) {
    if (!staging)
        return NULL;
    CHECK(staging->files == 0 && !staging->resident);
    CHECK(staging->used.blocks == 0 && staging->used.index == 0 && staging->used.written == 0);
    if (staging->directory >= 0)
        close(staging->directory);
    lock_done(&staging->lock);
    free(staging);
    return NULL;
}

uint64_t staging_used(struct staging *staging) {
    lock_acquire(&staging->lock);
    uint64_t used = staging->used.written;
    lock_release(&staging->lock);
    return used;
}

int staging_admit(struct staging *staging) {
    size_t most = staging->memory_most > INDEX_LEAST ? staging->memory_most : INDEX_LEAST;
    lock_acquire(&staging->lock);
    int result = staging->used.index < most ? 0 : -ENOSPC;
    lock_release(&staging->lock);
    return result;
}

/* Changes what a file takes, in the area, the budget and the list of those in memory. */
static void count_locked(struct staged *staged, const struct staged_shares *now) {
    struct staging *staging = staged->staging;
    struct staged_shares *was = &staged->shares;
    size_t before = was->blocks + was->index, after = now->blocks + now->index;
    if (after > before)
        budget_force(staging->budget, after - before); /* the area's own limit was kept, or a request must end */
    else
        budget_give(staging->budget, before - after);
    if (was->blocks)
        DL_DELETE(staging->resident, staged);
    if (now->blocks)
        DL_APPEND(staging->resident, staged);
    staging->used.blocks += now->blocks - was->blocks;
    staging->used.index += now->index - was->index;
    staging->used.written += now->written - was->written;
    stats_add(STAT_staged_bytes, now->written - was->written);
    *was = *now;
}

bool staging_take(struct staged *staged, size_t bytes) {
    struct staging *staging = staged->staging;
    lock_acquire(&staging->lock);
    struct staged_shares now = staged->shares;
    now.blocks += bytes;
    size_t used = staging->used.blocks + staging->used.index;
    bool fits = !bytes || (used <= staging->memory_most && bytes <= staging->memory_most - used);
    if (fits)
        count_locked(staged, &now);
    lock_release(&staging->lock);
    return fits;
}

static void settle_locked(struct staged *staged) {
    struct staged_shares now = {
        .blocks = content_memory(&staged->content),
        .index = extents_memory(&staged->extents),
        .written = (uint64_t)extents_bytes(&staged->extents, EXTENTS_WRITTEN),
    };
    const struct staged_shares *was = &staged->shares;
    if (now.blocks != was->blocks || now.index != was->index || now.written != was->written)
        count_locked(staged, &now);
}

void staging_settle(struct staged *staged) {
    lock_acquire(&staged->staging->lock);
    settle_locked(staged);
    lock_release(&staged->staging->lock);
}

static int spill(struct staged *staged) {
    lock_acquire(&staged->lock);
    int result = content_spill(&staged->content, &staged->extents, staged->staging->directory, SPILLED_AT_ONCE);
    staging_settle(staged);
    lock_release(&staged->lock);
    return result;
}

int staging_make_room(struct staged *staged, bool alone) {
    struct staging *staging = staged->staging;
    lock_acquire(&staging->lock);
    struct staged *oldest = staging->resident && !alone ? staging->resident : staged;
    oldest->references++;
    lock_release(&staging->lock);
    int result = spill(oldest);
    staging_leave(oldest);
    return result;
}

void staging_enter(struct staged *staged) {
    struct staging *staging = staged->staging;
    lock_acquire(&staging->lock);
    staged->references = 1;
    staging->files++;
    settle_locked(staged);
    lock_release(&staging->lock);
}

void staging_leave(struct staged *staged) {
    struct staging *staging = staged->staging;
    lock_acquire(&staging->lock);
    bool last = --staged->references == 0;
    if (last) {
        count_locked(staged, &(struct staged_shares){0});
        staging->files--;
    }
    lock_release(&staging->lock);
    if (!last)
        return;
    if (staged->base.context)
        staged->base.unref(staged->base.context);
    content_done(&staged->content);
    extents_done(&staged->extents);
    lock_done(&staged->lock);
    free(staged);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/oddities.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "cache/base/lock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"

struct oddity {
    UT_hash_handle hh;
    char id[];
};

struct oddities {
    struct lock lock;
    struct oddity *table;
    bool full;
    const struct oddity *in_order[ODDITIES_MOST];
};

struct oddities *oddities_new(void) {
    struct oddities *oddities = calloc(1, sizeof *oddities);
    if (oddities)
        lock_init(&oddities->lock, LOCK_SURVEY);
    return oddities;
}

struct oddities *oddities_free(struct oddities *oddities) {
    if (!oddities)
        return NULL;
    struct oddity *oddity, *next;
    HASH_ITER(hh, oddities->table, oddity, next) {
        HASH_DEL(oddities->table, oddity);
        free(oddity);
    }
    lock_done(&oddities->lock);
    free(oddities);
    return NULL;
}

/* Adds an _id; false when it was there or there is no room. */
static bool add_locked(struct oddities *oddities, const char *id) {
    struct oddity *oddity;
    size_t size = strlen(id);
    HASH_FIND(hh, oddities->table, id, size, oddity);
    unsigned count = HASH_COUNT(oddities->table);
    if (oddity || count >= ODDITIES_MOST)
        return false;
    oddity = calloc(1, sizeof *oddity + size + 1);
    if (!oddity)
        return false;
    memcpy(oddity->id, id, size);
    HASH_ADD_KEYPTR(hh, oddities->table, oddity->id, size, oddity);
    oddities->in_order[count] = oddity;
    return true;
}

void oddities_note(struct oddities *oddities, const char *id_text, const char *filename, const char *why) {
    lock_acquire(&oddities->lock);
    bool fresh = add_locked(oddities, id_text);
    bool filled = fresh && !oddities->full && HASH_COUNT(oddities->table) == ODDITIES_MOST;
    oddities->full |= filled;
    lock_release(&oddities->lock);
    if (fresh) {
        stats_add(STAT_unrepresentable_names, 1);
        log_warning("no path can name '%s' (%s); read it as .gridfs/id/%s", filename, why, id_text);
    }
    if (filled)
        log_warning("more than %d such files: the rest is not counted", ODDITIES_MOST);
}

const char *oddities_id(struct oddities *oddities, size_t i) {
    lock_acquire(&oddities->lock);
    const char *id = i < HASH_COUNT(oddities->table) ? oddities->in_order[i]->id : NULL;
    lock_release(&oddities->lock);
    return id;
}

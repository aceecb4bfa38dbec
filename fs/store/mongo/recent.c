// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/recent.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"

enum { LARGE_MS = 60 * 1000 };

void recents_init(struct recents *recents) {
    lock_init(&recents->lock, LOCK_SURVEY);
}

static void forget(struct recent *recent) {
    free(recent->path);
    bson_destroy(recent->document);
    *recent = (struct recent){0};
}

void recents_done(struct recents *recents) {
    for (unsigned i = 0; i < RECENTS; i++)
        forget(&recents->list[i]);
    lock_done(&recents->lock);
}

bool recents_whole(const struct recents *recents) {
    return clock_now_ms() >= atomic_load(&recents->large_until_ms);
}

void recents_measure(struct recents *recents, const bson_t *document) {
    if (document->len > RECENT_BYTES)
        atomic_store(&recents->large_until_ms, clock_now_ms() + LARGE_MS);
}

static struct recent *find(struct recents *recents, const char *path) {
    for (unsigned i = 0; i < RECENTS; i++)
        if (recents->list[i].path && strcmp(recents->list[i].path, path) == 0)
            return &recents->list[i];
    return NULL;
}

void recents_note(struct recents *recents, const char *path, bson_t *document) {
    struct recent fresh = {.document = document, .found_ms = clock_now_ms()}, before = {0};
    if (document && (document->len > RECENT_BYTES || !(fresh.path = strdup(path)))) {
        bson_destroy(document);
        fresh.document = NULL;
    }
    lock_acquire(&recents->lock);
    struct recent *place = find(recents, path);
    if (!place && fresh.path)
        place = &recents->list[recents->next++ % RECENTS];
    if (place) {
        before = *place;
        *place = fresh;
    }
    lock_release(&recents->lock);
    forget(&before);
}

bson_t *recents_take(struct recents *recents, const char *path) {
    struct recent taken = {0};
    lock_acquire(&recents->lock);
    struct recent *found = find(recents, path);
    if (found) {
        taken = *found;
        *found = (struct recent){0};
    }
    lock_release(&recents->lock);
    bool good = taken.document && clock_now_ms() - taken.found_ms < RECENT_MS;
    bson_t *document = good ? steal_ptr(&taken.document) : NULL;
    forget(&taken);
    return document;
}

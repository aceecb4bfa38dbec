// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/siblings.h"

#include <stdatomic.h>
#include <stdlib.h>

/* A reader in order may leave some out, and is believed at the third file; the next batch is fetched before it gets
 * to the end of this one. */
enum { STRIDE = 4, BELIEVED = 2, AHEAD = 16 };

struct siblings {
    struct revision **list;
    uint32_t count, capacity;
    uint32_t last;    /* the place opened last */
    uint32_t run;     /* opens in order */
    uint32_t planned; /* places up to this one were planned */
};

static atomic_uint noted; /* in all directories */

struct siblings *siblings_new(void) {
    return calloc(1, sizeof(struct siblings));
}

void siblings_clear(struct siblings *siblings) {
    for (uint32_t i = 0; i < siblings->count; i++)
        revision_unref(siblings->list[i]);
    atomic_fetch_sub(&noted, siblings->count);
    free(siblings->list);
    *siblings = (struct siblings){0};
}

struct siblings *siblings_free(struct siblings *siblings) {
    if (siblings) {
        siblings_clear(siblings);
        free(siblings);
    }
    return NULL;
}

uint32_t siblings_add(struct siblings *siblings, struct revision *revision) {
    bool small = !revision->damage && revision->length > 0 && revision->length <= revision->chunk_size &&
                 revision->length <= SIBLINGS_SMALL;
    if (!small || atomic_load(&noted) >= SIBLINGS_MOST)
        return 0;
    if (siblings->count == siblings->capacity) {
        uint32_t capacity = siblings->capacity ? 2 * siblings->capacity : 16;
        struct revision **list = realloc(siblings->list, capacity * sizeof(struct revision *));
        if (!list)
            return 0;
        siblings->list = list;
        siblings->capacity = capacity;
    }
    siblings->list[siblings->count++] = revision_ref(revision);
    atomic_fetch_add(&noted, 1);
    return siblings->count;
}

unsigned siblings_follow(struct siblings *siblings, uint32_t place, struct revision *ret_revisions[SIBLINGS_PLAN]) {
    if (place == 0 || place > siblings->count)
        return 0;
    bool in_order = place > siblings->last && place <= siblings->last + STRIDE;
    if (place == siblings->last)
        return 0;
    siblings->run = in_order ? siblings->run + 1 : 0;
    if (!in_order)
        siblings->planned = place;
    siblings->last = place;
    if (siblings->run < BELIEVED || siblings->planned > place + AHEAD)
        return 0;
    uint32_t next = siblings->planned >= place ? siblings->planned : place - 1; /* an index: the place behind it */
    if (siblings->run == BELIEVED)
        next = place - 1;
    unsigned count = 0;
    int64_t bytes = 0;
    while (next < siblings->count && count < SIBLINGS_PLAN && bytes < SIBLINGS_PLAN_BYTES) {
        bytes += siblings->list[next]->length;
        ret_revisions[count++] = revision_ref(siblings->list[next++]);
    }
    siblings->planned = next;
    return count;
}

#include "fs/vfs/coherence.h"

#include <stdlib.h>

#include "cache/base/lock.h"

enum { PLACES = 4096 };

struct coherence {
    struct lock lock;
    bool vouching;
    uint64_t now;             /* counts what is told; from 1 on */
    uint64_t all;             /* the last that was anywhere, the beginning too */
    uint64_t touched[PLACES]; /* the last in a directory that falls here */
};

struct coherence *coherence_new(void) {
    struct coherence *coherence = calloc(1, sizeof *coherence);
    if (!coherence)
        return NULL;
    coherence->now = 1;
    lock_init(&coherence->lock, LOCK_COHERENCE);
    return coherence;
}

struct coherence *coherence_free(struct coherence *coherence) {
    if (coherence)
        lock_done(&coherence->lock);
    free(coherence);
    return NULL;
}

/* FNV-1a. */
static uint32_t place_of(const char *directory, size_t size) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ (unsigned char)directory[i]) * UINT64_C(1099511628211);
    return (uint32_t)((hash ^ hash >> 32) % PLACES);
}

static void set_vouching(struct coherence *coherence, bool vouching) {
    lock_acquire(&coherence->lock);
    coherence->vouching = vouching;
    coherence->all = ++coherence->now;
    lock_release(&coherence->lock);
}

void coherence_begin(struct coherence *coherence) {
    set_vouching(coherence, true);
}

void coherence_end(struct coherence *coherence) {
    set_vouching(coherence, false);
}

bool coherence_vouches(struct coherence *coherence) {
    lock_acquire(&coherence->lock);
    bool vouching = coherence->vouching;
    lock_release(&coherence->lock);
    return vouching;
}

struct coherence_moment coherence_moment(struct coherence *coherence, const char *directory, size_t size) {
    struct coherence_moment moment = {.place = place_of(directory, size)};
    lock_acquire(&coherence->lock);
    moment.at = coherence->vouching ? coherence->now : 0;
    lock_release(&coherence->lock);
    return moment;
}

void coherence_touch(struct coherence *coherence, const char *directory, size_t size) {
    uint32_t place = place_of(directory, size);
    lock_acquire(&coherence->lock);
    coherence->touched[place] = ++coherence->now;
    lock_release(&coherence->lock);
}

void coherence_touch_all(struct coherence *coherence) {
    lock_acquire(&coherence->lock);
    coherence->all = ++coherence->now;
    lock_release(&coherence->lock);
}

bool coherence_crossed(struct coherence *coherence, const struct coherence_moment *moment) {
    lock_acquire(&coherence->lock);
    bool crossed = !moment->at || !coherence->vouching || coherence->all > moment->at ||
                   coherence->touched[moment->place] > moment->at;
    lock_release(&coherence->lock);
    return crossed;
}

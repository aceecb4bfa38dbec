// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/coherence.h"

#include <stdlib.h>

#include "cache/base/lock.h"

enum { PLACES = 4096, PATHS = 4 * PLACES };

struct coherence {
    struct lock lock;
    bool vouching;
    uint64_t now;             /* counts what is told; from 1 on */
    uint64_t all;             /* the last that was anywhere, the beginning too */
    uint64_t touched[PLACES]; /* the last in a directory that falls here */
    uint64_t any_came;        /* the last that may have come to any path, the beginning too */
    uint64_t came[PATHS];     /* the last that came to a path that falls here */
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
#define NOTHING UINT64_C(14695981039346656037)

static uint64_t hash_on(uint64_t hash, char byte) {
    return (hash ^ (unsigned char)byte) * UINT64_C(1099511628211);
}

static uint32_t place_of(uint64_t hash) {
    return (uint32_t)(hash ^ hash >> 32);
}

static void set_vouching(struct coherence *coherence, bool vouching) {
    lock_acquire(&coherence->lock);
    coherence->vouching = vouching;
    coherence->all = coherence->any_came = ++coherence->now;
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
    uint64_t hash = NOTHING;
    for (size_t i = 0; i < size; i++)
        hash = hash_on(hash, directory[i]);
    struct coherence_moment moment = {.place = place_of(hash)};
    lock_acquire(&coherence->lock);
    moment.at = coherence->vouching ? coherence->now : 0;
    lock_release(&coherence->lock);
    return moment;
}

void coherence_touch_all(struct coherence *coherence) {
    lock_acquire(&coherence->lock);
    coherence->all = ++coherence->now;
    lock_release(&coherence->lock);
}

bool coherence_crossed(struct coherence *coherence, const struct coherence_moment *moment) {
    lock_acquire(&coherence->lock);
    bool crossed = !moment->at || !coherence->vouching || coherence->all > moment->at ||
                   coherence->touched[moment->place % PLACES] > moment->at;
    lock_release(&coherence->lock);
    return crossed;
}

/* In one go: a path may be as long as a document. */
void coherence_come(struct coherence *coherence, const char *path) {
    uint64_t hash = NOTHING;
    lock_acquire(&coherence->lock);
    uint64_t now = ++coherence->now;
    coherence->touched[place_of(hash) % PLACES] = now;
    for (const char *c = path; *c; hash = hash_on(hash, *c++)) {
        if (*c != '/')
            continue;
        coherence->touched[place_of(hash) % PLACES] = now;
        coherence->came[place_of(hash) % PATHS] = now;
    }
    coherence->came[place_of(hash) % PATHS] = now;
    lock_release(&coherence->lock);
}

void coherence_come_anywhere(struct coherence *coherence) {
    lock_acquire(&coherence->lock);
    coherence->any_came = ++coherence->now;
    lock_release(&coherence->lock);
}

static bool may_have_come(const struct coherence *coherence, uint64_t at) {
    return !at || !coherence->vouching || coherence->any_came > at;
}

bool coherence_came(struct coherence *coherence, const struct coherence_moment *moment) {
    lock_acquire(&coherence->lock);
    bool came = may_have_come(coherence, moment->at) || coherence->came[moment->place % PATHS] > moment->at;
    lock_release(&coherence->lock);
    return came;
}

bool coherence_came_anywhere(struct coherence *coherence, uint64_t at) {
    lock_acquire(&coherence->lock);
    bool came = may_have_come(coherence, at);
    lock_release(&coherence->lock);
    return came;
}

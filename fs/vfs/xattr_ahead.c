// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/xattr_ahead.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/lock.h"
#include "fs/store/store.h"

/* Who lists may leave some out, and is believed at the third file. */
enum { NOTES = 512, STRIDE = 8, BELIEVED = 2, FIRST = 8, LONGEST_MS = 1000, HEAVY = 16 << 10 };

struct note {
    uint64_t serial;
    int64_t noted_ms;
    struct revision *revision; /* NULL: nothing is noted */
    char *names;
    size_t size;
};

struct xattr_ahead {
    int64_t trust_ms;
    struct lock lock; /* guards what follows */
    uint64_t last;    /* the file that was listed last */
    unsigned run;     /* those in order that were asked for */
    uint64_t moment;
    struct note notes[NOTES]; /* each has its place by its serial */
};

struct xattr_ahead *xattr_ahead_new(int64_t trust_ms) {
    struct xattr_ahead *ahead = calloc(1, sizeof *ahead);
    if (ahead) {
        ahead->trust_ms = trust_ms < LONGEST_MS ? trust_ms : LONGEST_MS;
        lock_init(&ahead->lock, LOCK_AHEAD);
    }
    return ahead;
}

static void drop(struct note *note) {
    revision_unref(note->revision);
    free(note->names);
    *note = (struct note){0};
}

struct xattr_ahead *xattr_ahead_free(struct xattr_ahead *ahead) {
    if (ahead) {
        for (unsigned i = 0; i < NOTES; i++)
            drop(&ahead->notes[i]);
        lock_done(&ahead->lock);
        free(ahead);
    }
    return NULL;
}

static bool is_good(const struct xattr_ahead *ahead, const struct note *note, const struct revision *revision) {
    return clock_now_ms() - note->noted_ms < ahead->trust_ms && revision_same_content(note->revision, revision);
}

bool xattr_ahead_take(struct xattr_ahead *ahead, uint64_t serial, const struct revision *revision, char *names, size_t size,
                      ssize_t *ret_size) {
    lock_acquire(&ahead->lock);
    struct note *note = &ahead->notes[serial % NOTES];
    bool there = note->revision && note->serial == serial, good = there && is_good(ahead, note, revision);
    if (good) {
        ahead->last = serial;
        *ret_size = size && size < note->size ? -ERANGE : (ssize_t)note->size;
        if (size >= note->size)
            memcpy(names, note->names, note->size);
    } else if (there) {
        ahead->run = 0; /* it comes too slowly */
    }
    if (there && (!good || size >= note->size))
        drop(note);
    lock_release(&ahead->lock);
    return good;
}

unsigned xattr_ahead_follow(struct xattr_ahead *ahead, uint64_t serial) {
    unsigned count = 1;
    lock_acquire(&ahead->lock);
    if (serial != ahead->last)
        ahead->run = serial > ahead->last && serial - ahead->last <= STRIDE ? ahead->run + 1 : 0;
    bool believed = ahead->trust_ms > 0 && ahead->run >= BELIEVED && serial != ahead->last;
    for (unsigned i = BELIEVED; believed && i <= ahead->run && count < STORE_XATTRS_MOST; i++)
        count = i == BELIEVED ? FIRST : 2 * count;
    ahead->last = serial;
    lock_release(&ahead->lock);
    return count;
}

uint64_t xattr_ahead_moment(struct xattr_ahead *ahead) {
    lock_acquire(&ahead->lock);
    uint64_t moment = ahead->moment;
    lock_release(&ahead->lock);
    return moment;
}

void xattr_ahead_note(struct xattr_ahead *ahead, uint64_t serial, struct revision *revision, char *names, size_t size,
                      size_t value_bytes, uint64_t moment) {
    lock_acquire(&ahead->lock);
    struct note *note = &ahead->notes[serial % NOTES];
    if (value_bytes > HEAVY)
        ahead->run = 0; /* what is asked for in vain would cost too much */
    if (moment == ahead->moment) {
        drop(note);
        *note = (struct note){serial, clock_now_ms(), revision_ref(revision), names, size};
        names = NULL;
    }
    lock_release(&ahead->lock);
    free(names);
}

void xattr_ahead_forget(struct xattr_ahead *ahead, const void *id, uint32_t id_size) {
    lock_acquire(&ahead->lock);
    ahead->moment++;
    for (unsigned i = 0; i < NOTES; i++) {
        struct note *note = &ahead->notes[i];
        if (note->revision && (!id || (note->revision->id_size == id_size && memcmp(note->revision->id, id, id_size) == 0)))
            drop(note);
    }
    lock_release(&ahead->lock);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/busiest.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/lock.h"

struct slot {
    uint64_t number; /* st_ino; 0: free */
    uint64_t bytes;
    char *path; /* when it took its place */
};

struct busiest {
    struct lock lock; /* guards what follows */
    int64_t halved_ms;
    struct slot slots[BUSIEST];
};

struct busiest *busiest_new(void) {
    struct busiest *busiest = calloc(1, sizeof *busiest);
    if (!busiest)
        return NULL;
    lock_init(&busiest->lock, LOCK_SHARED);
    busiest->halved_ms = clock_now_ms();
    return busiest;
}

struct busiest *busiest_free(struct busiest *busiest) {
    if (!busiest)
        return NULL;
    for (unsigned i = 0; i < BUSIEST; i++)
        free(busiest->slots[i].path);
    lock_done(&busiest->lock);
    free(busiest);
    return NULL;
}

static void halve(struct busiest *busiest) {
    int64_t times = (clock_now_ms() - busiest->halved_ms) / BUSIEST_HALF_MS;
    for (unsigned i = 0; times && i < BUSIEST; i++)
        busiest->slots[i].bytes >>= times < 63 ? times : 63;
    busiest->halved_ms += times * BUSIEST_HALF_MS;
}

/* Its own, or the least. */
static struct slot *slot_of(struct busiest *busiest, uint64_t number) {
    struct slot *least = &busiest->slots[0];
    for (unsigned i = 0; i < BUSIEST; i++) {
        if (busiest->slots[i].number == number)
            return &busiest->slots[i];
        if (busiest->slots[i].bytes < least->bytes)
            least = &busiest->slots[i];
    }
    return least;
}

void busiest_add(struct busiest *busiest, struct inodes *inodes, const struct inode *inode, uint64_t bytes) {
    uint64_t number = inode_number(inode);
    lock_acquire(&busiest->lock);
    halve(busiest);
    struct slot *slot = slot_of(busiest, number);
    bool known = slot->number == number;
    slot->number = number;
    slot->bytes += bytes;
    char *before = known ? NULL : slot->path;
    if (!known)
        slot->path = NULL;
    lock_release(&busiest->lock);
    if (known)
        return;
    free(before);
    char *path = inode_path_in_mount(inodes, inode, NULL);
    lock_acquire(&busiest->lock);
    slot = slot_of(busiest, number);
    if (slot->number == number && !slot->path) {
        slot->path = path;
        path = NULL;
    }
    lock_release(&busiest->lock);
    free(path);
}

/* How many are before it. */
static unsigned rank_of(const struct busiest *busiest, const struct slot *slot) {
    unsigned rank = 0;
    for (const struct slot *each = busiest->slots; each < busiest->slots + BUSIEST; each++)
        rank += each->path && (each->bytes > slot->bytes || (each->bytes == slot->bytes && each < slot));
    return rank;
}

char *busiest_get(struct busiest *busiest, unsigned i, uint64_t *ret_bytes) {
    char *path = NULL;
    lock_acquire(&busiest->lock);
    halve(busiest);
    for (struct slot *slot = busiest->slots; !path && slot < busiest->slots + BUSIEST; slot++)
        if (slot->path && slot->bytes && rank_of(busiest, slot) == i) {
            path = strdup(slot->path);
            *ret_bytes = slot->bytes;
        }
    lock_release(&busiest->lock);
    return path;
}

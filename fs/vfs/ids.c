// SPDX-License-Identifier: Apache-2.0
/* Inodes by the _id of their revision: a deletion is told by nothing else. */
#include <string.h>

#include "fs/vfs/inode_private.h"

enum { SLOTS_LEAST = 64, GONE = 256 };

_Static_assert(GONE == sizeof ((struct inodes *)0)->gone / sizeof *((struct inodes *)0)->gone, "a slot each");

/* FNV-1a; never 0. */
static uint64_t hash_of(const void *id, uint32_t size) {
    const unsigned char *bytes = id;
    uint64_t hash = UINT64_C(14695981039346656037);
    for (uint32_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * UINT64_C(1099511628211);
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

static struct inode **slot_of(struct inodes *inodes, const void *id, uint32_t size) {
    return &inodes->ids[hash_of(id, size) & (inodes->id_slots - 1)];
}

static void insert(struct inodes *inodes, struct inode *inode) {
    struct inode **slot = slot_of(inodes, inode->revision->id, inode->revision->id_size);
    inode->next_of_id = *slot;
    *slot = inode;
}

/* Twice as many slots; without memory the chains get longer. */
static void grow(struct inodes *inodes) {
    uint32_t before = inodes->id_slots, slots = before ? 2 * before : SLOTS_LEAST;
    struct inode **old = inodes->ids, **fresh = calloc(slots, sizeof *fresh);
    if (!fresh)
        return;
    inodes->ids = fresh;
    inodes->id_slots = slots;
    for (uint32_t i = 0; i < before; i++)
        for (struct inode *inode = old[i], *next; inode; inode = next) {
            next = inode->next_of_id;
            insert(inodes, inode);
        }
    free(old);
}

void ids_add(struct inodes *inodes, struct inode *inode) {
    if (!inode->revision)
        return;
    if (inodes->id_count >= inodes->id_slots)
        grow(inodes);
    inode->of_id = inodes->id_slots > 0;
    if (!inode->of_id)
        return;
    insert(inodes, inode);
    inodes->id_count++;
}

void ids_take_out(struct inodes *inodes, struct inode *inode) {
    if (!inode->of_id)
        return;
    struct inode **slot = slot_of(inodes, inode->revision->id, inode->revision->id_size);
    while (*slot != inode)
        slot = &(*slot)->next_of_id;
    *slot = inode->next_of_id;
    inode->of_id = false;
    inodes->id_count--;
}

bool ids_is(const struct inode *inode, const void *id, uint32_t size) {
    return inode->revision && inode->revision->id_size == size && memcmp(inode->revision->id, id, size) == 0;
}

struct inode *ids_next(struct inodes *inodes, const struct inode *after, const void *id, uint32_t size) {
    struct inode *inode = after ? after->next_of_id : inodes->id_slots ? *slot_of(inodes, id, size) : NULL;
    while (inode && !ids_is(inode, id, size))
        inode = inode->next_of_id;
    return inode;
}

bool ids_has(struct inodes *inodes, const struct inode *inode) {
    const struct inode *found = NULL;
    do
        found = ids_next(inodes, found, inode->revision->id, inode->revision->id_size);
    while (found && found != inode);
    return found;
}

/* ---- those that this mount took away ---- */

void ids_note_gone(struct inodes *inodes, const struct revision *revision) {
    if (!revision)
        return;
    uint64_t hash = hash_of(revision->id, revision->id_size);
    inodes->gone[hash % GONE] = hash;
}

bool ids_was_gone(const struct inodes *inodes, const void *id, uint32_t size) {
    uint64_t hash = hash_of(id, size);
    return inodes->gone[hash % GONE] == hash;
}

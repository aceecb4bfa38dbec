// SPDX-License-Identifier: Apache-2.0
/* Names that are not there: of each, when that was asked. In slots, one name in each, so that there are never too many. */
#include <string.h>

#include "cache/base/clock.h"
#include "fs/store/names.h"
#include "fs/vfs/inode_private.h"

enum {
    JUST_NOW_MS = 1000,        /* from a lookup to the change that it is a part of */
    BELIEVED_MS = 5 * 60 * 1000 /* as the kernel believes a name that is there */
};

struct absence {
    uint64_t parent; /* its serial */
    uint64_t moment; /* before it was asked */
    uint64_t used;   /* when a lookup was last answered without a question; 0: not since it was asked */
    int64_t found_ms;
    struct coherence_moment asked;
    char name[];
};

static struct absence **slot_of(struct inodes *inodes, const struct inode *parent, const char *name) {
    uint64_t hash = parent->serial * UINT64_C(0x9E3779B97F4A7C15); /* else serials differ where short names do */
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return &inodes->absences[(hash ^ hash >> 32) % ABSENCES];
}

static bool is_of(const struct absence *absence, const struct inode *parent, const char *name) {
    return absence && absence->parent == parent->serial && strcmp(absence->name, name) == 0;
}

static struct absence *absence_find(struct inodes *inodes, const struct inode *parent, const char *name) {
    struct absence *absence = *slot_of(inodes, parent, name);
    return is_of(absence, parent, name) ? absence : NULL;
}

static struct absence *absence_add(struct inodes *inodes, const struct inode *parent, const char *name) {
    struct absence **slot = slot_of(inodes, parent, name);
    struct absence *absence = calloc(1, sizeof *absence + strlen(name) + 1);
    free(*slot); /* without memory there is none: it is asked once more */
    *slot = absence;
    if (absence) {
        absence->parent = parent->serial;
        strcpy(absence->name, name);
    }
    return absence;
}

void absence_drop(struct inodes *inodes, const struct inode *parent, const char *name) {
    if (absence_find(inodes, parent, name))
        free(steal_ptr(slot_of(inodes, parent, name)));
}

void absences_free(struct inodes *inodes) {
    for (size_t i = 0; i < ABSENCES; i++)
        free(steal_ptr(&inodes->absences[i]));
}

/* An answer from before a lookup that was answered without a question is none to that one. And what has the name here may
 * be about to be published. */
void inode_note_missing(struct inodes *inodes, struct inode *parent, const char *name, uint64_t moment,
                        const struct coherence_moment *asked) {
    lock_acquire(&inodes->lock);
    struct absence *absence = absence_find(inodes, parent, name);
    bool older = absence && (absence->used > moment || absence->moment > moment);
    if (!older && !dentry_find(inodes, parent, name) && (absence || (absence = absence_add(inodes, parent, name)))) {
        absence->moment = moment;
        absence->used = 0;
        absence->found_ms = clock_now_ms();
        absence->asked = *asked;
    }
    lock_release(&inodes->lock);
}

static bool is_vouched(struct inodes *inodes, const struct inode *parent, const struct absence *absence) {
    return absence && clock_now_ms() - absence->found_ms < BELIEVED_MS &&
           !dentry_changed(inodes, parent, absence->name, &absence->moment) && !coherence_came(inodes->coherence, &absence->asked);
}

/* Whether all names of the directory are vouched for, and this is none of them. */
static bool is_unlisted(struct inodes *inodes, const struct inode *parent, const char *name) {
    char key[NAMES_STORED_MOST + 2];
    size_t size = strlen(name);
    if (!parent->listing || !parent->keys || size > NAMES_STORED_MOST ||
        coherence_came_anywhere(inodes->coherence, parent->listed))
        return false;
    memcpy(key, name, size);
    key[size] = '/';
    return !keys_have(parent->keys, key, size) && !keys_have(parent->keys, key, size + 1);
}

bool inode_believe_missing(struct inodes *inodes, const struct inode *parent, const char *name) {
    if (!inodes->coherence)
        return false;
    lock_acquire(&inodes->lock);
    struct absence *absence = absence_find(inodes, parent, name);
    bool believed = !dentry_find(inodes, parent, name) &&
                    (is_vouched(inodes, parent, absence) || is_unlisted(inodes, parent, name));
    if (believed && !absence)
        absence = absence_add(inodes, parent, name);
    if (believed && absence)
        absence->used = ++inodes->moment;
    lock_release(&inodes->lock);
    return believed;
}

bool inode_is_missing(struct inodes *inodes, const struct inode *parent, const char *name) {
    lock_acquire(&inodes->lock);
    const struct absence *absence = absence_find(inodes, parent, name);
    bool missing = absence && !absence->used && clock_now_ms() - absence->found_ms < JUST_NOW_MS &&
                   !dentry_changed(inodes, parent, name, &absence->moment);
    lock_release(&inodes->lock);
    return missing;
}

// SPDX-License-Identifier: Apache-2.0
/* Names: which lead to which inode, and when this mount last changed them. */
#include <errno.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((element)->lost = true)
#include <utlist.h>

#include "cache/base/check.h"
#include "fs/vfs/inode_private.h"

enum { NAME_MOST = 1024 }; /* what the kernel passes to FUSE at most; stored names are shorter */

static size_t key_size(const char *name) {
    return sizeof(struct dentry_name) + strlen(name);
}

struct dentry *dentry_find(struct inodes *inodes, const struct inode *parent, const char *name) {
    union {
        struct dentry_name key;
        char space[sizeof(struct dentry_name) + NAME_MOST + 1];
    } wanted; /* not zeroed: only what is set is compared */
    struct dentry *dentry;
    if (strlen(name) > NAME_MOST)
        return NULL;
    wanted.key.parent = (struct inode *)parent;
    strcpy(wanted.space + offsetof(struct dentry_name, name), name);
    HASH_FIND(hh, inodes->table, &wanted, key_size(name), dentry);
    return dentry;
}

void dentry_hash(struct inodes *inodes, struct dentry *dentry) {
    dentry->lost = false;
    HASH_ADD(hh, inodes->table, key, key_size(dentry->key.name), dentry);
    dentry->hashed = !dentry->lost;
    if (dentry->hashed && dentry->inode->type == STORE_DIRECTORY)
        dentry->key.parent->directories++;
}

void dentry_take_out(struct inodes *inodes, struct dentry *dentry) {
    if (!dentry->hashed)
        return;
    HASH_DEL(inodes->table, dentry);
    dentry->hashed = false;
    if (dentry->inode->type == STORE_DIRECTORY)
        dentry->key.parent->directories--;
}

static void dentry_free(struct dentry *dentry) {
    dentry->key.parent->references--; /* freed with the inode, or by the one who frees that */
    free(dentry);
}

bool dentry_add(struct inodes *inodes, struct inode *inode, struct inode *parent, const char *name) {
    struct dentry *dentry = calloc(1, sizeof *dentry + strlen(name) + 1);
    if (!dentry)
        return false;
    dentry->inode = inode;
    dentry->key.parent = parent;
    strcpy(dentry->key.name, name);
    parent->references++;
    absence_drop(inodes, parent, name);
    dentry_hash(inodes, dentry);
    if (inode->kind == INODE_STORED) /* .gridfs is in no listing */
        known_name(parent, name);
    struct dentry *stale = inode->names && !inode->names->hashed ? inode->names : NULL;
    if (stale)
        LL_DELETE(inode->names, stale);
    LL_APPEND(inode->names, dentry);
    if (stale) {
        struct inode *before = stale->key.parent;
        dentry_free(stale);
        inode_free_unheld(inodes, before);
    }
    return true;
}

void dentry_unhash(struct inodes *inodes, struct dentry *dentry) {
    struct inode *inode = dentry->inode, *parent = dentry->key.parent;
    dentry_take_out(inodes, dentry);
    if (inode->names == dentry && !dentry->next)
        return; /* the last it has */
    LL_DELETE(inode->names, dentry);
    dentry_free(dentry);
    inode_free_unheld(inodes, parent);
}

/* ---- changes by this mount ---- */

static uint64_t *change_of(struct inodes *inodes, const struct inode *parent, const char *name) {
    uint64_t hash = (uint64_t)(uintptr_t)parent >> 4;
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return &inodes->changes[(hash ^ hash >> 32) % CHANGES];
}

void dentry_note_change(struct inodes *inodes, struct inode *parent, const char *name) {
    *change_of(inodes, parent, name) = parent->changed = ++inodes->moment;
    if (parent->listing)
        vouch_set(inodes, parent, parent->vouched, false); /* the kernel knows: it was asked to make the change */
}

bool dentry_changed(struct inodes *inodes, const struct inode *parent, const char *name, const uint64_t *since) {
    return since && *change_of(inodes, parent, name) > *since;
}

uint64_t inode_moment(struct inodes *inodes) {
    lock_acquire(&inodes->lock);
    uint64_t moment = inodes->moment;
    lock_release(&inodes->lock);
    return moment;
}

void inode_note_change(struct inodes *inodes, struct inode *parent, const char *name) {
    lock_acquire(&inodes->lock);
    dentry_note_change(inodes, parent, name);
    lock_release(&inodes->lock);
}

bool inode_changed_since(struct inodes *inodes, const struct inode *parent, const char *name, uint64_t moment) {
    lock_acquire(&inodes->lock);
    bool changed = dentry_changed(inodes, parent, name, &moment);
    lock_release(&inodes->lock);
    return changed;
}

/* ---- changes of names ---- */

struct inode *inode_at(struct inodes *inodes, struct inode *parent, const char *name) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, parent, name);
    struct inode *inode = dentry ? dentry->inode : NULL;
    if (inode)
        inode->references++;
    lock_release(&inodes->lock);
    return inode;
}

bool inode_find_unpublished(struct inodes *inodes, struct inode *parent, const char *name, struct inode **ret_inode) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = inodes->unpublished ? dentry_find(inodes, parent, name) : NULL;
    bool found = dentry && dentry->inode->unpublished;
    if (found) {
        dentry->inode->lookups++;
        *ret_inode = dentry->inode;
    }
    lock_release(&inodes->lock);
    return found;
}

void inode_drop(struct inodes *inodes, struct inode *parent, const char *name, const uint64_t *since) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, parent, name);
    bool ours = dentry && (dentry->inode->unpublished || dentry->inode->publishing ||
                           dentry_changed(inodes, parent, name, since));
    if (!ours)
        known_drop(parent);
    if (dentry && !ours) {
        struct inode *inode = dentry->inode;
        dentry_unhash(inodes, dentry);
        inode_free_unheld(inodes, inode);
    }
    lock_release(&inodes->lock);
}

void inode_set_published(struct inodes *inodes, struct inode *inode) {
    if (!inode->unpublished)
        return;
    inodes->unpublished--;
    inode->unpublished = false;
    DL_DELETE(inodes->all, inode);
    DL_APPEND(inodes->all, inode);
}

static bool is_shared(const struct inode *inode) {
    const struct attributes *attributes = inode_known(inode);
    return inode->type != STORE_DIRECTORY && attributes && attributes->has & ATTRIBUTES_LINKS && attributes->links > 1;
}

static void remove_name(struct inodes *inodes, struct dentry *dentry) {
    struct inode *inode = dentry->inode;
    dentry_note_change(inodes, dentry->key.parent, dentry->key.name);
    bool more = is_shared(inode);
    if (more)
        inode_count_links(inode, -1);
    else
        inode->removed = true;
    if (inode->removed) {
        inode_set_published(inodes, inode);
        ids_note_gone(inodes, inode->revision);
    }
    dentry_unhash(inodes, dentry);
    inode_free_unheld(inodes, inode);
}

void inode_removed(struct inodes *inodes, struct inode *parent, const char *name) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, parent, name);
    dentry_note_change(inodes, parent, name);
    if (dentry)
        remove_name(inodes, dentry);
    lock_release(&inodes->lock);
}

/* What is told of the paths below a directory is not told of those that they had. */
static void note_moved(struct inodes *inodes, const struct inode *inode) {
    if (inodes->coherence && inode->type == STORE_DIRECTORY)
        coherence_come_anywhere(inodes->coherence);
}

void inode_moved(struct inodes *inodes, struct inode *from, const char *name, struct inode *to, const char *new_name) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, from, name), *target = dentry_find(inodes, to, new_name);
    dentry_note_change(inodes, from, name);
    dentry_note_change(inodes, to, new_name);
    if (dentry)
        note_moved(inodes, dentry->inode);
    if (target)
        remove_name(inodes, target);
    if (dentry && dentry_add(inodes, dentry->inode, to, new_name))
        dentry_unhash(inodes, dentry); /* which is not its last */
    lock_release(&inodes->lock);
}

void inode_exchanged(struct inodes *inodes, struct inode *one, const char *name, struct inode *other,
                     const char *other_name) {
    lock_acquire(&inodes->lock);
    struct dentry *first = dentry_find(inodes, one, name), *second = dentry_find(inodes, other, other_name);
    dentry_note_change(inodes, one, name);
    dentry_note_change(inodes, other, other_name);
    if (first && second) {
        struct inode *goes = first->inode, *comes = second->inode;
        note_moved(inodes, goes);
        note_moved(inodes, comes);
        dentry_unhash(inodes, first);
        dentry_unhash(inodes, second);
        dentry_add(inodes, goes, other, other_name);
        dentry_add(inodes, comes, one, name);
    }
    lock_release(&inodes->lock);
}

int inode_linked(struct inodes *inodes, struct inode *inode, struct inode *parent, const char *name,
                 struct revision *revision) {
    lock_acquire(&inodes->lock);
    struct dentry *before = dentry_find(inodes, parent, name);
    dentry_note_change(inodes, parent, name);
    if (before)
        remove_name(inodes, before);
    if (revision && inode->revision && revision_same_content(inode->revision, revision)) {
        revision_unref(inode->revision);
        inode->revision = revision_ref(revision);
        if (inode->attributes) {
            struct attributes links = revision->attributes;
            links.has &= ATTRIBUTES_LINKS | ATTRIBUTES_FILE;
            attributes_apply(inode->attributes, &links);
        }
        linked_add(inodes, inode);
    } else {
        inode_count_links(inode, 1);
    }
    bool added = dentry_add(inodes, inode, parent, name);
    inode->lookups += added;
    lock_release(&inodes->lock);
    return added ? 0 : -ENOMEM;
}

void inode_abandon(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    inode->removed = inode->abandoned = true;
    inode_set_published(inodes, inode);
    for (struct dentry *dentry = inode->names, *next; dentry; dentry = next) {
        next = dentry->next;
        dentry_note_change(inodes, dentry->key.parent, dentry->key.name);
        dentry_unhash(inodes, dentry);
    }
    lock_release(&inodes->lock);
}

bool inode_is_abandoned(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool abandoned = inode->abandoned;
    lock_release(&inodes->lock);
    return abandoned;
}

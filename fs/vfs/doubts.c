// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/doubts.h"

#include <string.h>
#include <utlist.h>

#include "fs/store/names.h"
#include "fs/vfs/inode_private.h"

void doubts_done(struct doubts *doubts) {
    for (size_t i = 0; i < doubts->count; i++)
        free(doubts->list[i].name);
    free(doubts->list);
    *doubts = (struct doubts){0};
}

static void add(struct doubts *doubts, const struct inode *inode, bool listing) {
    if (doubts->count == doubts->capacity) {
        size_t capacity = doubts->capacity ? 2 * doubts->capacity : 16;
        struct doubt *list = realloc(doubts->list, capacity * sizeof *list);
        if (!list) {
            doubts->lost = true;
            return;
        }
        doubts->list = list;
        doubts->capacity = capacity;
    }
    doubts->list[doubts->count++] = (struct doubt){.inode = inode, .listing = listing};
}

bool doubts_names(struct inodes *inodes, struct inode *inode, struct doubts *doubts) {
    lock_acquire(&inodes->lock);
    bool open = inode->opens > 0;
    for (struct dentry *dentry = open ? inode->names : NULL; dentry; dentry = dentry->next) {
        size_t before = doubts->count;
        add(doubts, dentry->key.parent, false);
        if (doubts->count > before && !(doubts->list[before].name = strdup(dentry->key.name)))
            doubts->lost = true;
    }
    inode->believed &= !open;
    lock_release(&inodes->lock);
    return open;
}

static void doubt(struct inodes *inodes, struct inode *inode, struct doubts *doubts) {
    if (!inode->vouched)
        return;
    vouch_set(inodes, inode, false, inode->listing);
    if (inode->believed)
        add(doubts, inode, false);
}

static void doubt_listing(struct inodes *inodes, struct inode *directory, struct doubts *doubts) {
    if (!directory->listing)
        return;
    vouch_set(inodes, directory, directory->vouched, false);
    add(doubts, directory, true);
}

/* ---- by path ---- */

static struct inode *child_of(struct inodes *inodes, const struct inode *parent, const char *path, size_t size) {
    char name[NAMES_STORED_MOST + 1];
    if (size > NAMES_STORED_MOST)
        return NULL;
    memcpy(name, path, size);
    name[size] = '\0';
    struct dentry *dentry = dentry_find(inodes, parent, name);
    return dentry ? dentry->inode : NULL;
}

/* Called for each inode that is known on a path, the last one with `rest` empty. */
typedef void visitor(struct inodes *inodes, struct inode *inode, const char *rest, struct doubts *doubts);

/* Visits as far as inodes are known; returns what is at the path's end, or NULL. */
static struct inode *walk(struct inodes *inodes, const char *path, visitor *visit, struct doubts *doubts) {
    struct inode *at = inodes->root;
    for (const char *rest = path;;) {
        if (visit)
            visit(inodes, at, rest, doubts);
        if (!*rest)
            return at;
        size_t size = names_first_component(rest, strlen(rest));
        at = child_of(inodes, at, rest, size);
        rest += size + (rest[size] == '/');
        if (!at)
            return NULL;
    }
}

/* Whether what begins at `rest` lies below a directory that is known, and that the listing has. */
static bool has_directory(struct inodes *inodes, const struct inode *inode, const char *rest) {
    char key[NAMES_STORED_MOST + 2];
    size_t size = names_first_component(rest, strlen(rest));
    const struct inode *directory = rest[size] == '/' ? child_of(inodes, inode, rest, size) : NULL;
    if (!inode->keys || !directory || directory->type != STORE_DIRECTORY)
        return false;
    memcpy(key, rest, size + 1);
    return keys_have(inode->keys, key, size) || keys_have(inode->keys, key, size + 1);
}

static void visit_came(struct inodes *inodes, struct inode *inode, const char *rest, struct doubts *doubts) {
    if (*rest && !has_directory(inodes, inode, rest))
        doubt_listing(inodes, inode, doubts);
    if (!*rest || inode->type != STORE_DIRECTORY)
        doubt(inodes, inode, doubts);
}

/* Whether what begins at `rest` lies below a directory that stays without it. */
static bool keeps_directory(struct inodes *inodes, const struct inode *inode, const char *rest) {
    size_t size = names_first_component(rest, strlen(rest));
    const struct inode *directory = rest[size] == '/' ? child_of(inodes, inode, rest, size) : NULL;
    return directory && directory->kept;
}

static void visit_went(struct inodes *inodes, struct inode *inode, const char *rest, struct doubts *doubts) {
    if (*rest && !keeps_directory(inodes, inode, rest))
        doubt_listing(inodes, inode, doubts);
    if (!*rest)
        inode->kept = false;
    if (!*rest || !inode->kept)
        doubt(inodes, inode, doubts);
}

static void visit_changed(struct inodes *inodes, struct inode *inode, const char *rest, struct doubts *doubts) {
    if (!*rest)
        doubt(inodes, inode, doubts);
}

void doubts_came(struct inodes *inodes, const char *path, const void *id, uint32_t id_size, struct doubts *doubts) {
    lock_acquire(&inodes->lock);
    struct inode *there = walk(inodes, path, NULL, NULL);
    bool put_here = there && id && there->put_here && ids_is(there, id, id_size);
    bool ours = there && id && (there->unpublished || there->publishing); /* its name is known here in any case */
    if (ours)
        doubt(inodes, there, doubts);
    else if (!put_here)
        walk(inodes, path, visit_came, doubts);
    lock_release(&inodes->lock);
}

void doubts_changed(struct inodes *inodes, const char *path, struct doubts *doubts) {
    lock_acquire(&inodes->lock);
    walk(inodes, path, visit_changed, doubts);
    lock_release(&inodes->lock);
}

void doubts_went(struct inodes *inodes, const char *path, struct doubts *doubts) {
    lock_acquire(&inodes->lock);
    walk(inodes, path, visit_went, doubts);
    lock_release(&inodes->lock);
}

/* ---- by _id ---- */

void doubts_changed_id(struct inodes *inodes, const void *id, uint32_t id_size, struct doubts *doubts) {
    lock_acquire(&inodes->lock);
    for (struct inode *inode = NULL; (inode = ids_next(inodes, inode, id, id_size));)
        doubt(inodes, inode, doubts);
    lock_release(&inodes->lock);
}

/* Whether a name's path is this one: compared from the end. */
static bool is_at(const struct dentry *dentry, const char *path) {
    size_t end = strlen(path);
    for (;; dentry = dentry->key.parent->names) {
        size_t size = strlen(dentry->key.name);
        if (size > end || memcmp(path + end - size, dentry->key.name, size) != 0)
            return false;
        end -= size;
        if (!dentry->key.parent->names)
            return end == 0;
        if (end == 0 || path[--end] != '/')
            return false;
    }
}

/* A name is gone, and what was only there because of it, up to a directory that stays without. */
static void doubt_above(struct inodes *inodes, const struct dentry *dentry, struct doubts *doubts) {
    while (dentry) {
        struct inode *directory = dentry->key.parent;
        doubt_listing(inodes, directory, doubts);
        if (directory->kept)
            return;
        doubt(inodes, directory, doubts);
        dentry = directory->names;
    }
}

static void doubt_directories(struct inodes *inodes, struct doubts *doubts) {
    struct inode *directory, *next;
    DL_FOREACH_SAFE2(inodes->noted, directory, next, next_opened) {
        doubt_listing(inodes, directory, doubts);
        if (!directory->kept)
            doubt(inodes, directory, doubts);
    }
}

void doubts_went_id(struct inodes *inodes, const void *id, uint32_t id_size, const char *now, struct doubts *doubts) {
    bool known = false;
    lock_acquire(&inodes->lock);
    for (struct inode *inode = NULL; (inode = ids_next(inodes, inode, id, id_size));) {
        known = true;
        doubt(inodes, inode, doubts);
        for (struct dentry *dentry = inode->publishing ? NULL : inode->names; dentry; dentry = dentry->next)
            if (!now || !is_at(dentry, now))
                doubt_above(inodes, dentry, doubts);
    }
    if (!known && !ids_was_gone(inodes, id, id_size)) /* from wherever */
        doubt_directories(inodes, doubts);
    lock_release(&inodes->lock);
}

void doubts_all(struct inodes *inodes, struct doubts *doubts) {
    struct inode *inode;
    lock_acquire(&inodes->lock);
    DL_FOREACH(inodes->all, inode) {
        inode->kept = false;
        doubt_listing(inodes, inode, doubts);
        doubt(inodes, inode, doubts);
    }
    lock_release(&inodes->lock);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/inode.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "fs/vfs/inode_private.h"

/* FNV-1a, going on from a directory's number with a name. */
static uint64_t number_from(uint64_t number, const char *name) {
    for (const char *c = name; *c; c++)
        number = (number ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return (number ^ '/') * UINT64_C(1099511628211);
}

static const struct attributes *attributes_in(const struct store_entry *entry) {
    return entry->revision ? &entry->revision->attributes : &entry->attributes;
}

uint64_t inode_number_at(const struct inode *parent, const char *name, const struct store_entry *entry) {
    uint64_t identity = entry ? attributes_in(entry)->identity : 0;
    uint64_t number = identity ? identity : number_from(parent->number, name);
    return number > 1 ? number : number + 2; /* 1 is the root, 0 is none */
}

/* Takes over what was found. */
static struct inode *inode_new(struct inodes *inodes, uint64_t number, const struct inode_found *found) {
    struct store_entry *entry = found->entry;
    bool own = entry && !entry->revision && entry->attributes.has;
    struct inode *inode = calloc(1, sizeof *inode);
    struct attributes *attributes = own ? malloc(sizeof *attributes) : NULL;
    if (!inode || (own && !attributes)) {
        free(inode);
        free(attributes);
        return NULL;
    }
    inode->store = found->store;
    inode->kind = (unsigned char)found->kind;
    bool text = inode_kind_is_text(found->kind);
    inode->type = entry ? (unsigned char)entry->kind : text ? STORE_FILE : STORE_DIRECTORY;
    inode->number = number;
    inode->serial = ++inodes->serial;
    inode->checked_ms = clock_now_ms();
    if (own)
        *attributes = entry->attributes;
    inode->attributes = attributes;
    if (entry) {
        inode->revision = steal_ptr(&entry->revision);
        inode->text = entry->kind == STORE_SYMLINK ? steal_ptr(&entry->target) : steal_ptr(&entry->witness);
    }
    DL_APPEND(inodes->all, inode);
    ids_add(inodes, inode);
    stats_add(STAT_inodes, 1);
    return inode;
}

const struct attributes *inode_known(const struct inode *inode) {
    return inode->attributes ? inode->attributes : inode->revision ? &inode->revision->attributes : NULL;
}

static void free_parts(struct inode *inode) {
    revision_unref(inode->revision);
    siblings_free(inode->siblings);
    known_drop(inode);
    published_unref(inode->published);
    file_unref(inode->file);
    keys_unref(inode->keys);
    free(inode->attributes);
    free(inode->text);
    free(inode);
}

void inode_free_unheld(struct inodes *inodes, struct inode *inode) {
    while (inode && !inode->lookups && !inode->references && inode != inodes->root) {
        struct inode *parent = NULL;
        CHECK(!inode->opens && !inode->writers && !inode->publishing);
        linked_drop(inodes, inode);
        ids_take_out(inodes, inode);
        vouch_set(inodes, inode, false, false);
        inodes->unpublished -= inode->unpublished;
        for (struct dentry *dentry = inode->names, *next; dentry; dentry = next) {
            next = dentry->next;
            if (parent)
                inode_free_unheld(inodes, parent);
            parent = dentry->key.parent;
            dentry_take_out(inodes, dentry);
            parent->references--;
            free(dentry);
        }
        DL_DELETE(inodes->all, inode);
        free_parts(inode);
        stats_subtract(STAT_inodes, 1);
        inode = parent;
    }
}

struct inodes *inodes_new(const struct inode_found *root) {
    struct inodes *inodes = calloc(1, sizeof *inodes);
    if (!inodes)
        return NULL;
    lock_init(&inodes->lock, LOCK_TREE);
    inodes->root = inode_new(inodes, 1, root);
    return inodes->root ? inodes : inodes_free(inodes);
}

struct inodes *inodes_free(struct inodes *inodes) {
    if (!inodes)
        return NULL;
    struct inode *inode, *next;
    struct linked *linked, *next_linked;
    HASH_ITER(hh, inodes->linked, linked, next_linked) {
        HASH_DEL(inodes->linked, linked);
        free(linked);
    }
    absences_free(inodes);
    HASH_CLEAR(hh, inodes->table);
    DL_FOREACH_SAFE(inodes->all, inode, next) {
        while (inode->names) {
            struct dentry *dentry = inode->names;
            inode->names = dentry->next;
            free(dentry);
        }
        free_parts(inode);
    }
    lock_done(&inodes->lock);
    free(inodes->ids);
    free(inodes);
    return NULL;
}

void inodes_set_coherence(struct inodes *inodes, struct coherence *coherence) {
    inodes->coherence = coherence;
}

struct inode *inodes_root(struct inodes *inodes) {
    return inodes->root;
}

/* ---- what was found at a name ---- */

static bool still_is(const struct inode *inode, const struct inode_found *found) {
    if (inode->kind != found->kind || inode->store != found->store)
        return false;
    if (!found->entry)
        return true;
    if (inode->type != found->entry->kind)
        return false;
    if (inode->type == STORE_SYMLINK) /* the kernel keeps its text for as long as the inode */
        return inode->text && found->entry->target && strcmp(inode->text, found->entry->target) == 0;
    return inode->type != STORE_FILE || revision_same_content(inode->revision, found->entry->revision);
}

/* The times of a directory go to the database late; not all that changes a ctime does. */
static void keep_later_times(enum store_kind kind, const struct attributes *mine, struct attributes *found) {
    if (kind == STORE_DIRECTORY && mine->has & ATTRIBUTES_MTIME && (!(found->has & ATTRIBUTES_MTIME) || mine->mtime_ns > found->mtime_ns)) {
        found->mtime_ns = mine->mtime_ns;
        found->has |= ATTRIBUTES_MTIME;
    }
    if (mine->has & ATTRIBUTES_CTIME && (!(found->has & ATTRIBUTES_CTIME) || mine->ctime_ns > found->ctime_ns)) {
        found->ctime_ns = mine->ctime_ns;
        found->has |= ATTRIBUTES_CTIME;
    }
}

static void take_attributes(struct inode *inode, const struct attributes *found) {
    struct attributes now = *found;
    if (inode->attributes)
        keep_later_times(inode->type, inode->attributes, &now);
    if (now.has && !inode->attributes)
        inode->attributes = malloc(sizeof *inode->attributes);
    if (inode->attributes)
        *inode->attributes = now;
}

/* The same thing again: takes over what may have changed about it. */
static void update(struct inode *inode, const struct inode_found *found) {
    struct store_entry *entry = found->entry;
    inode->checked_ms = clock_now_ms();
    if (!entry)
        return;
    if (entry->revision) {
        inode_take_revision(inode, steal_ptr(&entry->revision));
    } else if (entry->kind != STORE_FILE) {
        take_attributes(inode, &entry->attributes);
    }
    char **text = entry->kind == STORE_SYMLINK ? &entry->target : &entry->witness;
    if (*text) {
        free(inode->text);
        inode->text = steal_ptr(text);
    }
}

static struct inode *make(struct inodes *inodes, struct inode *parent, const char *name,
                          const struct inode_found *found) {
    struct inode *inode = NULL;
    if (found->entry && found->entry->kind != STORE_DIRECTORY && found->kind == INODE_STORED)
        inode = linked_find(inodes, found->store, attributes_in(found->entry));
    if (inode && (inode->publishing || still_is(inode, found))) {
        if (!inode->publishing)
            update(inode, found);
        return dentry_add(inodes, inode, parent, name) ? inode : NULL;
    }
    /* All revisions of a file have its identity, and are not one file to cp or diff. */
    const struct store_entry *identified = found->kind == INODE_STORED ? found->entry : NULL;
    inode = inode_new(inodes, inode_number_at(parent, name, identified), found);
    if (inode && !dentry_add(inodes, inode, parent, name)) {
        inode_free_unheld(inodes, inode);
        return NULL;
    }
    if (inode && found->kind == INODE_STORED && inode->type != STORE_DIRECTORY)
        linked_add(inodes, inode);
    return inode;
}

int inode_adopt(struct inodes *inodes, struct inode *parent, const char *name, const struct inode_found *found,
                struct inode **ret_inode) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, parent, name);
    struct inode *inode = dentry ? dentry->inode : NULL;
    bool ours = inode && (inode->unpublished || inode->publishing ||
                          dentry_changed(inodes, parent, name, found->since));
    if (inode && !ours && !still_is(inode, found)) {
        dentry_unhash(inodes, dentry);
        inode_free_unheld(inodes, inode);
        inode = NULL;
    }
    if (!inode)
        inode = make(inodes, parent, name, found);
    else if (!ours)
        update(inode, found);
    if (inode && !ours)
        vouch_answer(inodes, inode, dentry_changed(inodes, parent, name, found->since) ? NULL : found->asked);
    if (inode) {
        inode->lookups++;
        *ret_inode = inode;
    }
    lock_release(&inodes->lock);
    if (inode && found->entry)
        store_entry_done(found->entry);
    return inode ? 0 : -ENOMEM;
}

int inode_confirm(struct inodes *inodes, struct inode *inode, const struct inode_found *found) {
    lock_acquire(&inodes->lock);
    bool ours = inode->unpublished || inode->publishing || inode->removed;
    for (struct dentry *dentry = inode->names; dentry; dentry = dentry->next)
        ours |= dentry_changed(inodes, dentry->key.parent, dentry->key.name, found->since);
    bool hashed = inode->names && inode->names->hashed;
    int result = ours || (hashed && still_is(inode, found)) ? 0 : -ESTALE;
    if (!ours && result == 0) {
        update(inode, found);
        vouch_answer(inodes, inode, found->asked);
    }
    lock_release(&inodes->lock);
    return result;
}

int inode_create(struct inodes *inodes, struct inode *parent, const char *name, struct store *store,
                 const struct attributes *attributes, struct file *file, struct inode **ret_inode) {
    struct store_entry entry = {.kind = STORE_FILE, .attributes = *attributes};
    struct inode_found found = {.kind = INODE_STORED, .store = store, .entry = &entry};
    lock_acquire(&inodes->lock);
    struct dentry *before = dentry_find(inodes, parent, name);
    dentry_note_change(inodes, parent, name);
    if (before) {
        struct inode *other = before->inode;
        dentry_unhash(inodes, before);
        inode_free_unheld(inodes, other);
    }
    struct inode *inode = make(inodes, parent, name, &found);
    if (inode) {
        inode->unpublished = true;
        inodes->unpublished++;
        DL_DELETE(inodes->all, inode);
        DL_PREPEND(inodes->all, inode);
        inode->file = file;
        inode->lookups++;
        *ret_inode = inode;
    }
    lock_release(&inodes->lock);
    return inode ? 0 : -ENOMEM;
}

/* ---- lifetime ---- */

void inode_forget(struct inodes *inodes, struct inode *inode, uint64_t lookups) {
    lock_acquire(&inodes->lock);
    CHECK(inode == inodes->root || inode->lookups >= lookups);
    inode->lookups -= inode == inodes->root ? 0 : lookups;
    inode_free_unheld(inodes, inode);
    lock_release(&inodes->lock);
}

void inode_hold(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    inode->references++;
    lock_release(&inodes->lock);
}

void inode_release(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    CHECK(inode->references > 0);
    inode->references--;
    inode_free_unheld(inodes, inode);
    lock_release(&inodes->lock);
}

enum inode_kind inode_kind(const struct inode *inode) {
    return inode->kind;
}

struct store *inode_store(const struct inode *inode) {
    return inode->store;
}

enum store_kind inode_type(const struct inode *inode) {
    return inode->type;
}

uint64_t inode_number(const struct inode *inode) {
    return inode->number;
}

void inodes_check(struct inodes *inodes) {
    lock_acquire(&inodes->lock);
    struct inode *inode;
    uint32_t unpublished = 0, opened = 0;
    DL_FOREACH(inodes->all, inode) {
        bool file = inode->kind == INODE_STORED || inode->kind == INODE_BY_ID;
        file = file && inode->type == STORE_FILE;
        CHECK(inode == inodes->root || inode->lookups || inode->references);
        CHECK((inode == inodes->root) == !inode->names);
        CHECK(inode->removed || (file && !inode->unpublished) == (inode->revision != NULL));
        CHECK(!inode->published || inode->opens > 0);
        CHECK(!inode->of_id || ids_has(inodes, inode));
        CHECK(!inode->unpublished || inode->file);
        unpublished += inode->unpublished;
        opened += inode->opens > 0;
        for (struct dentry *dentry = inode->names; dentry; dentry = dentry->next) {
            CHECK(dentry->inode == inode && dentry->key.parent->references > 0);
            CHECK(dentry->hashed == (dentry_find(inodes, dentry->key.parent, dentry->key.name) == dentry));
        }
    }
    CHECK(unpublished == inodes->unpublished && opened == inodes->opened_count);
    lock_release(&inodes->lock);
}

int inode_written_files(struct inodes *inodes, struct inode ***ret_inodes, uint32_t *ret_count) {
    struct inode *inode;
    uint32_t count = 0;
    lock_acquire(&inodes->lock);
    struct inode **written = calloc((size_t)inodes->opened_count + 1, sizeof *written);
    DL_FOREACH2(inodes->opened, inode, next_opened) {
        if (written && inode->file) {
            inode->references++;
            written[count++] = inode;
        }
    }
    lock_release(&inodes->lock);
    if (!written)
        return -ENOMEM;
    *ret_inodes = written;
    *ret_count = count;
    return 0;
}

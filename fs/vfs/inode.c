#include "fs/vfs/inode.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(inode) ((inode)->lost = true)
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "fs/vfs/inode_private.h"

static size_t key_size(const char *name) {
    return sizeof(struct inode_name) + strlen(name);
}

/* FNV-1a, going on from a directory's number with a name. */
static uint64_t number_from(uint64_t number, const char *name) {
    for (const char *c = name; *c; c++)
        number = (number ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return (number ^ '/') * UINT64_C(1099511628211);
}

uint64_t inode_number_at(const struct inode *parent, const char *name, const struct store_entry *entry) {
    uint64_t identity = entry && entry->kind == STORE_FILE ? entry->revision->attributes.identity : 0;
    uint64_t number = identity ? identity : number_from(parent->number, name);
    return number > 1 ? number : number + 2; /* 1 is the root, 0 is none */
}

/* Takes over what was found. */
static struct inode *inode_new(struct inode *parent, const char *name, const struct inode_found *found) {
    struct inode *inode = calloc(1, sizeof *inode + strlen(name) + 1);
    struct store_entry *entry = found->entry;
    struct attributes *attributes = NULL;
    if (inode && entry && entry->kind != STORE_FILE && entry->attributes.has)
        attributes = malloc(sizeof *attributes);
    if (!inode || (entry && entry->kind != STORE_FILE && entry->attributes.has && !attributes)) {
        free(inode);
        return NULL;
    }
    inode->parent = parent;
    inode->store = found->store;
    inode->kind = (unsigned char)found->kind;
    bool text = found->kind == INODE_STATUS || found->kind == INODE_STATUS_JSON;
    inode->type = entry ? (unsigned char)entry->kind : text ? STORE_FILE : STORE_DIRECTORY;
    inode->number = parent ? inode_number_at(parent, name, entry) : 1;
    inode->checked_ms = clock_now_ms();
    inode->key.parent = parent;
    strcpy(inode->key.name, name);
    if (attributes)
        *attributes = entry->attributes;
    inode->attributes = attributes;
    if (entry) {
        inode->revision = steal_ptr(&entry->revision);
        inode->text = entry->kind == STORE_SYMLINK ? steal_ptr(&entry->target) : steal_ptr(&entry->witness);
    }
    if (parent)
        parent->references++;
    stats_add(STAT_inodes, 1);
    return inode;
}

static void unname(struct inodes *inodes, struct inode *inode) {
    if (!inode->named)
        return;
    HASH_DEL(inodes->table, inode);
    DL_APPEND(inodes->unnamed, inode);
    inode->named = false;
}

static void free_parts(struct inode *inode) {
    revision_unref(inode->revision);
    siblings_free(inode->siblings);
    reader_free(inode->reader);
    free(inode->attributes);
    free(inode->text);
    free(inode);
}

/* Frees an inode that nobody holds, and its parents that only it held. */
static void free_unheld(struct inodes *inodes, struct inode *inode) {
    while (inode && !inode->lookups && !inode->references && inode != inodes->root) {
        struct inode *parent = inode->parent;
        CHECK(!inode->reader);
        unname(inodes, inode);
        DL_DELETE(inodes->unnamed, inode);
        free_parts(inode);
        stats_subtract(STAT_inodes, 1);
        if (parent)
            parent->references--;
        inode = parent;
    }
}

struct inodes *inodes_new(const struct inode_found *root) {
    struct inodes *inodes = calloc(1, sizeof *inodes);
    if (!inodes)
        return NULL;
    lock_init(&inodes->lock, LOCK_TREE);
    inodes->root = inode_new(NULL, "", root);
    return inodes->root ? inodes : inodes_free(inodes);
}

struct inodes *inodes_free(struct inodes *inodes) {
    if (!inodes)
        return NULL;
    struct inode *inode, *next;
    HASH_ITER(hh, inodes->table, inode, next) {
        HASH_DEL(inodes->table, inode);
        free_parts(inode);
    }
    DL_FOREACH_SAFE(inodes->unnamed, inode, next) {
        free_parts(inode);
    }
    if (inodes->root)
        free_parts(inodes->root);
    lock_done(&inodes->lock);
    free(inodes);
    return NULL;
}

struct inode *inodes_root(struct inodes *inodes) {
    return inodes->root;
}

enum { NAME_MOST = 1024 }; /* what the kernel passes to FUSE at most; stored names are shorter */

struct inode *inode_find(struct inodes *inodes, const struct inode *parent, const char *name) {
    union {
        struct inode_name key;
        char space[sizeof(struct inode_name) + NAME_MOST + 1];
    } wanted; /* not zeroed: only what is set is compared */
    struct inode *inode;
    if (strlen(name) > NAME_MOST)
        return NULL;
    wanted.key.parent = parent;
    strcpy(wanted.space + offsetof(struct inode_name, name), name);
    HASH_FIND(hh, inodes->table, &wanted, key_size(name), inode);
    return inode;
}

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

/* The same thing again: takes over what may have changed about it. */
static void update(struct inode *inode, const struct inode_found *found) {
    struct store_entry *entry = found->entry;
    inode->checked_ms = clock_now_ms();
    if (!entry)
        return;
    if (entry->revision) {
        struct revision *before = inode->revision;
        inode->revision = steal_ptr(&entry->revision);
        entry->revision = before;
    }
    if (entry->kind != STORE_FILE) {
        struct attributes *attributes = entry->attributes.has ? malloc(sizeof *attributes) : NULL;
        if (attributes)
            *attributes = entry->attributes;
        free(inode->attributes);
        inode->attributes = attributes;
    }
    char **text = entry->kind == STORE_SYMLINK ? &entry->target : &entry->witness;
    if (*text) {
        free(inode->text);
        inode->text = steal_ptr(text);
    }
}

int inode_adopt(struct inodes *inodes, struct inode *parent, const char *name, const struct inode_found *found,
                struct inode **ret_inode) {
    int result = 0;
    lock_acquire(&inodes->lock);
    struct inode *inode = inode_find(inodes, parent, name);
    if (inode && !still_is(inode, found)) {
        unname(inodes, inode);
        free_unheld(inodes, inode);
        inode = NULL;
    }
    if (inode) {
        update(inode, found);
    } else {
        inode = inode_new(parent, name, found);
        if (inode) {
            HASH_ADD(hh, inodes->table, key, key_size(name), inode);
            inode->named = !inode->lost;
            if (inode->lost)
                DL_APPEND(inodes->unnamed, inode);
        } else {
            result = -ENOMEM;
        }
    }
    if (result == 0) {
        inode->lookups++;
        *ret_inode = inode;
    }
    lock_release(&inodes->lock);
    if (result == 0 && found->entry)
        store_entry_done(found->entry);
    return result;
}

void inode_drop(struct inodes *inodes, struct inode *parent, const char *name) {
    lock_acquire(&inodes->lock);
    struct inode *inode = inode_find(inodes, parent, name);
    if (inode) {
        unname(inodes, inode);
        free_unheld(inodes, inode);
    }
    lock_release(&inodes->lock);
}

void inode_forget(struct inodes *inodes, struct inode *inode, uint64_t lookups) {
    lock_acquire(&inodes->lock);
    CHECK(inode == inodes->root || inode->lookups >= lookups);
    inode->lookups -= inode == inodes->root ? 0 : lookups;
    free_unheld(inodes, inode);
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
    free_unheld(inodes, inode);
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

bool inode_is_bucket(const struct inode *inode) {
    return inode->kind == INODE_STORED && (!inode->parent || inode->parent->kind == INODE_BUCKETS);
}

bool inode_parent_is(const struct inode *inode, const struct inode *parent) {
    return inode->parent == parent;
}

uint64_t inode_number(const struct inode *inode) {
    return inode->number;
}

void inodes_check(struct inodes *inodes) {
    lock_acquire(&inodes->lock);
    struct inode *inode, *next;
    HASH_ITER(hh, inodes->table, inode, next) {
        CHECK(inode->named && inode_find(inodes, inode->parent, inode->key.name) == inode);
        CHECK(inode->lookups || inode->references);
        CHECK(inode->parent && inode->parent->references > 0);
        bool stored = inode->kind == INODE_STORED || inode->kind == INODE_BY_ID;
        CHECK((stored && inode->type == STORE_FILE) == (inode->revision != NULL));
        CHECK((inode->readers > 0) == (inode->reader != NULL));
    }
    lock_release(&inodes->lock);
}

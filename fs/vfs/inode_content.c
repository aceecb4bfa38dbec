// SPDX-License-Identifier: Apache-2.0
/* What is known of an inode: its revision and attributes, its content and what is written of it. */
#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "fs/store/names.h"
#include "fs/vfs/inode_private.h"

static const struct inode *parent_of(const struct inode *inode) {
    return inode->names ? inode->names->key.parent : NULL;
}

bool inode_is_bucket(struct inodes *inodes, const struct inode *inode) {
    if (inode->kind != INODE_STORED || inode->type != STORE_DIRECTORY)
        return false;
    lock_acquire(&inodes->lock);
    const struct inode *parent = parent_of(inode);
    bool top = !parent || parent->kind == INODE_BUCKETS;
    lock_release(&inodes->lock);
    return top;
}

bool inode_parent_is(struct inodes *inodes, const struct inode *inode, const struct inode *parent) {
    lock_acquire(&inodes->lock);
    bool is = parent_of(inode) == parent;
    lock_release(&inodes->lock);
    return is;
}

struct revision *inode_revision(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    struct revision *revision = inode->revision ? revision_ref(inode->revision) : NULL;
    lock_release(&inodes->lock);
    return revision;
}

static int change_revision(struct inode *inode, const struct attributes *changes) {
    struct attributes all = inode->revision->attributes;
    attributes_apply(&all, changes);
    struct revision *fresh = revision_with(inode->revision, &all);
    if (!fresh)
        return -ENOMEM;
    revision_unref(inode->revision);
    inode->revision = fresh;
    return 0;
}

void inode_take_revision(struct inode *inode, struct revision *revision) {
    const struct attributes *mine = &inode->revision->attributes, *found = &revision->attributes;
    int64_t ctime_ns = mine->ctime_ns;
    bool later = mine->has & ATTRIBUTES_CTIME && (!(found->has & ATTRIBUTES_CTIME) || ctime_ns > found->ctime_ns);
    revision_unref(inode->revision);
    inode->revision = revision;
    if (later)
        (void)change_revision(inode, &(struct attributes){.has = ATTRIBUTES_CTIME, .ctime_ns = ctime_ns});
}

void inode_refresh(struct inodes *inodes, struct inode *inode, struct revision *revision) {
    lock_acquire(&inodes->lock);
    if (inode->revision && revision_same_content(inode->revision, revision)) {
        inode_take_revision(inode, revision_ref(revision));
        inode->checked_ms = clock_now_ms();
    }
    lock_release(&inodes->lock);
}

int64_t inode_checked_ms(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    int64_t checked_ms = inode->checked_ms;
    lock_release(&inodes->lock);
    return checked_ms;
}

void inode_set_unchecked(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    inode->checked_ms = INT64_MIN / 2; /* longer ago than any trust */
    lock_release(&inodes->lock);
}

struct attributes inode_attributes(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    const struct attributes *known = inode_known(inode);
    struct attributes attributes = known ? *known : (struct attributes){0};
    lock_release(&inodes->lock);
    return attributes;
}

static int change_own(struct inode *inode, const struct attributes *changes) {
    if (!inode->attributes) {
        inode->attributes = calloc(1, sizeof *inode->attributes);
        if (!inode->attributes)
            return -ENOMEM;
        if (inode->revision)
            *inode->attributes = inode->revision->attributes;
    }
    attributes_apply(inode->attributes, changes);
    return 0;
}

int inode_change(struct inodes *inodes, struct inode *inode, const struct attributes *changes) {
    lock_acquire(&inodes->lock);
    int result = 0;
    if (inode->revision)
        result = change_revision(inode, changes);
    if (result == 0 && (inode->attributes || !inode->revision))
        result = change_own(inode, changes);
    lock_release(&inodes->lock);
    return result;
}

int inode_written(struct inodes *inodes, struct inode *inode, const struct attributes *changes) {
    lock_acquire(&inodes->lock);
    int result = change_own(inode, changes);
    lock_release(&inodes->lock);
    return result;
}

void inode_count_links(struct inode *inode, int change) {
    const struct attributes *known = inode_known(inode);
    uint32_t links = known && known->has & ATTRIBUTES_LINKS ? known->links : 1;
    struct attributes now = {.has = ATTRIBUTES_LINKS, .links = (uint32_t)((int64_t)links + change)};
    if (inode->revision)
        (void)change_revision(inode, &now);
    if (inode->attributes || !inode->revision)
        (void)change_own(inode, &now);
}

static char *copy_text(const struct inode *inode, enum store_kind type) {
    return inode && inode->type == type && inode->text ? strdup(inode->text) : NULL;
}

char *inode_target(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    char *target = copy_text(inode, STORE_SYMLINK);
    lock_release(&inodes->lock);
    return target;
}

/* A file that a directory was seen by is no witness of it when one of them was renamed since. */
static bool is_below(const char *witness, const char *path) {
    size_t size = strlen(path);
    witness += names_skip_spelling(witness, strlen(witness));
    return strncmp(witness, path, size) == 0 && witness[size] == '/';
}

char *inode_witness(struct inodes *inodes, struct inode *parent, const char *name, const char *path) {
    lock_acquire(&inodes->lock);
    struct dentry *dentry = dentry_find(inodes, parent, name);
    const struct inode *inode = dentry ? dentry->inode : NULL;
    cleanup_free char *witness = inode && inode->type == STORE_FILE ? strdup(path) : copy_text(inode, STORE_DIRECTORY);
    lock_release(&inodes->lock);
    bool of_it = witness && (strcmp(witness, path) == 0 || is_below(witness, path));
    return of_it ? steal_ptr(&witness) : NULL;
}

bool inode_is_removed(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool removed = inode->removed;
    lock_release(&inodes->lock);
    return removed;
}

uint32_t inode_directories(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    uint32_t count = inode->directories;
    lock_release(&inodes->lock);
    return count;
}

bool inode_is_kept(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool kept = inode->kept;
    lock_release(&inodes->lock);
    return kept;
}

void inode_keep(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    inode->kept = true;
    lock_release(&inodes->lock);
}

/* ---- content ---- */

void inode_opened(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    if (inode->opens++ == 0) {
        DL_APPEND2(inodes->opened, inode, prev_opened, next_opened);
        inodes->opened_count++;
    }
    lock_release(&inodes->lock);
}

void inode_closed(struct inodes *inodes, struct inode *inode) {
    struct published *published = NULL;
    lock_acquire(&inodes->lock);
    CHECK(inode->opens > 0);
    if (--inode->opens == 0) {
        published = steal_ptr(&inode->published);
        DL_DELETE2(inodes->opened, inode, prev_opened, next_opened);
        inodes->opened_count--;
    }
    lock_release(&inodes->lock);
    published_unref(published);
}

int inode_published(struct inodes *inodes, struct inode *inode, struct chunks *chunks, struct published **ret_published) {
    lock_acquire(&inodes->lock);
    CHECK(inode->opens > 0);
    if (!inode->published && inode->revision)
        inode->published = published_new(chunks, inode->revision);
    int result = inode->published ? 0 : inode->revision ? -ENOMEM : -ENOENT;
    if (result == 0)
        *ret_published = published_ref(inode->published);
    lock_release(&inodes->lock);
    return result;
}

struct file *inode_file(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    struct file *file = inode->file ? file_ref(inode->file) : NULL;
    lock_release(&inodes->lock);
    return file;
}

struct file *inode_attach_file(struct inodes *inodes, struct inode *inode, struct file *file) {
    lock_acquire(&inodes->lock);
    if (!inode->file)
        inode->file = file_ref(file);
    struct file *attached = file_ref(inode->file);
    lock_release(&inodes->lock);
    return attached;
}

void inode_writer(struct inodes *inodes, struct inode *inode, int change) {
    struct file *clean = NULL;
    lock_acquire(&inodes->lock);
    inode->writers = (uint32_t)((int)inode->writers + change);
    if (inode->writers == 0 && inode->file && !inode->publishing && (inode->removed || !inode->unpublished) &&
        (inode->removed ? !inode->opens : !staged_dirty(file_staged(inode->file))))
        clean = steal_ptr(&inode->file);
    lock_release(&inodes->lock);
    file_unref(clean);
}

uint32_t inode_writers(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    uint32_t writers = inode->writers;
    lock_release(&inodes->lock);
    return writers;
}

bool inode_is_unpublished(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool unpublished = inode->unpublished;
    lock_release(&inodes->lock);
    return unpublished;
}

bool inode_is_ours(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool ours = inode->unpublished || inode->publishing || inode->removed;
    lock_release(&inodes->lock);
    return ours;
}

void inode_begin_publishing(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    CHECK(!inode->publishing);
    inode->publishing = true;
    lock_release(&inodes->lock);
}

/* Another client's revision may have been found at its name before its own came out as the newest. */
static void take_name_again(struct inodes *inodes, struct inode *inode) {
    struct dentry *dentry = inode->names;
    if (inode->removed || !dentry || dentry->hashed)
        return;
    struct dentry *other = dentry_find(inodes, dentry->key.parent, dentry->key.name);
    if (other) {
        struct inode *loser = other->inode;
        bool same = loser->revision && revision_same_content(loser->revision, inode->revision);
        if (loser->unpublished || loser->publishing || same) /* the same, or what was written over it since */
            return;
        dentry_unhash(inodes, other);
        inode_free_unheld(inodes, loser);
    }
    dentry_hash(inodes, dentry);
}

void inode_end_publishing(struct inodes *inodes, struct inode *inode, struct revision *revision) {
    struct revision *before = NULL;
    struct published *published = NULL;
    lock_acquire(&inodes->lock);
    CHECK(inode->publishing);
    inode->publishing = false;
    for (struct dentry *dentry = inode->names; dentry; dentry = dentry->next)
        dentry_note_change(inodes, dentry->key.parent, dentry->key.name);
    if (revision) {
        before = inode->revision;
        ids_note_gone(inodes, before);
        ids_take_out(inodes, inode);
        published = steal_ptr(&inode->published);
        inode->revision = revision_ref(revision);
        inode->proof = INODE_PROOF_UNKNOWN;
        inode->put_here = true;
        ids_add(inodes, inode);
        inode_set_published(inodes, inode);
        inode->checked_ms = clock_now_ms();
        free(steal_ptr(&inode->attributes)); /* the revision says all of it */
        take_name_again(inodes, inode);
        linked_add(inodes, inode);
    }
    lock_release(&inodes->lock);
    revision_unref(before);
    published_unref(published);
}

bool inode_move(struct inodes *inodes, struct inode *inode, struct revision *revision) {
    struct revision *before = NULL;
    struct published *published = NULL;
    lock_acquire(&inodes->lock);
    bool other = inode->revision ? !revision_same_content(inode->revision, revision) : inode->unpublished;
    bool moves = other && !inode->publishing && !inode->removed;
    if (moves) {
        linked_drop(inodes, inode);
        ids_take_out(inodes, inode);
        before = inode->revision;
        published = steal_ptr(&inode->published);
        inode->revision = revision_ref(revision);
        inode->proof = INODE_PROOF_UNKNOWN;
        inode->put_here = false;
        ids_add(inodes, inode);
        vouch_answer(inodes, inode, NULL);
        inode->checked_ms = clock_now_ms();
        inode_set_published(inodes, inode);
        free(steal_ptr(&inode->attributes)); /* of a publication that there will not be */
        for (struct dentry *dentry = inode->names; dentry; dentry = dentry->next)
            dentry_note_change(inodes, dentry->key.parent, dentry->key.name);
        linked_add(inodes, inode);
    }
    lock_release(&inodes->lock);
    revision_unref(before);
    published_unref(published);
    return moves;
}

uint32_t inode_stores(struct inodes *inodes, struct store **ret_stores, uint32_t most) {
    struct inode *inode;
    uint32_t count = 0;
    lock_acquire(&inodes->lock);
    DL_FOREACH(inodes->all, inode) {
        bool known = !inode->store;
        for (uint32_t i = count; !known && i > 0; i--)
            known = ret_stores[i - 1] == inode->store;
        if (!known && count < most)
            ret_stores[count++] = inode->store;
    }
    lock_release(&inodes->lock);
    return count;
}

/* Those that are looked at in turn. */
struct opened {
    const struct store *store; /* NULL: any */
    struct revision **revisions;
    uint32_t count;
};

static void add_opened(struct opened *opened, struct revision *revision) {
    if (revision && (!opened->store || revision->store == opened->store))
        opened->revisions[opened->count++] = revision_ref(revision);
}

int inode_open_revisions(struct inodes *inodes, const struct store *store, struct revision ***ret_revisions,
                         uint32_t *ret_count) {
    struct opened opened = {.store = store};
    struct inode *inode;
    lock_acquire(&inodes->lock);
    opened.revisions = calloc(2 * (size_t)inodes->opened_count + 1, sizeof *opened.revisions);
    DL_FOREACH2(inodes->opened, inode, next_opened) {
        cleanup_with(revision_unref) struct revision *under = NULL;
        if (!opened.revisions)
            break;
        add_opened(&opened, inode->revision);
        if (inode->file)
            under = published_under(file_staged(inode->file));
        if (under && !(inode->revision && revision_same_content(under, inode->revision)))
            add_opened(&opened, under);
    }
    lock_release(&inodes->lock);
    if (!opened.revisions)
        return -ENOMEM;
    *ret_revisions = opened.revisions;
    *ret_count = opened.count;
    return 0;
}

int inode_unpublished_in(struct inodes *inodes, const struct inode *directory, char ***ret_names) {
    lock_acquire(&inodes->lock);
    uint32_t most = inodes->unpublished, count = 0;
    char **names = most ? calloc(most + 1, sizeof *names) : NULL;
    int result = most && !names ? -ENOMEM : 0;
    for (struct inode *inode = inodes->all; result == 0 && inode && inode->unpublished; inode = inode->next) {
        if (parent_of(inode) != directory || !inode->names->hashed)
            continue;
        names[count] = strdup(inode->names->key.name);
        if (!names[count++])
            result = -ENOMEM;
    }
    lock_release(&inodes->lock);
    if (result || !count)
        server_free_names(steal_ptr(&names));
    if (result == 0)
        *ret_names = names;
    return result;
}

/* ---- small files in directory order ---- */

void inode_begin_listing(struct inodes *inodes, struct inode *directory) {
    lock_acquire(&inodes->lock);
    if (directory->siblings)
        siblings_clear(directory->siblings);
    lock_release(&inodes->lock);
}

void inode_listed(struct inodes *inodes, struct inode *directory, struct inode *inode) {
    lock_acquire(&inodes->lock);
    if (!directory->siblings)
        directory->siblings = siblings_new();
    if (directory->siblings && inode->revision)
        inode->place = siblings_add(directory->siblings, inode->revision);
    lock_release(&inodes->lock);
}

unsigned inode_follow(struct inodes *inodes, struct inode *inode, struct revision *ret_revisions[SIBLINGS_PLAN]) {
    lock_acquire(&inodes->lock);
    const struct inode *parent = parent_of(inode);
    struct siblings *siblings = parent ? parent->siblings : NULL;
    unsigned count = siblings ? siblings_follow(siblings, inode->place, ret_revisions) : 0;
    lock_release(&inodes->lock);
    return count;
}

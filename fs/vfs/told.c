// SPDX-License-Identifier: Apache-2.0
/* What a store tells by itself (store.h, store_listener): first nothing that was asked for before is vouched for any more,
 * then the notes of inodes go, then the kernel is told. Without a coherence, it is told of locks only. */
#include <errno.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/vfs/doubts.h"
#include "fs/vfs/recall.h"

static void tell_kernel(struct vfs *vfs, struct doubts *doubts) {
    if (doubts->lost)
        log_error("no memory to tell the kernel of changes; it may believe for minutes what is not so any more");
    for (size_t i = 0; vfs->config.outdated && i < doubts->count; i++) {
        const struct doubt *doubt = &doubts->list[i];
        char name[NAMES_COMPONENT_MOST + 1];
        if (!doubt->name)
            vfs->config.outdated(vfs->config.outdated_context, doubt->inode, doubt->listing);
        else if (names_decode(doubt->name, strlen(doubt->name), name) == 0)
            vfs->config.outdated_name(vfs->config.outdated_context, doubt->inode, name);
    }
    doubts_done(doubts);
}

static void watching(void *context) {
    struct vfs *vfs = context;
    if (vfs->coherence)
        coherence_begin(vfs->coherence);
    locks_set_told(vfs->locks, true);
}

static void heard(void *context) {
    struct vfs *vfs = context;
    atomic_store(&vfs->heard_ms, clock_now_ms());
}

static void lost(void *context) {
    struct vfs *vfs = context;
    struct doubts doubts = {0};
    locks_set_told(vfs->locks, false);
    if (!vfs->coherence)
        return;
    coherence_end(vfs->coherence);
    xattr_ahead_forget(vfs->xattr_ahead, NULL, 0);
    doubts_all(vfs->inodes, &doubts);
    tell_kernel(vfs, &doubts);
}

/* Where it was is not told, so answers to all questions under way may be from before. */
static void take_file(struct vfs *vfs, const struct store_change *change, struct doubts *doubts) {
    xattr_ahead_forget(vfs->xattr_ahead, change->id, change->id_size);
    if (change->kind != STORE_CHANGE_CAME)
        coherence_touch_all(vfs->coherence);
    if (change->path)
        coherence_come(vfs->coherence, change->path);
    if (change->kind == STORE_CHANGE_CHANGED)
        doubts_changed_id(vfs->inodes, change->id, change->id_size, doubts);
    if (change->kind == STORE_CHANGE_WENT || change->kind == STORE_CHANGE_MOVED)
        doubts_went_id(vfs->inodes, change->id, change->id_size, change->path, doubts);
    if (change->kind == STORE_CHANGE_CAME || (change->kind == STORE_CHANGE_MOVED && change->path))
        doubts_came(vfs->inodes, change->path, change->id, change->id_size, doubts);
}

static void take_other(struct vfs *vfs, const struct store_change *change, struct doubts *doubts) {
    coherence_come(vfs->coherence, change->path);
    if (change->kind == STORE_CHANGE_CHANGED)
        doubts_changed(vfs->inodes, change->path, doubts);
    else if (change->kind == STORE_CHANGE_WENT)
        doubts_went(vfs->inodes, change->path, doubts);
    else
        doubts_came(vfs->inodes, change->path, NULL, 0, doubts);
}

static void take(struct vfs *vfs, const struct store_change *change) {
    struct doubts doubts = {0};
    if (change->kind == STORE_CHANGE_ANY) {
        coherence_touch_all(vfs->coherence);
        coherence_come_anywhere(vfs->coherence);
        xattr_ahead_forget(vfs->xattr_ahead, NULL, 0);
        doubts_all(vfs->inodes, &doubts);
    } else if (change->id) {
        take_file(vfs, change, &doubts);
    } else {
        take_other(vfs, change, &doubts);
    }
    tell_kernel(vfs, &doubts);
}

static void changed(void *context, const struct store_change *change) {
    struct vfs *vfs = context;
    if (change->kind == STORE_CHANGE_UNLOCKED)
        vfs_locks_wake(vfs, change->path);
    else if (vfs->coherence)
        take(vfs, change);
}

void vfs_note_put(struct vfs *vfs, const char *path) {
    if (vfs->coherence)
        take(vfs, &(struct store_change){.kind = STORE_CHANGE_CAME, .path = path});
}

void vfs_tell_of_name(struct vfs *vfs, const struct inode *parent, const char *stored) {
    char name[NAMES_COMPONENT_MOST + 1];
    if (vfs->config.outdated_name && names_decode(stored, strlen(stored), name) == 0)
        vfs->config.outdated_name(vfs->config.outdated_context, parent, name);
}

void vfs_note_there(struct vfs *vfs, struct inode *parent, const char *stored) {
    cleanup_free char *path = vfs->coherence ? inode_path(vfs->inodes, parent, stored) : NULL;
    if (path)
        vfs_note_put(vfs, path);
}

struct store_listener vfs_listener(struct vfs *vfs) {
    return (struct store_listener){.names = vfs->coherence != NULL,
                                   .locks = vfs->locks != NULL,
                                   .context = vfs,
                                   .watching = watching,
                                   .heard = heard,
                                   .lost = lost,
                                   .changed = changed};
}

bool vfs_is_told(struct vfs *vfs) {
    return vfs->coherence && coherence_vouches(vfs->coherence);
}

int64_t vfs_told_lag_ms(struct vfs *vfs) {
    int64_t heard_ms = atomic_load(&vfs->heard_ms);
    return heard_ms ? clock_now_ms() - heard_ms : -1;
}

/* ---- what is doubtful is asked for ---- */

static int confirm_at(struct vfs *vfs, struct inode *inode, const char *path) {
    struct store *store = inode_store(inode);
    struct store_entry entry = {0};
    uint64_t moment = inode_moment(vfs->inodes);
    struct coherence_moment asked = vfs_moment_above(vfs, path);
    const char *witness = inode_type(inode) == STORE_FILE ? path : NULL;
    int result = store->ops->lookup(store, path, witness, &entry);
    if (result && result != -ENOENT)
        return result;
    struct inode_found found = {.kind = inode_kind(inode), .store = store, .entry = &entry, .since = &moment,
                                .asked = &asked};
    if (result == -ENOENT)
        result = inode_is_ours(vfs->inodes, inode) ? 0 : -ESTALE;
    else
        result = inode_confirm(vfs->inodes, inode, &found);
    store_entry_done(&entry);
    if (result == -ESTALE)
        inode_drop_path(vfs->inodes, inode, path, moment);
    return result;
}

/* By the first of its names that leads to it still. */
static int confirm(struct vfs *vfs, struct inode *inode) {
    char **paths = inode_paths(vfs->inodes, inode);
    int result = paths ? -ESTALE : -ENOMEM;
    for (char **path = paths; result == -ESTALE && *path; path++)
        result = confirm_at(vfs, inode, *path);
    server_free_names(paths);
    return result;
}

/* The attributes of an open file are asked for by name or by handle, which the kernel does not say. A handle has what it
 * has; so the name must go, and is looked up the next time. */
static bool is_open(struct vfs *vfs, struct inode *inode) {
    struct doubts doubts = {0};
    bool open = doubts_names(vfs->inodes, inode, &doubts);
    tell_kernel(vfs, &doubts);
    return open;
}

int vfs_confirm(struct vfs *vfs, struct inode *inode, bool *ret_believed) {
    int result = inode_is_doubtful(vfs->inodes, inode) && !recall_is_due(vfs) ? confirm(vfs, inode) : 0;
    if (recall_may(vfs, result))
        result = 0;
    if (result == -ESTALE && is_open(vfs, inode))
        result = 0;
    if (result == 0)
        *ret_believed = inode_believe(vfs->inodes, inode);
    return result;
}

struct coherence_moment vfs_moment_above(struct vfs *vfs, const char *path) {
    const char *slash = strrchr(path, '/');
    return vfs_moment_in(vfs, path, slash ? (size_t)(slash - path) : 0);
}

struct coherence_moment vfs_moment_in(struct vfs *vfs, const char *directory, size_t size) {
    return vfs->coherence ? coherence_moment(vfs->coherence, directory, size) : (struct coherence_moment){0};
}

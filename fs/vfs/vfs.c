// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/names.h"
#include "fs/vfs/recall.h"

int vfs_new(const struct vfs_config *config, struct vfs **ret_vfs) {
    struct vfs *vfs = calloc(1, sizeof *vfs);
    if (!vfs)
        return -ENOMEM;
    vfs->config = *config;
    lock_init(&vfs->lock, LOCK_HANDLE);
    retries_init(&vfs->retries);
    turns_init(&vfs->turns);
    waiting_init(&vfs->waiting);
    vfs->started = time(NULL);
    struct inode_found root = {.kind = INODE_BUCKETS};
    int result = 0;
    if (strcmp(config->bucket, "*") != 0) {
        root.kind = INODE_STORED;
        result = config->server->ops->bucket(config->server, config->bucket, &root.store);
    }
    if (result == 0 && !(vfs->inodes = inodes_new(&root)))
        result = -ENOMEM;
    if (result == 0 && !(vfs->busiest = busiest_new()))
        result = -ENOMEM;
    if (result == 0 && !(vfs->xattr_ahead = xattr_ahead_new(config->trust_ms)))
        result = -ENOMEM;
    if (result == 0)
        result = recovery_init(vfs);
    if (result == 0 && config->told && !(vfs->coherence = coherence_new()))
        result = -ENOMEM;
    if (result == 0)
        inodes_set_coherence(vfs->inodes, vfs->coherence);
    if (result == 0 && config->cluster_locks && !(vfs->locks = locks_new(vfs)))
        result = -ENOMEM;
    if (result)
        vfs_free(vfs);
    else
        *ret_vfs = vfs;
    return result;
}

void vfs_settle(struct vfs *vfs) {
    while (vfs->handles)
        vfs_close(vfs, vfs->handles);
    if (vfs->inodes)
        chores_settle(vfs);
}

struct vfs *vfs_free(struct vfs *vfs) {
    if (vfs) {
        vfs_settle(vfs);
        locks_free(vfs->locks);
        inodes_free(vfs->inodes);
        recovery_done(vfs);
        coherence_free(vfs->coherence);
        busiest_free(vfs->busiest);
        xattr_ahead_free(vfs->xattr_ahead);
        waiting_done(&vfs->waiting);
        turns_done(&vfs->turns);
        retries_done(&vfs->retries);
        lock_done(&vfs->lock);
        free(vfs);
    }
    return NULL;
}

struct inode *vfs_root(struct vfs *vfs) {
    return inodes_root(vfs->inodes);
}

enum { LOOKUP_TRIES = 3 };

/* Whether a name has another path than when it was asked for: a directory above it was renamed. */
static bool has_moved(struct vfs *vfs, struct inode *parent, const char *stored, const char *path) {
    cleanup_free char *now = inode_path(vfs->inodes, parent, stored);
    return now && strcmp(now, path) != 0;
}

/* Again, since then the answer may be from before. */
int vfs_ask(struct vfs *vfs, struct inode *parent, const char *stored, struct inode **ret_inode) {
    struct store *store = inode_store(parent);
    struct store_entry entry = {0};
    uint64_t moment = 0;
    struct coherence_moment asked = {0}, absent = {0};
    int result = -ENOENT;
    for (int i = 0; i < LOOKUP_TRIES; i++) {
        moment = inode_moment(vfs->inodes);
        cleanup_free char *path = inode_path(vfs->inodes, parent, stored);
        cleanup_free char *witness = path ? inode_witness(vfs->inodes, parent, stored, path) : NULL;
        if (!path)
            return -ENOMEM;
        store_entry_done(&entry);
        asked = vfs_moment_above(vfs, path);
        absent = vfs_moment_in(vfs, path, strlen(path));
        result = store->ops->lookup(store, path, witness, &entry);
        if (!inode_changed_since(vfs->inodes, parent, stored, moment) && !has_moved(vfs, parent, stored, path))
            break;
    }
    if (result == -ENOENT) {
        inode_drop(vfs->inodes, parent, stored, &moment);
        inode_note_missing(vfs->inodes, parent, stored, moment, &absent);
    }
    if (result)
        return result;
    struct inode_found found = {.kind = INODE_STORED, .store = store, .entry = &entry, .since = &moment,
                                .asked = &asked};
    result = inode_adopt(vfs->inodes, parent, stored, &found, ret_inode);
    if (result)
        store_entry_done(&entry);
    return result;
}

static int lookup_name(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode) {
    char stored[NAMES_STORED_MOST + 1];
    int result = names_encode(name, stored);
    if (result)
        return result == -EINVAL ? -ENOENT : result;
    if (inode_find_unpublished(vfs->inodes, parent, stored, ret_inode)) /* the database does not know it yet */
        return 0;
    if (recall_is_due(vfs) && recall_name(vfs, parent, stored, ret_inode))
        return 0;
    if (inode_believe_missing(vfs->inodes, parent, stored))
        return -ENOENT;
    result = vfs_ask(vfs, parent, stored, ret_inode);
    return recall_may(vfs, result) && recall_name(vfs, parent, stored, ret_inode) ? 0 : result;
}

char *vfs_path(const struct vfs *vfs, const struct inode *inode, const char *name) {
    return inode_path_in_mount(vfs->inodes, inode, name);
}

int vfs_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct vfs_entry *ret_entry) {
    stats_add(STAT_lookups, 1);
    bool stored = inode_kind(parent) == INODE_STORED && !control_is(vfs, parent, name);
    struct inode *inode;
    int result = stored ? lookup_name(vfs, parent, name, &inode) : control_lookup(vfs, parent, name, &inode);
    if (result)
        return result;
    ret_entry->inode = inode;
    ret_entry->believed = inode_believe(vfs->inodes, inode);
    vfs_fill_inode(vfs, inode, &ret_entry->attributes);
    return 0;
}

void vfs_looked_in_vain(struct vfs *vfs, const struct vfs_caller *caller) {
    retries_forget(&vfs->retries, caller->pid);
}

void vfs_forget(struct vfs *vfs, struct inode *inode, uint64_t lookups) {
    inode_forget(vfs->inodes, inode, lookups);
}

int vfs_attributes(struct vfs *vfs, struct inode *inode, struct stat *ret_attributes) {
    vfs_fill_inode(vfs, inode, ret_attributes);
    return 0;
}

int vfs_readlink(struct vfs *vfs, struct inode *inode, char **ret_target) {
    cleanup_free char *stored = inode_target(vfs->inodes, inode);
    if (!stored)
        return -EINVAL;
    char *target = names_decode_target(stored);
    if (!target)
        return -ENOMEM;
    *ret_target = target;
    return 0;
}

static int open_text(struct vfs *vfs, struct inode *inode, struct handle *handle) {
    enum vfs_text which = (enum vfs_text)(inode_kind(inode) - INODE_STATUS);
    cleanup_free char *text = vfs->config.text(vfs->config.text_context, which);
    if (!text)
        return -ENOMEM;
    size_t size = strlen(text);
    handle->text = blob_new(chunks_budget(vfs->config.chunks), size);
    if (!handle->text)
        return -ENOMEM;
    memcpy(handle->text->bytes, text, size);
    return 0;
}

/* A program that reads the small files of a directory in order gets their content in batches. */
static void fetch_siblings(struct vfs *vfs, struct inode *inode) {
    struct revision *revisions[SIBLINGS_PLAN];
    struct chunk_file files[SIBLINGS_PLAN];
    unsigned count = inode_follow(vfs->inodes, inode, revisions);
    for (unsigned i = 0; i < count; i++) {
        files[i] = (struct chunk_file){.chunk_size = (uint32_t)revisions[i]->length, .handle = revisions[i]};
        memcpy(files[i].revision, revisions[i]->key, sizeof files[i].revision);
    }
    if (count)
        chunks_prefetch_heads(vfs->config.chunks, files, count);
    for (unsigned i = 0; i < count; i++)
        revision_unref(revisions[i]);
}

int vfs_check_damage(struct vfs *vfs, struct inode *inode) {
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    if (!revision || !revision->damage)
        return 0;
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    log_error("file '%s' cannot be read: %s", path ? path : "?", revision->damage);
    stats_add(STAT_damaged_chunks, 1);
    return -EIO;
}

static int open_for_writing(struct vfs *vfs, struct inode *inode, int flags, const struct vfs_caller *caller,
                            struct handle *handle) {
    int result = vfs_may_change(vfs, inode);
    if (result)
        return result;
    handle->writable = true;
    handle->writers[handle->writer_count++] = caller->pid;
    inode_writer(vfs->inodes, inode, 1); /* first: the written side goes with the last writer */
    result = vfs_file(vfs, inode, &handle->file);
    return result == 0 && flags & O_TRUNC ? vfs_cut(vfs, inode, handle->file, 0) : result;
}

static int open_stored(struct vfs *vfs, struct inode *inode, int flags, const struct vfs_caller *caller,
                       struct handle *handle) {
    bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;
    int result = vfs_open_newest(vfs, inode, caller);
    if (result == 0 && !(flags & O_TRUNC))
        result = vfs_check_damage(vfs, inode);
    if (result)
        return result;
    handle->stored = true;
    inode_opened(vfs->inodes, inode);
    if (!writes)
        fetch_siblings(vfs, inode);
    else
        result = open_for_writing(vfs, inode, flags, caller, handle);
    return result == 0 && !(flags & (O_WRONLY | O_TRUNC)) ? proving_open(vfs, handle) : result;
}

/* Publishes what a handle leaves behind: pages of an mmap come after the last close. */
static void close_writer(struct vfs *vfs, const struct handle *handle) {
    int result = handle->file ? vfs_publish_later(vfs, handle->inode) : 0;
    if (result)
        chores_keep_unsaved(vfs, handle->inode, result);
    inode_writer(vfs->inodes, handle->inode, -1);
}

static void close_parts(struct vfs *vfs, struct handle *handle) {
    if (handle->writable)
        close_writer(vfs, handle);
    if (handle->lock_path)
        locks_close(vfs, handle);
    file_unref(handle->file);
    if (handle->stored)
        inode_closed(vfs->inodes, handle->inode);
    blob_unref(handle->text);
    directory_free(handle->directory);
    if (handle->caching)
        inode_close_listing(vfs->inodes, handle->inode);
    server_free_names(handle->unpublished);
}

int vfs_keep_handle(struct vfs *vfs, struct handle *handle, struct handle **ret_handle) {
    struct handle *kept = malloc(sizeof *kept);
    if (!kept) {
        close_parts(vfs, handle);
        return -ENOMEM;
    }
    *kept = *handle;
    inode_hold(vfs->inodes, kept->inode);
    lock_acquire(&vfs->lock);
    DL_APPEND(vfs->handles, kept);
    lock_release(&vfs->lock);
    *ret_handle = kept;
    return 0;
}

int vfs_open(struct vfs *vfs, struct inode *inode, int flags, const struct vfs_caller *caller,
             struct handle **ret_handle, bool *ret_live) {
    struct handle handle = {.inode = inode};
    bool text = inode_kind_is_text(inode_kind(inode));
    stats_add(STAT_opens, 1);
    if (text && (flags & O_ACCMODE) != O_RDONLY)
        return -EROFS;
    int result = text ? open_text(vfs, inode, &handle) : open_stored(vfs, inode, flags, caller, &handle);
    if (result)
        close_parts(vfs, &handle);
    else
        result = vfs_keep_handle(vfs, &handle, ret_handle);
    if (result == 0)
        *ret_live = text;
    return result;
}

char *vfs_busiest(struct vfs *vfs, unsigned i, uint64_t *ret_bytes) {
    return busiest_get(vfs->busiest, i, ret_bytes);
}

void vfs_close(struct vfs *vfs, struct handle *handle) {
    lock_acquire(&vfs->lock);
    DL_DELETE(vfs->handles, handle);
    lock_release(&vfs->lock);
    close_parts(vfs, handle);
    inode_release(vfs->inodes, handle->inode);
    free(handle);
}

void vfs_statistics(struct vfs *vfs, struct statvfs *ret_statistics) {
    (void)vfs;
    *ret_statistics = (struct statvfs){.f_bsize = 4096,
                                       .f_frsize = 4096,
                                       .f_blocks = 1ull << 38, /* 1 PiB */
                                       .f_bfree = 1ull << 38,
                                       .f_bavail = 1ull << 38,
                                       .f_files = 1ull << 32,
                                       .f_ffree = 1ull << 32,
                                       .f_namemax = NAMES_COMPONENT_MOST};
}

void vfs_recover(struct vfs *vfs) {
    recovery_try(vfs);
}

void vfs_stop_recovering(struct vfs *vfs) {
    recovery_stop(vfs);
}

void vfs_check(struct vfs *vfs) {
    inodes_check(vfs->inodes);
}

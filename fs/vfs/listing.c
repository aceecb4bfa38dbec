// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "fs/store/names.h"
#include "fs/vfs/directory.h"
#include "fs/vfs/recall.h"

/* Offsets: 0 the start, 1 behind ".", 2 behind "..", 3 behind ".gridfs", where that shows or not, position + 4 behind the
 * entry at a position; from UNPUBLISHED on, the files that the database does not know yet. */
enum { CONTROL = 2, BEHIND_DOTS = 3 };
#define UNPUBLISHED (UINT64_C(1) << 48)

int vfs_open_directory(struct vfs *vfs, struct inode *inode, struct handle **ret_handle) {
    char **names = NULL;
    int own = control_names(vfs, inode, &names);
    if (own < 0)
        return own;
    struct handle handle = {.inode = inode};
    cleanup_free char *path = own ? NULL : inode_path(vfs->inodes, inode, NULL);
    if (own)
        handle.directory = directory_of_names(names);
    else if (path)
        handle.directory = directory_new(inode_store(inode), path, vfs->config.listers);
    return handle.directory ? vfs_keep_handle(vfs, &handle, ret_handle) : -ENOMEM;
}

_Static_assert((int)VFS_LISTING_FRESH == (int)INODE_LISTING_FRESH && (int)VFS_LISTING_KEPT == (int)INODE_LISTING_KEPT,
               "the same answers");

enum vfs_listing vfs_open_listing(struct vfs *vfs, struct handle *handle) {
    if (inode_kind(handle->inode) != INODE_STORED)
        return VFS_LISTING_ASKED;
    cleanup_with(keys_unref) struct keys *keys = NULL;
    enum vfs_listing listing = (enum vfs_listing)inode_open_listing(vfs->inodes, handle->inode, &keys);
    handle->caching = listing != VFS_LISTING_ASKED;
    /* What the kernel drops while it is read is asked of this handle, by the positions that the kernel knows. */
    if (keys && directory_begin(handle->directory, keys)) {
        inode_close_listing(vfs->inodes, handle->inode);
        handle->caching = false;
        listing = VFS_LISTING_ASKED;
    }
    return listing;
}

/* An entry with an inode that the kernel may keep. */
static int adopt(struct vfs *vfs, struct handle *handle, const char *stored, struct store_item *item,
                 struct vfs_entry *ret_entry) {
    struct store *store = inode_store(handle->inode);
    struct store_entry entry = item->entry;
    if (entry.revision)
        revision_ref(entry.revision);
    entry.target = item->entry.target ? strdup(item->entry.target) : NULL;
    entry.witness = item->entry.witness ? strdup(item->entry.witness) : NULL;
    struct inode_found found = {.kind = INODE_STORED, .store = store, .entry = &entry, .since = &handle->moment,
                                .asked = &handle->asked};
    int result = inode_adopt(vfs->inodes, handle->inode, stored, &found, &ret_entry->inode);
    if (result) {
        store_entry_done(&entry);
        return result;
    }
    inode_listed(vfs->inodes, handle->inode, ret_entry->inode);
    ret_entry->believed = inode_believe(vfs->inodes, ret_entry->inode);
    vfs_fill_inode(vfs, ret_entry->inode, &ret_entry->attributes);
    return 0;
}

/* What an entry is shown as. Of a name whose revisions are shown, as the directory that has them; others have none. */
static bool shown_kind(const struct handle *handle, const struct store_item *item, enum store_kind *ret_kind) {
    bool has_past = inode_kind(handle->inode) == INODE_HISTORY && item->entry.revision;
    *ret_kind = has_past ? STORE_DIRECTORY : item->entry.kind;
    return inode_kind(handle->inode) != INODE_HISTORY || *ret_kind == STORE_DIRECTORY || *ret_kind == STORE_FILE;
}

static int give_item(struct vfs *vfs, struct handle *handle, struct store_item *item, uint64_t next,
                     bool with_inodes, const struct vfs_taker *taker, bool *ret_full) {
    char name[NAMES_COMPONENT_MOST + 1], stored[NAMES_STORED_MOST + 2];
    struct vfs_entry entry = {0};
    bool is_stored = inode_kind(handle->inode) == INODE_STORED;
    bool is_encoded = is_stored || inode_kind(handle->inode) == INODE_HISTORY;
    enum store_kind kind;
    size_t size = strlen(item->key);
    size -= item->key[size - 1] == '/';
    if (size > NAMES_STORED_MOST || (is_encoded && names_decode(item->key, size, name)) ||
        !shown_kind(handle, item, &kind))
        return 0;
    snprintf(stored, sizeof stored, "%.*s", (int)size, item->key);
    const char *shown = is_encoded ? name : stored;
    *ret_full = !taker->fits(taker->context, shown);
    if (*ret_full)
        return 0;
    if (handle->recalled) {
        if (recall_entry(vfs, handle, stored, item, with_inodes, &entry))
            taker->take(taker->context, shown, &entry, next);
        return 0;
    }
    int result = 0;
    entry.old = is_stored && clock_now_ms() - item->read_ms > vfs->config.trust_ms;
    bool crossed = inode_changed_since(vfs->inodes, handle->inode, stored, handle->moment);
    if (with_inodes && is_stored && !crossed) /* else it is looked up when it is used */
        result = adopt(vfs, handle, stored, item, &entry);
    else
        vfs_fill(vfs, kind, inode_number_at(handle->inode, stored, is_stored ? &item->entry : NULL),
                 item->entry.kind == STORE_FILE ? NULL : &item->entry.attributes, item->entry.revision,
                 &entry.attributes);
    if (result == 0)
        taker->take(taker->context, shown, &entry, next);
    return result;
}

static bool give_dots(struct vfs *vfs, struct handle *handle, uint64_t *offset,
                      const struct vfs_taker *taker) {
    static const char *const names[] = {".", "..", NAMES_CONTROL};
    bool control = vfs->config.shows_control && control_is(vfs, handle->inode, NAMES_CONTROL);
    for (; *offset < BEHIND_DOTS; ++*offset) {
        struct vfs_entry entry = {0};
        if (*offset == CONTROL && !control)
            continue;
        if (!taker->fits(taker->context, names[*offset]))
            return false;
        vfs_fill_inode(vfs, handle->inode, &entry.attributes);
        if (*offset == CONTROL)
            entry.attributes.st_ino = inode_number_at(handle->inode, NAMES_CONTROL, NULL);
        taker->take(taker->context, names[*offset], &entry, *offset + 1);
    }
    return true;
}

/* A file that was unpublished when the listing began, and has not been among what the database gave. */
static bool give_unpublished(struct vfs *vfs, struct handle *handle, const char *stored, uint64_t next,
                             bool with_inodes, const struct vfs_taker *taker) {
    char name[NAMES_COMPONENT_MOST + 1];
    struct vfs_entry entry = {0};
    if (directory_gave(handle->directory, stored) || names_decode(stored, strlen(stored), name))
        return true;
    if (!taker->fits(taker->context, name))
        return false;
    struct inode *inode = inode_at(vfs->inodes, handle->inode, stored);
    if (!inode)
        return true; /* removed meanwhile */
    vfs_fill_inode(vfs, inode, &entry.attributes);
    if (with_inodes && inode_find_unpublished(vfs->inodes, handle->inode, stored, &entry.inode))
        vfs_fill_inode(vfs, entry.inode, &entry.attributes);
    inode_release(vfs->inodes, inode);
    taker->take(taker->context, name, &entry, next);
    return true;
}

static void give_all_unpublished(struct vfs *vfs, struct handle *handle, uint64_t offset, bool with_inodes,
                                 const struct vfs_taker *taker) {
    uint64_t i = 0, first = offset > UNPUBLISHED ? offset - UNPUBLISHED : 0;
    for (; handle->unpublished && handle->unpublished[i]; i++)
        if (i >= first &&
            !give_unpublished(vfs, handle, handle->unpublished[i], UNPUBLISHED + i + 1, with_inodes, taker))
            return;
}

static int begin_listing(struct vfs *vfs, struct handle *handle) {
    server_free_names(steal_ptr(&handle->unpublished));
    handle->moment = inode_moment(vfs->inodes);
    if (vfs->coherence && inode_kind(handle->inode) == INODE_STORED) {
        cleanup_free char *path = inode_path(vfs->inodes, handle->inode, NULL);
        handle->asked = path ? vfs_moment_in(vfs, path, strlen(path)) : (struct coherence_moment){0};
    }
    cleanup_with(keys_unref) struct keys *keys = handle->caching ? inode_listing(vfs->inodes, handle->inode) : NULL;
    int result = directory_begin(handle->directory, keys);
    if (result)
        return result;
    handle->recalled = recall_is_due(vfs) && recall_listing(vfs, handle);
    inode_begin_listing(vfs->inodes, handle->inode);
    return inode_unpublished_in(vfs->inodes, handle->inode, &handle->unpublished);
}

/* All was given: whoever opens it next may be given it by the kernel, or while the server is away. */
static void end_listing(struct vfs *vfs, struct handle *handle) {
    if (inode_kind(handle->inode) != INODE_STORED)
        return;
    cleanup_with(keys_unref) struct keys *keys = directory_keys(handle->directory);
    if (keys && vfs->config.recalls)
        inode_listed_all(vfs->inodes, handle->inode, keys, handle->moment);
    if (keys && handle->caching && !handle->unpublished)
        inode_end_listing(vfs->inodes, handle->inode, keys, &handle->asked);
}

int vfs_read_directory(struct vfs *vfs, struct handle *handle, uint64_t offset, bool with_inodes,
                       const struct vfs_taker *taker) {
    stats_add(STAT_directory_reads, 1);
    int result = offset == 0 ? begin_listing(vfs, handle) : 0;
    bool given = false; /* an entry of the database: dots alone are no answer */
    if (result || !give_dots(vfs, handle, &offset, taker))
        return result;
    for (bool full = false; offset < UNPUBLISHED; given = true) {
        struct store_item *item;
        uint64_t position;
        result = directory_get(handle->directory, offset - BEHIND_DOTS, &position, &item);
        if (result > 0) {
            offset = position + BEHIND_DOTS + 1;
            result = give_item(vfs, handle, item, offset, with_inodes, taker, &full);
            if (result == 0 && !full)
                continue;
        } else if (offset == BEHIND_DOTS && recall_may(vfs, result) && recall_listing(vfs, handle)) {
            continue;
        }
        /* What was given is given; the error comes again with the next question. */
        if (result < 0 || full)
            return result < 0 && !given ? result : 0;
        break;
    }
    end_listing(vfs, handle);
    give_all_unpublished(vfs, handle, offset, with_inodes, taker);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* .gridfs/revisions/<path>/<uploadDate>-<_id>: each name of the bucket is a directory there. That of a directory has its
 * entries, that of a file its revisions, as read-only files. A name that was removed is not listed, but can be looked up
 * for as long as a revision of it, or below it, is still to be had.
 *
 * A directory that shadows a file has its own entries in its listing; the file's revisions can be looked up. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "fs/vfs/vfs_private.h"

#define UNDATED "undated-"

/* As 2026-11-29T10:41:52.123Z-<_id>: in the order of their dates. To be freed; NULL without memory. */
static char *name_of(const struct store_past *past) {
    int64_t date = past->revision->date_ms, below = date % 1000;
    time_t seconds = (time_t)(date / 1000) - (below < 0);
    char text[64], *name = NULL;
    struct tm parts;
    bool dated = date != INT64_MIN && gmtime_r(&seconds, &parts) && strftime(text, sizeof text, "%FT%T", &parts) > 0;
    int size = dated ? asprintf(&name, "%s.%03dZ-%s", text, (int)(below < 0 ? below + 1000 : below), past->id)
                     : asprintf(&name, UNDATED "%s", past->id);
    return size < 0 ? NULL : name;
}

/* The _id in such a name; NULL: it is none. */
static const char *id_in(const char *name) {
    if (strncmp(name, UNDATED, strlen(UNDATED)) == 0)
        return name + strlen(UNDATED);
    const char *end = strchr(name, 'Z');
    return end && end[1] == '-' ? end + 2 : NULL;
}

/* ---- lookup ---- */

static int adopt(struct vfs *vfs, struct inode *parent, const char *stored, enum inode_kind kind,
                 struct store_entry *entry, struct inode **ret_inode) {
    struct inode_found found = {.kind = kind, .store = inode_store(parent), .entry = entry};
    return inode_adopt(vfs->inodes, parent, stored, &found, ret_inode);
}

int history_find(struct store *store, const char *path, const char *name, struct revision **ret_revision) {
    const char *id = id_in(name);
    struct store_past *list = NULL;
    uint32_t count = 0;
    int result = id && *path ? store->ops->history(store, path, id, 1, &list, &count) : -ENOENT;
    if (result)
        return result == -EINVAL ? -ENOENT : result;
    result = -ENOENT;
    for (uint32_t i = 0; result == -ENOENT && i < count; i++) {
        cleanup_free char *is = name_of(&list[i]);
        result = !is ? -ENOMEM : strcmp(is, name) == 0 ? 0 : -ENOENT;
        if (result == 0)
            *ret_revision = revision_ref(list[i].revision);
    }
    store_pasts_free(list, count);
    return result;
}

/* A revision of the file whose directory `parent` is. */
static int look_up_revision(struct vfs *vfs, struct inode *parent, const char *stored, struct inode **ret_inode) {
    cleanup_free char *path = inode_path(vfs->inodes, parent, NULL);
    struct store_entry entry = {.kind = STORE_FILE};
    int result = path ? history_find(inode_store(parent), path, stored, &entry.revision) : -ENOMEM;
    if (result == 0)
        result = adopt(vfs, parent, stored, INODE_BY_ID, &entry, ret_inode);
    store_entry_done(&entry);
    return result;
}

/* A file or directory that is at a path or, as far as is still known, was. */
static int look_up_path(struct vfs *vfs, struct inode *parent, const char *stored, struct inode **ret_inode) {
    struct store *store = inode_store(parent);
    cleanup_free char *path = inode_path(vfs->inodes, parent, stored);
    struct store_entry entry = {0};
    if (!path)
        return -ENOMEM;
    int result = store->ops->lookup(store, path, NULL, &entry);
    bool there = result == 0 && (entry.kind == STORE_FILE || entry.kind == STORE_DIRECTORY);
    store_entry_done(&entry);
    if (result && result != -ENOENT)
        return result;
    result = there ? 1 : store->ops->is_retired(store, path);
    if (result <= 0)
        return result ? result : -ENOENT;
    return adopt(vfs, parent, stored, INODE_HISTORY, NULL, ret_inode);
}

int history_lookup(struct vfs *vfs, struct inode *parent, const char *name, struct inode **ret_inode) {
    char stored[NAMES_STORED_MOST + 1];
    int result = names_encode(name, stored);
    if (result)
        return result == -EINVAL ? -ENOENT : result;
    result = look_up_revision(vfs, parent, stored, ret_inode);
    return result == -ENOENT ? look_up_path(vfs, parent, stored, ret_inode) : result;
}

/* ---- listing ---- */

static int list_revisions(struct store *store, const char *path, char ***ret_names) {
    struct store_past *list = NULL;
    uint32_t count = 0, used = 0;
    int result = store->ops->history(store, path, NULL, STORE_PAST_MOST, &list, &count);
    if (result)
        return result;
    char **names = calloc((size_t)count + 1, sizeof *names);
    bool lost = !names;
    for (uint32_t i = 0; !lost && i < count; i++) {
        cleanup_free char *name = name_of(&list[i]);
        lost = !name;
        if (name && strlen(name) <= NAMES_COMPONENT_MOST) /* no longer one can be looked up */
            names[used++] = steal_ptr(&name);
    }
    store_pasts_free(list, count);
    if (!lost) {
        *ret_names = names;
        return 1;
    }
    server_free_names(names);
    return -ENOMEM;
}

int history_names(struct vfs *vfs, struct inode *inode, char ***ret_names) {
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    struct store_entry entry = {0};
    if (!path)
        return -ENOMEM;
    int result = store->ops->lookup(store, path, NULL, &entry);
    bool directory = result == 0 && entry.kind == STORE_DIRECTORY;
    store_entry_done(&entry);
    if (result && result != -ENOENT)
        return result;
    return directory ? 0 : list_revisions(store, path, ret_names);
}

/* ---- of any path ---- */

/* The store of a path in the mount; *path goes on to what is below it. */
static int find_store(struct vfs *vfs, const char **path, struct store **ret_store) {
    struct inode *root = vfs_root(vfs);
    *ret_store = inode_store(root);
    if (inode_kind(root) != INODE_BUCKETS)
        return 0;
    const char *slash = strchr(*path, '/');
    cleanup_free char *bucket = slash ? strndup(*path, (size_t)(slash - *path)) : NULL;
    if (!bucket)
        return slash ? -ENOMEM : -ENOENT;
    *path = slash + 1;
    return control_bucket(vfs, bucket, ret_store);
}

int vfs_history(struct vfs *vfs, const char *path, uint32_t most, struct store_past **ret_list, uint32_t *ret_count) {
    struct store *store;
    int result = find_store(vfs, &path, &store);
    if (result)
        return result;
    size_t size = strlen(path);
    if (!names_is_path(path, size) || names_skip_spelling(path, size)) /* which no file here can be called */
        return -ENOENT;
    result = store->ops->history(store, path, NULL, most, ret_list, ret_count);
    if (result || *ret_count)
        return result;
    store_pasts_free(*ret_list, 0);
    return -ENOENT;
}

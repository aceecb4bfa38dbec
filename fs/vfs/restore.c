// SPDX-License-Identifier: Apache-2.0
/* An older revision is brought back: its content is put once more, from the database to the database. Nothing of it is
 * staged, and no inode stands for it before it is stored; so there is nothing half done to be seen, whoever dies.
 *
 * Inodes go the way of a put by another client: those who have the file open go on with what they have, and an open asks. */
#include <errno.h>
#include <string.h>

#include "fs/vfs/vfs_private.h"

static int read_published(void *context, int64_t offset, size_t size, void *into) {
    unsigned char *at = into;
    while (size) {
        struct reader_view views[READER_VIEWS];
        unsigned count;
        int result = published_read(context, offset, size, views, &count);
        if (result || count == 0)
            return result ? result : -EIO;
        for (unsigned i = 0; i < count; i++) {
            memcpy(at, views[i].bytes, views[i].size);
            at += views[i].size;
            offset += (int64_t)views[i].size;
            size -= views[i].size;
        }
        reader_release(views, count);
    }
    return 0;
}

static bool is_clean(void *context, int64_t offset, size_t size) {
    (void)context, (void)offset, (void)size;
    return true;
}

/* By its whole name: an application may have put another content under the _id right now. */
static int find_revision(struct store *store, const char *path, const char *name, struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    int result = history_find(store, path, name, &revision);
    if (result == 0 && revision->damage)
        result = -EIO;
    if (result == 0)
        *ret_revision = steal_ptr(&revision);
    return result;
}

/* Puts the content of put->restored. */
static int put_again(struct vfs *vfs, struct store *store, struct revision *restored, struct store_put *put) {
    cleanup_with(published_unref) struct published *published = published_new(vfs->config.chunks, restored);
    cleanup_with(revision_unref) struct revision *made = NULL;
    if (!published)
        return -ENOMEM;
    struct store_content content = {.context = published,
                                    .length = restored->length,
                                    .read = read_published,
                                    .source = restored,
                                    .is_clean = is_clean,
                                    .holes = restored->holes,
                                    .hole_count = restored->hole_count};
    put->content = &content;
    put->restored = restored;
    return store->ops->put(store, put, &made);
}

/* It changes now. Mode and owner are those that it has, or had. */
static struct attributes attributes_now(const struct revision *of) {
    struct attributes attributes = of->attributes;
    attributes.atime_ns = attributes.mtime_ns = attributes.ctime_ns = vfs_now_ns();
    attributes.has |= ATTRIBUTES_ATIME | ATTRIBUTES_MTIME | ATTRIBUTES_CTIME;
    if (!(attributes.has & ATTRIBUTES_FILE))
        attributes_new_file(&attributes);
    return attributes;
}

/* ---- over what is there ---- */

static bool is_written(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    return inode_writers(vfs->inodes, inode) > 0 || (file && vfs_is_unstored(vfs, inode, file));
}

static int restore_over(struct vfs *vfs, struct inode *inode, const char *name) {
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    cleanup_with(revision_unref) struct revision *restored = NULL, *newest = NULL;
    if (!path)
        return -ENOMEM;
    if (inode_is_removed(vfs->inodes, inode))
        return -ENOENT;
    if (is_written(vfs, inode))
        return -EBUSY;
    int result = find_revision(store, path, name, &restored);
    if (result == 0)
        result = store->ops->newest(store, path, &newest);
    if (result || revision_same_content(newest, restored))
        return result;
    struct attributes attributes = attributes_now(newest);
    struct store_put put = {
        .path = path, .base = newest, .follow = true, .attributes = &attributes, .unless_replaced = true};
    result = put_again(vfs, store, restored, &put);
    inode_set_unchecked(vfs->inodes, inode); /* it may be there although the answer was lost */
    vfs_note_put(vfs, path);
    return result;
}

/* ---- where nothing is ---- */

static int restore_absent(struct vfs *vfs, struct inode *parent, const char *stored, const char *name) {
    struct store *store = inode_store(parent);
    cleanup_free char *path = inode_path(vfs->inodes, parent, stored);
    cleanup_with(revision_unref) struct revision *restored = NULL;
    struct store_lease *lease = NULL;
    struct inode *there = inode_at(vfs->inodes, parent, stored);
    bool unpublished = there && inode_is_unpublished(vfs->inodes, there);
    if (there)
        inode_release(vfs->inodes, there);
    if (!path || unpublished)
        return path ? -EEXIST : -ENOMEM;
    int result = find_revision(store, path, name, &restored);
    if (result == 0)
        result = store->ops->reserve(store, path, &lease);
    if (result)
        return result;
    struct attributes attributes = attributes_now(restored);
    attributes_new_file(&attributes); /* what it was may live on under another name */
    attributes.has &= ~(unsigned)ATTRIBUTES_LINKS;
    struct store_put put = {.path = path, .attributes = &attributes, .lease = lease};
    inode_note_change(vfs->inodes, parent, stored);
    result = put_again(vfs, store, restored, &put);
    inode_note_change(vfs->inodes, parent, stored);
    store->ops->release(store, lease);
    vfs_note_put(vfs, path);
    vfs_tell_of_name(vfs, parent, stored);
    if (result == 0)
        vfs_touch_directory(vfs, parent);
    return result;
}

/* ---- what is asked for ---- */

int vfs_restore(struct vfs *vfs, struct inode *inode, const char *value, size_t size, const struct vfs_caller *caller) {
    char stored[NAMES_STORED_MOST + 1];
    cleanup_free char *text = strndup(value, size);
    int result = vfs_may_change(vfs, inode);
    if (result || !text)
        return result ? result : -ENOMEM;
    if (strlen(text) != size)
        return -EINVAL;
    if (caller->uid != 0 && caller->uid != vfs->config.owner) /* .gridfs does not show it to others either */
        return -EPERM;
    if (inode_type(inode) == STORE_FILE)
        return restore_over(vfs, inode, text);
    char *slash = inode_type(inode) == STORE_DIRECTORY ? strrchr(text, '/') : NULL;
    if (!slash)
        return -EINVAL;
    *slash = '\0';
    if (control_is(vfs, inode, text))
        return -EPERM;
    result = names_encode(text, stored);
    return result ? result : restore_absent(vfs, inode, stored, slash + 1);
}

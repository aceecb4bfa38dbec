// SPDX-License-Identifier: Apache-2.0
/* Publication: what is written of a file becomes one new revision when a descriptor is closed or synced. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

enum { KEPT_NEAR_MOST = 256 << 10 }; /* bytes */

static int read_content(void *context, int64_t offset, size_t size, void *into) {
    int64_t count = staged_read(context, offset, size, into);
    return count < 0 ? (int)count : count == (int64_t)size ? 0 : -EIO;
}

static bool is_clean(void *context, int64_t offset, size_t size) {
    return staged_is_clean(context, offset, size);
}

static bool is_sent(void *context, int64_t offset, size_t size) {
    return staged_is_sent(context, offset, size);
}

struct attributes vfs_attributes_to_put(struct vfs *vfs, struct inode *inode) {
    struct attributes attributes = inode_attributes(vfs->inodes, inode);
    if (!(attributes.has & ATTRIBUTES_FILE)) {
        attributes_new_file(&attributes);
        (void)inode_written(vfs->inodes, inode, &attributes);
    }
    return attributes;
}

/* A directory above a new file was renamed while the file was put under the path of before. */
static void follow_directory(struct vfs *vfs, struct inode *inode, const char *path, const struct revision *revision) {
    struct store *store = inode_store(inode);
    cleanup_free char *now = inode_path(vfs->inodes, inode, NULL);
    if (!now || strcmp(now, path) == 0)
        return;
    struct store_rename rename = {.from = vfs_object(inode, path, revision), .to = now};
    if (store->ops->rename(store, &rename))
        log_error("file '%s' was stored as '%s', and could not follow its directory", now, path);
}

int vfs_put_content(struct store *store, struct file *file, struct store_put *put, struct revision **ret_revision) {
    struct staged *staged = file_staged(file);
    cleanup_with(revision_unref) struct revision *source = published_under(staged);
    cleanup_free struct staged_hole *holes = NULL;
    struct store_content content = {.context = staged,
                                    .length = staged_length(staged),
                                    .read = read_content,
                                    .source = source,
                                    .is_clean = is_clean,
                                    .is_sent = is_sent};
    int result = staged_holes(staged, REVISION_HOLES_MOST, &holes, &content.hole_count);
    if (result)
        return result;
    content.holes = (const struct hole *)holes;
    put->content = &content;
    put->upload = ahead_upload(file_ahead(file));
    return store->ops->put(store, put, ret_revision);
}

/* What an earlier try came to after all, though its answer was lost: it is nobody else's. NULL: none of them. */
static struct revision *find_arrived(struct store *store, const char *path, struct file *file,
                                     const struct attributes *attributes) {
    cleanup_with(revision_unref) struct revision *newest = NULL;
    struct marks unheard = file_lock_record(file)->unheard;
    file_unlock_record(file);
    if (!unheard.count || store->ops->newest(store, path, &newest) || !marks_have(&unheard, attributes, newest))
        return NULL;
    return steal_ptr(&newest);
}

static void note_unheard(struct file *file, const struct mark *mark) {
    marks_add(&file_lock_record(file)->unheard, mark);
    file_unlock_record(file);
}

static int put(struct vfs *vfs, struct inode *inode, struct file *file, bool again, struct revision **ret_revision) {
    struct store *store = inode_store(inode);
    cleanup_with(revision_unref) struct revision *base = inode_revision(vfs->inodes, inode), *arrived = NULL;
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    if (!path)
        return -ENOMEM;
    struct attributes attributes = vfs_attributes_to_put(vfs, inode);
    struct mark mark = mark_of(staged_length(file_staged(file)), &attributes);
    if (again)
        arrived = find_arrived(store, path, file, &attributes);
    struct store_lease *lease = file_steal_lease(file);
    if (arrived && mark_is(&mark, &attributes, arrived)) { /* once more, it would come over what others made of it */
        store->ops->release(store, lease);
        *ret_revision = steal_ptr(&arrived);
        return 0;
    }
    if (arrived) {
        revision_unref(base);
        base = steal_ptr(&arrived);
    }
    struct store_put put = {.path = path,
                            .base = base,
                            .follow = base != NULL,
                            .attributes = &attributes,
                            .lease = lease,
                            .unless_replaced = again};
    int result = vfs_put_content(store, file, &put, ret_revision);
    if (result == -ETIMEDOUT)
        note_unheard(file, &mark);
    if (result == 0 && !base)
        follow_directory(vfs, inode, path, *ret_revision);
    if (result && lease)
        file_set_lease(file, lease); /* a lost one too: without it the next try would replace what another host made */
    else
        store->ops->release(store, lease);
    return result;
}

/* What is small is often read soon after it was written, and then costs more to ask for than to keep. */
static void keep_near(struct vfs *vfs, struct published *published, const struct revision *revision,
                      struct staged *staged) {
    int64_t length = revision->length;
    if (revision->damage || length == 0 || length > KEPT_NEAR_MOST || length > revision->chunk_size)
        return;
    cleanup_with(blob_unref) struct blob *content = blob_new(chunks_budget(vfs->config.chunks), (size_t)length);
    if (content && staged_read(staged, 0, (size_t)length, content->bytes) == length)
        published_provide(published, content);
}

/* From here on readers take the published content; what they still read of the old base is the same. Without memory it
 * stays staged, and is put once more: wasteful, never wrong. */
static void rest_on(struct vfs *vfs, struct file *file, struct revision *revision) {
    cleanup_with(published_unref) struct published *published = published_new(vfs->config.chunks, revision);
    if (!published)
        return;
    keep_near(vfs, published, revision, file_staged(file));
    struct staged_base base = published_base(published);
    (void)file_lock_record(file);
    staged_rebase(file_staged(file), &base);
    file_unlock_record(file);
}

/* Under the gate. */
static int publish_staged(struct vfs *vfs, struct inode *inode, struct file *file, bool again) {
    struct revision *revision = NULL;
    inode_begin_publishing(vfs->inodes, inode);
    int result = put(vfs, inode, file, again, &revision);
    inode_end_publishing(vfs->inodes, inode, result ? NULL : revision);
    if (result)
        return result;
    rest_on(vfs, file, revision);
    revision_unref(revision);
    return 0;
}

bool vfs_is_unstored(struct vfs *vfs, struct inode *inode, struct file *file) {
    return staged_dirty(file_staged(file)) || inode_is_unpublished(vfs->inodes, inode);
}

/* For who tries again this is an answer, and no failure. */
static bool is_replaced(int error) {
    return error == -EEXIST || error == -ESTALE;
}

/* What could not be stored is kept; but not what never will be, if whoever wrote it is told so. */
static void keep_or_drop(struct vfs *vfs, struct inode *inode, struct file *file, int result, bool again) {
    bool refused = result == -EACCES || result == -EROFS;
    if (result == 0 || (refused && !again))
        journaling_drop(vfs, file);
    else
        journaling_keep(vfs, inode, file);
}

/* Another handle has written to it since it was closed: its close says when that is whole. Until then the record has what
 * was closed. */
static bool is_half_written(struct vfs *vfs, struct inode *inode, struct file *file) {
    return inode_writers(vfs->inodes, inode) > 1 && journaling_is_older(file);
}

static int publish(struct vfs *vfs, struct inode *inode, bool again) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (!file)
        return 0;
    bool lost = vfs_is_unstored(vfs, inode, file) && locks_were_lost(vfs, inode);
    file_begin_publishing(file);
    if (again && is_half_written(vfs, inode, file)) {
        file_end_publishing(file);
        return -EBUSY;
    }
    int result = 0;
    bool wanted = vfs_is_unstored(vfs, inode, file);
    if (wanted && inode_is_abandoned(vfs->inodes, inode))
        result = again ? 0 : -EACCES; /* another handle was told so, and what was written went with it */
    else if (wanted && !inode_is_removed(vfs->inodes, inode))
        result = publish_staged(vfs, inode, file, again || lost);
    ahead_end(file_ahead(file)); /* it was for one put; what is written from here on is another's */
    keep_or_drop(vfs, inode, file, result, again);
    file_end_publishing(file);
    if (result && !(again && is_replaced(result))) {
        cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
        log_error("file '%s' could not be stored: %s", path ? path : "?", strerror(-result));
        stats_add(STAT_failed_puts, 1);
    }
    return result;
}

int vfs_publish(struct vfs *vfs, struct inode *inode) {
    return publish(vfs, inode, false);
}

int vfs_publish_again(struct vfs *vfs, struct inode *inode) {
    return publish(vfs, inode, true);
}

/* What is written goes into the journal, and waits. False: the journal does not take it, or too much waits. */
static bool leave_waiting(struct vfs *vfs, struct inode *inode, struct file *file) {
    uint64_t bytes = staged_bytes(file_staged(file));
    file_begin_publishing(file);
    bool left = vfs_is_unstored(vfs, inode, file) && !inode_is_removed(vfs->inodes, inode) &&
                waiting_admits(vfs, inode, bytes) && journaling_keep(vfs, inode, file);
    file_end_publishing(file);
    return left && waiting_add(vfs, inode, bytes, 0);
}

int vfs_publish_later(struct vfs *vfs, struct inode *inode) {
    cleanup_with(file_unref) struct file *file = vfs->config.writeback ? inode_file(vfs->inodes, inode) : NULL;
    if (!file)
        return vfs_publish(vfs, inode);
    if (waiting_has(vfs, inode) && journaling_is_current(file))
        return 0; /* it may be under way just now: that is not waited for */
    if (!leave_waiting(vfs, inode, file))
        return vfs_publish(vfs, inode);
    if (vfs->config.uploaders)
        waiting_go(vfs);
    return 0;
}

int vfs_publish_beside(struct vfs *vfs, struct inode *inode, const char *path) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    cleanup_with(revision_unref) struct revision *base = inode_revision(vfs->inodes, inode), *revision = NULL;
    struct store *store = inode_store(inode);
    struct store_lease *lease = NULL;
    if (!file)
        return 0;
    struct attributes attributes = inode_attributes(vfs->inodes, inode);
    attributes_new_file(&attributes);
    attributes.has &= ~ATTRIBUTES_LINKS;
    file_begin_publishing(file);
    bool wanted = vfs_is_unstored(vfs, inode, file) && !inode_is_removed(vfs->inodes, inode);
    int result = wanted ? store->ops->reserve(store, path, &lease) : -ENOENT;
    if (result == 0) {
        struct store_put put = {.path = path, .base = base, .attributes = &attributes, .lease = lease};
        result = vfs_put_content(store, file, &put, &revision);
        store->ops->release(store, lease);
    }
    if (result == 0) {
        store->ops->release(store, file_steal_lease(file));
        inode_begin_publishing(vfs->inodes, inode);
        inode_abandon(vfs->inodes, inode); /* before a writer comes in, who would write what nobody stores */
        inode_end_publishing(vfs->inodes, inode, revision);
        rest_on(vfs, file, revision);
        journaling_drop(vfs, file);
    }
    ahead_end(file_ahead(file));
    file_end_publishing(file);
    return result;
}

bool vfs_was_replaced(struct vfs *vfs, struct inode *inode, const struct revision *asked) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (file) {
        file_enter(file);
        file_leave(file);
    }
    cleanup_with(revision_unref) struct revision *now = inode_revision(vfs->inodes, inode);
    return asked && now && !revision_same_content(now, asked) && !inode_is_removed(vfs->inodes, inode);
}

/* The process of a thread; 0 when it is gone or cannot be seen. */
static pid_t process_of(pid_t thread) {
    char name[64], line[128];
    long process = 0;
    snprintf(name, sizeof name, "/proc/%ld/status", (long)thread);
    FILE *file = fopen(name, "re");
    while (file && !process && fgets(line, sizeof line, file))
        if (sscanf(line, "Tgid: %ld", &process) != 1)
            process = 0;
    if (file)
        fclose(file);
    return (pid_t)process;
}

/* A child that inherited the descriptor and only exits must not publish what its parent has half written. */
static bool is_stranger(struct vfs *vfs, struct handle *handle, pid_t pid) {
    pid_t writers[HANDLE_WRITERS];
    lock_acquire(&vfs->lock);
    unsigned count = handle->writer_count;
    memcpy(writers, handle->writers, sizeof writers);
    lock_release(&vfs->lock);
    if (pid == 0 || count > HANDLE_WRITERS)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (writers[i] == pid || writers[i] == 0)
            return false;
    pid_t process = process_of(pid);
    for (unsigned i = 0; i < count; i++) {
        pid_t writer = process_of(writers[i]);
        if (!process || !writer || writer == process) /* a thread of it, or nobody to finish what it began */
            return false;
    }
    return true;
}

int vfs_flush(struct vfs *vfs, struct handle *handle, const struct vfs_caller *caller) {
    if (!handle->writable || is_stranger(vfs, handle, caller->pid))
        return 0;
    return vfs_publish_later(vfs, handle->inode);
}

int vfs_sync(struct vfs *vfs, struct handle *handle) {
    return handle->stored ? vfs_publish(vfs, handle->inode) : 0;
}

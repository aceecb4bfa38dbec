// SPDX-License-Identifier: Apache-2.0
/* Writing: what is written is staged over what is published. */
#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

int64_t vfs_now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int vfs_may_change(const struct vfs *vfs, const struct inode *inode) {
    if (!vfs->config.staging)
        return -EROFS;
    if (inode_is_abandoned(vfs->inodes, inode))
        return -ESTALE; /* the kernel looks its name up again */
    enum inode_kind kind = inode_kind(inode);
    return kind == INODE_STORED ? 0 : kind == INODE_BUCKETS ? -EPERM : -EROFS;
}

struct store_object vfs_object(const struct inode *inode, const char *path, const struct revision *revision) {
    return (struct store_object){.path = path, .kind = inode_type(inode), .revision = revision};
}

struct file *vfs_file_over(struct vfs *vfs, struct published *published) {
    const struct revision *revision = published_revision(published);
    struct staged_base base = published_base(published);
    return file_new(vfs->config.staging, &base, revision->holes, revision->hole_count);
}

int vfs_file(struct vfs *vfs, struct inode *inode, struct file **ret_file) {
    *ret_file = inode_file(vfs->inodes, inode);
    if (*ret_file)
        return 0;
    cleanup_with(published_unref) struct published *published = NULL;
    int result = inode_published(vfs->inodes, inode, vfs->config.chunks, &published);
    if (result)
        return result;
    struct file *file = vfs_file_over(vfs, published);
    if (!file)
        return -ENOMEM;
    *ret_file = inode_attach_file(vfs->inodes, inode, file);
    file_unref(file);
    return 0;
}

int vfs_touch(struct vfs *vfs, struct inode *inode, struct file *file) {
    int64_t now = vfs_now_ns();
    struct attributes times = {.has = ATTRIBUTES_MTIME | ATTRIBUTES_CTIME, .mtime_ns = now, .ctime_ns = now};
    if (staged_dirty(file_staged(file)))
        return inode_written(vfs->inodes, inode, &times);
    return vfs_change_stored(vfs, inode, &times);
}

int vfs_cut(struct vfs *vfs, struct inode *inode, struct file *file, int64_t length) {
    if (length > vfs->config.max_file_size)
        return -EFBIG;
    file_enter(file);
    int result = staged_truncate(file_staged(file), length);
    if (result == 0)
        result = vfs_touch(vfs, inode, file);
    file_leave(file);
    return result;
}

void vfs_note_writer(struct vfs *vfs, struct handle *handle, pid_t pid) {
    if (pid == 0 || handle->writers[0] == pid)
        return;
    lock_acquire(&vfs->lock);
    bool known = handle->writer_count > HANDLE_WRITERS;
    for (unsigned i = 0; !known && i < handle->writer_count; i++)
        known = handle->writers[i] == pid;
    if (!known) {
        if (handle->writer_count < HANDLE_WRITERS)
            handle->writers[handle->writer_count] = pid;
        handle->writer_count++;
    }
    lock_release(&vfs->lock);
}

/* What has no name any more will not be published. */
static void send_ahead(struct vfs *vfs, const struct handle *handle) {
    struct staged *staged = file_staged(handle->file);
    cleanup_with(revision_unref) struct revision *model = inode_revision(vfs->inodes, handle->inode);
    if (!model)
        model = published_under(staged); /* as the put will have it */
    if (!inode_is_removed(vfs->inodes, handle->inode))
        ahead_begin(file_ahead(handle->file), inode_store(handle->inode), model, staged);
}

enum { AT_END = -1 };

static int64_t write_at(struct vfs *vfs, struct handle *handle, int64_t offset, const void *bytes, size_t size,
                        const struct vfs_caller *caller) {
    if (!handle->writable)
        return -EBADF;
    struct staged *staged = file_staged(handle->file);
    file_enter(handle->file);
    int64_t at = offset == AT_END ? staged_length(staged) : offset;
    bool fits = at <= vfs->config.max_file_size && (int64_t)size <= vfs->config.max_file_size - at;
    int result = fits ? staged_write(staged, at, bytes, size) : -EFBIG;
    if (result == 0 && size)
        result = vfs_touch(vfs, handle->inode, handle->file);
    if (result == 0 && ahead_wrote(file_ahead(handle->file), at, size))
        send_ahead(vfs, handle);
    file_leave(handle->file);
    if (result == 0)
        stats_add(STAT_bytes_written, size);
    if (result != -EFBIG)
        vfs_note_writer(vfs, handle, caller->pid);
    return result ? result : at;
}

int vfs_write(struct vfs *vfs, struct handle *handle, int64_t offset, const void *bytes, size_t size,
              const struct vfs_caller *caller) {
    int64_t at = write_at(vfs, handle, offset, bytes, size, caller);
    return at < 0 ? (int)at : 0;
}

int64_t vfs_append(struct vfs *vfs, struct handle *handle, const void *bytes, size_t size,
                   const struct vfs_caller *caller) {
    return write_at(vfs, handle, AT_END, bytes, size, caller);
}

int vfs_allocate(struct vfs *vfs, struct handle *handle, int mode, int64_t offset, int64_t size) {
    bool keep = mode & FALLOC_FL_KEEP_SIZE;
    if (!handle->writable)
        return -EBADF;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        return -EOPNOTSUPP;
    if (size > vfs->config.max_file_size - offset)
        return -EFBIG;
    struct staged *staged = file_staged(handle->file);
    file_enter(handle->file);
    int64_t inside = staged_length(staged) - offset;
    int64_t zeroed = inside < 0 ? 0 : inside < size ? inside : size;
    int result = 0;
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && zeroed)
        result = staged_punch(staged, offset, zeroed);
    if (result == 0 && !(mode & FALLOC_FL_PUNCH_HOLE))
        result = staged_allocate(staged, offset, size, keep);
    if (result == 0 && size)
        result = vfs_touch(vfs, handle->inode, handle->file);
    file_leave(handle->file);
    return result;
}

static int64_t seek_published(struct vfs *vfs, struct inode *inode, int64_t offset, bool data) {
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    if (!revision || offset >= revision->length)
        return -ENXIO;
    for (uint32_t i = 0; i < revision->hole_count; i++) {
        int64_t start = revision->holes[i].offset, end = start + revision->holes[i].length;
        if (!data && start >= offset)
            return start;
        if (offset >= start && offset < end) {
            if (!data)
                return offset;
            offset = end;
        }
    }
    if (data)
        return offset < revision->length ? offset : -ENXIO;
    return revision->length;
}

int64_t vfs_seek(struct vfs *vfs, struct handle *handle, int64_t offset, int whence) {
    bool data = whence == SEEK_DATA;
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, handle->inode);
    if (offset < 0 || !handle->stored)
        return -ENXIO;
    return file ? staged_seek(file_staged(file), offset, data) : seek_published(vfs, handle->inode, offset, data);
}

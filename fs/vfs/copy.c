// SPDX-License-Identifier: Apache-2.0
/* Copying from one open file to another. */
#include <errno.h>

#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

/* What a handle reads, as a file to copy from: a reference. -ENOENT: created here, and nothing written yet. */
static int source_of(struct vfs *vfs, struct inode *inode, struct file **ret_file) {
    cleanup_with(published_unref) struct published *published = NULL;
    *ret_file = inode_file(vfs->inodes, inode);
    if (*ret_file)
        return 0;
    int result = inode_published(vfs->inodes, inode, vfs->config.chunks, &published);
    if (result)
        return result;
    *ret_file = vfs_file_over(vfs, published);
    return *ret_file ? 0 : -ENOMEM;
}

static bool overlap(int64_t one, int64_t other, int64_t size) {
    return one < other ? size > other - one : size > one - other;
}

static int64_t copy_staged(struct vfs *vfs, struct handle *to, int64_t to_offset, struct staged *from, int64_t offset,
                           int64_t size) {
    struct staged *staged = file_staged(to->file);
    int64_t rest = staged_length(from) - offset;
    size = rest < 0 ? 0 : rest < size ? rest : size;
    if (from == staged && size && overlap(offset, to_offset, size))
        return -EINVAL;
    if (size && (to_offset > vfs->config.max_file_size || size > vfs->config.max_file_size - to_offset))
        return -EFBIG;
    file_enter(to->file);
    int64_t count = size ? staged_copy(staged, to_offset, from, offset, size) : 0;
    int result = count > 0 ? vfs_touch(vfs, to->inode, to->file) : 0;
    file_leave(to->file);
    return result ? result : count;
}

int64_t vfs_copy(struct vfs *vfs, struct handle *from, int64_t offset, struct handle *to, int64_t to_offset,
                 int64_t size, const struct vfs_caller *caller) {
    if (!to->writable)
        return -EBADF;
    if (!from->stored)
        return -EOPNOTSUPP;
    cleanup_with(file_unref) struct file *source = NULL;
    int result = source_of(vfs, from->inode, &source);
    if (result)
        return result == -ENOENT ? 0 : result;
    int64_t count = copy_staged(vfs, to, to_offset, file_staged(source), offset, size);
    if (count > 0)
        stats_add(STAT_bytes_written, (uint64_t)count);
    vfs_note_writer(vfs, to, caller->pid);
    return count;
}

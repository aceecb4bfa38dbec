// SPDX-License-Identifier: Apache-2.0
/* Reading: of a status file its text, else what is written here and not published yet, else what is published. */
#include <errno.h>

#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

static void read_text(const struct handle *handle, int64_t offset, size_t size, struct reader_view *ret_views,
                      unsigned *ret_count) {
    size_t whole = handle->text->size, rest = offset < (int64_t)whole ? whole - (size_t)offset : 0;
    *ret_count = rest && size ? 1 : 0;
    if (*ret_count)
        ret_views[0] = (struct reader_view){.blob = blob_ref(handle->text),
                                            .bytes = handle->text->bytes + offset,
                                            .size = rest < size ? rest : size};
}

/* What is written over what is published, in one piece. Of it nothing counts as a hit or a miss. */
static int read_staged(struct vfs *vfs, struct file *file, int64_t offset, size_t size, struct reader_view *ret_views,
                       unsigned *ret_count) {
    cleanup_with(blob_unref) struct blob *blob = blob_new(chunks_budget(vfs->config.chunks), size);
    if (!blob)
        return -ENOMEM;
    int64_t count = staged_read(file_staged(file), offset, size, blob->bytes);
    if (count < 0)
        return (int)count;
    *ret_count = count > 0;
    if (count > 0) {
        const unsigned char *bytes = blob->bytes;
        stats_add(STAT_staged_bytes_read, (uint64_t)count);
        ret_views[0] = (struct reader_view){.bytes = bytes, .size = (size_t)count, .blob = steal_ptr(&blob)};
    }
    return 0;
}

/* Here and not by the reader, which is asked for what lies under written content too. */
static void count_parts(const struct reader_view *views, unsigned count) {
    size_t given = 0, hit = 0;
    for (unsigned i = 0; i < count; i++) {
        given += views[i].size;
        hit += views[i].hit;
    }
    stats_add(STAT_hit_bytes, hit);
    stats_add(STAT_miss_bytes, given - hit);
}

static int read_stored(struct vfs *vfs, struct inode *inode, int64_t offset, size_t size,
                       struct reader_view *ret_views, unsigned *ret_count) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    cleanup_with(published_unref) struct published *published = NULL;
    if (file && staged_dirty(file_staged(file)))
        return read_staged(vfs, file, offset, size, ret_views, ret_count);
    int result = inode_published(vfs->inodes, inode, vfs->config.chunks, &published);
    if (result == -ENOENT) { /* created here, and nothing written yet */
        *ret_count = 0;
        return 0;
    }
    if (result == 0)
        result = published_read(published, offset, size, ret_views, ret_count);
    if (result == 0)
        result = proving_read(vfs, inode, published, offset, ret_views, *ret_count);
    if (result == 0)
        count_parts(ret_views, *ret_count);
    return result;
}

int vfs_read(struct vfs *vfs, struct handle *handle, int64_t offset, size_t size, struct reader_view *ret_views,
             unsigned *ret_count) {
    int result = 0;
    if (handle->text)
        read_text(handle, offset, size, ret_views, ret_count);
    else
        result = read_stored(vfs, handle->inode, offset, size, ret_views, ret_count);
    stats_add(STAT_reads, 1);
    size_t given = 0;
    for (unsigned i = 0; result == 0 && !handle->text && i < *ret_count; i++)
        given += ret_views[i].size;
    stats_add(STAT_bytes_read, given);
    if (METERING && given)
        busiest_add(vfs->busiest, vfs->inodes, handle->inode, given);
    return result;
}

int vfs_fetch(struct vfs *vfs, struct handle *handle, int64_t offset, size_t size, bool stays) {
    cleanup_with(published_unref) struct published *published = NULL;
    int result = handle->text ? -ENOENT : inode_published(vfs->inodes, handle->inode, vfs->config.chunks, &published);
    if (result)
        return result == -ENOENT ? 0 : result; /* nothing is */
    return published_fetch(published, offset, size, stays);
}

int vfs_whole(struct vfs *vfs, struct handle *handle) {
    cleanup_with(published_unref) struct published *published = NULL;
    if (!handle->stored || vfs->config.staging || vfs->config.cluster_locks)
        return -EOPNOTSUPP;
    int result = inode_published(vfs->inodes, handle->inode, vfs->config.chunks, &published);
    if (result == 0 && published_proof(published))
        result = -EOPNOTSUPP;
    return result ? result : published_whole(published);
}

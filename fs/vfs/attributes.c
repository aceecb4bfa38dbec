// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "fs/vfs/vfs_private.h"

static struct timespec time_from(int64_t nanoseconds) {
    int64_t seconds = nanoseconds / 1000000000, rest = nanoseconds % 1000000000;
    if (rest < 0) { /* before 1970 */
        seconds--;
        rest += 1000000000;
    }
    return (struct timespec){.tv_sec = seconds, .tv_nsec = rest};
}

static struct timespec date_of(const struct vfs *vfs, const struct revision *revision) {
    if (!revision)
        return (struct timespec){.tv_sec = vfs->started};
    int64_t date = revision->content_date_ms;
    if (date == INT64_MIN)
        return (struct timespec){0};
    int64_t seconds = date / 1000, rest = date % 1000;
    return (struct timespec){.tv_sec = rest < 0 ? seconds - 1 : seconds, .tv_nsec = (rest < 0 ? rest + 1000 : rest) * 1000000};
}

static mode_t type_bits(enum store_kind type) {
    static const mode_t bits[] = {
        [STORE_FILE] = S_IFREG | 0666,   [STORE_DIRECTORY] = S_IFDIR | 0777,        [STORE_SYMLINK] = S_IFLNK | 0777,
        [STORE_FIFO] = S_IFIFO | 0666,   [STORE_SOCKET] = S_IFSOCK | 0777,          [STORE_CHARACTER_DEVICE] = S_IFCHR | 0600,
        [STORE_BLOCK_DEVICE] = S_IFBLK | 0600,
    };
    return bits[type];
}

static mode_t mode_of(const struct vfs *vfs, enum store_kind type, const struct attributes *attributes) {
    mode_t bits = type_bits(type);
    if (attributes->has & ATTRIBUTES_MODE)
        return (bits & S_IFMT) | (attributes->mode & 07777);
    return type == STORE_SYMLINK ? bits : bits & ~vfs->config.umask;
}

static int64_t holes_in(const struct revision *revision) {
    int64_t size = 0;
    for (uint32_t i = 0; revision && i < revision->hole_count; i++)
        size += revision->holes[i].length;
    return size;
}

void vfs_fill(const struct vfs *vfs, enum store_kind type, uint64_t number, const struct attributes *attributes,
              const struct revision *revision, struct stat *ret_stat) {
    static const struct attributes none;
    if (!attributes)
        attributes = revision ? &revision->attributes : &none;
    memset(ret_stat, 0, sizeof *ret_stat);
    ret_stat->st_ino = number;
    ret_stat->st_mode = mode_of(vfs, type, attributes);
    ret_stat->st_nlink = type == STORE_DIRECTORY ? 2 : attributes->has & ATTRIBUTES_LINKS ? attributes->links : 1;
    ret_stat->st_uid = attributes->has & ATTRIBUTES_UID ? attributes->uid : vfs->config.uid;
    ret_stat->st_gid = attributes->has & ATTRIBUTES_GID ? attributes->gid : vfs->config.gid;
    ret_stat->st_rdev = attributes->device;
    ret_stat->st_size = revision ? revision->length : 0;
    ret_stat->st_blksize = 128 << 10;
    ret_stat->st_blocks = (ret_stat->st_size - holes_in(revision) + 511) / 512;
    struct timespec date = date_of(vfs, revision);
    ret_stat->st_mtim = attributes->has & ATTRIBUTES_MTIME ? time_from(attributes->mtime_ns) : date;
    ret_stat->st_atim = attributes->has & ATTRIBUTES_ATIME ? time_from(attributes->atime_ns) : ret_stat->st_mtim;
    ret_stat->st_ctim = attributes->has & ATTRIBUTES_CTIME ? time_from(attributes->ctime_ns) : ret_stat->st_mtim;
}

/* What is written is what a file shows, before it is published. */
static void fill_written(const struct vfs *vfs, struct inode *inode, struct stat *ret_stat) {
    cleanup_with(file_unref) struct file *file = inode_file(vfs->inodes, inode);
    if (!file)
        return;
    struct staged *staged = file_staged(file);
    ret_stat->st_size = staged_length(staged);
    ret_stat->st_blocks = (staged_allocated(staged) + 511) / 512;
}

void vfs_fill_inode(const struct vfs *vfs, struct inode *inode, struct stat *ret_stat) {
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    struct attributes attributes = inode_attributes(vfs->inodes, inode);
    vfs_fill(vfs, inode_type(inode), inode_number(inode), &attributes, revision, ret_stat);
    if (inode_type(inode) == STORE_SYMLINK) {
        cleanup_free char *stored = inode_target(vfs->inodes, inode);
        cleanup_free char *target = stored ? names_decode_target(stored) : NULL;
        ret_stat->st_size = target ? (off_t)strlen(target) : 0;
    }
    if (inode_type(inode) == STORE_DIRECTORY)
        ret_stat->st_nlink += inode_directories(vfs->inodes, inode);
    if (inode_type(inode) == STORE_FILE)
        fill_written(vfs, inode, ret_stat);
    if (inode_is_removed(vfs->inodes, inode))
        ret_stat->st_nlink = 0;
    enum inode_kind kind = inode_kind(inode);
    if (kind == INODE_STORED || kind == INODE_BUCKETS)
        return;
    ret_stat->st_mode = inode_type(inode) == STORE_DIRECTORY ? S_IFDIR | 0500 : S_IFREG | 0400;
    ret_stat->st_uid = vfs->config.owner;
    ret_stat->st_gid = vfs->config.owner_group;
    ret_stat->st_nlink = inode_type(inode) == STORE_DIRECTORY ? 2 : 1;
}

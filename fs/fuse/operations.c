// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/operations.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/fuse/loop.h"
#include "fs/fuse/orphans.h"
#include "fs/fuse/passing.h"
#include "fs/fuse/request.h"

static void do_init(void *userdata, struct fuse_conn_info *connection) {
    struct operations_context *context = userdata;
    static const unsigned wanted[] = {FUSE_CAP_ASYNC_READ,       FUSE_CAP_PARALLEL_DIROPS, FUSE_CAP_READDIRPLUS,
                                      FUSE_CAP_CACHE_SYMLINKS, FUSE_CAP_ASYNC_DIO,
                                      FUSE_CAP_ATOMIC_O_TRUNC};
    /* An answer to readdir carries all that the lookups after it would ask one by one: always. */
    connection->want &= ~(unsigned)FUSE_CAP_READDIRPLUS_AUTO;
    /* An inode has one content, and where it has not, the kernel is told. By its mtime, which a put changes, it would
     * drop the pages of what was written here. */
    connection->want &= ~(unsigned)FUSE_CAP_AUTO_INVAL_DATA;
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
        connection->want |= connection->capable & wanted[i];
    static const unsigned locks = FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS; /* which the library asks for by itself */
    connection->want &= ~locks;
    connection->want |= context->cluster_locks ? connection->capable & locks : 0;
#ifdef FUSE_CAP_OVER_IO_URING
    connection->want &= ~(unsigned)FUSE_CAP_OVER_IO_URING; /* they would pass the loop by, and orphans */
#endif
    if (connection->max_write > LOOP_LARGEST)
        connection->max_write = LOOP_LARGEST;
    passing_init(context->passing, context->fuse, connection);
    connection->max_background = 64; /* requests wait for a network, not for a disk */
    connection->congestion_threshold = 48;
    context->ready(context->ready_context);
}

static void do_lookup(fuse_req_t request, fuse_ino_t parent, const char *name) {
    struct vfs_entry found = {0};
    struct vfs *vfs = request_vfs(request);
    int result = vfs_lookup(vfs, request_inode(request, parent), name, &found);
    if (result) {
        struct vfs_caller caller = request_caller(request);
        vfs_looked_in_vain(vfs, &caller);
    }
    if (result && !(result == -ENOENT && request_context(request)->trust_absence)) {
        request_fail(request, result);
        return;
    }
    struct fuse_entry_param entry = request_entry(request, &found); /* without an inode: not there, for a while */
    if (fuse_reply_entry(request, &entry) && found.inode)
        vfs_forget(vfs, found.inode, 1);
}

static void forget(struct vfs *vfs, void *inode, uint64_t lookups) {
    vfs_forget(vfs, inode, lookups);
}

static void close_handle(struct vfs *vfs, void *handle, uint64_t count) {
    (void)count;
    vfs_close(vfs, handle);
}

static void do_forget(fuse_req_t request, fuse_ino_t number, uint64_t lookups) {
    orphans_end(request_context(request)->orphans, forget, request_vfs(request), request_inode(request, number),
                lookups);
    fuse_reply_none(request);
}

static void do_forget_multi(fuse_req_t request, size_t count, struct fuse_forget_data *forgets) {
    for (size_t i = 0; i < count; i++)
        orphans_end(request_context(request)->orphans, forget, request_vfs(request),
                    request_inode(request, forgets[i].ino), forgets[i].nlookup);
    fuse_reply_none(request);
}

static void do_getattr(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info) {
    struct inode *inode = request_inode(request, number);
    struct stat attributes;
    bool believed = false;
    int result = info ? 0 : vfs_confirm(request_vfs(request), inode, &believed); /* a handle has what it has */
    if (result == 0)
        result = vfs_attributes(request_vfs(request), inode, &attributes);
    if (result)
        request_fail(request, result);
    else
        fuse_reply_attr(request, &attributes, request_trust(request, believed));
}

static void do_readlink(fuse_req_t request, fuse_ino_t number) {
    cleanup_free char *target = NULL;
    int result = vfs_readlink(request_vfs(request), request_inode(request, number), &target);
    if (result)
        request_fail(request, result);
    else
        fuse_reply_readlink(request, target);
}

static void do_open(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info) {
    struct handle *handle;
    bool live;
    struct vfs_caller caller = request_caller(request);
    struct vfs *vfs = request_vfs(request);
    int result = vfs_open(vfs, request_inode(request, number), info->flags, &caller, &handle, &live);
    if (result) {
        request_fail(request, result);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)handle;
    info->direct_io = live;
    info->keep_cache = !live && vfs_may_keep(handle); /* an inode has one content: its pages never go stale */
    info->noflush = (info->flags & O_ACCMODE) == O_RDONLY && !request_context(request)->cluster_locks;
    struct passing *passing = request_context(request)->passing;
    result = live ? 0 : passing_open(passing, request, number, info);
    if (result)
        request_fail(request, result);
    else if (fuse_reply_open(request, info) == 0)
        return;
    else
        passing_release(passing, number);
    vfs_close(vfs, handle);
}

static void do_read(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)number;
    struct reader_view views[READER_VIEWS];
    struct iovec parts[READER_VIEWS];
    unsigned count;
    int result = vfs_read(request_vfs(request), request_handle(info), offset, size, views, &count);
    if (result) {
        request_fail(request, result);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        parts[i] = (struct iovec){.iov_base = (void *)views[i].bytes, .iov_len = views[i].size};
    fuse_reply_iov(request, parts, (int)count);
    reader_release(views, count);
}

static void do_release(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info) {
    passing_release(request_context(request)->passing, number);
    orphans_end(request_context(request)->orphans, close_handle, request_vfs(request), request_handle(info), 0);
    fuse_reply_err(request, 0);
}

static void do_opendir(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info) {
    struct handle *handle;
    struct vfs *vfs = request_vfs(request);
    int result = vfs_open_directory(vfs, request_inode(request, number), &handle);
    if (result) {
        request_fail(request, result);
        return;
    }
    info->fh = (uint64_t)(uintptr_t)handle;
    enum vfs_listing listing = vfs_open_listing(request_vfs(request), handle);
    info->cache_readdir = listing != VFS_LISTING_ASKED;
    info->keep_cache = listing != VFS_LISTING_FRESH; /* others may be reading it */
    if (fuse_reply_open(request, info))
        vfs_close(vfs, handle);
}

/* A reply that is being filled with entries. */
struct filling {
    fuse_req_t request;
    bool plus;
    char *buffer;
    size_t size, used;
};

static bool entry_fits(void *context, const char *name) {
    struct filling *filling = context;
    size_t need = filling->plus ? fuse_add_direntry_plus(filling->request, NULL, 0, name, NULL, 0)
                                : fuse_add_direntry(filling->request, NULL, 0, name, NULL, 0);
    return need <= filling->size - filling->used;
}

static void entry_take(void *context, const char *name, const struct vfs_entry *found, uint64_t next) {
    struct filling *filling = context;
    char *at = filling->buffer + filling->used;
    size_t rest = filling->size - filling->used;
    struct fuse_entry_param entry = request_entry(filling->request, found);
    if (found->old && !found->believed) /* a program that takes its time: then the kernel asks when it is used */
        entry.attr_timeout = entry.entry_timeout = 0;
    filling->used += filling->plus
                         ? fuse_add_direntry_plus(filling->request, at, rest, name, &entry, (off_t)next)
                         : fuse_add_direntry(filling->request, at, rest, name, &found->attributes, (off_t)next);
}

/* The lookups that an answer would have given, for which its reader did not wait. */
static void take_back(struct vfs *vfs, const struct filling *filling) {
    for (size_t at = 0; filling->plus && at < filling->used;) {
        const struct fuse_direntplus *entry = (const void *)(filling->buffer + at);
        if (entry->entry_out.nodeid)
            vfs_forget(vfs, (struct inode *)(uintptr_t)entry->entry_out.nodeid, 1);
        at += FUSE_DIRENTPLUS_SIZE(entry);
    }
}

static void read_directory(fuse_req_t request, size_t size, off_t offset, struct fuse_file_info *info, bool plus) {
    cleanup_free char *buffer = malloc(size);
    struct filling filling = {.request = request, .plus = plus, .buffer = buffer, .size = size};
    struct vfs_taker taker = {.context = &filling, .fits = entry_fits, .take = entry_take};
    struct vfs *vfs = request_vfs(request);
    int result = -ENOMEM;
    if (buffer)
        result = vfs_read_directory(vfs, request_handle(info), (uint64_t)offset, plus, &taker);
    if (result)
        request_fail(request, result);
    else if (fuse_reply_buf(request, buffer, filling.used))
        take_back(vfs, &filling);
}

static void do_readdir(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset, struct fuse_file_info *info) {
    (void)number;
    read_directory(request, size, offset, info, false);
}

static void do_readdirplus(fuse_req_t request, fuse_ino_t number, size_t size, off_t offset,
                           struct fuse_file_info *info) {
    (void)number;
    read_directory(request, size, offset, info, true);
}

static void do_statfs(fuse_req_t request, fuse_ino_t number) {
    (void)number;
    struct statvfs statistics;
    vfs_statistics(request_vfs(request), &statistics);
    fuse_reply_statfs(request, &statistics);
}

const struct fuse_lowlevel_ops operations = {
    .init = do_init,
    .lookup = do_lookup,
    .forget = do_forget,
    .forget_multi = do_forget_multi,
    .getattr = do_getattr,
    .readlink = do_readlink,
    .open = do_open,
    .read = do_read,
    .release = do_release,
    .opendir = do_opendir,
    .readdir = do_readdir,
    .readdirplus = do_readdirplus,
    .releasedir = do_release,
    .statfs = do_statfs,
    .write = do_write,
    .copy_file_range = do_copy_file_range,
    .flush = do_flush,
    .fsync = do_fsync,
    .fallocate = do_fallocate,
    .lseek = do_lseek,
    .setattr = do_setattr,
    .create = do_create,
    .mknod = do_mknod,
    .mkdir = do_mkdir,
    .symlink = do_symlink,
    .link = do_link,
    .unlink = do_unlink,
    .rmdir = do_rmdir,
    .rename = do_rename,
    .getxattr = do_getxattr,
    .listxattr = do_listxattr,
    .setxattr = do_setxattr,
    .removexattr = do_removexattr,
    .getlk = do_getlk,
    .setlk = do_setlk,
    .flock = do_flock,
};

// SPDX-License-Identifier: Apache-2.0
/* Locks of programs, when they exclude across mounts (locks=cluster); else the kernel keeps them and nothing comes here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#include "fs/fuse/orphans.h"
#include "fs/fuse/request.h"

/* A lock that is answered later. */
struct locking {
    fuse_req_t request;
    uint64_t deferred; /* as orphans_defer() calls it */
    fuse_ino_t number;
    struct handle *handle;
};

static void answer(fuse_req_t request, int result) {
    if (result == -EAGAIN || result == -EINTR)
        fuse_reply_err(request, -result); /* no failure */
    else
        request_done(request, result);
}

/* The kernel appends at the size it believes in, and learns that a file has grown only from bytes: the last one. */
static void tell_size(fuse_req_t request, const struct locking *locking) {
    struct vfs *vfs = request_vfs(request);
    struct fuse_session *session = request_context(request)->fuse;
    struct reader_view views[READER_VIEWS];
    struct stat attributes;
    unsigned count = 0;
    if (vfs_attributes(vfs, request_inode(request, locking->number), &attributes) || attributes.st_size == 0)
        return;
    off_t last = attributes.st_size - 1;
    if (vfs_read(vfs, locking->handle, last, 1, views, &count))
        return;
    if (count == 1) {
        struct fuse_bufvec byte = FUSE_BUFVEC_INIT(1);
        byte.buf[0].mem = (void *)views[0].bytes;
        (void)fuse_lowlevel_notify_store(session, locking->number, last, &byte, 0);
    }
    reader_release(views, count);
}

/* In a thread that waits, and that no request needs: the kernel may wait for pages that are being read. */
static void done(void *context, int result, bool moved) {
    struct locking *locking = context;
    fuse_req_t request = locking->request;
    if (moved) {
        (void)fuse_lowlevel_notify_inval_inode(request_context(request)->fuse, locking->number, 0, 0);
        tell_size(request, locking);
    }
    struct orphans *orphans = request_context(request)->orphans;
    answer(request, result);
    orphans_answered(orphans, locking->deferred, result);
    free(locking);
}

static void interrupted(fuse_req_t request, void *number) {
    vfs_lock_interrupt(request_vfs(request), (int64_t)(intptr_t)number);
}

static void lock_later(fuse_req_t request, fuse_ino_t number, struct vfs_lock_wait *wait) {
    struct locking *locking = malloc(sizeof *locking);
    if (!locking) {
        answer(request, -ENOMEM);
        return;
    }
    *locking = (struct locking){.request = request,
                                .deferred = orphans_defer(request_context(request)->orphans),
                                .number = number,
                                .handle = wait->handle};
    wait->done = done;
    wait->context = locking;
    struct vfs *vfs = request_vfs(request);
    int64_t waiting = vfs_lock_prepare(vfs, wait);
    if (waiting < 0) {
        done(locking, (int)waiting, false);
        return;
    }
    fuse_req_interrupt_func(request, interrupted, (void *)(intptr_t)waiting); /* a number: it may come late */
    vfs_lock_begin(vfs, waiting);
}

static void lock_or_unlock(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info,
                           const struct vfs_lock *lock, bool waits) {
    struct vfs_lock_wait wait = {.handle = request_handle(info), .lock = *lock, .once = !waits};
    if (lock->kind == VFS_UNLOCKED) {
        answer(request, vfs_unlock(request_vfs(request), wait.handle, lock));
        return;
    }
    int result = vfs_lock(request_vfs(request), wait.handle, lock, &wait.moved);
    if (wait.moved || (result == -EAGAIN && waits))
        lock_later(request, number, &wait);
    else
        answer(request, result);
}

static struct vfs_lock lock_of(const struct fuse_file_info *info, const struct flock *wanted) {
    return (struct vfs_lock){.kind = wanted->l_type == F_UNLCK   ? VFS_UNLOCKED
                                     : wanted->l_type == F_RDLCK ? VFS_SHARED
                                                                 : VFS_EXCLUSIVE,
                             .owner = info->lock_owner,
                             .pid = wanted->l_pid,
                             .start = wanted->l_start,
                             .end = wanted->l_len ? wanted->l_start + wanted->l_len - 1 : INT64_MAX};
}

void do_setlk(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, struct flock *wanted, int waits) {
    struct vfs_lock lock = lock_of(info, wanted);
    lock_or_unlock(request, number, info, &lock, waits);
}

void do_flock(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, int operation) {
    int what = operation & ~LOCK_NB;
    struct vfs_lock lock = {.kind = what == LOCK_UN ? VFS_UNLOCKED : what == LOCK_SH ? VFS_SHARED : VFS_EXCLUSIVE,
                            .owner = info->lock_owner,
                            .pid = request_caller(request).pid,
                            .whole = true,
                            .end = INT64_MAX};
    lock_or_unlock(request, number, info, &lock, !(operation & LOCK_NB));
}

void do_getlk(fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info, struct flock *wanted) {
    (void)number;
    struct vfs_lock lock = lock_of(info, wanted), found;
    int result = vfs_find_lock(request_vfs(request), request_handle(info), &lock, &found);
    if (result) {
        request_fail(request, result);
        return;
    }
    struct flock told = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    if (found.kind != VFS_UNLOCKED)
        told = (struct flock){.l_type = found.kind == VFS_SHARED ? F_RDLCK : F_WRLCK,
                              .l_whence = SEEK_SET,
                              .l_start = found.start,
                              .l_len = found.end == INT64_MAX ? 0 : found.end - found.start + 1,
                              .l_pid = found.pid};
    fuse_reply_lock(request, &told);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/request.h"

#include <errno.h>

#include "cache/base/stats.h"
#include "fs/fuse/orphans.h"

struct operations_context *request_context(fuse_req_t request) {
    return fuse_req_userdata(request);
}

struct vfs *request_vfs(fuse_req_t request) {
    return request_context(request)->vfs;
}

struct inode *request_inode(fuse_req_t request, fuse_ino_t number) {
    return number == FUSE_ROOT_ID ? vfs_root(request_vfs(request)) : (struct inode *)(uintptr_t)number;
}

struct handle *request_handle(const struct fuse_file_info *info) {
    return (struct handle *)(uintptr_t)info->fh;
}

struct vfs_caller request_caller(fuse_req_t request) {
    const struct fuse_ctx *context = fuse_req_ctx(request);
    return (struct vfs_caller){
        .uid = context->uid, .gid = context->gid, .pid = context->pid, .umask = context->umask};
}

/* The one place where errors turn to what programs see. */
void request_fail(fuse_req_t request, int error) {
    int shown = error == -ETIME ? -ETIMEDOUT : error;
    if (orphans_retry(request_context(request)->orphans, &shown)) {
        fuse_reply_none(request);
        return;
    }
    if (shown && shown != -ENOENT && shown != -ESTALE)
        stats_add(STAT_errors, 1);
    fuse_reply_err(request, -shown);
}

void request_done(fuse_req_t request, int result) {
    if (result)
        request_fail(request, result);
    else
        fuse_reply_err(request, 0);
}

static fuse_ino_t number_of(fuse_req_t request, const struct inode *inode) {
    return inode == vfs_root(request_vfs(request)) ? FUSE_ROOT_ID : (fuse_ino_t)(uintptr_t)inode;
}

double request_trust(fuse_req_t request, bool believed) {
    return believed ? request_context(request)->believed : request_context(request)->trust;
}

struct fuse_entry_param request_entry(fuse_req_t request, const struct vfs_entry *found) {
    double trust = request_trust(request, found->believed);
    return (struct fuse_entry_param){
        .ino = found->inode ? number_of(request, found->inode) : 0,
        .attr = found->attributes,
        .attr_timeout = trust,
        .entry_timeout = trust,
    };
}

void request_give_entry(fuse_req_t request, int result, const struct vfs_entry *found) {
    if (result) {
        request_fail(request, result);
        return;
    }
    struct vfs *vfs = request_vfs(request);
    struct fuse_entry_param entry = request_entry(request, found);
    if (fuse_reply_entry(request, &entry))
        vfs_forget(vfs, found->inode, 1);
}

// SPDX-License-Identifier: Apache-2.0
/* The FUSE operations: each unpacks a request, calls the vfs, maps the result and replies once. */
#ifndef FS_FUSE_OPERATIONS_H
#define FS_FUSE_OPERATIONS_H

#define FUSE_USE_VERSION 312
#include <fuse_lowlevel.h>
#include <stdbool.h>

struct orphans;
struct passing;
struct trace;
struct vfs;

/* The userdata of a session. */
struct operations_context {
    struct vfs *vfs;
    struct orphans *orphans;
    struct passing *passing;
    struct trace *trace; /* NULL: nobody wants it */
    struct fuse_session *fuse;
    bool cluster_locks; /* else the kernel keeps locks */
    double trust; /* seconds: entry and attribute timeouts */
    bool trust_absence;
    double believed; /* seconds: the same, of what the kernel is told when it changes */
    void (*ready)(void *context);
    void (*left)(void *context); /* it was unmounted */
    void *ready_context;
};

extern const struct fuse_lowlevel_ops operations;

#endif

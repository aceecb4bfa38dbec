// SPDX-License-Identifier: Apache-2.0
/* A line for each request of the kernel, once it is answered, for `gridmount profile` and for awk. Fields, with a tab in
 * between:
 *
 *     2026-11-29T10:15:01.123456Z  4403  read  models/a.pt  131072  65536  OK  0.000412
 *     when it came                 process   path in the mount  offset  size  result  seconds until the answer
 *
 * The operation is the kernel's (meter.h). Offset and size stand where the request has such (size: what was asked for), else "-". The
 * path of what has none is "-"; in it a tab, newline or backslash is \t, \n or \\, another control character \xNN. A rename, or link, has
 * the new name in the place of the offset. The result is OK or an errno.
 *
 * Threads: any. Memory: what is described is the caller's, to be freed.
 * Errors: what cannot be written is left out; the first time is said in the log. */
#ifndef FS_FUSE_TRACE_H
#define FS_FUSE_TRACE_H

#include <linux/fuse.h>
#include <stddef.h>
#include <stdint.h>

struct trace;
struct vfs;

/* Takes a descriptor that is open to append to. NULL without memory. */
struct trace *trace_new(int fd);
/* Takes NULL, returns NULL. */
struct trace *trace_free(struct trace *trace);
/* What a request asks for, before it is served: as long as its inodes live. NULL: no trace (NULL), or no memory. */
char *trace_describe(struct trace *trace, struct vfs *vfs, const struct fuse_in_header *head);
/* How it was answered. `described` may be NULL; it is freed. `error`: 0 or -errno. */
void trace_write(struct trace *trace, char *described, int64_t nanoseconds, int error);

#endif

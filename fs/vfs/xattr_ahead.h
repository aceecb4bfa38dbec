// SPDX-License-Identifier: Apache-2.0
/* Names of extended attributes, asked for ahead: who lists those of one file of a directory after the other, as `ls -l` of
 * newer coreutils (Debian 13) does, gets them in batches, each by one question.
 *
 *     listed in order [xattr_ahead_follow] -> asked for -> noted -> given once [xattr_ahead_take]
 *                                                               -> changed [xattr_ahead_forget], or too old
 *
 * What it is not: a cache. Whoever lists the same file again asks again.
 * Threads: safe from any thread.
 * Memory: NOTES lists of XATTR_AHEAD_SIZE bytes at the most, and a reference to the revision of each. */
#ifndef FS_VFS_XATTR_AHEAD_H
#define FS_VFS_XATTR_AHEAD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "fs/store/revision.h"

enum { XATTR_AHEAD_SIZE = 1024 };

struct xattr_ahead;

/* Notes are believed for so long, but no longer than a second; with 0 nothing is asked for ahead. */
struct xattr_ahead *xattr_ahead_new(int64_t trust_ms);
/* Takes NULL, returns NULL. */
struct xattr_ahead *xattr_ahead_free(struct xattr_ahead *ahead);
/* What is noted of a file, as listxattr(2) gives it: its size or -ERANGE. False: nothing. */
bool xattr_ahead_take(struct xattr_ahead *ahead, uint64_t serial, const struct revision *revision, char *names, size_t size,
                      ssize_t *ret_size);
/* Of a file that nothing is noted of: how many are worth asking for now, with those after it; 1: it alone. */
unsigned xattr_ahead_follow(struct xattr_ahead *ahead, uint64_t serial);
/* A moment, to be taken before they are asked for. */
uint64_t xattr_ahead_moment(struct xattr_ahead *ahead);
/* Takes the names over, which are free()'s; their values had so many bytes. Unless something was forgotten since the moment. */
void xattr_ahead_note(struct xattr_ahead *ahead, uint64_t serial, struct revision *revision, char *names, size_t size,
                      size_t value_bytes, uint64_t moment);
/* The file with this _id has others by now, or (NULL) each may have. */
void xattr_ahead_forget(struct xattr_ahead *ahead, const void *id, uint32_t id_size);

#endif

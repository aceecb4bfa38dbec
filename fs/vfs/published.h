// SPDX-License-Identifier: Apache-2.0
/* The content of one revision, open for reading: shared by the handles of an inode, and the base under what is written.
 *
 * Threads: reading and references from any thread; reading blocks as the chunk cache does.
 * Memory: published_new() gives one reference, the last published_unref() frees it. */
#ifndef FS_VFS_PUBLISHED_H
#define FS_VFS_PUBLISHED_H

#include "cache/proof.h"
#include "cache/reader.h"
#include "cache/staging.h"
#include "fs/store/revision.h"

struct published;

/* NULL without memory. Takes a reference to the revision. */
struct published *published_new(struct chunks *chunks, struct revision *revision);
struct published *published_ref(struct published *content);
/* Takes NULL, returns NULL. */
struct published *published_unref(struct published *content);
int published_read(struct published *content, int64_t offset, size_t size, struct reader_view *ret_views,
                 unsigned *ret_count);
/* Has these bytes in the caches, see reader_fetch(). */
int published_fetch(struct published *content, int64_t offset, size_t size, bool stays);
/* The whole content, of a revision that is one chunk: it need not be fetched. Takes a reference of its own. */
void published_provide(struct published *published, struct blob *content);
/* A descriptor of the whole content, to be closed by the caller, or -errno: see chunk_source. */
int published_whole(struct published *content);
/* From now on what is taken of it is compared with this SHA-256 (see proof.h); unless it is already, or has no content. 0 or
 * -ENOMEM. */
int published_prove(struct published *content, const char *recorded, const char *subject);
/* Lent; NULL: it is not compared. */
struct proof *published_proof(struct published *content);
/* What it is the content of; lent. */
struct revision *published_revision(const struct published *content);
/* The same as the base of a staged file, which takes references of its own. NULL: nothing. */
struct staged_base published_base(struct published *content);
/* The revision of the base that is under a staged file now, a reference; NULL: nothing is. */
struct revision *published_under(struct staged *staged);

DEFINE_CLEANUP(struct published, published_unref)

#endif

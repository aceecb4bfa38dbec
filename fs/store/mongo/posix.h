// SPDX-License-Identifier: Apache-2.0
/* Changes of metadata in a files document of any origin: it may be absent or null, and what it has of others stays.
 *
 * metadata.posix of another revision, copied along by an application, is taken over by the first change: its times,
 * holes and lift go, since they would come alive, and `adopted` says that the content is still the application's.
 *
 * Threads: any. Errors: those of store.h; -EPERM: metadata, or posix in it, is no document. */
#ifndef FS_STORE_MONGO_POSIX_H
#define FS_STORE_MONGO_POSIX_H

#include "fs/store/mongo/bucket.h"

/* The changes of one inode that others may change at the same time are tried this often. */
enum { POSIX_TRIES = 50 };

/* Appends the fields of `attributes`, each with this before its name: "metadata.posix.", or "" for a node. */
void posix_append(bson_t *document, const char *prefix, const struct attributes *attributes);
/* bucket_update() of one files document, with fields inside metadata. Makes a metadata that is null a document. */
int posix_update(struct bucket *bucket, const struct revision *revision, const bson_t *filter, const bson_t *update,
                 int64_t *ret_matched);
/* Sets all that `changes` has: 1; or 0 when the document is not as `revision` says: of another posix.rev, or when
 * they are set with another identity or another count of links. */
int posix_try(struct bucket *bucket, const struct revision *revision, const struct attributes *changes);
/* The same revision after posix_try() was 1. */
int posix_changed(const struct revision *revision, const struct attributes *changes, struct revision **ret_revision);
/* The same revision as it is now; with its filename, to be freed, unless that is NULL. -ENOENT; -EPERM when metadata or
 * posix is an array. */
int posix_read(struct bucket *bucket, const struct revision *revision, struct revision **ret_revision,
               char **ret_filename);
#endif

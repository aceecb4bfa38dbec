// SPDX-License-Identifier: Apache-2.0
/* Whether something has a name, or lies below it: bounded, indexed questions, for changes that depend on the answer.
 *
 * Threads: any. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_PRESENCE_H
#define FS_STORE_MONGO_PRESENCE_H

#include "fs/store/mongo/bucket.h"

/* 1 when a file has this path in any spelling, or lies below it as if it were a directory. */
int presence_of_file(struct bucket *bucket, const char *path);
/* The same, or when nodes has this path; a further name of a file that is dead is buried. */
int presence_of_any(struct bucket *bucket, const char *path);
/* 1 when files in any spelling or nodes lie below the directory `path`. Buries dead further names. */
int presence_below(struct bucket *bucket, const char *path);
/* The name of a file at `path` in each spelling, as a filter. */
bson_t *presence_spellings(const char *path);
/* Those names as elements of an array, from *index on. */
void presence_append_spellings(bson_t *names, const char *path, unsigned *index);
/* -EINVAL, logged, for a path that GridFS cannot hold, or not show again. */
int presence_check_path(const char *path);

#endif

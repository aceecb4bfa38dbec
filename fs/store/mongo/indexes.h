// SPDX-License-Identifier: Apache-2.0
/* The two indexes of the GridFS specification: {filename: 1, uploadDate: 1} on files, unique {files_id: 1, n: 1} on
 * chunks. Numbers are compared by value (1 == 1.0), as the specification asks. */
#ifndef FS_STORE_MONGO_INDEXES_H
#define FS_STORE_MONGO_INDEXES_H

#include "fs/store/mongo/bucket.h"

/* See server_check_indexes(). */
int indexes_check(struct bucket *bucket, bool create);
/* The names of those that collections which exist lack. */
int indexes_missing(struct bucket *bucket, const char *ret_names[2], unsigned *ret_count);
/* Makes the missing ones if the bucket has no file. One that cannot be made is logged, and no error. */
int indexes_make_if_empty(struct bucket *bucket);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Files and nodes for the tests of names: documents put past the store, and what is at a path afterwards. */
#ifndef TESTS_STORE_NAMED_H
#define TESTS_STORE_NAMED_H

#include "tests/store/real_store.h"

/* A file of this name and date, whose _id is an ObjectId that ends in `number`; `own`: as a gridmount puts it. */
void named_put(struct real_store *real, const char *filename, unsigned number, int64_t date_ms, bool own);
void named_node(struct real_store *real, const char *path, const char *kind);
int64_t named_files(struct real_store *real, const char *filename); /* revisions of that very name */
int64_t named_nodes(struct real_store *real, const char *path);
/* The number of the newest revision of a path; -errno. */
int named_newest(struct real_store *real, const char *path);
/* The bucket as another mount has it; to be freed with bucket_free(). */
struct store *named_other(struct real_store *real, struct bucket **ret_bucket);
struct store_object named_object(const char *path, enum store_kind kind);
int named_make(struct store *store, const char *path, enum store_kind kind);

#endif

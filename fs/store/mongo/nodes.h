// SPDX-License-Identifier: Apache-2.0
/* The documents of <bucket>.gridmount.nodes: {_id: path, kind, target of a symlink, device of a device node, and the
 * attributes of attributes.h by their names}. One path, one node: nodes exclude each other. See lease.h for files.
 *
 * Threads: any. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_NODES_H
#define FS_STORE_MONGO_NODES_H

#include "fs/store/mongo/bucket.h"

/* The document at `path`, whatever it is, to be destroyed. -ENOENT. */
int nodes_read(struct bucket *bucket, const char *path, bson_t **ret_document);
/* The same document under another path. */
bson_t *nodes_renamed(const bson_t *document, const char *path);
bool nodes_is_directory(const bson_t *document);
/* Inserts it, in place of a dead further name. -EEXIST: another node is there. */
int nodes_insert(struct bucket *bucket, const bson_t *document);
/* Puts it in the place of what is there, unless that is a directory and this is none: -EEXIST. */
int nodes_replace(struct bucket *bucket, const bson_t *document);
/* Deletes the node at `path`, of a directory or of all else. 1, or 0 when there is none. */
int nodes_delete(struct bucket *bucket, const char *path, bool directory);

#endif

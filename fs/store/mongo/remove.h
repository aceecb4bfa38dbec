// SPDX-License-Identifier: Apache-2.0
/* What removing a name is made of, for renames that replace one too: of an object, path and ctime matter. Threads: any.
 * Errors: those of store.h. */
#ifndef FS_STORE_MONGO_REMOVE_H
#define FS_STORE_MONGO_REMOVE_H

#include "fs/store/mongo/bucket.h"

/* Every revision of the file there that is present now, oldest first, or one of its names when it has several. 1; 0: there is
 * no file that has this name by itself. */
int remove_file(struct bucket *bucket, const struct store_object *object); /* what it hides is there then */
/* Before a further name is put there, or what it stands for is put: see links_rescue(). 1: something was there, so that names are other than they
 * were; 0: nothing. */
int remove_rescue(struct bucket *bucket, const char *path);
/* Removes the node, no directory, that a file of this name hides: a rename was cut short, or an application put the file.
 * Else it would be back when the file has another name or none. */
int remove_hidden(struct bucket *bucket, const char *path);
/* Whether there is such a node, hidden or not: 1, 0 or -errno. */
int remove_may_hide(struct bucket *bucket, const char *path);
/* A node that is no directory, or a further name. 1; 0: there is none. */
int remove_node(struct bucket *bucket, const struct store_object *object);

#endif

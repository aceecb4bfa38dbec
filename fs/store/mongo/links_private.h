// SPDX-License-Identifier: Apache-2.0
/* What the changes of further names share; included by links*.c only. */
#ifndef FS_STORE_MONGO_LINKS_PRIVATE_H
#define FS_STORE_MONGO_LINKS_PRIVATE_H

#include "fs/store/mongo/links.h"

/* Counts one name more or less (`by`) of the file, as read last, or of the node at `path`, which changes its ctime unless
 * that is 0. Gives it an identity when it has none. -EMLINK. *ret_revision unless NULL: with the new count. */
int links_count_file(struct bucket *bucket, const struct revision *revision, int by, int64_t ctime_ns,
                     struct revision **ret_revision);
int links_count_node(struct bucket *bucket, const char *path, int by, int64_t ctime_ns,
                     unsigned char ret_file[ATTRIBUTES_FILE_SIZE]);
/* The same for what a further name stood for when it was read. That it cannot be counted leaves too high a count. */
void links_count_behind(struct bucket *bucket, const struct document_link *link, int by, int64_t ctime_ns);
/* Whether it has any, dead or alive: 1, 0 or -errno. Asks only when it may. */
int links_any(struct bucket *bucket, const struct attributes *attributes);
/* Whether it is a name of this file. */
bool links_is_of(const struct document_link *link, const struct revision *revision);
/* Whether a further name is seen as what it stands for, and not as another thing of that name: 1, 0 or -errno. */
int links_is_alive(struct bucket *bucket, const char *path, const unsigned char file[ATTRIBUTES_FILE_SIZE]);
/* Its node, to be destroyed. */
bson_t *links_document(const char *path, const struct document_link *link);
/* A new further name, in place of a dead one. -EEXIST. */
int links_insert(struct bucket *bucket, const char *path, const struct document_link *link);
/* Takes away that further name: 1; 0: it is not there. */
int links_delete(struct bucket *bucket, const char *path, const struct document_link *link);
/* All further names of `file` look for it at `at` from now on, or still at `was`. */
int links_point(struct bucket *bucket, const unsigned char file[ATTRIBUTES_FILE_SIZE], const char *at,
                const char *was);

#endif

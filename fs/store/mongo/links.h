// SPDX-License-Identifier: Apache-2.0
/* Hard links: further names of a file or node. The file itself has one name, which every GridFS client sees; the
 * others are nodes {_id: path, kind: "link", file: its identity, at: that name, was: the name before, node: whether
 * that name is a node's}. metadata.posix.links (of a node: links) counts all names; absent, there is one.
 *
 * Facts:
 * 1. A further name never stands for another file: it counts only while a revision `at` that name (or `was`) has its
 *    `file`. It stands for the newest of them, or for one of no identity that is newer still: that was put over the file
 *    by an application, which knows names and no links, so all names show it. The first change of such a revision by a
 *    mount gives it the file's identity (links_adopt). What was deleted and put again is another file.
 * 2. The count may be wrong after a crash, or on a server whose updates are not atomic; no name is lost by that: once a
 *    bucket had hard links, which {_id: "", hard_links: true} says, further names are asked for whatever the count.
 * 3. Where there is a file or a directory of the same name, the further name counts as absent: it is dead. Dead ones
 *    are left out when reading, and writers that meet them bury them: before a file goes or gets another name, what it
 *    hides, whoever left it there (remove_hidden), so that it does not come back.
 *
 * Threads: any. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_LINKS_H
#define FS_STORE_MONGO_LINKS_H

#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/document.h"

/* ---- reading ---- */

/* The document at `path`, alive or not: 1 and *ret_link, to be done with; 0 when there is none. */
int links_at(struct bucket *bucket, const char *path, struct document_link *ret_link);
/* What each of these stands for: a file with its newest revision or a node; left zeroed (a file without revision) when
 * it is dead. One question per hundred of a sort. */
int links_resolve(struct bucket *bucket, const struct document_link *const *links, size_t count,
                  struct store_entry *ret_entries);
/* The same for one: 1, or 0 when it is dead and *ret_entry is untouched. */
int links_follow(struct bucket *bucket, const struct document_link *link, struct store_entry *ret_entry);
/* The path of the node itself that is called `path`, to be freed: another one when it is a further name. -ENOENT. */
int links_node(struct bucket *bucket, const char *path, char **ret_path);

/* ---- for those who change files ---- */

/* Before a change that may cost a file its older revisions: where this one, which has no identity, was put over a file
 * with further names, it gets the file's. 1 and the same revision with its identity; or 0: it has none and needs none. Asks
 * nothing for what has one, nor in a bucket without hard links. */
int links_adopt(struct bucket *bucket, const struct revision *revision, struct revision **ret_revision);

/* Whether what has these attributes may have further names; without a question, after bucket_begin_changing(). */
bool links_possible(struct bucket *bucket, const struct attributes *attributes);
/* Takes away one of several names. 1: done; the file or node lives on under another name. 0: this is its only name,
 * and nothing was done. Of a file, `object` has the newest revision as read just now, not one remembered. Asks
 * nothing for a file in a bucket without hard links. */
int links_remove(struct bucket *bucket, const struct store_object *object);
/* Before a rename of what may have several names, of which `object` is as above and `to` is free. 1: done, it was a
 * further name. 0: the caller renames the file or node; its further names already follow, and go on to be found when
 * that fails. */
int links_rename(struct bucket *bucket, const struct store_object *object, const char *to);
/* Puts a node in the place of one that is no directory, or of none, at once: its name is never away. `replaced` has its path.
 * What was there lives on under its other names. */
int links_place(struct bucket *bucket, const bson_t *node, const struct store_object *replaced);
/* A second node `to` for the further name `object`, likewise: 0. -ENOENT: it is none. */
int links_double(struct bucket *bucket, const struct store_object *object, const char *to);
/* Before a directory is renamed: the further names of all that lies below it follow likewise. Names get no spelling.
 * When that rename is given up: the same with `from` and `to` exchanged. */
int links_rename_below(struct bucket *bucket, const char *from, const char *to);
/* Of revisions of one path, of which `newest` is what the name shows: before they are removed or renamed with it, those of
 * other files with several names, onto which it was put or renamed by who died before he could do this, go where one of
 * those names is. 1: some did; 0: there are none. Asks nothing for others. */
int links_rescue(struct bucket *bucket, const char *path, const struct revision *const *revisions, uint32_t count,
                 const struct revision *newest);
/* Removes a dead further name. 1: there was one, and `path` has no node any more; 0: there was none. */
int links_bury(struct bucket *bucket, const char *path);
/* Removes the dead ones below a directory: before it is found not to be empty. */
int links_bury_below(struct bucket *bucket, const char *path);

#endif

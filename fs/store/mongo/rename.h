// SPDX-License-Identifier: Apache-2.0
/* Renames. One file is one update of its newest revision, of which the name and, where a replaced file has a later
 * date, the date change together:
 *
 *     the newest revision gets the name      from here on the new name has the new content
 *     older ones follow                      by one update, if there are any
 *     what was replaced is retired           oldest first
 *
 * Onto a free name the first is tried unasked, with the revision that the caller last saw, by a command that counts what
 * else has either name (ordered.h): mostly nothing, and then that was all.
 *
 * A node is inserted under its new name, in the place of one that is there, and deleted under the old; a file in its way is
 * removed in between. Of a file with several names the others point to both names before it moves. Whoever dies on the way
 * leaves each name with its old or its new content, and maybe a node that a file hides, or a revision with names of its own
 * below one that came over it: the next change of that name deals with those first (remove_hidden, links_rescue).
 *
 * What is more than that, directories and exchanges, is done under an intent:
 *
 *     {_id, kind: "rename", from, to, owner, until}
 *     {_id, kind: "exchange", from, to, by: a free name, step, owner, until}     from -> by, to -> from, by -> to
 *
 * whose steps can all be done again: when its time is over because its mount died, another finishes it. Until then
 * other hosts see a part of it.
 *
 * Threads: any. No lock is held across a question. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_RENAME_H
#define FS_STORE_MONGO_RENAME_H

#include "fs/store/mongo/bucket.h"

/* Finishes what dead mounts began: as many as are done in time; part of housekeeping. */
int rename_recover(struct bucket *bucket, int64_t end_ms);

/* ---- between the files of renames ---- */

enum { RENAME_LEASE_MS = 60 * 1000 };

/* Multi-document work in progress. */
struct rename_intent {
    struct bucket *bucket;
    bson_oid_t id, owner;
    int64_t until_ms;
};

/* `by` NULL: of a directory. */
int rename_intent_begin(struct bucket *bucket, const char *from, const char *to, const char *by,
                        struct rename_intent *ret_intent);
/* To be called at least every few seconds while it goes on. -ETIMEDOUT: others do it now. */
int rename_intent_keep(struct rename_intent *intent);
int rename_intent_step(struct rename_intent *intent, int step);
/* It is done, or was never begun. */
void rename_intent_end(struct rename_intent *intent);

/* The file at from->path, of which from->revision was last seen (or NULL), onto what `target` says is there, NULL: nothing.
 * -ENOENT: no file has this name by itself. */
int rename_file(struct bucket *bucket, const struct store_object *from, const char *to,
                const struct store_object *target);
/* A node that is no directory, or a further name of a file. -EAGAIN: nothing was done but to mend what others left. */
int rename_node(struct bucket *bucket, const struct store_object *from, const char *to,
                const struct store_object *target);
int rename_directory(struct bucket *bucket, const char *from, const char *to);
int rename_exchange(struct bucket *bucket, const char *from, const char *to);

/* What lies below the directory `from`, and its node, to `to`, where nothing else is. Can be done again. */
int rename_tree(struct rename_intent *intent, const char *from, const char *to);
/* The files below, in all spellings; nodes below. */
int rename_files_below(struct rename_intent *intent, const char *from, const char *to);
int rename_nodes_below(struct rename_intent *intent, const char *from, const char *to);

#endif

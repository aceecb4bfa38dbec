// SPDX-License-Identifier: Apache-2.0
/* An open directory: its entries in one stable order, each that is there throughout exactly once.
 *
 * Entries are numbered as they are first read; the keys given out are remembered, so that a position means the same
 * entry later, after a seek back or a lost cursor, however many names were deleted meanwhile: the list is read again
 * from there and matched with the keys. A name that appears behind a position already passed is not shown.
 *
 * Threads: one at a time (the kernel serialises reads of one directory handle).
 * Memory: the keys given out, a window of entries around the position, and what was read ahead of it (list_ahead.h).
 * Errors: those of the store; a later call goes on from where it was. */
#ifndef FS_VFS_DIRECTORY_H
#define FS_VFS_DIRECTORY_H

#include "cache/base/workers.h"
#include "fs/store/store.h"
#include "fs/vfs/keys.h"

struct directory;

/* The entries of `path` in a bucket. Asks nothing yet. `path` is copied. `workers` read ahead; NULL: none do. NULL without
 * memory. */
struct directory *directory_new(struct store *store, const char *path, struct workers *workers);
/* A directory of fixed entries, by their keys ("name", or "name/" for directories); takes over the NULL-terminated list
 * (server_free_names()). */
struct directory *directory_of_names(char **keys);
/* Takes NULL, returns NULL. */
struct directory *directory_free(struct directory *directory);
/* Whether an entry of this key has been given. */
bool directory_gave(const struct directory *directory, const char *key);
/* Begins again: with what is there now, or, given the keys of a listing that had ended, with its entries and positions,
 * as far as they still are there. A directory of names only begins again. 0 or -ENOMEM. */
int directory_begin(struct directory *directory, struct keys *keys);
/* Begins again with these entries and asks nothing: of each is only known what its key says. 0 or -ENOMEM. */
int directory_recall(struct directory *directory, struct keys *keys);
/* A reference to the keys of all its entries, once the end was reached; else NULL, also of entries that were recalled. */
struct keys *directory_keys(struct directory *directory);
/* The first entry at or behind `position`: 1, its position and the entry, lent until the next call; 0 at the end;
 * -errno. */
int directory_get(struct directory *directory, uint64_t position, uint64_t *ret_position, struct store_item **ret_item);

#endif

// SPDX-License-Identifier: Apache-2.0
/* A scan: the direct entries of one directory, in one spelling, in one collection, in the order of their names.
 *
 * What crosses the network is proportional to the entries, not to what lies below them. There are two ways, and the
 * scan finds out which one this server does fast:
 *
 *     WALK  read documents in the order of names; behind the first few below a subdirectory, begin again after it.
 *           A server that seeks in its index answers each beginning in one step.
 *     GROUP let the server group the names by their first component, then fetch the documents of files by name.
 *
 *     WALK -> GROUP [walk_page: the first documents took too long, or skipping would]
 *     GROUP -> WALK [group_page: the server cannot group]
 *
 * Threads: one thread at a time. Blocks.
 * Memory: one page of entries. A running cursor pins a client of the pool; without a pin to be had each page is a
 *         question of its own.
 * Facts: keys rise strictly; a key is given once. */
#ifndef FS_STORE_MONGO_SCAN_H
#define FS_STORE_MONGO_SCAN_H

#include "fs/store/mongo/connection.h"

/* Where to scan. All lent, living as long as the scan. */
struct scan_place {
    struct connection *connection;
    struct store *store;
    const char *collection;
    bool nodes;         /* documents are nodes and the name is _id; else files documents and filename */
    const char *prefix; /* of the names: "", "dir/", "/dir/", "./dir/" */
};

struct document_link;

/* Why a file is no entry of its directory. */
#define SCAN_NO_PATH "not a path"
#define SCAN_SHADOWED "a directory has its name"

struct scan_item {
    char *key;    /* the stored component; with "/" behind when something lies below it */
    bool below;   /* the key ends in "/" */
    bool hidden;  /* no entry of the directory: no path, or another spelling's */
    struct document_link *link; /* the entry is still to be found: what this further name stands for; owned */
    struct store_entry entry;
    int64_t read_ms;
};

struct scan;

/* From behind `after`, a key, or NULL. Asks nothing yet. */
int scan_new(const struct scan_place *place, const char *after, struct scan **ret_scan);
struct scan *scan_free(struct scan *scan);
/* Whether scan_peek() would ask a question. */
bool scan_must_ask(const struct scan *scan);
/* 1 and the next item, lent until scan_advance(); 0 at the end; -errno. */
int scan_peek(struct scan *scan, struct scan_item **ret_item);
void scan_advance(struct scan *scan);
/* Whether something lies below `component` in this spelling: 1, 0 or -errno. `component` >= what was peeked. */
int scan_has_below(struct scan *scan, const char *component);

#endif

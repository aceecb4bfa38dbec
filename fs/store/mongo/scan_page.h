// SPDX-License-Identifier: Apache-2.0
/* What the two ways of a scan (scan.h) share; included by scan*.c only. */
#ifndef FS_STORE_MONGO_SCAN_PAGE_H
#define FS_STORE_MONGO_SCAN_PAGE_H

#include "fs/store/mongo/scan.h"

struct scan {
    struct scan_place place;
    const char *field; /* that holds the name */
    size_t prefix_size;
    char *from;     /* the bound to go on from */
    bool inclusive; /* the bound itself is wanted */
    char *until;    /* names are below this one; NULL: no bound */
    bool grouping;  /* the way now taken */
    bool can_group; /* as far as known */
    bool lean;      /* the documents are big: leave out what is not needed, which costs the server time */
    bool finished;  /* nothing is to come beyond the items */

    /* A running cursor, with the client it came from. */
    mongoc_client_t *client;
    bool pinned;
    mongoc_collection_t *handle;
    mongoc_cursor_t *cursor;

    unsigned page; /* documents to ask for next */
    unsigned lost; /* cursors in a row that were lost before anything came */
    unsigned idle; /* documents in a row that gave no new item */
    int64_t began_ms;   /* when the cursor was */
    int64_t opening_ms; /* what the last beginning took */

    struct scan_item *items; /* [first, count): not yet taken */
    size_t first, count, capacity;
};

enum {
    SCAN_PAGE_FIRST = 80,     /* documents: ten big subdirectories skipped stay below a thousand */
    SCAN_PAGE_MOST = 4000,
    SCAN_LOST_MOST = 5,
    SCAN_IDLE_MOST = 16,      /* documents of one subdirectory before it is skipped, on a server without delay */
    SCAN_PER_MS = 25,         /* documents that come while a question takes a millisecond longer */
    SCAN_PATIENCE_MS = 150,   /* for the first page, beyond round trips */
    SCAN_BIG = 16 << 10,      /* bytes of a document that has more than GridFS's fields and a little metadata */
    SCAN_SKIP_MS = 8,         /* what a skip may take to be better than grouping */
};

/* Ends a running cursor and gives the client back. */
void scan_close_cursor(struct scan *scan);
/* A client, pinned or for one page, and the collection. 0 or -ETIMEDOUT. */
int scan_open_client(struct scan *scan);
/* How many documents may as well be read as one more question asked. */
unsigned scan_worth_a_question(const struct scan *scan);
/* Moves the bound from where the scan goes on. 0 or -ENOMEM. */
int scan_move(struct scan *scan, const char *name, size_t size, bool inclusive);
/* {field: {$gt(e): from, $lt: until}}; NULL where the scan has no bounds at all. */
bson_t *scan_range(const struct scan *scan);
/* Adds the item of a component, or finds it as the last one. NULL without memory. */
struct scan_item *scan_add(struct scan *scan, const char *component, size_t size, bool below, bool *ret_fresh);
/* Takes the last item back. */
void scan_drop_last(struct scan *scan);
/* Makes a document part of the item that stands for its name itself. */
int scan_absorb(struct scan *scan, struct scan_item *item, const bson_t *document);
/* The name in a document of this collection; NULL when it is no string. */
const char *scan_name(const struct scan *scan, const bson_t *document, size_t *ret_size);

/* Whether an item of the unspelled scan of the root stands for "/..." or "./...", which other scans show. */
bool scan_is_spelling(const struct scan *scan, const struct scan_item *item);
/* Notes a document that is no entry, and why. 1, or -ENOMEM. */
int scan_note(struct scan *scan, const bson_t *document, const char *why);
/* Whether any name is in the range of the scan: 1, 0 or -errno. */
int scan_range_exists(const struct scan *scan);

/* The two ways: each reads one page. 0 or -errno. */
int scan_walk_page(struct scan *scan);
int scan_group_page(struct scan *scan);

#endif

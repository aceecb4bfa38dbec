// SPDX-License-Identifier: Apache-2.0
/* The events of a change stream as what they mean for the paths of a bucket.
 *
 * Pure functions: no state, any thread. Fuzzed (tests/fuzz): what others stored is in them. */
#ifndef FS_STORE_MONGO_CHANGE_EVENT_H
#define FS_STORE_MONGO_CHANGE_EVENT_H

#include <bson/bson.h>

#include "fs/store/store.h"

/* The collections that paths come from; NULL: nothing of it is asked for. */
struct change_collections {
    const char *files, *nodes, *locks;
    bson_oid_t mount; /* whose own locks tell nothing */
};

/* What is asked of the server: the stages of a stream on the database, from behind `token` (NULL: from now on). Content
 * is not among it, nor is what no function here reads, nor what of locks gives none back, as mounts that say that they
 * live. To be destroyed. */
bson_t *change_event_pipeline(const struct change_collections *collections, const bson_t *token);
/* What an event says, whose strings belong to *ret_change: change_event_done(). 1, 0 when it changes no path, or -ENOMEM. */
int change_event_read(const bson_t *event, const struct change_collections *collections,
                      struct store_change *ret_change);
void change_event_done(struct store_change *change);
/* Whether it gives a name that begins with a spelling (names.h) to a file. */
bool change_event_is_spelled(const bson_t *event);

#endif

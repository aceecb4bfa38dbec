// SPDX-License-Identifier: Apache-2.0
/* The files documents that lookups found last, whole: the kernel looks a name up right before it has it removed, so that
 * the removal need not ask for what it puts into the trash.
 *
 * They are from a moment ago, and not to be relied on: who uses one says to the server what it was seen as.
 *
 * Threads: any. Memory: RECENTS documents of up to RECENT_BYTES; as long as larger ones are met none is asked for whole. */
#ifndef FS_STORE_MONGO_RECENT_H
#define FS_STORE_MONGO_RECENT_H

#include <bson/bson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/base/lock.h"

enum { RECENTS = 32, RECENT_MS = 1000, RECENT_BYTES = 4096 };

struct recents {
    atomic_int_least64_t large_until_ms; /* larger documents were met */
    struct lock lock;                    /* guards what follows */
    unsigned next;                       /* a ring */
    struct recent {
        char *path; /* NULL: none */
        bson_t *document;
        int64_t found_ms;
    } list[RECENTS];
};

void recents_init(struct recents *recents);
void recents_done(struct recents *recents);

/* Whether documents may be asked for whole, as others have made them. */
bool recents_whole(const struct recents *recents);
/* One that was asked for so. */
void recents_measure(struct recents *recents, const bson_t *document);
/* The only revision of a path, or NULL: it has none or several, or hides a node. Takes the document. */
void recents_note(struct recents *recents, const char *path, bson_t *document);
/* What was noted of a path within RECENT_MS, to be destroyed; or NULL. It is not given again. */
bson_t *recents_take(struct recents *recents, const char *path);

#endif

// SPDX-License-Identifier: Apache-2.0
/* The revisions of one name, or of two, in all spellings, by one question: whole documents, since what is retired is
 * kept as it was.
 *
 * Threads: one object is used by one thread. Memory: owned by the object. Errors: those of store.h. */
#ifndef FS_STORE_MONGO_REVISIONS_H
#define FS_STORE_MONGO_REVISIONS_H

#include "fs/store/mongo/bucket.h"

enum { REVISIONS_MOST = 256, REVISIONS_OLDEST = 1, REVISIONS_NEWEST = -1 };

struct found_revision {
    struct revision *revision;
    bson_t *document;
    char *filename;
    bool of_other; /* its path is the second */
};

struct revisions {
    struct found_revision list[REVISIONS_MOST]; /* in the order asked for */
    uint32_t count;
    bool more; /* there are others, of at least the last one's date in that order */
};

/* `other`: a second path, or NULL. */
int revisions_find(struct bucket *bucket, const char *path, const char *other, int order,
                   struct revisions **ret_revisions);
/* The newest of those found of the first path, or of the second; NULL without any. */
const struct found_revision *revisions_newest(const struct revisions *revisions, bool of_other);
/* Takes NULL, returns NULL. */
struct revisions *revisions_free(struct revisions *revisions);

DEFINE_CLEANUP(struct revisions, revisions_free)

#endif

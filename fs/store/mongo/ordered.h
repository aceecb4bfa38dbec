// SPDX-License-Identifier: Apache-2.0
/* Changes of several collections by one command, made in order until one fails: bulkWrite, which MongoDB has since 8.0.
 * This is no transaction: what was made before a failure stays, as when one change is made after another.
 *
 *     if (ordered_begin(bucket, &ordered)) {
 *         ordered_insert(&ordered, ...);
 *         ordered_delete(&ordered, ...);
 *         result = ordered_end(&ordered, counts);
 *     }
 *
 * As a change may not be the whole truth about a name, it may be followed by a look at what else is there: a count in
 * the same command, where a find would be a round trip more. What was counted is then asked for, if it is not 0.
 *
 * Threads: one uses it. Memory: what is given is copied at once. */
#ifndef FS_STORE_MONGO_ORDERED_H
#define FS_STORE_MONGO_ORDERED_H

#include "fs/store/mongo/bucket.h"

enum {
    ORDERED_BYTES_MOST = 1 << 20, /* of documents, which all go into one */
    ORDERED_MOST = 4,             /* changes and counts */
    ORDERED_UNKNOWN = -1,         /* in place of a count: whether it was made cannot be told */
};

struct ordered {
    struct bucket *bucket;
    bson_t operations, namespaces;
    uint32_t count, namespace_count;
    const char *collections[ORDERED_MOST]; /* of the namespaces */
};

bool ordered_possible(struct bucket *bucket);
/* False: not possible; else it is to be ended. */
bool ordered_begin(struct bucket *bucket, struct ordered *ret_ordered);
/* Collections are those of the bucket, by its pointers. */
void ordered_insert(struct ordered *ordered, const char *collection, const bson_t *document);
void ordered_update(struct ordered *ordered, const char *collection, const bson_t *filter, const bson_t *update);
void ordered_delete(struct ordered *ordered, const char *collection, const bson_t *filter);
/* Changes nothing. */
void ordered_count(struct ordered *ordered, const char *collection, const bson_t *filter);
/* 0: all were made. ret_counts unless NULL has of each how many documents were inserted, matched, deleted or counted, also
 * where not all were made.
 * 1: not all may have been, and they are to be made one after another by those who know what it means that one was made
 * already. -ETIMEDOUT: some may have been, and no time is left. */
int ordered_end(struct ordered *ordered, int64_t ret_counts[ORDERED_MOST]);

#endif

/* Changes of several collections by one command, made in order until one fails: bulkWrite, which MongoDB has since 8.0.
 * This is no transaction: what was made before a failure stays, as when one change is made after another.
 *
 *     if (ordered_begin(bucket, &ordered)) {
 *         ordered_insert(&ordered, ...);
 *         ordered_delete(&ordered, ...);
 *         result = ordered_end(&ordered);
 *     }
 *
 * Threads: one uses it. Memory: what is given is copied at once. */
#ifndef FS_STORE_MONGO_ORDERED_H
#define FS_STORE_MONGO_ORDERED_H

#include "fs/store/mongo/bucket.h"

enum { ORDERED_BYTES_MOST = 1 << 20 }; /* of documents, which all go into one */

struct ordered {
    struct bucket *bucket;
    bson_t operations, namespaces;
    uint32_t count;
};

bool ordered_possible(struct bucket *bucket);
/* False: not possible; else it is to be ended. */
bool ordered_begin(struct bucket *bucket, struct ordered *ret_ordered);
/* Each change is of another collection. */
void ordered_insert(struct ordered *ordered, const char *collection, const bson_t *document);
void ordered_delete(struct ordered *ordered, const char *collection, const bson_t *filter);
/* 0: all were made. 1: not all may have been, and they are to be made one after another by those who know what it means
 * that one was made already. -ETIMEDOUT: some may have been, and no time is left. */
int ordered_end(struct ordered *ordered);

#endif

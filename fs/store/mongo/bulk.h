// SPDX-License-Identifier: Apache-2.0
/* Many changes of one collection by as few commands as the server takes, in no order, acknowledged as change.h says.
 *
 * A set of changes is made and executed by one thread, which asks nothing else meanwhile: it has a client of the pool.
 * Errors: those of store.h; some changes may have been made then. */
#ifndef FS_STORE_MONGO_BULK_H
#define FS_STORE_MONGO_BULK_H

#include "fs/store/mongo/bucket.h"

struct bulk {
    struct bucket *bucket;
    const char *collection;
    mongoc_client_t *client;
    mongoc_collection_t *handle;
    mongoc_bulk_operation_t *changes;
    int result; /* of adding */
};

int bulk_begin(struct bucket *bucket, const char *collection, struct bulk *ret_bulk);
void bulk_insert(struct bulk *bulk, const bson_t *document);
void bulk_update(struct bulk *bulk, const bson_t *filter, const bson_t *update, bool upsert);
/* Makes the changes, if there are any. What is inserted although it is there counts as done. */
int bulk_end(struct bulk *bulk);

#endif

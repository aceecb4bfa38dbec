// SPDX-License-Identifier: Apache-2.0
/* Chunks that are sent before the put that publishes them, while the content is still written: what store.h calls an
 * upload.
 *
 *     open [upload_offer] -> sending batches [write_behind_take, by a put; upload_end] -> closed
 *
 * What proves that a chunk on the server is what the content has: it was acknowledged here, and the content says that
 * nothing of it has changed since it was read for that. Each chunk is sent once at most. One that was changed is
 * deleted, and inserted anew by the put, but only if no try to insert it may still be on its way; where that, or anything
 * else, is not known for sure, the put takes another _id and sends everything, and these chunks are left to be cleaned
 * up.
 *
 * Threads: any. Batches are sent by the uploaders, each in its turn, few of one upload at a time.
 * Memory: as in upload.h, of which each batch takes its room. */
#ifndef FS_STORE_MONGO_WRITE_BEHIND_H
#define FS_STORE_MONGO_WRITE_BEHIND_H

#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/runs.h"

/* Gives a put what was sent of its content: an _id under an intent, which is the put's to settle, and in *sent, an
 * empty set, those chunks that need not be sent again. No others of this _id are there then. 1: nothing can be made use
 * of. -ETIMEDOUT: the server has not answered for as long as a put may wait. */
int write_behind_take(struct store_upload *upload, const struct store_content *content, uint32_t chunk_size,
                      bson_oid_t *ret_id, struct intent **ret_intent, struct runs *sent);

#endif

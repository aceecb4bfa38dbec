// SPDX-License-Identifier: Apache-2.0
/* The chunks of a new revision: inserted in batches of 2 to 8 MiB, several at once, in any order.
 *
 * A batch is built straight from the content's read(), by the thread that sends it: the caller's, and those of the
 * uploaders that have nothing else to do. A batch that was sent may have arrived although the connection broke: all its
 * _ids are given beforehand, so it is sent again, and what is there already counts as done.
 *
 * Threads: any. Blocks until all is stored or something failed.
 * Memory: batches under way, of all puts of a server, hold at most UPLOAD_ROOM bytes, with the copy that the driver makes
 * of each while it sends it: enough for five of the usual size. More puts wait for room.
 * Errors: those of store.h, and what read() returned. */
#ifndef FS_STORE_MONGO_UPLOAD_H
#define FS_STORE_MONGO_UPLOAD_H

#include "cache/base/budget.h"
#include "cache/base/workers.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/runs.h"

enum { UPLOAD_ROOM = 26 << 20, UPLOAD_BATCH = 2 << 20, UPLOAD_CHUNK_MOST = 8 << 20 };

struct uploaders;

/* `budget`, or NULL, is charged for the room that is taken, by force. */
struct uploaders *uploaders_new(struct budget *budget);
/* Takes NULL, returns NULL. No upload may be under way. */
struct uploaders *uploaders_free(struct uploaders *uploaders);
/* Runs a task in one of the threads; false: too much is to be done already. */
bool uploaders_submit(struct uploaders *uploaders, workers_task *task, void *argument);
/* Room for the bytes of a batch, and their copy. Waits for others if it must: each batch under way ends within the connection's
 * timeout. */
void uploaders_take_room(struct uploaders *uploaders, size_t bytes);
void uploaders_give_room(struct uploaders *uploaders, size_t bytes);

struct upload {
    const bson_oid_t *id; /* of the file */
    const struct store_content *content;
    uint32_t chunk_size;
    const struct runs *skip; /* what is there already, or NULL */
    struct intent *intent;  /* kept while this lasts */
    unsigned char *sha256;  /* 32 bytes to be filled, or NULL; then nothing may be skipped */
};

/* The size of the chunks of a revision made after this one, or after none; and how many a batch has. */
uint32_t upload_chunk_size(const struct revision *model);
uint32_t upload_batch_chunks(uint32_t chunk_size);
int upload_chunks(struct bucket *bucket, const struct upload *upload);

#endif

/* Chunks of a base that go over unchanged into a new revision, copied by the server: a small change to a large file
 * does not move the file over the network.
 *
 * Threads: any. Memory: ret_runs is the caller's to free. */
#ifndef FS_STORE_MONGO_COPY_H
#define FS_STORE_MONGO_COPY_H

#include "fs/store/mongo/upload.h"

/* Copies runs of clean chunks of `base`, in pieces that take the server a few seconds each. *ret_runs are those that
 * are there now: none when the server cannot copy (then it is not asked again for half an hour), or it does not pay. */
int copy_clean_chunks(struct bucket *bucket, const struct upload *upload, const struct revision *base,
                      struct upload_run **ret_runs, uint32_t *ret_count);

#endif

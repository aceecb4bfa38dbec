/* Chunks of a base that go over unchanged into a new revision, copied by the server: a small change to a large file
 * does not move the file over the network.
 *
 * Threads: any. */
#ifndef FS_STORE_MONGO_COPY_H
#define FS_STORE_MONGO_COPY_H

#include "fs/store/mongo/upload.h"

/* Copies runs of clean chunks of `base`, in pieces that take the server a few seconds each, and adds what is there now
 * to *copied, an empty set: nothing when the server cannot copy (then it is not asked again for half an hour), or it does
 * not pay. What the upload is to skip is there before. */
int copy_clean_chunks(struct bucket *bucket, const struct upload *upload, const struct revision *base,
                      struct runs *copied);

#endif

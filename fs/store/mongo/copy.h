// SPDX-License-Identifier: Apache-2.0
/* Chunks of the source that go over unchanged into a new revision, copied by the server: neither a small change to a
 * large file moves it over the network, nor a copy of it.
 *
 * Threads: any. */
#ifndef FS_STORE_MONGO_COPY_H
#define FS_STORE_MONGO_COPY_H

#include "fs/store/mongo/upload.h"

/* Copies runs of clean chunks of the content's source, in pieces that take the server a few seconds each, and adds what
 * is there now to *copied, an empty set: nothing when the server cannot copy (then it is not asked again for half an
 * hour), or it does not pay. What the upload is to skip is there before. -EIO: chunks of the source are damaged or gone. */
int copy_clean_chunks(struct bucket *bucket, const struct upload *upload, struct runs *copied);

#endif

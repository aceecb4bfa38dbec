// SPDX-License-Identifier: Apache-2.0
/* Sending ahead: a file that much is written to in one go is uploaded while it is written, so that its close finds most
 * of it stored. Small files, and what is written here and there, are left to the close.
 *
 *     idle [ahead_wrote says so] -> begun [ahead_begin] -> uploading [ahead_end] -> idle
 *
 * What it is not: it does not know what of the file was sent, nor whether it was changed since; the staging buffer and
 * the store do.
 *
 * Threads: ahead_wrote() and ahead_begin() from any thread between file_enter() and file_leave(), the rest by a
 * publication (file.h). They ask nothing of the server. */
#ifndef FS_VFS_AHEAD_H
#define FS_VFS_AHEAD_H

#include "cache/base/lock.h"
#include "cache/staging.h"
#include "fs/store/store.h"

enum { AHEAD_LEAST = 8 << 20 }; /* bytes in one go */

struct ahead {
    struct lock lock; /* guards what follows */
    bool begun;
    int64_t start, end;          /* what was last written in one go */
    int64_t offered;             /* the upload was told of all before */
    struct store *store;         /* of the upload */
    struct store_upload *upload; /* or NULL */
};

void ahead_init(struct ahead *ahead);
/* No upload is left. */
void ahead_done(struct ahead *ahead);
/* Something was written. Returns whether an upload is to be begun. */
bool ahead_wrote(struct ahead *ahead, int64_t offset, size_t size);
/* Begins it; `model` as the store has it. Where it cannot be, the close sends all. */
void ahead_begin(struct ahead *ahead, struct store *store, const struct revision *model, struct staged *staged);
/* What was sent of the file, for a put; or NULL. It goes with ahead_end(). */
struct store_upload *ahead_upload(struct ahead *ahead);
void ahead_end(struct ahead *ahead);

#endif

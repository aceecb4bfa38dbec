// SPDX-License-Identifier: Apache-2.0
/* Watching a bucket: a thread that reads a change stream and tells a listener (store.h) what it says.
 *
 *     closed --[open_stream]--> open, from now on or behind the last token [listener: watching, if it was lost]
 *     open --[an error that the server gave]--> behind the last token, at once: nothing is missed
 *     open --[no answer, or not resumed]--> lost [listener: lost] --[after a while]--> closed
 *
 * The server answers at least once in WATCH_AWAIT_MS; one that is silent for WATCH_SILENCE_MS is away.
 * Which collections, and what of them, is change_event.h's affair.
 *
 * Threads: one of its own from bucket_watch() to watch_done(), which calls the listener, as who has to say watch_tell_unsure()
 * does. */
#ifndef FS_STORE_MONGO_WATCH_H
#define FS_STORE_MONGO_WATCH_H

#include "fs/store/mongo/bucket.h"

enum {
    WATCH_AWAIT_MS = 1000,
    WATCH_SILENCE_MS = 4000,
    WATCH_AGAIN_MS = 1000,
    WATCH_GATHER_MS = 5, /* of many changes, several are told at a time: each answer costs the server, too */
};

/* What is at a path may change without an event that names it: to be said by whoever found nothing there, before that is
 * answered. So nobody goes on believing it. */
void watch_tell_unsure(struct bucket *bucket, const char *path);
/* Waits for the thread: one round trip, or until the server is taken for away. */
void watch_done(struct bucket *bucket);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Runs of chunks of one file, in order and apart: sets of their numbers.
 *
 * Threads: none of its own. Memory: zeros are an empty set; runs_done() frees it.
 * Errors: -ENOMEM, and then nothing was changed. */
#ifndef FS_STORE_MONGO_RUNS_H
#define FS_STORE_MONGO_RUNS_H

#include <stdint.h>

#include "cache/base/cleanup.h"

struct upload_run {
    uint32_t first, count;
};

struct runs {
    struct upload_run *list;
    uint32_t count, room;
};

/* Takes what was added, or zeros. */
void runs_done(struct runs *runs);
/* None of it is in the set. */
int runs_add(struct runs *runs, uint32_t first, uint32_t count);
/* Adds all of another set, none of which is in this one. */
int runs_add_all(struct runs *runs, const struct runs *others);
/* How many chunks there are. */
int64_t runs_chunks(const struct runs *runs);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What most names have nothing to do with, and every lookup would have to ask for: spellings with a leading "/" or "./",
 * and nodes in a directory. Asked once, either answer is believed for a while (server_config.trust_ms). Nodes are
 * believed absent only where the answer is about a name that is there: a directory made elsewhere must show at once.
 *
 * Threads: any; no lock is held across a question. Asking once too often is harmless, and so is an answer that was not
 * got: it counts as yes. What this mount itself makes is noted, and believed from then on; what a rename of a directory
 * moves along is not, and shows within that while. */
#ifndef FS_STORE_MONGO_BELIEFS_H
#define FS_STORE_MONGO_BELIEFS_H

#include <stdbool.h>
#include <stdint.h>

#include "cache/base/lock.h"

enum { BELIEFS_DIRECTORIES = 64 };

struct bucket;

struct belief {
    int64_t until_ms; /* good until then */
    bool there;
};

struct beliefs {
    struct lock lock; /* guards all of it */
    uint64_t noted;   /* how often something was */
    bool told;       /* of each spelling that comes: see bucket_told_of_spellings() */
    struct belief spellings;
    struct {
        char *path; /* NULL: none */
        struct belief nodes;
    } directories[BELIEFS_DIRECTORIES];
};

void beliefs_init(struct beliefs *beliefs);
void beliefs_done(struct beliefs *beliefs);

bool bucket_may_have_spellings(struct bucket *bucket);
/* Whether nodes may hold anything in the directory that `path` is in. */
bool bucket_may_have_nodes(struct bucket *bucket, const char *path);
/* There is one. */
void bucket_note_spelling(struct bucket *bucket);
/* There may be spellings by now. */
void bucket_doubt_spellings(struct bucket *bucket);
/* From now on, or no more, each spelling that anybody makes is noted: that there is none is good until something is doubted. Asks for it. */
void bucket_told_of_spellings(struct bucket *bucket, bool told);
void bucket_note_node(struct bucket *bucket, const char *path);

#endif

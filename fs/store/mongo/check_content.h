// SPDX-License-Identifier: Apache-2.0
/* What the check of content is made of: a merge of all files with all chunks that only suspects, and judges that look at
 * each suspect once more, since others change the bucket while it is read.
 *
 * Threads: one. */
#ifndef FS_STORE_MONGO_CHECK_CONTENT_H
#define FS_STORE_MONGO_CHECK_CONTENT_H

#include "fs/store/mongo/check.h"

/* Options of a find that gives chunks as chunk_read() wants them, in the order of {files_id, n}. */
bson_t *chunk_options(const struct bucket_checks *checks, bool with_id);

struct chunk {
    int64_t n;    /* -1: it has none that is one */
    int64_t size; /* bytes; -1: it has no data */
};

struct chunk chunk_read(const bson_t *document);

/* Looks at the chunks of a files document, and reports it when they are damaged and it still is there. */
int judge_file(const struct bucket_checks *checks, const bson_t *document, const struct check_listener *listener);

/* Contents for which no files document was seen. */
enum { ORPHANS_AT_ONCE = 128 };

struct orphan {
    bson_t *id; /* {_id: files_id}; owned */
    int64_t chunks, bytes;
    int64_t last_ms; /* when the newest chunk was made, as its _id says; INT64_MIN: it does not */
    bool explained;  /* by a files document, a retired revision, or an upload's record */
    bool there;
};

struct orphans {
    struct orphan list[ORPHANS_AT_ONCE];
    unsigned count;
    int64_t unjudged, unjudged_bytes; /* records could not be read */
};

/* Whether a list of values to ask for can have this one, as the _id of any file can be; regular expressions and operators
 * are no values there. */
bool orphan_is_askable(const bson_iter_t *id);
/* Reports those that nothing explains, and forgets all. */
int judge_orphans(const struct bucket_checks *checks, struct orphans *orphans, const struct check_listener *listener);
void orphans_clear(struct orphans *orphans);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a revision that was just published finds under its name: whether it is the newest, what it replaces.
 *
 * Of any number of puts of one name at once, one revision stays. A put writes, then looks; when it finds a newer one, it
 * is lifted over that, which is a write, and looks again; when it finds none, it retires all it has found, each only as it
 * was seen, with that date. As dates are only ever lifted, nobody retires the one that ends with the newest date; and of
 * any two, the one whose last date is newer was written after the other had looked for the last time, and finds it. A
 * server whose changes are not atomic (FerretDB) may delete one although it is being lifted: who does not find its own
 * retires nothing, so that one of the two is left.
 *
 * Threads: any. Errors: none that its put could tell anybody: the content is stored by then. They are logged. */
#ifndef FS_STORE_MONGO_SUPERSEDE_H
#define FS_STORE_MONGO_SUPERSEDE_H

#include "fs/store/mongo/bucket.h"

struct others;

/* Looks at the revisions of the name of `own`, in all spellings, by one question. 0 or -errno. */
int others_find(struct bucket *bucket, const struct revision *own, const char *filename, const struct revision *base,
                struct others **ret_others);
/* The uploadDate that `own` needs to be the newest: its own, or a later one. */
int64_t others_date_needed(const struct others *others);
/* The filename of the newest of them if none is spelled as `own` is, else NULL. Lent. */
const char *others_spelling(const struct others *others);
/* Whether `own` is there: else it was retired, renamed or removed meanwhile, and replaces nothing. */
bool others_have_own(const struct others *others);
/* Whether `base` is among them, whatever its date. */
bool others_have_base(const struct others *others);
/* Retires what the bucket's policy says of those that are older than `own`, oldest first: all, or its base only. False: one
 * of them was not there any more as it was seen: retired by others too, or renamed. */
bool others_retire(struct bucket *bucket, const struct others *others, bool only_base);
/* Takes NULL, returns NULL. */
struct others *others_free(struct others *others);

DEFINE_CLEANUP(struct others, others_free)

#endif

// SPDX-License-Identifier: Apache-2.0
/* What the parts of a put share; included by put*.c only. */
#ifndef FS_STORE_MONGO_PUT_PRIVATE_H
#define FS_STORE_MONGO_PUT_PRIVATE_H

#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/files_document.h"
#include "fs/store/mongo/runs.h"

enum { PUT_SMALL_MOST = 64 << 10 };

struct putting {
    struct bucket *bucket;
    const struct store_put *put;
    bson_t *base; /* the base's files document as it is now, or as it was retired; or NULL */
    bool base_is_there;
    bool alone; /* once it was published, its name had no other revision */
    int64_t published_ms; /* on the steady clock, or a little later */
    bson_oid_t id;
    struct intent *intent;
    struct runs sent; /* chunks that were sent before the put */
    char *filename;
    bool has_sha256; /* it is that of the content */
    unsigned char sha256[32];
    struct files_document parts;
};

/* ---- its base (put_base.c) ---- */

/* Looks for it, in the trash too. 0 or -errno; that there is none any more is no error. */
int put_find_base(struct putting *putting);
/* Looks for the revision that is brought back, in the trash too: what is known of its content, and without a base all else. */
int put_find_restored(struct putting *putting);
/* The base's own name with `follow`, or when it is a spelling of the path; else the path. */
int put_choose_filename(struct putting *putting);
/* The base may have been changed while chunks were sent: its fields, and its name. Of few it is not worth a question. */
int put_look_at_base_again(struct putting *putting);
/* Its files document as it is now, to be destroyed; NULL: it was removed or replaced. */
int put_read_base(struct putting *putting, bson_t **ret_document);
/* The same of what was published. */
int put_read_own(struct putting *putting, bson_t **ret_document);

/* ---- its files document ---- */

/* That the base or the name is another. */
void put_tell_parts(struct putting *putting);
int put_as_revision(struct putting *putting, bson_t *document, struct revision **ret_revision);

/* ---- what it replaces (put_newest.c) ---- */

/* Of a revision that was published; in its place, where it was moved for that, as it is then. What fails is logged. */
void put_become_newest(struct putting *putting, struct revision **revision);

#endif

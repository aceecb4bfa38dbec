// SPDX-License-Identifier: Apache-2.0
/* What a record of the journal says of a file that could not be stored: all that it takes to do it later, in another
 * process. The content is the journal's (cache/journal.h). Who changes what is written here makes it another version
 * (cache/journal_codec.h); but marks of tries stand at the end, and nothing does where there are none.
 *
 * Pure functions: no state, any thread. Fuzzed (tests/fuzz).
 * Errors: 0, -EBADMSG (it says nothing usable), -ENOMEM. */
#ifndef FS_VFS_UNSTORED_H
#define FS_VFS_UNSTORED_H

#include <stddef.h>

#include "fs/vfs/marks.h"

/* Memory: decoded, all of it is owned, and the revisions are of no store yet. */
struct unstored {
    char *bucket, *path;
    int64_t failed_ms;             /* when it could not be stored, since 1970 */
    struct attributes attributes;  /* with ATTRIBUTES_FILE */
    unsigned char beside[ATTRIBUTES_FILE_SIZE]; /* the identity of the file it becomes when it has lost its name */
    struct revision *base;         /* what it replaces; NULL: nothing */
    struct marks unheard;          /* tries to put the file that may have arrived */
    struct revision *under;        /* what shows where nothing was written; NULL: nothing */
};

/* *ret_bytes: to be freed. */
int unstored_encode(const struct unstored *unstored, void **ret_bytes, size_t *ret_size);
int unstored_decode(const void *bytes, size_t size, struct unstored *ret_unstored);
/* Takes one that was decoded, or zeros. */
void unstored_done(struct unstored *unstored);

#endif

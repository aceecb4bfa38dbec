// SPDX-License-Identifier: Apache-2.0
/* What an earlier mount left in the journal because it could not be stored: it is stored now, under its name when
 * nobody has replaced it meanwhile, else beside what others made of it.
 *
 *     record [recovery_try] -> stored, beside or in place [journal_remove]
 *                           -> unusable [journal_set_aside]
 *                           -> left, to be tried again later
 *
 * A record goes after its content was stored. Who dies in between leaves one of what is there already, which is known by
 * its identity and times; what was kept beside is known by the identity that the record gives it.
 * What it is not: it knows no inodes; to the rest of the mount what it stores is as if another client had put it.
 *
 * Threads: recovery_try() by one thread at a time, recovery_stop() by any. Blocks as the store does. */
#ifndef FS_VFS_RECOVERY_H
#define FS_VFS_RECOVERY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct revision;
struct vfs;

struct recovery {
    const uint64_t *found; /* records, lent by the journal */
    bool *done;            /* of each */
    struct revision **under; /* likewise, what lies under it, a reference; NULL: nothing, or not read yet. Under vfs->lock */
    unsigned count, left;
    int64_t next_ms, delay_ms; /* when to try again; how long since the last time */
    atomic_bool stopped;
};

/* 0 or -ENOMEM. */
int recovery_init(struct vfs *vfs);
void recovery_done(struct vfs *vfs);
/* Tries all that is left, if it is time to. */
void recovery_try(struct vfs *vfs);
/* Says of what lies under the content that is left that it is in use, as store_ops.keep() has it. From any thread. */
void recovery_keep(struct vfs *vfs);
/* What is not begun waits for the next mount. */
void recovery_stop(struct vfs *vfs);
/* `path`.recovered-<date>, with a number where that is taken; its last component is cut to what a name may have. To be
 * freed; NULL without memory. */
char *recovery_path(const char *path, int64_t when_ms, unsigned number);

enum { RECOVERED_MOST = 100 };

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a mount does of its own accord: once a second the vfs does what it has put off and memory is given back, now and then
 * what nobody needs any more is tidied up, what an earlier mount left is tried again, and the server is told what is open.
 *
 * Threads: two of its own, one of which does no long work, so that it is never late; what may take long is given to
 * `chores`. housekeeping_away_since() may be called by any. */
#ifndef FS_HOUSEKEEPING_H
#define FS_HOUSEKEEPING_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "cache/base/budget.h"
#include "cache/base/workers.h"
#include "cache/disk.h"
#include "fs/store/store.h"
#include "fs/vfs/vfs.h"

struct housekeeping;

/* All outlive it. */
struct housekeeping_config {
    struct vfs *vfs;
    struct server *server;
    struct budget *budget;
    struct disk *disk; /* NULL: there is none */
    struct workers *chores;
    bool changes; /* the mount writes */
    int64_t grace_ms;
};

/* NULL without memory or threads. */
struct housekeeping *housekeeping_new(const struct housekeeping_config *config);
/* Since when the server does not answer; 0: it does. */
time_t housekeeping_away_since(struct housekeeping *housekeeping);
/* Nothing is begun any more; what the chores were given may be under way. Takes NULL. */
void housekeeping_stop(struct housekeeping *housekeeping);
/* When the chores have ended. Takes NULL, returns NULL. */
struct housekeeping *housekeeping_free(struct housekeeping *housekeeping);

#endif

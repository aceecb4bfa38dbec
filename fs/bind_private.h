// SPDX-License-Identifier: Apache-2.0
/* What a mount is made of; included by bind.c, which makes it, bind_text.c, which says how it is, and bind_end.c, which ends
 * it. */
#ifndef FS_BIND_PRIVATE_H
#define FS_BIND_PRIVATE_H

#include <stdatomic.h>

#include "cache/base/budget.h"
#include "cache/base/lock.h"
#include "cache/base/workers.h"
#include "fs/bind.h"
#include "fs/monitor.h"
#include "fs/staging_folder.h"
#include "fs/vfs/vfs.h"

struct mount {
    const struct options *options;
    struct porter *porter; /* NULL: mounts and unmounts by itself */
    struct budget budget;
    struct server *server;
    struct workers *fetchers; /* of readahead */
    struct workers *listers;  /* of directories, likewise */
    struct workers *uploaders; /* of what closes have left; NULL: they leave nothing */
    struct workers *chores;   /* one thread: what may take long and nobody waits for */
    struct disk *disk;        /* NULL: no chunks are kept on disk */
    struct chunks *chunks;
    struct staging_folder folder;
    struct staging *staging; /* NULL: read-only */
    struct journal *journal; /* likewise */
    struct vfs *vfs;
    struct session *session;
    struct leaving *leaving;
    struct lock ending; /* guards what follows */
    bool settled;       /* the vfs has nothing to be kept any more */
    bool served;        /* and its session has not unmounted */
    int result; /* of serving */
    void (*ready)(void *context);
    void *ready_context;
    struct store *watched; /* NULL: none is */
    struct housekeeping *housekeeping;
    struct monitor *monitor; /* NULL: nobody listens */
    char *page; /* where it listens, with the key; NULL likewise */
    struct warming *warming; /* NULL: nothing is to be warmed */
    int64_t started; /* seconds, of a clock that is never set */
};

/* ---- bind_text.c: the context is the mount ---- */

/* See vfs.h. */
char *mount_text(void *context, enum vfs_text which);
/* See monitor.h. */
char *mount_told(void *context, enum monitor_which which);
int mount_history(void *context, const char *path, char **ret_text);

/* ---- bind_end.c ---- */

/* The end begins: it was told to stop. The context is the mount. */
void mount_leave(void *context);
/* 0 or -errno. */
int mount_watch_the_end(struct mount *mount);

#endif

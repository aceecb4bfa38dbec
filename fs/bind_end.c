// SPDX-License-Identifier: Apache-2.0
/* How a mount ends: in which order its parts are let go of, and what is done for those that keep it waiting. */
#include <errno.h>
#include <stdlib.h>

#include "cache/chunks.h"
#include "cache/disk.h"
#include "cache/journal.h"
#include "cache/staging.h"
#include "fs/bind_private.h"
#include "fs/fuse/session.h"
#include "fs/housekeeping.h"
#include "fs/leaving.h"
#include "fs/monitor.h"
#include "fs/mountpoint.h"
#include "fs/porter.h"
#include "fs/store/store.h"
#include "fs/vfs/vfs.h"
#include "fs/warming.h"

enum {
    LEAVE_SILENT_MS = 1500, /* signals and unmounts are answered within two seconds */
    LEAVE_KEPT_MS = 4000,   /* who stops a container kills it after ten seconds */
};

void mount_leave(void *context) {
    leaving_begin(((struct mount *)context)->leaving);
}

/* Once the session has unmounted, whoever is mounted there may be another. */
static void leave_mountpoint(void *context) {
    struct mount *mount = context;
    if (mount->options->device >= 0) /* unmade by who made it */
        return;
    lock_acquire(&mount->ending);
    bool there = mount->served && session_is_mounted(mount->session);
    if (there && mount->porter)
        porter_leave(mount->porter);
    else if (there)
        mountpoint_leave_behind(mount->options->mountpoint);
    lock_release(&mount->ending);
}

/* The process may be told to end at any moment until it is done: then leave_mountpoint() does it. */
static void unmount(struct mount *mount) {
    session_stop(mount->session);
    lock_acquire(&mount->ending);
    mount->session = session_free(mount->session);
    mount->served = false;
    lock_release(&mount->ending);
}

static bool keep(void *context) {
    struct mount *mount = context;
    lock_acquire(&mount->ending);
    bool kept = mount->settled || vfs_keep_unstored(mount->vfs);
    lock_release(&mount->ending);
    return kept;
}

/* Publishes what is left, which may need to read. */
static void settle(struct mount *mount) {
    if (mount->vfs)
        vfs_settle(mount->vfs);
    lock_acquire(&mount->ending);
    mount->settled = true;
    lock_release(&mount->ending);
}

int mount_watch_the_end(struct mount *mount) {
    struct leaving_config config = {.silent_ms = LEAVE_SILENT_MS,
                                    .kept_ms = LEAVE_KEPT_MS,
                                    .stop_ms = mount->options->stop_ms,
                                    .timeout_ms = mount->options->timeout_ms,
                                    .unmount = leave_mountpoint,
                                    .keep = keep,
                                    .context = mount,
                                    .kept_in = mount->folder.path};
    mount->leaving = leaving_new(&config);
    return mount->leaving ? 0 : -ENOMEM;
}

struct mount *mount_close(struct mount *mount) {
    if (!mount)
        return NULL;
    if (mount->leaving)
        leaving_begin(mount->leaving);
    if (mount->watched)
        mount->watched->ops->unwatch(mount->watched);
    if (mount->porter && mount->session && session_is_mounted(mount->session))
        porter_leave(mount->porter);
    monitor_free(mount->monitor); /* before all that it tells of */
    unmount(mount);
    warming_free(mount->warming);
    housekeeping_stop(mount->housekeeping);
    if (mount->vfs)
        vfs_stop_recovering(mount->vfs);
    workers_free(mount->chores);
    housekeeping_free(mount->housekeeping);
    settle(mount);
    workers_free(mount->uploaders);
    vfs_free(mount->vfs);
    if (mount->chunks)
        chunks_stop(mount->chunks);
    workers_free(mount->listers);
    workers_free(mount->fetchers);
    chunks_free(mount->chunks);
    disk_free(mount->disk);
    staging_free(mount->staging);
    journal_free(mount->journal);
    staging_folder_close(&mount->folder);
    if (mount->server)
        mount->server->ops->settle(mount->server);
    if (mount->leaving)
        leaving_last(mount->leaving, mount->result ? EXIT_FAILURE : EXIT_SUCCESS);
    if (mount->server)
        mount->server->ops->free(mount->server);
    leaving_free(mount->leaving);
    lock_done(&mount->ending);
    free(mount->page);
    free(mount);
    return NULL;
}

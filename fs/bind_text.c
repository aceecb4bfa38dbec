// SPDX-License-Identifier: Apache-2.0
/* What a mount says of itself: below .gridfs, and by HTTP. */
#include "fs/bind_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/clock.h"
#include "fs/disk_tier.h"
#include "fs/fuse/session.h"
#include "fs/housekeeping.h"
#include "fs/metrics_text.h"
#include "fs/revisions_text.h"
#include "fs/status_text.h"
#include "fs/warming.h"

static char *state(struct mount *mount, enum vfs_text which) {
    struct disk_state disk = mount->disk ? disk_state(mount->disk) : (struct disk_state){0};
    struct status_warming warming = mount->warming ? warming_state(mount->warming) : (struct status_warming){0};
    struct status_facts facts = {
        .read_only = mount->options->read_only,
        .healthy = mount->server->ops->healthy(mount->server),
        .away_since = mount->housekeeping ? housekeeping_away_since(mount->housekeeping) : 0,
        .told = mount->vfs && vfs_is_told(mount->vfs),
        .told_lag_ms = mount->vfs ? vfs_told_lag_ms(mount->vfs) : -1,
        .server = mount->server->address,
        .database = mount->server->database,
        .bucket = mount->options->bucket,
        .mountpoint = mount->options->mountpoint,
        .staging_dir = mount->folder.path,
        .trace = mount->options->trace,
        .stop_ms = mount->options->stop_ms,
        .uptime_seconds = clock_now_ms() / 1000 - mount->started,
        .cache_size = (size_t)mount->options->cache_size,
        .cache_used = budget_used(&mount->budget),
        .disk = disk.folder,
        .disk_size = mount->options->cache_disk,
        .disk_used = disk.used,
        .disk_resting = disk.resting,
        .disk_passing = session_passing(mount->session),
        .disk_backlog = disk.backlog,
        .warming = mount->warming ? &warming : NULL,
    };
    for (unsigned i = 0; which != VFS_METRICS && i < STATUS_FILES; i++)
        if (!(facts.busiest[i].path = vfs_busiest(mount->vfs, i, &facts.busiest[i].bytes)))
            break;
    char *result = which == VFS_METRICS ? metrics_text(&facts) : status_text(&facts, which == VFS_STATUS_JSON);
    for (unsigned i = 0; i < STATUS_FILES; i++)
        free(facts.busiest[i].path);
    return result;
}

char *mount_text(void *context, enum vfs_text which) {
    struct mount *mount = context;
    if (which != VFS_PAGE)
        return state(mount, which);
    return strdup(mount->page ? mount->page : "there is none: mount with -o metrics_listen=PORT\n");
}

char *mount_told(void *context, enum monitor_which which) {
    return mount_text(context, which == MONITOR_METRICS ? VFS_METRICS : VFS_STATUS_JSON);
}

int mount_history(void *context, const char *path, char **ret_text) {
    struct mount *mount = context;
    struct store_past *list;
    uint32_t count;
    int result = vfs_history(mount->vfs, path, REVISIONS_TOLD, &list, &count);
    if (result)
        return result;
    *ret_text = revisions_text(list, count);
    store_pasts_free(list, count);
    return *ret_text ? 0 : -ENOMEM;
}

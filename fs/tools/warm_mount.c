// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/member.h"
#include "fs/tools/warm_private.h"

enum {
    LOOK_BYTES = 4 << 20,   /* are read between two looks */
    FILE_BYTES = 64 << 10,  /* what a file counts for, however small it is */
    BACKLOG_MOST = 25,      /* percent: what the mount reads ahead is still to come */
    BACKLOG_LOOK_MS = 20,
};

static char *status_of(const struct warm_mount *mount) {
    return mountpoint_read(mount->path, ".gridfs/status.json");
}

/* The larger one: what is fetched is in memory and in cache_dir. */
static void look(struct warm_mount *mount) {
    cleanup_free char *status = status_of(mount);
    const char *disk = status ? strstr(status, "\"cache_dir\":{") : NULL;
    int64_t memory = status ? member_number(status, "\"cache\":{\"size\":") : 0;
    int64_t kept = disk ? member_number(disk, "\"size\":") : 0;
    mount->keeps = disk != NULL;
    mount->room = memory > kept ? memory : kept;
    if (!mount->room)
        mount->room = INT64_MAX;
    mount->dropped = status ? member_number(status, "\"disk_dropped\":") : 0;
}

static struct warm_mount *mount_at(struct warm *warm, const char *path) {
    struct warm_mount *mount = warm->mounts;
    while (mount && strcmp(mount->path, path) != 0)
        mount = mount->next;
    return mount;
}

/* Takes `path` over. */
static struct warm_mount *add_mount(struct warm *warm, char *path, dev_t device) {
    struct warm_mount *mount = calloc(1, sizeof *mount);
    if (!mount) {
        free(path);
        return NULL;
    }
    mount->path = path;
    mount->device = device;
    mount->next = warm->mounts;
    look(mount);
    return warm->mounts = mount;
}

int warm_mount_find(struct warm *warm, const char *path, struct warm_mount **ret_mount, char **ret_real) {
    cleanup_free char *mountpoint = NULL, *real = NULL;
    struct stat status;
    int result = mountpoint_of(path, &mountpoint, &real);
    if (result == 0 && lstat(real, &status))
        result = -errno;
    if (result)
        return result;
    struct warm_mount *mount = mount_at(warm, mountpoint);
    if (!mount && mountpoint_is_dead(mountpoint)) /* the kernel may still know the path */
        return -ENOTCONN;
    if (!mount)
        mount = add_mount(warm, steal_ptr(&mountpoint), status.st_dev);
    if (!mount)
        return -ENOMEM;
    *ret_mount = mount;
    *ret_real = steal_ptr(&real);
    return 0;
}

void warm_mounts_free(struct warm *warm) {
    while (warm->mounts) {
        struct warm_mount *mount = warm->mounts;
        warm->mounts = mount->next;
        free(mount->path);
        free(mount);
    }
}

int64_t warm_mount_backlog(const struct warm_mount *mount) {
    cleanup_free char *status = mount->keeps ? status_of(mount) : NULL;
    return status ? member_number(status, "\"backlog_percent\":") : 0;
}

char *warm_mount_complaint(const struct warm_mount *mount) {
    cleanup_free char *status = mount->keeps ? status_of(mount) : NULL;
    const char *disk = status ? strstr(status, "\"cache_dir\":{") : NULL;
    cleanup_free char *state = disk ? member_string(disk, "\"state\":\"") : NULL;
    char *complaint = NULL;
    if (state && strcmp(state, "ok") != 0 && asprintf(&complaint, "cache_dir keeps nothing now: %s", state) < 0)
        return NULL;
    if (!complaint && status && member_number(status, "\"disk_dropped\":") > mount->dropped)
        complaint = strdup("cache_dir did not take all of it: its disk is slower than what came (disk_dropped in "
                           "status.json); fewer --jobs or a larger cache_size help");
    return complaint;
}

void warm_mount_spare(struct warm *warm, struct warm_mount *mount, int64_t bytes) {
    int64_t more = bytes > FILE_BYTES ? bytes : FILE_BYTES;
    if (!mount->keeps || atomic_fetch_add(&mount->unlooked, more) + more < LOOK_BYTES)
        return;
    atomic_store(&mount->unlooked, 0);
    while (warm_mount_backlog(mount) > BACKLOG_MOST && warm_list_sleep(warm->list, BACKLOG_LOOK_MS))
        ;
}

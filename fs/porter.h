// SPDX-License-Identifier: Apache-2.0
/* A small process that stays root for a daemon that does not: it opens the door and shuts it, and hears nothing of the
 * database.
 *
 *     daemon (user=)                             porter (root)
 *     porter_new()         --- fork ---------->
 *     porter_mount()       --- mount, once --->   mounts where it was told before the fork;
 *                          <-- descriptor ----    nothing of it is chosen by the daemon but the source's name
 *     porter_leave()       --- unmount ------->   unmounts, detached
 *     ends, however        --- end of file --->   takes away what is dead there, and ends
 *
 * So no setuid helper is needed to unmount, and a daemon that is killed leaves no dead mountpoint.
 *
 * Threads: porter_new() before there are any; porter_leave() from any. Errors: 0 or -errno. */
#ifndef FS_PORTER_H
#define FS_PORTER_H

#include <stdbool.h>
#include <sys/types.h>

struct porter;

struct porter_config {
    const char *mountpoint; /* absolute, and nothing mounted on it */
    uid_t uid;              /* whose mount it is: the kernel keeps out all others */
    gid_t gid;
    bool allow_other;       /* unless this lets them in */
    bool read_only, noexec, noatime;
};

int porter_new(const struct porter_config *config, struct porter **ret_porter);
/* `source`: what /proc/mounts shows. The descriptor is the caller's. */
int porter_mount(struct porter *porter, const char *source, int *ret_device);
/* Returns after a moment also when the kernel still waits for answers of the daemon: then it happens at its end. */
void porter_leave(struct porter *porter);
/* Takes NULL, returns NULL. */
struct porter *porter_free(struct porter *porter);

#endif

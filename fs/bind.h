// SPDX-License-Identifier: Apache-2.0
/* The one joint: builds a mount out of its layers and gives each the callbacks it needs.
 *
 *     server -> store -> vfs -> session          chunks <- source: fetch from the store of a revision
 *
 * Threads: bind_open() and bind_close() in the main thread. fork() only before bind_open(). */
#ifndef FS_BIND_H
#define FS_BIND_H

#include <stdbool.h>
#include <time.h>

#include "fs/options.h"

struct mount;
struct porter;

/* Connects and mounts. `ready` is called when the mount is usable. 0, or -errno and *ret_error, one line for the user,
 * to be freed. `options` outlives the mount, as does `porter`, who mounts and unmounts; NULL: it does that itself. */
int mount_open(const struct options *options, struct porter *porter, void (*ready)(void *context), void *context, struct mount **ret_mount,
               char **ret_error);
/* Serves until unmounted or told to stop. 0 or -errno. */
int mount_serve(struct mount *mount);
/* Whether the server answers; if not, since when, or 0. From any thread, from `ready` on until mount_close(). */
bool mount_is_healthy(const struct mount *mount, time_t *ret_away_since);
/* Takes NULL, returns NULL. */
struct mount *mount_close(struct mount *mount);

#endif

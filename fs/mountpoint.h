// SPDX-License-Identifier: Apache-2.0
/* Mountpoints: what is there before mounting, and how to leave.
 *
 * Errors: 0, or -errno with *ret_error, one line for the user, to be freed. */
#ifndef FS_MOUNTPOINT_H
#define FS_MOUNTPOINT_H

#include <stdbool.h>

#define MOUNTPOINT_TYPE "fuse.gridfs"

/* Makes a path absolute and sees that it can be mounted on: an empty directory, no mount. A dead gridmount there
 * ("Transport endpoint is not connected") is cleaned up first. The result is to be freed. */
int mountpoint_prepare(const char *path, char **ret_absolute, char **ret_error);
/* Whether a gridmount is mounted exactly there, dead or alive. */
bool mountpoint_is_ours(const char *absolute);
/* The gridmount that an existing path lies on, and the path without symlinks; both to be freed. -ENODEV: on none; or what
 * is wrong with the path. */
int mountpoint_of(const char *path, char **ret_mountpoint, char **ret_real);
/* Whether what is mounted there has lost its process ("Transport endpoint is not connected"). */
bool mountpoint_is_dead(const char *absolute);
/* What a file of a mount says, also for root where the mount is a user's; to be freed. NULL and errno. */
char *mountpoint_read(const char *absolute, const char *name);
/* Has the kernel know where the status is. Else who asks for it first waits for whoever makes a name in the root just then:
 * beside that nothing is looked up, and it takes as long as the server does. */
void mountpoint_show_status(const char *absolute);
/* An absolute path without asking what is there, which may hang; to be freed. */
char *mountpoint_absolute(const char *path);
/* Unmounts; `detach`: even while it is in use. 0 or -errno. */
int mountpoint_leave(const char *absolute, bool detach);
/* The same, detached, for the process that serves it and is about to end: the kernel may wait for its answers. */
void mountpoint_leave_behind(const char *absolute);

#endif

// SPDX-License-Identifier: Apache-2.0
/* A mount that somebody else made for us: /dev/fd/N is its open /dev/fuse. So a process without any privilege can serve.
 *
 * Errors: 0, or -errno with *ret_error, one line for the user, to be freed. */
#ifndef FS_HANDED_OVER_H
#define FS_HANDED_OVER_H

#include <stdbool.h>

/* Whether a mountpoint is such a name. */
bool handed_over_is(const char *mountpoint);
/* The descriptor is closed on exec and waits from then on. *ret_where, to be freed: where it is mounted; the name itself when
 * that is in another mount namespace, or the kernel (before 6.18) does not tell. */
int handed_over_take(const char *mountpoint, int *ret_device, char **ret_where, char **ret_error);

#endif

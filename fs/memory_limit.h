// SPDX-License-Identifier: Apache-2.0
/* How much memory the process may use: what its cgroup allows and all that this one is in, or what the machine has.
 *
 * Versions 1 and 2 of cgroups, where they usually are mounted. In a container the path of a group may be the host's; what
 * is then found is the group at the top, which is the container's. */
#ifndef FS_MEMORY_LIMIT_H
#define FS_MEMORY_LIMIT_H

#include <stdint.h>

/* Bytes. */
int64_t memory_limit(void);
/* The limit of the cgroups alone, with /proc and /sys below `root`; INT64_MAX: there is none. */
int64_t memory_limit_of_groups(const char *root);

#endif

// SPDX-License-Identifier: Apache-2.0
/* The disk tier of a mount, as its options want it: cache_dir, cache_disk, cache_free.
 *
 * Errors: 0, or -errno with *ret_error, one line for the user, to be freed. */
#ifndef FS_DISK_TIER_H
#define FS_DISK_TIER_H

#include "cache/disk.h"
#include "fs/options.h"
#include "fs/store/store.h"

/* Over a source whose handles are revisions of this server. *ret_disk stays NULL when the options want none. */
int disk_tier_open(const struct options *options, const struct server *server, const struct chunk_source *below,
                   struct disk **ret_disk, char **ret_error);

#endif

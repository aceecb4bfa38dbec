// SPDX-License-Identifier: Apache-2.0
/* Which files are read most, of late: a table of a few, in which a new file takes the place of the least, with its count
 * (Metwally, Agrawal, El Abbadi: "Efficient computation of frequent and top-k elements in data streams", 2005): a file that
 * is read more than a BUSIEST-th of all is in it. Every BUSIEST_HALF_MS all counts are halved.
 *
 * What it is not: exact. What the kernel reads by itself, from its pages or from cache_dir, it does not see.
 *
 * Threads: any; it has a lock of its own. Memory: BUSIEST paths. */
#ifndef FS_VFS_BUSIEST_H
#define FS_VFS_BUSIEST_H

#include <stdint.h>

#include "fs/vfs/inode.h"

enum { BUSIEST = 16, BUSIEST_HALF_MS = 10000 };

struct busiest;

/* NULL without memory. */
struct busiest *busiest_new(void);
/* Takes NULL, returns NULL. */
struct busiest *busiest_free(struct busiest *busiest);
/* So many bytes of a file were read. */
void busiest_add(struct busiest *busiest, struct inodes *inodes, const struct inode *inode, uint64_t bytes);
/* The path in the mount that is i-th, from 0 on, to be freed, and how much was read of it, of late. NULL: there are not so
 * many, or there is no memory. */
char *busiest_get(struct busiest *busiest, unsigned i, uint64_t *ret_bytes);

#endif

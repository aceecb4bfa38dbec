// SPDX-License-Identifier: Apache-2.0
/* A sparse file without a name, for the bytes of a staged file that memory has no room for. It is gone with its
 * process, however that ends.
 *
 * Threads: none of its own; the caller holds one lock around all calls, which block as a disk does.
 * Errors: 0 or -errno as the system has it; after a failed write the bytes at its place are undefined. */
#ifndef CACHE_SPILL_H
#define CACHE_SPILL_H

#include <stddef.h>
#include <stdint.h>

struct spill;

/* An empty one on the disk of `directory`, a descriptor. */
int spill_new(int directory, struct spill **ret_spill);
/* Its space is free again. Takes NULL, returns NULL. */
struct spill *spill_free(struct spill *spill);
int spill_write(struct spill *spill, int64_t offset, const void *bytes, size_t size);
/* Of bytes that were written; -EIO when they are not there. */
int spill_read(struct spill *spill, int64_t offset, size_t size, void *into);
/* Gives the space of [start, end) back, as far as the disk can. */
void spill_forget(struct spill *spill, int64_t start, int64_t end);

#endif

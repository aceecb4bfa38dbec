// SPDX-License-Identifier: Apache-2.0
/* The chunk cache's source: the handles of its files are revisions, and the store of each has its chunks.
 *
 * Threads, memory, errors: as cache/chunks.h wants them. */
#ifndef FS_STORE_SOURCE_H
#define FS_STORE_SOURCE_H

#include "cache/chunks.h"

extern const struct chunk_source store_source;

#endif

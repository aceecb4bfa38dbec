// SPDX-License-Identifier: Apache-2.0
/* Memory for large pieces: whole pages from the system, of which some that were freed are kept for the next.
 *
 * Content comes and goes in pieces of all sizes, made in one thread and freed in another. In the allocator's heap they
 * leave holes, as large again as what is in use; got from the system each time, they cost its zeroing of each page.
 * Here what is freed is taken up again whatever its size: it is cut, or moved into a larger range, without a copy.
 *
 * What it is not: small pieces are malloc's, and may be freed by free().
 *
 * Threads: all functions from any thread; they block for no longer than the system takes.
 * Memory: beside what is in use at most PAGES_IDLE bytes, and for each large piece less than a page; for one that was made
 *         smaller up to a 64th of it.
 * Errors: NULL when there is none. */
#ifndef CACHE_BASE_PAGES_H
#define CACHE_BASE_PAGES_H

#include <stddef.h>

#include "cache/base/cleanup.h"

enum { PAGES_IDLE = 18 << 20, PAGES_LEAST = 64 << 10 };

/* `size` bytes of anything, to be freed by pages_free(), and by nothing else when they are PAGES_LEAST or more. */
void *pages_new(size_t size);
/* Makes a piece of pages_new() or malloc() larger or smaller; it may move. NULL: as pages_new(). On failure it stays as
 * it is. */
void *pages_resize(void *memory, size_t size);
/* Takes NULL, and what malloc() gave. */
void pages_free(void *memory);
/* Bytes kept for the next. */
size_t pages_idle(void);

static inline void pages_free_cleanup(void *pointer) {
    pages_free(*(void **)pointer);
}

#endif

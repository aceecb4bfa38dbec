// SPDX-License-Identifier: Apache-2.0
/* Reads and writes of a file that are done wholly or fail: an interrupted or a short one goes on.
 *
 * Threads: any. Errors: 0 or -errno; -EIO: the file ends before. */
#ifndef CACHE_WHOLE_H
#define CACHE_WHOLE_H

#include <stddef.h>
#include <stdint.h>

int whole_read(int fd, int64_t offset, void *into, size_t size);
/* After a failure any part of it may have been written. */
int whole_write(int fd, int64_t offset, const void *bytes, size_t size);

#endif

// SPDX-License-Identifier: Apache-2.0
/* Directories by path.
 *
 * Threads: any. Errors: -errno. */
#ifndef CACHE_BASE_PATH_H
#define CACHE_BASE_PATH_H

#include <sys/types.h>

/* Makes a directory of mode 0700, and those above it of mode `above`. 1; 0 when something is there already, whatever. */
int path_make(const char *path, mode_t above);

#endif

// SPDX-License-Identifier: Apache-2.0
/* The folder of the disk tier: whose it is, how much is in it, and what goes when it is too much.
 *
 * It is one user's, of mode 0700, and shared by all mounts of that user on a host. What has no name of the tier, is no
 * regular file or another's is neither counted nor touched.
 *
 * Threads and processes: any; two that make room at once remove the same files, the least recently used.
 * Memory: bounded, however many files there are.
 * Errors: 0 or -errno. */
#ifndef CACHE_DISK_FOLDER_H
#define CACHE_DISK_FOLDER_H

#include <stdint.h>

struct disk_room {
    int64_t most;       /* bytes that the files may take */
    int64_t least_free; /* bytes of the file system that stay free */
};

/* Makes it where it is not. *ret_why: in words; a constant. */
int disk_folder_prepare(const char *folder, const char **ret_why);
/* How many bytes of its file system are free for us. */
int disk_folder_free(const char *folder, int64_t *ret_bytes);
/* Removes files, if there is more than `room` allows: a little more than that, so that it lasts. *ret_used: what the
 * files take then. */
int disk_folder_trim(const char *folder, const struct disk_room *room, int64_t *ret_used);

#endif

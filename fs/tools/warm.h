// SPDX-License-Identifier: Apache-2.0
/* `gridmount warm PATH… [--jobs N] [--verify] [--json]`: reads what is below the paths through the mount that they are in, so
 * that the kernel's pages, the memory and cache_dir have it. `gridmount verify PATH… [--jobs N] [--sums] [--resume FILE]
 * [--json]`: does the same, but past the kernel's pages, to see whether it is what was stored, and says so of each file, as
 * sha256sum(1) does.
 *
 *     directories --- list (warm_walk.c) ---> files --- read (warm_file.c) ---> counted, shown (warm_progress.h)
 *          ^----- what lies below -----'        '-- warm_list.h hands both out to the jobs --'
 *
 * What has failed is tried again where it stopped, a bounded number of times, with waits that double. It reads no faster than
 * cache_dir takes it, as status.json tells. There is nothing to resume by but the caches: what is in them costs no fetch.
 * What it is not: -o warm= (fs/warming.h), which works in the daemon and gives the kernel no pages. */
#ifndef FS_TOOLS_WARM_H
#define FS_TOOLS_WARM_H

#include <stdbool.h>

enum { WARM_JOBS_MOST = 64 };

struct warm_request {
    char *const *paths; /* lent */
    const char *resume; /* lent: where what was verified is noted, and found again; NULL: nowhere */
    unsigned count, jobs;
    bool verify, json;
    bool each, sums; /* says of each file how it was found, or its SHA-256 */
};

/* What stands behind "warm" or "verify", arguments[0] being that word. 0, or -EINVAL and *ret_error, one line to be freed. */
int warm_parse(int count, char **arguments, struct warm_request *ret_request, char **ret_error);
/* 0 all is warm, or as recorded, 1 some of it is not, 2 nothing was tried; 128 and the signal's number: it
 * was interrupted. */
int tools_warm(const struct warm_request *request);

/* Until what -o warm= of the mount there asks for is read, or cannot be: then says so. */
void tools_await_warm(const char *mountpoint);

#endif

// SPDX-License-Identifier: Apache-2.0
/* The report of `gridmount fsck`: runs the checks of a bucket, tells what they find, and repairs when asked to.
 *
 * Writes findings to standard output (text, or one JSON object), progress and questions to standard error. */
#ifndef FS_TOOLS_FSCK_H
#define FS_TOOLS_FSCK_H

#include <stdbool.h>

#include "fs/store/check.h"

/* As fsck(8) has them: a sum. */
enum { FSCK_CLEAN = 0, FSCK_CORRECTED = 1, FSCK_LEFT = 4, FSCK_FAILED = 8, FSCK_USAGE = 16 };

struct fsck_request {
    const char *address, *database, *bucket; /* what is looked at, for the report */
    bool repair, json;
    bool ask; /* before anything is changed, at the terminal */
};

/* An exit status. */
int tools_fsck(struct checks *checks, const struct fsck_request *request);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a profile sums up; included by profile.c, which does, and profile_report.c, which tells. */
#ifndef FS_TOOLS_PROFILE_PRIVATE_H
#define FS_TOOLS_PROFILE_PRIVATE_H

#include <uthash.h>

#include "fs/tools/profile.h"

/* Of one operation. */
struct profile_operation {
    UT_hash_handle hh;
    uint64_t count, errors;
    double seconds, longest;
    char name[];
};

/* Of one path. */
struct profile_path {
    UT_hash_handle hh;
    uint64_t opens, stats, reads, elsewhere, writes, closes, absent; /* elsewhere: reads that did not begin where one had ended */
    int64_t read_bytes, written_bytes;
    int64_t reached; /* the end of what was read of it: as large as it is, at least */
    int64_t next;    /* where a reader in sequence would go on */
    double seconds;
    char name[];
};

struct profile {
    struct profile_operation *operations;
    struct profile_path *paths;
    struct profile_path *others; /* those for which there was no room */
    uint64_t lines, odd;
    double seconds;
    char first[40], last[40]; /* when requests came */
};

#endif

// SPDX-License-Identifier: Apache-2.0
/* The state of a mount in words and in JSON: what .gridfs/status and status.json hold. The JSON is UTF-8: files are called as in
 * GridFS, and in paths of this machine what is not UTF-8 is escaped as there (names.h).
 *
 * Pure but for the counters it reads; never blocks, so it answers with the server away. */
#ifndef FS_STATUS_TEXT_H
#define FS_STATUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* What fills the caches of the mount's own accord. */
struct status_warming {
    const char *state; /* one word */
    uint64_t files, bytes, failed;
};

/* A file that is read much. */
struct status_file {
    char *path;
    uint64_t bytes;
};

enum { STATUS_FILES = 5 };

struct status_facts {
    bool healthy, read_only;
    time_t away_since; /* when the server was first seen to be away; 0: it is not, or was not for a second yet */
    bool told; /* of changes by others, by the server itself */
    int64_t told_lag_ms; /* how old a change is at the most that was not told yet; -1: none ever were */
    const char *server, *database, *bucket, *mountpoint; /* without secrets */
    const char *staging_dir; /* what could not be stored is kept there; NULL: nowhere */
    const char *trace;       /* where requests are written; NULL: nowhere */
    int64_t stop_ms;         /* how long an unmount stores what can be kept */
    time_t uptime_seconds;
    size_t cache_size, cache_used; /* bytes */
    const char *disk;               /* where chunks are kept on disk; NULL: nowhere */
    int64_t disk_size, disk_used;   /* bytes */
    int disk_resting;               /* 0, or the -errno for which nothing is kept there now */
    const char *disk_passing;       /* whether the kernel reads whole files there by itself, in words */
    unsigned disk_backlog;          /* how full the queue of what is to be kept is, in percent */
    const struct status_warming *warming; /* NULL: nothing does */
    struct status_file busiest[STATUS_FILES]; /* up to one without a path */
};

/* To be freed; NULL without memory. */
char *status_text(const struct status_facts *facts, bool json);

#endif

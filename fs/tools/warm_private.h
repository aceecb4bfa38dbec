// SPDX-License-Identifier: Apache-2.0
/* What the files of `gridmount warm` share; included by them only. */
#ifndef FS_TOOLS_WARM_PRIVATE_H
#define FS_TOOLS_WARM_PRIVATE_H

#include <stdatomic.h>

#include "cache/base/lock.h"
#include "fs/tools/warm.h"
#include "fs/tools/warm_list.h"
#include "fs/tools/warm_progress.h"

enum { WARM_PIECE = 1 << 20, WARM_ALIGNED = 4096 };

struct warm {
    const struct warm_request *request;
    struct warm_list *list;
    struct warm_mount *mounts;
    struct warm_notes *notes; /* NULL: none are taken */
    int64_t began_ms;
    struct warm_rate rate; /* of the main thread */
    int jobs_ended;        /* an eventfd: a number for each */
    atomic_int_least64_t files, bytes, failed, gone, verified, mismatched, unknown;
    struct lock lock; /* guards standard output and error, and what follows */
    bool terminal;    /* standard error is one */
    bool line_open;   /* there is a line of progress on it */
    int64_t said_ms;
};

/* Whether it is to fill caches, and not only to tell whether files are what was stored. */
static inline bool warm_fills(const struct warm *warm) {
    return !warm->request->each && !warm->request->sums;
}

/* Whether what has failed is worth another try, after a wait that doubles each time: not for ever, not when it was stopped,
 * and not when it would fail again for certain. */
bool warm_tries_again(struct warm *warm, int error, unsigned *tries);

/* Each reads one item, and counts and reports what became of it. `buffer` has WARM_PIECE bytes. */
void warm_directory(struct warm *warm, struct warm_item *item);
void warm_file(struct warm *warm, struct warm_item *item, void *buffer);

/* ---- warm_mount.c ---- */

/* The mount that a path is in, one for all its paths, and the path without symlinks, to be freed. As mountpoint_of(). */
int warm_mount_find(struct warm *warm, const char *path, struct warm_mount **ret_mount, char **ret_real);
void warm_mounts_free(struct warm *warm);
/* So many bytes of a file will be read: waits while cache_dir's queue is full. */
void warm_mount_spare(struct warm *warm, struct warm_mount *mount, int64_t bytes);
/* How full that is, in percent; 0: nothing waits. */
int64_t warm_mount_backlog(const struct warm_mount *mount);
/* Why not all that was fetched is in cache_dir now, as far as the mount knows, to be freed; NULL: it is. */
char *warm_mount_complaint(const struct warm_mount *mount);

/* ---- warm_report.c ---- */

/* By the main thread; if it is time. */
void warm_report_progress(struct warm *warm);
/* By any thread; counts it. */
void warm_report_failure(struct warm *warm, const char *path, int error);
/* Of a file that was read whole to be verified. `recorded`: the SHA-256 that the database has of it; NULL: none. */
void warm_report_file(struct warm *warm, const char *path, const char *recorded, const char *found);
void warm_report_warning(struct warm *warm, const char *text);
/* By the main thread: the last word. Returns whether it could be written. */
bool warm_report_sum(struct warm *warm, int status, bool interrupted);

#endif

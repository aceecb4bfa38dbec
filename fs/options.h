// SPDX-License-Identifier: Apache-2.0
/* The command line, the environment and the credentials file, as one struct.
 *
 * Threads: none; before any is started. Memory: strings are owned; options_done() frees them.
 * Errors: a parsing function returns 0, or -EINVAL with *ret_error, one line for the user, to be freed. */
#ifndef FS_OPTIONS_H
#define FS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "cache/base/log.h"
#include "fs/user.h"

enum { OPTIONS_OWNER = -1 };

enum consistency { CONSISTENCY_STRICT, CONSISTENCY_OPEN, CONSISTENCY_TTL, CONSISTENCY_IMMUTABLE };

enum options_locks { LOCKS_LOCAL, LOCKS_CLUSTER };

enum options_revisions { REVISIONS_OWN, REVISIONS_REPLACE, REVISIONS_KEEP };

struct options {
    char *uri, *database, *mountpoint;
    int device;      /* of a mount that is made already (handed_over.h); -1: it is to be made */
    int trace_to;    /* a descriptor; -1: none */
    bool await_warm; /* of run: COMMAND begins when that is done */
    bool foreground;
    char *bucket, *credentials, *log_file, *staging_dir, *cache_dir, *metrics_listen, *trace;
    char *user; /* NULL: whoever starts it */
    char **warm; /* globs (globs.h); NULL: none */
    struct user serves_as;
    int64_t cache_size, cache_disk, cache_free, max_file_size, trash_max, writeback_max; /* bytes */
    enum options_revisions revisions;
    enum options_locks locks;
    struct {
        enum consistency mode;
        int64_t trust_ms; /* how long names and attributes may be believed */
    } consistency;
    int64_t timeout_ms, grace_ms, stop_ms;
    int64_t uid, gid, umask; /* OPTIONS_OWNER until options_complete(), unless given */
    enum log_level log_level;
    bool create_indexes, allow_other, read_only, noexec, noatime, checksum, push, hard, writeback, verify,
        shows_control;
};

/* The defaults. */
int options_init(struct options *options);
void options_done(struct options *options);
/* Whether "name" or "name=value" is one of them, whatever the value. */
bool options_know(const char *option);
/* "name=value,name": what stands behind -o. */
int options_parse(struct options *options, const char *text, char **ret_error);
/* Fills in what is still missing from the credentials file, the environment and the system's users, and checks that
 * nothing is. */
int options_complete(struct options *options, char **ret_error);
void options_help(FILE *out);

#endif

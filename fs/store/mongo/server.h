// SPDX-License-Identifier: Apache-2.0
/* The MongoDB server as a `struct server` (store.h). The only header of this folder that others include; it needs no
 * driver header.
 *
 * Threads: server_open() before other threads use the result. fork() only before server_open(). */
#ifndef FS_STORE_MONGO_SERVER_H
#define FS_STORE_MONGO_SERVER_H

#include <stdbool.h>

#include "fs/store/check.h"
#include "fs/store/store.h"

/* Which revisions a put retires of those it replaces. */
enum server_revisions {
    SERVER_REVISIONS_OWN,     /* those that a mount like this one put */
    SERVER_REVISIONS_REPLACE, /* and the one that was overwritten, whoever put it */
    SERVER_REVISIONS_KEEP,    /* none */
};

struct server_config {
    const char *uri;      /* connection string */
    const char *database; /* when the URI names none; or NULL */
    const char *bucket;   /* whose files are asked for to see that they may be read; "*": any */
    int timeout_ms;       /* how long a question may go without an answer */
    int patience_ms;      /* how long an answer may take from a server that is there, if longer; 0: no longer */
    int trust_ms;         /* how long "this bucket has no ..." may be believed for names that are there */
    bool checksum;        /* puts record metadata.sha256; then nothing is copied on the server */
    enum server_revisions revisions;
    int64_t grace_ms;     /* how long retired revisions stay for those who may have them open */
    int64_t trash_max;    /* bytes that retired revisions may take before the oldest go early; 0: any */
    struct budget *budget; /* of memory, charged for what is being sent; or NULL. It outlives the server */
};

/* The driver, when it is loaded, makes a file of counters in /dev/shm that stays behind when the process is killed, and
 * is warned of when its number comes again. Takes the name away: the first thing a process does. */
void server_leave_no_file(void);
/* Connects, and returns only when the primary answered. On failure *ret_error is one line for the user, to be freed:
 * cause and cure, no secret. */
int server_open(const struct server_config *config, struct server **ret_server, char **ret_error);
/* Looks at the indexes of a bucket: warns about missing ones, or makes them. Makes none in a bucket that is empty or
 * does not exist: its first writer does. 0 or -errno, logged. */
int server_check_indexes(struct server *server, const char *bucket, bool create);
/* The checks of a bucket (fs/store/check.h), to be freed before the server. */
int server_checks(struct server *server, const char *bucket, struct checks **ret_checks);

#endif

// SPDX-License-Identifier: Apache-2.0
/* The mount as the kernel sees it: a FUSE session over a vfs.
 *
 * Threads: session_run() in the main thread, after all else is set up; it serves requests with threads of its own.
 * Signals: SIGINT, SIGTERM and SIGHUP end session_run() once the requests under way are answered; they are blocked before,
 *          and should be in all threads. Later ones change nothing. */
#ifndef FS_FUSE_SESSION_H
#define FS_FUSE_SESSION_H

#include <stdbool.h>
#include <stdint.h>

struct inode;
struct vfs;
struct session;

struct session_config {
    const char *mountpoint; /* absolute */
    int device;             /* of a mount that is made already, and unmade by who made it; taken over. -1: it makes one */
    int trace;              /* a descriptor that a line for each request goes to (trace.h); taken over. -1: none */
    const char *source;     /* what /proc/mounts shows; without secrets */
    int64_t trust_ms;       /* how long the kernel may believe names and attributes */
    bool trust_absence;     /* and names that are not there */
    bool read_only, allow_other;
    bool cluster_locks;     /* locks of programs are the vfs's affair, else the kernel's */
    bool passes;            /* the kernel may read by itself what vfs_whole() gives */
    bool hard;              /* requests wait for the server, however long it is away */
    const char *flags; /* further kernel flags ("noexec,noatime"), or NULL */
    void (*ready)(void *context); /* called once, when the mount is usable */
    void (*told)(void *context);  /* called when it is to end: by the signal handler, or when it was unmounted */
    void *context;
};

/* Mounts, unless that is done. 0, or -errno and *ret_error is one line for the user, to be freed. */
int session_new(const struct session_config *config, struct vfs *vfs, struct session **ret_session, char **ret_error);
/* The kernel shall ask about an inode again, which may be gone; or for the listing of a directory. From any thread. */
void session_outdated(struct session *session, const struct inode *inode, bool listing);
/* Likewise, about a name in a directory. */
void session_outdated_name(struct session *session, const struct inode *directory, const char *name);
/* Serves until it is unmounted or a signal comes. 0 or -errno. */
int session_run(struct session *session);
/* Whether the kernel reads files by itself, in words: a constant. */
const char *session_passing(const struct session *session);
/* Whether it still is there for programs; from any thread, until session_free(). */
bool session_is_mounted(const struct session *session);
/* Answers who still waits, and ends its threads. Takes NULL. */
void session_stop(struct session *session);
/* Once it was stopped: unmounts when it still is mounted. Takes NULL, returns NULL. */
struct session *session_free(struct session *session);

#endif

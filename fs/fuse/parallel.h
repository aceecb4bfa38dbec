// SPDX-License-Identifier: Apache-2.0
/* libfuse before 3.17 takes it as wanted that names of one directory are looked up side by side, and does not tell the
 * kernel: then programs wait for each other's lookups, one timeout behind the other, in a sleep that no signal ends.
 *
 * Threads: before the session is served. */
#ifndef FS_FUSE_PARALLEL_H
#define FS_FUSE_PARALLEL_H

struct fuse_session;

/* Has the first answer of a session that is mounted say so, where libfuse would not. 0 or -errno. */
int parallel_ask(struct fuse_session *session);

#endif

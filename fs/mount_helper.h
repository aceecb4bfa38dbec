// SPDX-License-Identifier: Apache-2.0
/* What mount(8) asks of its helper, in the words of gridmount:
 *
 *     mount.gridfs SPEC DIR [-sfnv] [-N NAMESPACE] [-o OPTIONS] [-t TYPE]
 *
 * What mount(8) and systemd tell each other in the options (_netdev, nofail, x-...) is taken out, and what is true anyway
 * (nosuid, exec, async). A SPEC of "none", "gridfs" or "gridmount" stands for the connection string of credentials=.
 *
 * Memory: a request points into its arguments, but for `options`, which mount_helper_done() frees.
 * Errors: 0, or -errno with *ret_error, one line for the user (complain.h).
 * Threads: the only one, since it may go to another mount namespace. */
#ifndef FS_MOUNT_HELPER_H
#define FS_MOUNT_HELPER_H

#include <stdbool.h>

/* As mount(8) has them; the helper's is the one that it ends with. */
enum { MOUNT_HELPER_USAGE = 1, MOUNT_HELPER_FAILED = 32 };

struct mount_helper_request {
    char *spec; /* NULL: what credentials= says */
    char *directory, *namespace; /* NULL: the one it is in */
    char *options;
    bool fake, verbose;
};

/* Whether a program of this name is one. */
bool mount_helper_is(const char *program);
int mount_helper_parse(int count, char **arguments, struct mount_helper_request *ret_request, char **ret_error);
void mount_helper_done(struct mount_helper_request *request);
/* -f: looks at all but the mountpoint and the server. */
int mount_helper_pretend(const struct mount_helper_request *request, char **ret_error);
/* Goes to where it is to be mounted; relative paths then begin at its root. */
int mount_helper_enter(const struct mount_helper_request *request, char **ret_error);

#endif

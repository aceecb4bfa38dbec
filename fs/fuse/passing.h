// SPDX-License-Identifier: Apache-2.0
/* Files that the kernel reads by itself, from a descriptor of ours (FUSE passthrough): no read of them reaches us.
 *
 *     closed -- [passing_open, a descriptor is there] --> passed      all its opens are, from the same descriptor
 *        |----- [passing_open, none is] --> not passed               none of its opens is: the kernel refuses a mix
 *        ^----- [passing_release, of the last open] --'
 *
 * The kernel lets nobody write to a file that is passed but through that descriptor. So only what nobody can open for writing
 * should be (see vfs_whole()). It takes CAP_SYS_ADMIN and a file system that is not stacked; when the kernel refuses
 * once, it is not asked again.
 *
 * Threads: any.
 * Errors: what cannot be passed is read through us. */
#ifndef FS_FUSE_PASSING_H
#define FS_FUSE_PASSING_H

#include "fs/fuse/operations.h"

struct passing;

/* `wanted`: there may be descriptors. NULL without memory. */
struct passing *passing_new(bool wanted);
/* Takes NULL, returns NULL. */
struct passing *passing_free(struct passing *passing);
/* Asks the kernel for it. `fuse` is lent until passing_free(). */
void passing_init(struct passing *passing, struct fuse_session *fuse, struct fuse_conn_info *connection);
/* An open of a file that is to be answered: sets how in `info`. 0 or -ENOMEM. */
int passing_open(struct passing *passing, fuse_req_t request, fuse_ino_t number, struct fuse_file_info *info);
/* That open is over, or was not waited for. Others than those are left alone. */
void passing_release(struct passing *passing, fuse_ino_t number);
/* In words, for the status: a constant. */
const char *passing_state(struct passing *passing);

#endif

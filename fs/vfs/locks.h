// SPDX-License-Identifier: Apache-2.0
/* Locks of programs that exclude across mounts (locks=cluster): what the owners of this mount have of each file, and
 * what the mount therefore holds against others (store.h). Without it the kernel keeps locks by itself.
 *
 *     [vfs_lock] -> locked: first the file's other mounts, then its content: handles that are clean go over to what
 *                   is newest now; the kernel is to forget the pages of an inode that was moved
 *     locked [vfs_unlock, vfs_unlock_owner, vfs_close] -> published, then unlocked
 *
 * A file is its path when it was locked: locks do not follow a rename, nor do names of one file share them. Ranges
 * exclude, but content is published as a whole: of two mounts that write one file at once the last close wins.
 *
 * Waiting is done in a few threads of its own (lock_wait.c), by asking again.
 *
 * Threads: all functions from any thread; those that lock and unlock may block as store calls do. */
#ifndef FS_VFS_LOCKS_H
#define FS_VFS_LOCKS_H

#include "fs/vfs/vfs.h"

struct locks;

struct locks *locks_new(struct vfs *vfs);
/* Handles are closed by then. Takes NULL, returns NULL. */
struct locks *locks_free(struct locks *locks);
/* Tells the database once more what it could not be told, and lets files go that nobody locks: once a second. */
void locks_settle(struct locks *locks);
/* Whether vfs_locks_wake() is called, soon, when others unlock: then who waits asks less often. Takes NULL. */
void locks_set_told(struct locks *locks, bool told);

/* ---- for who opens, closes and publishes ---- */

/* A handle is closed, and what was written through it published: what was locked through it is not any more. */
void locks_close(struct vfs *vfs, struct handle *handle);
/* Whether locks on this inode's file were lost, so that others may have written it. Asks when that is not certain. */
bool locks_were_lost(struct vfs *vfs, struct inode *inode);

#endif

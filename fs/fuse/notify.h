// SPDX-License-Identifier: Apache-2.0
/* Telling the kernel that it should ask about an inode again: a thread of its own, so that who learns of a change neither
 * waits for the kernel nor holds a lock while it does.
 *
 * Attributes are dropped, and of a directory the listing. Neither waits for a request, so that thread always comes to an
 * end. Names need not be dropped: the kernel asks for attributes before it shows what a name leads to, and ESTALE makes it
 * look the name up.
 *
 * But for names of open files, whose attributes must be told. To drop one the kernel locks its directory, which a request
 * may hold that waits for the network; so these have a thread of their own. It has a table of files of its own, too, with
 * another descriptor of the device: when this process is killed while it waits, the device is closed all the same, that ends
 * the request, and so the wait.
 *
 * An inode that the kernel does not know may be on its way there, in a reply that it has not read yet: it is told of
 * again, a few times within seconds.
 *
 * Threads: notify_outdated() from any; it waits while NOTIFY_MOST are to be told. */
#ifndef FS_FUSE_NOTIFY_H
#define FS_FUSE_NOTIFY_H

#include "fs/fuse/operations.h"

enum { NOTIFY_MOST = 1 << 16 };

struct notify;

enum notify_kind { NOTIFY_INODES, NOTIFY_NAMES };

/* NULL without memory or threads. */
struct notify *notify_new(struct fuse_session *fuse, enum notify_kind kind);
/* What is still to be told is dropped. Takes NULL, returns NULL. */
struct notify *notify_stop(struct notify *notify);
/* `listing`: of a directory, its listing too. */
void notify_outdated(struct notify *notify, fuse_ino_t number, bool listing);
/* A name in a directory. Never waits: while too many are to be told, this one is not. */
void notify_outdated_name(struct notify *notify, fuse_ino_t directory, const char *name);

#endif

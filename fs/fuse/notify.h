/* Telling the kernel that it should ask about an inode again: a thread of its own, so that who learns of a change neither
 * waits for the kernel nor holds a lock while it does.
 *
 * Attributes are dropped, and of a directory the listing. Neither waits for a request, so this thread always comes to an
 * end. Names are not dropped: the kernel would lock their directory, which a request may hold that waits for the
 * network. It asks for attributes before it believes a name, and ESTALE makes it look the name up.
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

/* NULL without memory or threads. */
struct notify *notify_new(struct fuse_session *fuse);
/* What is still to be told is dropped. Takes NULL, returns NULL. */
struct notify *notify_stop(struct notify *notify);
/* `listing`: of a directory, its listing too. */
void notify_outdated(struct notify *notify, fuse_ino_t number, bool listing);

#endif

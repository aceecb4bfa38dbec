/* Requests from when they are read from the kernel until they are answered. What passes is noted; here is decided what
 * the server's silence means for it:
 *
 *     read --> served --> answered
 *       |       ^  |
 *       |       |  '--[it could not reach the server, and waits for it: `hard`]--.
 *       '--[enough of its kind are served]-----------------> set aside <----------'
 *
 * Set aside. Threads are bounded, and a silent server holds each up for long. So of those that may need it, only so many
 * are served at once; there always is a thread for the others (df, status, what is let go of). Who answers a request
 * takes the next that was set aside, before the kernel is asked for one.
 *
 * Orphans: requests whose program was killed while a silent server holds them up. They are answered with EINTR, so that
 * the program goes at once and not after the timeout. The kernel tells when a signal comes for a program that waits, not
 * which, and once only. So a request that was interrupted is looked at until it is answered, and when its program is dying
 * and a second has passed, it is answered from here. What the request does goes on to its end: its own answer comes too
 * late then, and fails, so that the operation takes back what it would have handed out. Until then it uses inodes and
 * handles that the kernel may let go of: what ends their life is put off (orphans_end).
 * A program that goes on living is only interrupted with `hard`, and while the server is silent: it could not know what
 * became of its call.
 *
 * The first answer also tells the kernel what libfuse 3.14 forgets: that a directory's names may be looked up side by side.
 *
 * Threads: one of its own, which sleeps while nothing is interrupted. */
#ifndef FS_FUSE_ORPHANS_H
#define FS_FUSE_ORPHANS_H

#include <stdbool.h>
#include <stdint.h>

struct fuse_session;
struct orphans;
struct vfs;

enum { ORPHANS_THREADS = 416 }; /* that a session needs, so that some are left over */

/* Of a session that is mounted; from here on its requests pass here. Its userdata is a struct operations_context, whose
 * `orphans` is the result. NULL without memory or threads. */
struct orphans *orphans_new(struct fuse_session *session, bool hard);
typedef void orphans_act(struct vfs *vfs, void *what, uint64_t count);
/* Does what the kernel asks to let go of an inode or a handle: at once, or when all that was answered early has ended. */
void orphans_end(struct orphans *orphans, orphans_act *act, struct vfs *vfs, void *what, uint64_t count);
/* When nothing passes any more, and the session is still there. Takes NULL, returns NULL. */
struct orphans *orphans_free(struct orphans *orphans);

#endif

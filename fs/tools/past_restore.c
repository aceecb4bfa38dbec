// SPDX-License-Identifier: Apache-2.0
/* Brings a revision back as a new one. The mount does it, in one request: whoever is killed meanwhile, the file is as it was
 * or as it is to be. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/tools/past_private.h"
#include "fs/tools/text.h"

#define RESTORE "user.gridfs.restore" /* VFS_RESTORE in fs/vfs/vfs.h */

static int restore_over(const char *path, const char *name) {
    return setxattr(path, RESTORE, name, strlen(name), 0) ? -errno : 0;
}

/* -ENOTDIR: the directory of it is gone as well. */
static int restore_absent(const char *path, const char *name) {
    const char *slash = strrchr(path, '/');
    cleanup_free char *parent = strndup(path, (size_t)(slash - path)), *value = NULL;
    if (!parent || asprintf(&value, "%s/%s", slash + 1, name) < 0)
        return -ENOMEM;
    if (access(parent, F_OK))
        return errno == ENOENT ? -ENOTDIR : -errno;
    return setxattr(parent, RESTORE, value, strlen(value), 0) ? -errno : 0;
}

static const char *explain(int error) {
    switch (error) {
    case -EBUSY:
        return "a program of this mount is writing it; close it there, and try again";
    case -EEXIST:
    case -ESTALE:
        return "another client has put it right now; look at gridmount log, and try again";
    case -ENOENT:
        return "the revision has gone right now, or is another; look at gridmount log";
    case -ENOTDIR:
        return "its directory has gone; make it first: mkdir -p";
    case -EPERM:
    case -EACCES:
        return "only root and who mounted it can do that, where they and the mount's database user may write";
    case -EROFS:
        return "the mount is read-only (-o ro)";
    case -ETIMEDOUT:
        return "the server is away; it may have been done all the same: look at gridmount log then";
    default:
        return strerror(-error);
    }
}

/* Opening it has the kernel look what is there now. False: it is as it was, since no revision can be newer than that. */
static bool say_what_is_there(const struct past *revisions, const char *name, const char *before) {
    char now[PAST_ID_MOST];
    cleanup_fd int file = open(revisions->real, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    bool known = file >= 0 && past_attribute(revisions->real, "user.gridfs.id", now, sizeof now) == 0;
    bool is_it = known && strcmp(now, past_id(name)) == 0;
    if (known && !is_it && strcmp(now, before) == 0) {
        past_complain(revisions->path, ": the uploadDate of what it is now is the last there can be; change or remove that first");
        return false;
    }
    text_put_plain(stdout, revisions->path, strlen(revisions->path));
    if (is_it)
        printf(" is %s already\n", name);
    else
        printf(" is as %s again; new _id: %s\n", name, known ? now : "see gridmount log");
    return true;
}

/* The revision is open meanwhile, so it stays although its grace be over. */
static int restore(const struct past *revisions, const char *name) {
    cleanup_free char *full = NULL;
    struct stat status;
    if (asprintf(&full, "%s/%s", revisions->directory, name) < 0)
        return -ENOMEM;
    cleanup_fd int open_meanwhile = open(full, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (open_meanwhile < 0)
        return -errno;
    if (stat(revisions->real, &status) == 0)
        return restore_over(revisions->real, name);
    return errno == ENOENT ? restore_absent(revisions->real, name) : -errno;
}

int past_restore(const char *argument) {
    cleanup_free char *path = NULL;
    struct past revisions;
    const char *name;
    if (!past_choose(argument, &path, &revisions, &name))
        return EXIT_FAILED;
    cleanup_free char *before = strdup(revisions.current);
    int result = before ? restore(&revisions, name) : -ENOMEM;
    if (result)
        past_complain(argument, ": %s", explain(result));
    bool done = result == 0 && say_what_is_there(&revisions, name, before);
    past_done(&revisions);
    return done ? EXIT_DONE : EXIT_FAILED;
}

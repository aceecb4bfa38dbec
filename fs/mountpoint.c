#include "fs/mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <mntent.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/cleanup.h"

#define TYPE "fuse.gridfs"

enum { LEAVE_MS = 300 };

static int complain(char **ret_error, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
static int complain(char **ret_error, int error, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (vasprintf(ret_error, format, arguments) < 0)
        *ret_error = NULL;
    va_end(arguments);
    return error;
}

/* Resolves the parent only: the last component may be a dead mount. */
char *mountpoint_absolute(const char *path) {
    cleanup_free char *copy = strdup(path);
    size_t size = copy ? strlen(copy) : 0;
    while (size > 1 && copy[size - 1] == '/')
        copy[--size] = '\0';
    char *slash = copy ? strrchr(copy, '/') : NULL, parent[PATH_MAX], *absolute = NULL;
    const char *name = slash ? slash + 1 : copy;
    if (!copy || !*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return copy ? realpath(copy, NULL) : NULL;
    if (slash)
        *slash = '\0';
    if (!realpath(slash ? (*copy ? copy : "/") : ".", parent))
        return NULL;
    if (asprintf(&absolute, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, name) < 0)
        return NULL;
    return absolute;
}

/* The type of the last mount at a path, to be freed; NULL when none is there. */
static char *mounted_type(const char *absolute) {
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    char *type = NULL;
    struct mntent *entry;
    while (mounts && (entry = getmntent(mounts)))
        if (strcmp(entry->mnt_dir, absolute) == 0) {
            free(type);
            type = strdup(entry->mnt_type);
        }
    if (mounts)
        endmntent(mounts);
    return type;
}

bool mountpoint_is_ours(const char *absolute) {
    cleanup_free char *type = mounted_type(absolute);
    return type && strcmp(type, TYPE) == 0;
}

static int leave_by_helper(const char *absolute, bool detach) {
    pid_t pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0) {
        execlp("fusermount3", "fusermount3", "-q", detach ? "-uz" : "-u", "--", absolute, (char *)NULL);
        _exit(127);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EBUSY;
}

int mountpoint_leave(const char *absolute, bool detach) {
    if (umount2(absolute, detach ? MNT_DETACH : UMOUNT_NOFOLLOW) == 0)
        return 0;
    return errno == EPERM ? leave_by_helper(absolute, detach) : -errno;
}

/* A child does it, which holds no end of the connection: at the latest when the parent has ended, it is done. */
void mountpoint_leave_behind(const char *absolute) {
    pid_t pid = fork();
    if (pid == 0) {
        close_range(STDERR_FILENO + 1, UINT_MAX, 0);
        if (umount2(absolute, MNT_DETACH))
            execlp("fusermount3", "fusermount3", "-q", "-uz", "--", absolute, (char *)NULL);
        _exit(0);
    }
    cleanup_fd int child = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    struct pollfd ended = {.fd = child, .events = POLLIN};
    if (child >= 0)
        poll(&ended, 1, LEAVE_MS);
}

static int heal(const char *absolute, char **ret_error) {
    if (!mountpoint_is_ours(absolute))
        return complain(ret_error, -ENOTCONN, "%s is a dead mount of something else; unmount it first: umount -l %s",
                        absolute, absolute);
    int result = mountpoint_leave(absolute, true);
    if (result)
        return complain(ret_error, result, "%s is a dead gridmount that cannot be cleaned up: %s; umount -l it as root",
                        absolute, strerror(-result));
    return 0;
}

static bool is_empty(const char *path) {
    DIR *directory = opendir(path);
    bool empty = true;
    struct dirent *entry;
    while (directory && empty && (entry = readdir(directory)))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    if (directory)
        closedir(directory);
    return empty;
}

static int check(const char *absolute, char **ret_error) {
    struct stat status;
    struct statvfs asked; /* unlike stat(), this is never answered from the kernel's memory */
    if (statvfs(absolute, &asked) && errno == ENOTCONN) {
        int result = heal(absolute, ret_error);
        if (result)
            return result;
    }
    if (stat(absolute, &status))
        return complain(ret_error, -errno, "mountpoint %s: %s; make it first: mkdir -p %s", absolute, strerror(errno),
                        absolute);
    if (!S_ISDIR(status.st_mode))
        return complain(ret_error, -ENOTDIR, "mountpoint %s is not a directory; name an empty one", absolute);
    cleanup_free char *type = mounted_type(absolute);
    if (type)
        return complain(ret_error, -EBUSY, "%s is already mounted (%s); gridmount umount it first, or choose another",
                        absolute, type);
    if (geteuid() != 0 && access(absolute, W_OK))
        return complain(ret_error, -EACCES, "mountpoint %s is not yours; choose one that you may write", absolute);
    if (!is_empty(absolute))
        return complain(ret_error, -ENOTEMPTY, "mountpoint %s is not empty; its files would be hidden: choose another",
                        absolute);
    return 0;
}

int mountpoint_prepare(const char *path, char **ret_absolute, char **ret_error) {
    cleanup_free char *absolute = mountpoint_absolute(path);
    if (!absolute)
        return complain(ret_error, -errno, "mountpoint %s: %s; make it first: mkdir -p %s", path, strerror(errno), path);
    int result = check(absolute, ret_error);
    bool ours = geteuid() == 0; /* for others fusermount3 opens it */
    if (result == 0 && access("/dev/fuse", ours ? R_OK | W_OK : F_OK))
        result = complain(ret_error, -ENODEV,
                          "/dev/fuse cannot be used: %s; load the fuse module, or start the container with "
                          "--device /dev/fuse --cap-add SYS_ADMIN",
                          strerror(errno));
    if (result == 0)
        *ret_absolute = steal_ptr(&absolute);
    return result;
}

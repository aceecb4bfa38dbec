// SPDX-License-Identifier: Apache-2.0
#include "fs/mountpoint.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <mntent.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"

/* LINE_MOST: of the kernel's table of mounts, two paths of which each byte may take four. */
enum { LEAVE_MS = 300, LINE_MOST = 64 << 10 };

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

/* What is mounted at a path: the last, which hides the others. */
struct mounted {
    char type[64];   /* empty: nothing */
    uid_t uid;       /* of FUSE: whose it is */
    gid_t gid;
};

static unsigned option_of(const struct mntent *entry, const char *name) {
    const char *found = hasmntopt(entry, name);
    return found && found[strlen(name)] == '=' ? (unsigned)strtoul(found + strlen(name) + 1, NULL, 10) : 0;
}

/* Not by getmntent(): several threads ask. */
static bool next_mount(FILE *mounts, char *line, struct mntent *entry) {
    return mounts && line && getmntent_r(mounts, entry, line, LINE_MOST);
}

static struct mounted mounted_at(const char *absolute) {
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    cleanup_free char *line = malloc(LINE_MOST);
    struct mounted mounted = {.type = ""};
    struct mntent entry;
    while (next_mount(mounts, line, &entry))
        if (strcmp(entry.mnt_dir, absolute) == 0) {
            snprintf(mounted.type, sizeof mounted.type, "%s", entry.mnt_type);
            mounted.uid = option_of(&entry, "user_id");
            mounted.gid = option_of(&entry, "group_id");
        }
    if (mounts)
        endmntent(mounts);
    return mounted;
}

static bool is_ours(const struct mounted *mounted) {
    return strcmp(mounted->type, MOUNTPOINT_TYPE) == 0;
}

/* There to be mounted on: whoever else looks at it waits until that is done. */
static bool is_on_demand(const struct mounted *mounted) {
    return strcmp(mounted->type, "autofs") == 0;
}

bool mountpoint_is_ours(const char *absolute) {
    struct mounted mounted = mounted_at(absolute);
    return is_ours(&mounted);
}

/* Whether a path is at or below a directory. */
static bool lies_below(const char *path, const char *directory) {
    size_t size = strcmp(directory, "/") == 0 ? 0 : strlen(directory);
    return strncmp(path, directory, size) == 0 && (path[size] == '/' || path[size] == '\0');
}

int mountpoint_of(const char *path, char **ret_mountpoint, char **ret_real) {
    cleanup_free char *real = realpath(path, NULL), *found = NULL;
    if (!real)
        return -errno;
    FILE *mounts = setmntent("/proc/self/mounts", "re");
    cleanup_free char *line = malloc(LINE_MOST);
    struct mntent entry;
    bool ours = false;
    while (next_mount(mounts, line, &entry)) {
        if (!lies_below(real, entry.mnt_dir) || (found && strlen(entry.mnt_dir) < strlen(found)))
            continue;
        free(found); /* of several at one place the last hides the others */
        found = strdup(entry.mnt_dir);
        ours = strcmp(entry.mnt_type, MOUNTPOINT_TYPE) == 0;
    }
    if (mounts)
        endmntent(mounts);
    if (!found || !ours)
        return -ENODEV;
    *ret_mountpoint = steal_ptr(&found);
    *ret_real = steal_ptr(&real);
    return 0;
}

/* ---- asked as the user whose mount it is: the kernel keeps out all others, and root too ---- */

typedef int asking(const char *path, int out); /* 0 or -errno */

__attribute__((noreturn)) static void ask_as(const struct mounted *mounted, asking *ask, const char *path, int out) {
    if (setgroups(0, NULL) || setresgid(mounted->gid, mounted->gid, mounted->gid) ||
        setresuid(mounted->uid, mounted->uid, mounted->uid))
        _exit(EPERM);
    _exit(-ask(path, out));
}

static int ask_its_user(const char *absolute, asking *ask, const char *path, int out) {
    struct mounted mounted = mounted_at(absolute);
    if (!is_ours(&mounted) || mounted.uid == 0 || geteuid() != 0)
        return ask(path, out);
    pid_t pid = fork();
    if (pid == 0)
        ask_as(&mounted, ask, path, out);
    int status = 0;
    while (pid > 0 && waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return pid < 0 ? -EAGAIN : WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

/* Unlike stat(), statvfs() is never answered from the kernel's memory. */
static int look(const char *path, int out) {
    struct statvfs status;
    (void)out;
    return statvfs(path, &status) ? -errno : 0;
}

bool mountpoint_is_dead(const char *absolute) {
    return ask_its_user(absolute, look, absolute, -1) == -ENOTCONN;
}

static int copy(const char *path, int out) {
    char part[4096];
    cleanup_fd int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : 1;
    while (size > 0 && (size = read(file, part, sizeof part)) > 0)
        if (write(out, part, (size_t)size) != size)
            return -EIO;
    return size < 0 ? -errno : 0;
}

char *mountpoint_read(const char *absolute, const char *name) {
    cleanup_fd int text = memfd_create(name, MFD_CLOEXEC);
    cleanup_free char *path = NULL, *all = NULL;
    struct stat status;
    if (text < 0 || asprintf(&path, "%s/%s", absolute, name) < 0)
        return NULL;
    int result = ask_its_user(absolute, copy, path, text);
    if (result) {
        errno = -result;
        return NULL;
    }
    if (fstat(text, &status) || !(all = calloc(1, (size_t)status.st_size + 1)) ||
        pread(text, all, (size_t)status.st_size, 0) != status.st_size)
        return NULL;
    return steal_ptr(&all);
}

void mountpoint_show_status(const char *absolute) {
    free(mountpoint_read(absolute, ".gridfs/status"));
}

/* ---- leaving ---- */

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

/* ---- what is there before ---- */

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
    int result = mountpoint_is_dead(absolute) ? heal(absolute, ret_error) : 0;
    if (result)
        return result;
    struct mounted mounted = mounted_at(absolute);
    if (*mounted.type && !is_on_demand(&mounted)) /* before it is looked at, which may not be allowed */
        return complain(ret_error, -EBUSY, "%s is already mounted (%s); gridmount umount it first, or choose another",
                        absolute, mounted.type);
    if (stat(absolute, &status))
        return complain(ret_error, -errno, "mountpoint %s: %s; make it first: mkdir -p %s", absolute, strerror(errno),
                        absolute);
    if (!S_ISDIR(status.st_mode))
        return complain(ret_error, -ENOTDIR, "mountpoint %s is not a directory; name an empty one", absolute);
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

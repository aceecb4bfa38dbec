// SPDX-License-Identifier: Apache-2.0
#include "fs/staging_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"
#include "cache/base/path.h"

static int complain(char **ret_error, const char *path, const char *why) {
    if (asprintf(ret_error, "staging_dir %s: %s; give a directory of yours with -o staging_dir=DIR, or mount with -o ro",
                 path, why) < 0)
        *ret_error = NULL;
    return -EINVAL;
}

/* Why a directory may not hold what others must not read; NULL when it may. */
static const char *objection(const char *path) {
    struct stat status;
    if (lstat(path, &status))
        return strerror(errno);
    if (!S_ISDIR(status.st_mode))
        return "it is no directory";
    if (status.st_uid != geteuid())
        return "it belongs to another user";
    if (access(path, W_OK | X_OK))
        return strerror(errno);
    return NULL;
}

static char *default_path(void) {
    char *path = NULL;
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int size = -1;
    if (geteuid() == 0)
        return strdup("/var/lib/gridmount");
    if (state && *state == '/')
        size = asprintf(&path, "%s/gridmount", state);
    else if (home && *home == '/')
        size = asprintf(&path, "%s/.local/state/gridmount", home);
    else
        size = asprintf(&path, "/var/tmp/gridmount-%ld", (long)geteuid());
    return size < 0 ? NULL : path;
}

/* FNV-1a: mounts are told apart, not protected from each other. */
static uint64_t digest_of(const char *text) {
    uint64_t digest = UINT64_C(14695981039346656037);
    for (; *text; text++)
        digest = (digest ^ (unsigned char)*text) * UINT64_C(1099511628211);
    return digest;
}

/* Whether a path still leads to what was opened by it: who had it before may have removed it meanwhile. */
static bool is_at(int fd, const char *path) {
    struct stat opened, there;
    return fstat(fd, &opened) == 0 && stat(path, &there) == 0 && opened.st_dev == there.st_dev &&
           opened.st_ino == there.st_ino;
}

/* NULL, or why not. */
static const char *make_and_lock(const char *path, int *ret_lock) {
    for (;;) {
        int made = path_make(path, 0700);
        const char *why = made < 0 ? strerror(-made) : objection(path);
        if (why)
            return why;
        (void)chmod(path, 0700);
        cleanup_fd int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
            return strerror(errno);
        if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB))
            return "another gridmount of the same bucket and mountpoint uses it";
        if (fd >= 0 && is_at(fd, path)) {
            *ret_lock = fd;
            fd = -1;
            return NULL;
        }
    }
}

static int open_below(const char *base, const char *mount, struct staging_folder *folder, char **ret_error) {
    int made = path_make(base, 0700);
    const char *why = made < 0 ? strerror(-made) : objection(base);
    if (why)
        return complain(ret_error, base, why);
    if (asprintf(&folder->path, "%s/%016llx", base, (unsigned long long)digest_of(mount)) < 0)
        return -ENOMEM;
    why = make_and_lock(folder->path, &folder->lock);
    return why ? complain(ret_error, folder->path, why) : 0;
}

int staging_folder_open(const char *wanted, const char *mount, struct staging_folder *ret_folder, char **ret_error) {
    struct staging_folder folder = {.lock = -1};
    cleanup_free char *base = wanted ? strdup(wanted) : default_path();
    int result = base ? open_below(base, mount, &folder, ret_error) : -ENOMEM;
    if (result && !wanted && base) { /* nobody asked for the default: a container may have no home */
        cleanup_free char *spare = NULL;
        staging_folder_close(&folder);
        folder.lock = -1;
        free(steal_ptr(ret_error));
        if (asprintf(&spare, "/var/tmp/gridmount-%ld", (long)geteuid()) < 0)
            return -ENOMEM;
        result = open_below(spare, mount, &folder, ret_error);
    }
    if (result)
        staging_folder_close(&folder);
    else
        *ret_folder = folder;
    return result;
}

void staging_folder_close(struct staging_folder *folder) {
    if (!folder->path)
        return;
    if (folder->lock >= 0) {
        (void)rmdir(folder->path); /* unless something is kept in it; while nobody else can have it */
        close(folder->lock);
    }
    free(steal_ptr(&folder->path));
}

// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/member.h"
#include "fs/tools/tools.h"

enum { WAIT_MS = 10000, STOP_MS_MOST = 1000000000 };

/* What the mount says of itself before it goes. */
struct leaving_mount {
    int process;  /* a descriptor that becomes readable when it ends; -1 when that cannot be told */
    int stop_ms;  /* how long it stores what can be kept */
    char *folder; /* where that is kept; NULL: not known, or nowhere */
};

static struct leaving_mount look_at(const char *absolute) {
    struct leaving_mount mount = {.process = -1};
    cleanup_free char *text = mountpoint_read(absolute, ".gridfs/status.json");
    if (!text)
        return mount;
    int64_t pid = member_number(text, "\"pid\":"), stop_ms = member_number(text, "\"stop_timeout_ms\":");
    mount.stop_ms = stop_ms > STOP_MS_MOST ? STOP_MS_MOST : (int)stop_ms;
    mount.folder = member_string(text, "\"staging_dir\":\"");
    if (pid > 0)
        mount.process = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
    return mount;
}

/* The records that are left in the journal, if they may be seen; a mount that stored all has none, and no folder. */
static void say_what_is_left(const char *folder) {
    DIR *listing = folder ? opendir(folder) : NULL;
    unsigned files = 0;
    unsigned long long bytes = 0;
    struct dirent *entry;
    struct stat status;
    while (listing && (entry = readdir(listing))) {
        const char *dot = strrchr(entry->d_name, '.');
        if (!dot || strcmp(dot, ".record") != 0 || fstatat(dirfd(listing), entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
            continue;
        files++;
        bytes += (unsigned long long)status.st_size;
    }
    if (listing)
        closedir(listing);
    if (files)
        fprintf(stderr, "gridmount: %u files are not stored yet; the next mount with this staging_dir and mountpoint stores "
                "them, kept until then in %s (%llu bytes)\n", files, folder, bytes);
}

static int leave(const char *absolute, const struct leaving_mount *mount) {
    int result = mountpoint_leave(absolute, mount->process < 0); /* nobody serves it: let go */
    if (result) {
        fprintf(stderr, "gridmount: cannot unmount %s: %s; see who uses it: fuser -vm %s\n", absolute, strerror(-result),
                absolute);
        return EXIT_FAILED;
    }
    struct pollfd ended = {.fd = mount->process, .events = POLLIN};
    if (mount->process >= 0 && poll(&ended, 1, mount->stop_ms + WAIT_MS) == 0)
        fprintf(stderr, "gridmount: %s is unmounted; its process has not ended yet, for it has content to store\n", absolute);
    say_what_is_left(mount->folder);
    return EXIT_DONE;
}

int tools_umount(const char *path) {
    cleanup_free char *absolute = mountpoint_absolute(path);
    if (!absolute || !mountpoint_is_ours(absolute)) {
        fprintf(stderr, "gridmount: %s is not a gridmount; see: grep gridfs /proc/mounts\n", path);
        return EXIT_FAILED;
    }
    struct leaving_mount mount = look_at(absolute);
    int status = leave(absolute, &mount);
    if (mount.process >= 0)
        close(mount.process);
    free(mount.folder);
    return status;
}

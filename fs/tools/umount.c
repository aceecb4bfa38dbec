#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/tools.h"

enum { WAIT_MS = 10000 };

/* A descriptor that becomes readable when the mount's process ends; -1 when it cannot be told. */
static int watch_process(const char *absolute) {
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%s/.gridfs/status.json", absolute) < 0)
        return -1;
    FILE *file = fopen(path, "re");
    char text[4096] = "";
    long pid = 0;
    if (file) {
        size_t size = fread(text, 1, sizeof text - 1, file);
        text[size] = '\0';
        fclose(file);
    }
    const char *at = strstr(text, "\"pid\":");
    if (!at || sscanf(at, "\"pid\":%ld", &pid) != 1)
        return -1;
    return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

int tools_umount(const char *path) {
    cleanup_free char *absolute = mountpoint_absolute(path);
    if (!absolute || !mountpoint_is_ours(absolute)) {
        fprintf(stderr, "gridmount: %s is not a gridmount; see: grep gridfs /proc/mounts\n", path);
        return EXIT_FAILED;
    }
    cleanup_fd int process = watch_process(absolute);
    int result = mountpoint_leave(absolute, process < 0); /* nobody serves it: let go */
    if (result) {
        fprintf(stderr, "gridmount: cannot unmount %s: %s; see who uses it: fuser -vm %s\n", absolute, strerror(-result),
                absolute);
        return EXIT_FAILED;
    }
    struct pollfd ended = {.fd = process, .events = POLLIN};
    if (process >= 0)
        poll(&ended, 1, WAIT_MS);
    return EXIT_DONE;
}

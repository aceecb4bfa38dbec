// SPDX-License-Identifier: Apache-2.0
#include "fs/handed_over.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "fs/complain.h"

enum { FUSE_MAJOR = 10, FUSE_MINOR = 229 };

static const char beginning[] = "/dev/fd/";

bool handed_over_is(const char *mountpoint) {
    size_t size = strlen(beginning);
    return strncmp(mountpoint, beginning, size) == 0 && mountpoint[size] &&
           strspn(mountpoint + size, "0123456789") == strlen(mountpoint + size);
}

/* The number that is the minor number of the mount's device, too; 0: not told. */
static unsigned connection_of(int device) {
    char name[48], line[128];
    unsigned number = 0;
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", device);
    FILE *facts = fopen(name, "re");
    while (facts && fgets(line, sizeof line, facts))
        if (sscanf(line, "fuse_connection: %u", &number) == 1)
            break;
    if (facts)
        fclose(facts);
    return number;
}

/* In place: spaces and the like are \ and three octal digits. */
static void unescape(char *text) {
    char *to = text;
    unsigned code;
    while (*text) {
        if (sscanf(text, "\\%3o", &code) == 1) {
            *to++ = (char)code;
            text += 4;
        } else {
            *to++ = *text++;
        }
    }
    *to = '\0';
}

/* A mount's options in mountinfo, and where it is; both to be freed, NULL when it is not to be seen. */
static char *find_mount(unsigned connection, char **ret_where) {
    FILE *mounts = fopen("/proc/self/mountinfo", "re");
    cleanup_free char *line = NULL;
    char *options = NULL;
    size_t space = 0;
    while (mounts && connection && getline(&line, &space, mounts) >= 0) {
        cleanup_free char *where = NULL;
        unsigned major, minor;
        int end = 0;
        if (sscanf(line, "%*u %*u %u:%u %*s %ms%n", &major, &minor, &where, &end) != 3 || major != 0 || minor != connection)
            continue;
        options = strdup(line + end);
        unescape(where);
        *ret_where = steal_ptr(&where);
        break;
    }
    if (mounts)
        fclose(mounts);
    return options;
}

static bool has_option(const char *options, const char *option) {
    size_t size = strlen(option);
    for (const char *found = options; (found = strstr(found, option)); found += size)
        if (found > options && strchr(", ", found[-1]) && strchr(", \n", found[size]))
            return true;
    return false;
}

/* What a mount of our own always has. */
static int check_options(const char *name, const char *options, char **ret_error) {
    static const char *const always[] = {"nosuid", "nodev", "default_permissions"};
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (!has_option(options, always[i]))
            return complain(ret_error, -EPERM, "%s is mounted without %s: who writes in the database could do what nobody "
                            "may; mount it with that", name, always[i]);
    return 0;
}

static int check(const char *name, int device, char **ret_error) {
    struct stat status;
    struct pollfd connection = {.fd = device};
    if (fstat(device, &status))
        return complain(ret_error, -EBADF, "%s is not open; who starts gridmount must hand it over, not close it on exec", name);
    if (!S_ISCHR(status.st_mode) || status.st_rdev != makedev(FUSE_MAJOR, FUSE_MINOR))
        return complain(ret_error, -ENODEV, "%s is no /dev/fuse; open that, mount it, and hand it over", name);
    if (poll(&connection, 1, 0) < 0 || connection.revents & (POLLERR | POLLNVAL))
        return complain(ret_error, -ENOTCONN, "%s is not mounted; mount(2) it with fd=N before it is handed over", name);
    return 0;
}

/* Ours alone, and read by threads that wait in it. */
static int make_own(int device) {
    int flags = fcntl(device, F_GETFL);
    if (flags < 0 || fcntl(device, F_SETFL, flags & ~O_NONBLOCK) || fcntl(device, F_SETFD, FD_CLOEXEC))
        return -errno;
    return 0;
}

int handed_over_take(const char *mountpoint, int *ret_device, char **ret_where, char **ret_error) {
    long number = strtol(mountpoint + strlen(beginning), NULL, 10);
    if (number <= STDERR_FILENO || number > INT_MAX)
        return complain(ret_error, -EBADF, "%s cannot be served; hand over a descriptor from 3 on", mountpoint);
    int result = check(mountpoint, (int)number, ret_error);
    if (result)
        return result;
    cleanup_free char *where = NULL;
    cleanup_free char *options = find_mount(connection_of((int)number), &where);
    result = options ? check_options(mountpoint, options, ret_error) : where ? -ENOMEM : 0;
    if (result == 0 && !where && !(where = strdup(mountpoint)))
        result = -ENOMEM;
    if (result == 0)
        result = make_own((int)number);
    if (result)
        return result;
    *ret_device = (int)number;
    *ret_where = steal_ptr(&where);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "cache/base/path.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cache/base/cleanup.h"

int path_make(const char *path, mode_t above) {
    cleanup_free char *part = strdup(path);
    if (!part)
        return -ENOMEM;
    for (char *slash = part + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        (void)mkdir(part, above);
        *slash = '/';
    }
    if (mkdir(part, 0700))
        return errno == EEXIST ? 0 : -errno;
    return 1;
}

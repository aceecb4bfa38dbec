// SPDX-License-Identifier: Apache-2.0
#include "cache/disk_identity.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { HANDLE_FID = 0x200 }; /* AT_HANDLE_FID, of Linux 6.5: file systems that export nothing have handles too */

int disk_identify(int fd, struct disk_identity *ret_identity) {
    static const int flags[] = {AT_EMPTY_PATH | HANDLE_FID, AT_EMPTY_PATH};
    struct stat status;
    int mount, result = fstat(fd, &status) ? -errno : -EINVAL;
    for (unsigned i = 0; result == -EINVAL && i < 2; i++) {
        memset(ret_identity, 0, sizeof *ret_identity);
        ret_identity->changed = status.st_ctim;
        ret_identity->device = status.st_dev;
        ret_identity->handle.handle_bytes = MAX_HANDLE_SZ;
        result = name_to_handle_at(fd, "", &ret_identity->handle, &mount, flags[i]) ? -errno : 0;
    }
    return result;
}

bool disk_identity_is_same(const struct disk_identity *one, const struct disk_identity *other) {
    return one->device == other->device && memcmp(one->bytes, other->bytes, sizeof one->bytes) == 0;
}

bool disk_identity_is_unchanged(const struct disk_identity *one, const struct disk_identity *other) {
    return disk_identity_is_same(one, other) && one->changed.tv_sec == other->changed.tv_sec &&
           one->changed.tv_nsec == other->changed.tv_nsec;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"

#define CHANGES                                                                                                        \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |                  \
     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                        \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |                     \
     LANDLOCK_ACCESS_FS_MAKE_SYM)
/* Of later versions; the headers of the build machine may be older than the kernel. */
#define TRUNCATE (UINT64_C(1) << 14)

enum { VERSION_TRUNCATE = 3 };

static void allow(int rules, const char *path, uint64_t what) {
    struct landlock_path_beneath_attr beneath = {.allowed_access = what};
    cleanup_fd int file = open(path, O_PATH | O_CLOEXEC);
    beneath.parent_fd = file;
    if (file >= 0 && syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0)
        return;
    log_debug("landlock: %s: %s", path, strerror(errno));
}

static void confine_writes(const char *const *folders) {
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    uint64_t truncate = version >= VERSION_TRUNCATE ? TRUNCATE : 0;
    struct landlock_ruleset_attr handled = {.handled_access_fs = CHANGES | truncate | LANDLOCK_ACCESS_FS_EXECUTE};
    cleanup_fd int rules = version > 0 ? (int)syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0) : -1;
    if (rules < 0) {
        log_debug("landlock: %s; writes are confined by the user's permissions only", strerror(errno));
        return;
    }
    for (; *folders; folders++)
        allow(rules, *folders, CHANGES | truncate);
    allow(rules, "/dev/null", LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    allow(rules, "/dev/fuse", LANDLOCK_ACCESS_FS_WRITE_FILE | truncate);
    if (syscall(SYS_landlock_restrict_self, rules, 0))
        log_debug("landlock: %s; writes are confined by the user's permissions only", strerror(errno));
    else
        log_debug("landlock version %ld: writes are confined", version);
}

void confine(const char *const *folders) {
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
        log_debug("no_new_privs: %s", strerror(errno));
    else
        confine_writes(folders);
}

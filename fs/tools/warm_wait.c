// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/member.h"
#include "fs/tools/warm.h"

static bool goes_on(const char *state) {
    return strcmp(state, "idle") == 0 || strcmp(state, "running") == 0 || strcmp(state, "waiting") == 0;
}

void tools_await_warm(const char *mountpoint) {
    static const struct timespec pause = {.tv_nsec = 50 * 1000000};
    for (;; nanosleep(&pause, NULL)) {
        cleanup_free char *status = mountpoint_read(mountpoint, ".gridfs/status.json");
        const char *warming = status ? strstr(status, "\"warming\":{") : NULL;
        cleanup_free char *state = warming ? member_string(warming, "\"state\":\"") : NULL;
        if (state && goes_on(state))
            continue;
        int64_t failed = warming ? member_number(warming, "\"failed\":") : 0;
        if (!state || strcmp(state, "done") != 0 || failed)
            fprintf(stderr, "gridmount: not all is warm: %s, %lld files failed\n", state ? state : "the mount does not answer",
                    (long long)failed);
        return;
    }
}

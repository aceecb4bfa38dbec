#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/tools.h"

int tools_status(const char *path, bool json) {
    cleanup_free char *absolute = mountpoint_absolute(path);
    if (!absolute || !mountpoint_is_ours(absolute)) {
        fprintf(stderr, "gridmount: %s is not a gridmount; mount it first\n", path);
        return EXIT_USAGE;
    }
    cleanup_free char *text = mountpoint_read(absolute, json ? ".gridfs/status.json" : ".gridfs/status");
    if (!text) {
        fprintf(stderr, "gridmount: %s does not answer: %s; mount it again\n", absolute, strerror(errno));
        return errno == ENOTCONN ? EXIT_USAGE : EXIT_FAILED;
    }
    fputs(text, stdout);
    return strstr(text, json ? "\"state\":\"ok\"" : "state       ok") ? EXIT_DONE : EXIT_FAILED;
}

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/mountpoint.h"
#include "fs/tools/tools.h"

static char *read_whole(const char *path) {
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t space = 0;
    ssize_t size = file ? getdelim(&text, &space, '\0', file) : -1;
    if (file)
        fclose(file);
    if (size >= 0)
        return text;
    free(text);
    return NULL;
}

int tools_status(const char *path, bool json) {
    cleanup_free char *absolute = mountpoint_absolute(path), *file = NULL;
    if (!absolute || !mountpoint_is_ours(absolute)) {
        fprintf(stderr, "gridmount: %s is not a gridmount; mount it first\n", path);
        return EXIT_USAGE;
    }
    if (asprintf(&file, "%s/.gridfs/status%s", absolute, json ? ".json" : "") < 0)
        return EXIT_FAILED;
    cleanup_free char *text = read_whole(file);
    if (!text) {
        fprintf(stderr, "gridmount: %s does not answer: %s; mount it again\n", absolute, strerror(errno));
        return errno == ENOTCONN ? EXIT_USAGE : EXIT_FAILED;
    }
    fputs(text, stdout);
    return strstr(text, json ? "\"state\":\"ok\"" : "state       ok") ? EXIT_DONE : EXIT_FAILED;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/memory_limit.h"

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/cleanup.h"

/* The number in a file; INT64_MAX when there is none ("max", no file). */
static int64_t number_in(const char *path) {
    FILE *file = fopen(path, "re");
    long long number = INT64_MAX;
    if (!file)
        return INT64_MAX;
    if (fscanf(file, "%lld", &number) != 1 || number <= 0)
        number = INT64_MAX;
    fclose(file);
    return number;
}

/* The limits of a cgroup and of all it is in. `group` is cut on the way. */
static int64_t least_upwards(const char *root, const char *mounted, char *group, const char *file) {
    int64_t least = INT64_MAX;
    for (;;) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "%s%s%s/%s", root, mounted, group, file) < 0)
            return least;
        int64_t limit = number_in(path);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

static bool names_memory(char *controllers) {
    char *rest = NULL;
    for (char *one = strtok_r(controllers, ",", &rest); one; one = strtok_r(NULL, ",", &rest))
        if (strcmp(one, "memory") == 0)
            return true;
    return false;
}

/* Of a line of /proc/self/cgroup: "number:controllers:group", in version 2 without controllers. */
static int64_t limit_of(const char *root, char *line) {
    line[strcspn(line, "\n")] = '\0';
    char *controllers = strchr(line, ':'), *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group)
        return INT64_MAX;
    *group++ = '\0';
    if (*++controllers == '\0')
        return least_upwards(root, "/sys/fs/cgroup", group, "memory.max");
    return names_memory(controllers)
               ? least_upwards(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes")
               : INT64_MAX;
}

int64_t memory_limit_of_groups(const char *root) {
    int64_t least = INT64_MAX;
    char line[PATH_MAX];
    cleanup_free char *path = NULL;
    FILE *file = asprintf(&path, "%s/proc/self/cgroup", root) < 0 ? NULL : fopen(path, "re");
    while (file && fgets(line, sizeof line, file)) {
        int64_t limit = limit_of(root, line);
        least = limit < least ? limit : least;
    }
    if (file)
        fclose(file);
    return least;
}

int64_t memory_limit(void) {
    int64_t machine = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE), groups = memory_limit_of_groups("");
    return groups < machine ? groups : machine;
}

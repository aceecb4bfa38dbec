#include "fs/memory_limit.h"

#include <limits.h>
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

/* The limits of a cgroup and of all it is in (version 2). */
static int64_t least_upwards(char *group) {
    int64_t least = INT64_MAX;
    for (;;) {
        cleanup_free char *path = NULL;
        if (asprintf(&path, "/sys/fs/cgroup%s/memory.max", group) < 0)
            return least;
        int64_t limit = number_in(path);
        least = limit < least ? limit : least;
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = '\0';
    }
}

int64_t memory_limit(void) {
    int64_t least = (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    int64_t version1 = number_in("/sys/fs/cgroup/memory/memory.limit_in_bytes");
    least = version1 < least ? version1 : least;
    FILE *file = fopen("/proc/self/cgroup", "re");
    char line[PATH_MAX];
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::", 3) == 0) {
            int64_t limit = least_upwards(line + 3);
            least = limit < least ? limit : least;
        }
    }
    if (file)
        fclose(file);
    return least;
}

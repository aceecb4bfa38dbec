// SPDX-License-Identifier: Apache-2.0
#include "fs/globs.h"

#include <fnmatch.h>
#include <string.h>

bool globs_match(char *const *globs, const char *path) {
    for (; *globs; globs++)
        if (fnmatch(*globs, path, FNM_LEADING_DIR) == 0)
            return true;
    return false;
}

/* By what stands before the first special character. */
static bool may_match_below(const char *glob, const char *directory) {
    size_t plain = strcspn(glob, "*?[\\"), size = strlen(directory);
    if (plain <= size) /* all of `glob` that is plain, and then a whole component if there is no more of it */
        return strncmp(glob, directory, plain) == 0 && (glob[plain] || !directory[plain] || directory[plain] == '/');
    return size == 0 || (strncmp(glob, directory, size) == 0 && glob[size] == '/');
}

bool globs_may_match_below(char *const *globs, const char *directory) {
    for (; *globs; globs++)
        if (may_match_below(*globs, directory))
            return true;
    return false;
}

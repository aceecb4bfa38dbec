// SPDX-License-Identifier: Apache-2.0
/* Which paths a list of globs names: `*`, `?` and `[...]` as fnmatch(3) has them, where `*` and `?` stand for "/" too. A
 * glob that matches a directory names all below it.
 *
 * Paths are relative to the root of the mount, without "/" at either end. Pure; lists end with a NULL. */
#ifndef FS_GLOBS_H
#define FS_GLOBS_H

#include <stdbool.h>

bool globs_match(char *const *globs, const char *path);
/* False: no path below this directory (the root: "") can match, so it need not be listed. */
bool globs_may_match_below(char *const *globs, const char *directory);

#endif

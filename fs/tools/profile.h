// SPDX-License-Identifier: Apache-2.0
/* `gridmount profile FILE|DIR [--json]`: what programs did to a mount, from its trace (fs/fuse/trace.h): which operations took the
 * time, which files were read and how, and which option would help.
 *
 *     line --- profile_add() ---> by operation, by path --- profile_put() ---> text, or JSON
 *
 * Sums only: a trace may be long, so what is kept is a few hundred bytes for each path in it, up to PROFILE_PATHS; others are
 * counted as one.
 * Threads: none of its own. */
#ifndef FS_TOOLS_PROFILE_H
#define FS_TOOLS_PROFILE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { PROFILE_PATHS = 200000 };

struct profile;

/* NULL without memory. */
struct profile *profile_new(void);
/* Takes NULL, returns NULL. */
struct profile *profile_free(struct profile *profile);
/* A line, with or without its end; what is none is counted and left out. It is changed. */
void profile_add(struct profile *profile, char *line);
/* The report. */
void profile_put(struct profile *profile, FILE *out, bool json);

/* Of a trace, or of the mount there: 0, 1 it cannot be read, 2 usage. */
int tools_profile(const char *path, bool json);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a mount says of itself in its status.json, as far as other commands need it.
 *
 * It is found by the text that stands before it: `start` is that of a member as the mount writes it, up to its value, and
 * quotes within strings are written otherwise. No parser, for one text of our own making.
 *
 * Pure; any thread. */
#ifndef FS_TOOLS_MEMBER_H
#define FS_TOOLS_MEMBER_H

#include <stdint.h>

/* 0: there is none. */
int64_t member_number(const char *json, const char *start);
/* As far as the text needs no escapes: such paths are rare. To be freed; NULL: not so. */
char *member_string(const char *json, const char *start);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What can be done with the revisions of a file, through .gridfs/revisions of the mount that it is in:
 *
 *     gridmount log PATH [--json]          says which there are
 *     gridmount restore PATH@REV           brings one back as a new revision
 *     gridmount diff PATH@REV [PATH@REV|FILE]  says which chunks of two differ; of one, and of the file as it is now
 *
 * PATH may have been removed, for as long as its revisions are still to be had. REV is an _id, or the start of a date that
 * only one revision has. */
#ifndef FS_TOOLS_PAST_H
#define FS_TOOLS_PAST_H

#include <stdbool.h>

bool past_is_command(const char *word);
/* arguments[0] is that word. Prints its own errors. 0, 1 and 2 as tools.h has them; of diff as diff(1): 0 the same, 1
 * different, 2 trouble. */
int past_run(int count, char **arguments);

#endif

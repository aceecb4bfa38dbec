// SPDX-License-Identifier: Apache-2.0
/* What `gridmount --help` says: the commands, the options as options.def has them, the modes of consistency, the exit
 * statuses. No parsing: main.c knows the commands.
 *
 * Any thread. */
#ifndef FS_USAGE_H
#define FS_USAGE_H

#include <stdio.h>

void usage_put(FILE *out);

#endif

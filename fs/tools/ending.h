// SPDX-License-Identifier: Apache-2.0
/* The signals that end a command which takes long: it looks for them where it waits.
 *
 * Threads: before there are any; all that come leave them alone. */
#ifndef FS_TOOLS_ENDING_H
#define FS_TOOLS_ENDING_H

/* From here on SIGINT, SIGTERM and SIGHUP interrupt nothing. A descriptor that can be read once one came (signalfd(2)), to be
 * closed by the caller; -1: there is none. */
int ending_take(void);

#endif

// SPDX-License-Identifier: Apache-2.0
/* `gridmount fsck`: reads the command line, connects, and has the bucket looked over. */
#ifndef FS_FSCK_H
#define FS_FSCK_H

/* What stands behind "fsck", arguments[0] being that word; an exit status as fsck(8) has them. Ends the process by itself
 * once it has looked. */
int fsck_run(int count, char **arguments);

#endif

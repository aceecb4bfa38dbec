// SPDX-License-Identifier: Apache-2.0
/* What a daemon that serves as another user gives up beyond root: it runs no program, gains nothing from setuid files, and
 * writes in the folders it is given only (Landlock, where the kernel has it). It still reads what its user may: certificates,
 * resolver and time zone are the libraries' affair, which may look anew at any time.
 *
 * Who needs another folder to write in later names it here. The log file is open already; sockets are not files.
 * A confined process can neither mount nor unmount: the porter does.
 *
 * Threads: before there are any; all that come are confined. */
#ifndef FS_CONFINE_H
#define FS_CONFINE_H

/* `folders`, up to a NULL: of what is staged, of what is cached. What the kernel does not have is left out, and said in the
 * log at debug. */
void confine(const char *const *folders);

#endif

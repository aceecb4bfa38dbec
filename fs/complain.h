// SPDX-License-Identifier: Apache-2.0
/* What goes wrong before there is a mount, as one line for the user: the cause, and behind ";" the cure.
 *
 * Any thread. Memory: *ret_error is the caller's, to be freed; NULL without memory. */
#ifndef FS_COMPLAIN_H
#define FS_COMPLAIN_H

/* Returns `error`. */
int complain(char **ret_error, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Prints what was complained of (NULL: that there is no memory), and frees it. Returns `status`. */
int give_up(int status, char *error);

#endif

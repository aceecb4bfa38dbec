// SPDX-License-Identifier: Apache-2.0
/* Whom the daemon serves as when root starts it: user=NAME|UID[:GROUP].
 *
 * Threads: before there are any. */
#ifndef FS_USER_H
#define FS_USER_H

#include <stdbool.h>
#include <sys/types.h>

struct user {
    uid_t uid;
    gid_t gid;
    bool one_group; /* named, so that is all; else those of the account too */
};

/* A name or number, with a group or not; a number without an account has the group of that number. 0, or -EINVAL and
 * *ret_error is what is wrong, to be freed. */
int user_find(const char *text, struct user *ret_user, char **ret_error);
/* For root, before: makes a directory theirs, when it is not there yet. One that is stays whose it is. 0 or -errno. */
int user_make_folder(const struct user *user, const char *path);
/* For good: with its groups, and without a way back, which is tried. 0 or -errno. */
int user_become(const struct user *user);

#endif

// SPDX-License-Identifier: Apache-2.0
#include "fs/user.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/path.h"

static bool is_number(const char *text, uint32_t *ret_number) {
    size_t digits = strspn(text, "0123456789");
    unsigned long long number = digits && digits <= 10 && !text[digits] ? strtoull(text, NULL, 10) : UINT32_MAX;
    if (number >= UINT32_MAX) /* which means nobody to the system */
        return false;
    *ret_number = (uint32_t)number;
    return true;
}

static bool find_account(const char *name, struct user *ret_user) {
    const struct passwd *account = getpwnam(name);
    if (account) {
        ret_user->uid = account->pw_uid;
        ret_user->gid = account->pw_gid;
        return true;
    }
    if (!is_number(name, &ret_user->uid))
        return false;
    account = getpwuid(ret_user->uid);
    ret_user->gid = account ? account->pw_gid : (gid_t)ret_user->uid;
    return true;
}

static bool find_group(const char *name, gid_t *ret_gid) {
    const struct group *group = getgrnam(name);
    if (group)
        *ret_gid = group->gr_gid;
    return group || is_number(name, ret_gid);
}

int user_find(const char *text, struct user *ret_user, char **ret_error) {
    cleanup_free char *name = strdup(text);
    char *group = name ? strchr(name, ':') : NULL;
    struct user user = {.one_group = group != NULL};
    const char *wrong = NULL;
    if (!name)
        return -ENOMEM;
    if (group)
        *group++ = '\0';
    if (!find_account(name, &user))
        wrong = "there is no such user; name one of /etc/passwd, or a number";
    else if (group && !find_group(group, &user.gid))
        wrong = "there is no such group; name one of /etc/group, or a number";
    else if (user.uid == 0)
        wrong = "root gives up nothing; leave it out, or name another";
    if (wrong)
        return *ret_error = strdup(wrong), -EINVAL;
    *ret_user = user;
    return 0;
}

int user_make_folder(const struct user *user, const char *path) {
    int made = path_make(path, 0755);
    if (made <= 0)
        return made;
    cleanup_fd int folder = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return folder < 0 || fchown(folder, user->uid, user->gid) ? -errno : 0;
}

static int take_groups(const struct user *user) {
    const struct passwd *account = user->one_group ? NULL : getpwuid(user->uid);
    return account ? initgroups(account->pw_name, user->gid) : setgroups(1, &user->gid);
}

static bool is_there_for_good(const struct user *user) {
    uid_t real, effective, saved;
    if (getresuid(&real, &effective, &saved) || real != user->uid || effective != user->uid || saved != user->uid)
        return false;
    return setuid(0) != 0 && seteuid(0) != 0;
}

int user_become(const struct user *user) {
    if (take_groups(user) || setresgid(user->gid, user->gid, user->gid) ||
        setresuid(user->uid, user->uid, user->uid))
        return -errno;
    return is_there_for_good(user) ? 0 : -EPERM;
}

// SPDX-License-Identifier: Apache-2.0
/* The folder in which a mount stages what is written: private to it, and locked while it runs.
 *
 *     staging_dir/<16 hex digits of server, database, bucket and mountpoint>/
 *
 * Errors: 0, or -errno with *ret_error, one line for the user, to be freed. */
#ifndef FS_STAGING_FOLDER_H
#define FS_STAGING_FOLDER_H

struct staging_folder {
    char *path;
    int lock;
};

/* `wanted`: what the user asked for, or NULL: /var/lib/gridmount for root, else $XDG_STATE_HOME/gridmount or
 * ~/.local/state/gridmount, and where that cannot be made /var/tmp/gridmount-UID. `mount`: what tells mounts apart. */
int staging_folder_open(const char *wanted, const char *mount, struct staging_folder *ret_folder, char **ret_error);
/* Takes one that was never opened, all zero. */
void staging_folder_close(struct staging_folder *folder);

#endif

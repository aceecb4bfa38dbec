// SPDX-License-Identifier: Apache-2.0
/* What ends the life of inodes and handles, put off while somebody may still use them. See orphans.h.
 *
 * Threads: the caller's lock guards a list; what is done is done without it. */
#ifndef FS_FUSE_PUT_OFF_H
#define FS_FUSE_PUT_OFF_H

#include <stdbool.h>
#include <stdint.h>

struct vfs;

typedef void put_off_act(struct vfs *vfs, void *what, uint64_t count);

struct put_off;

struct put_off_list {
    struct put_off *first, **last; /* in the order they came; NULL, NULL: none */
};

/* False without memory. */
bool put_off(struct put_off_list *list, put_off_act *act, struct vfs *vfs, void *what, uint64_t count);
/* All of the list, which is empty then. */
struct put_off *put_off_take(struct put_off_list *list);
/* Does it, in order. */
void put_off_do(struct put_off *all);

#endif

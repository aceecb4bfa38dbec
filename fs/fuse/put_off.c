// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/put_off.h"

#include <stdlib.h>

struct put_off {
    put_off_act *act;
    struct vfs *vfs;
    void *what;
    uint64_t count;
    struct put_off *next;
};

bool put_off(struct put_off_list *list, put_off_act *act, struct vfs *vfs, void *what, uint64_t count) {
    struct put_off *later = malloc(sizeof *later);
    if (!later)
        return false;
    *later = (struct put_off){.act = act, .vfs = vfs, .what = what, .count = count};
    *(list->first ? list->last : &list->first) = later;
    list->last = &later->next;
    return true;
}

struct put_off *put_off_take(struct put_off_list *list) {
    struct put_off *all = list->first;
    list->first = NULL;
    return all;
}

void put_off_do(struct put_off *all) {
    while (all) {
        struct put_off *each = all;
        all = each->next;
        each->act(each->vfs, each->what, each->count);
        free(each);
    }
}

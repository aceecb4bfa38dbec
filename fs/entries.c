// SPDX-License-Identifier: Apache-2.0
#include "fs/entries.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"

struct taking {
    struct entries *entries;
    bool any; /* dots count */
};

static bool has_room(void *context, const char *name) {
    (void)name;
    return ((struct taking *)context)->entries->count < ENTRIES_MOST;
}

static void take(void *context, const char *name, const struct vfs_entry *found, uint64_t next) {
    struct taking *taking = context;
    struct entries *entries = taking->entries;
    taking->any = true;
    entries->next = next;
    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0)
        entries->list[entries->count++] =
            (struct entry){.name = strdup(name), .mode = found->attributes.st_mode, .inode = found->inode};
}

int entries_read(struct vfs *vfs, struct handle *handle, struct entries *entries, bool *ret_more) {
    struct taking taking = {.entries = entries};
    const struct vfs_taker taker = {.context = &taking, .fits = has_room, .take = take};
    entries->count = 0;
    int result = vfs_read_directory(vfs, handle, entries->next, true, &taker);
    if (result == 0)
        *ret_more = taking.any;
    return result;
}

static void forget(struct vfs *vfs, struct entry *entry) {
    if (entry->inode)
        vfs_forget(vfs, steal_ptr(&entry->inode), 1);
}

int entry_look_up(struct vfs *vfs, struct inode *directory, struct entry *entry) {
    struct vfs_entry found;
    forget(vfs, entry);
    int result = vfs_lookup(vfs, directory, entry->name, &found);
    if (result == 0) {
        entry->mode = found.attributes.st_mode;
        entry->inode = found.inode;
    }
    return result;
}

void entry_done(struct vfs *vfs, struct entry *entry) {
    forget(vfs, entry);
    free(steal_ptr(&entry->name));
}

// SPDX-License-Identifier: Apache-2.0
/* Renaming, in all forms. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/vfs/vfs_private.h"

struct renaming {
    struct inode *from_parent, *to_parent;
    struct inode *inode, *target; /* references; target may be NULL */
    char from[NAMES_STORED_MOST + 1], to[NAMES_STORED_MOST + 1];
    unsigned flags;
    int64_t ctime_ns;
};

static int rename_stored(struct vfs *vfs, const struct renaming *renaming) {
    struct inode *inode = renaming->inode, *target = renaming->target;
    struct store *store = inode_store(inode);
    cleanup_free char *from = inode_path(vfs->inodes, renaming->from_parent, renaming->from);
    cleanup_free char *to = inode_path(vfs->inodes, renaming->to_parent, renaming->to);
    cleanup_with(revision_unref) struct revision *revision = inode_revision(vfs->inodes, inode);
    cleanup_with(revision_unref) struct revision *replaced = target ? inode_revision(vfs->inodes, target) : NULL;
    if (!from || !to)
        return -ENOMEM;
    int result = vfs_keep_directory(vfs, renaming->from_parent);
    if (result)
        return result;
    bool stored_target = target && !inode_is_unpublished(vfs->inodes, target);
    struct store_object object = stored_target ? vfs_object(target, to, replaced) : (struct store_object){0};
    struct store_rename rename = {.from = vfs_object(inode, from, revision),
                                  .to = to,
                                  .target = stored_target ? &object : NULL,
                                  .keep_target = renaming->flags & RENAME_NOREPLACE,
                                  .exchange = renaming->flags & RENAME_EXCHANGE};
    rename.from.ctime_ns = renaming->ctime_ns;
    result = store->ops->rename(store, &rename);
    if (result == -EEXIST || result == -ENOTEMPTY)
        vfs_note_there(vfs, renaming->to_parent, renaming->to);
    return result;
}

/* Two hard links may have come to two inodes; renaming one onto the other does nothing. A file of one name was renamed
 * by others since its old name was looked up: there is another by now, or none. */
static bool names_one_file(struct vfs *vfs, const struct inode *one, const struct inode *other) {
    struct attributes mine = inode_attributes(vfs->inodes, one), theirs = inode_attributes(vfs->inodes, other);
    return mine.has & ATTRIBUTES_FILE && theirs.has & ATTRIBUTES_FILE && theirs.has & ATTRIBUTES_LINKS &&
           theirs.links > 1 && memcmp(mine.file, theirs.file, sizeof mine.file) == 0;
}

/* 1: there is nothing to do. */
static int check_renaming(struct vfs *vfs, const struct renaming *renaming) {
    struct inode *target = renaming->target;
    bool exchanges = renaming->flags & RENAME_EXCHANGE;
    if (inode_store(renaming->inode) != inode_store(renaming->to_parent))
        return -EXDEV;
    if (renaming->flags & RENAME_NOREPLACE && target)
        return -EEXIST;
    if (exchanges && !target)
        return -ENOENT;
    if (target && names_one_file(vfs, renaming->inode, target))
        return 1;
    if (target && !exchanges && inode_type(target) == STORE_DIRECTORY)
        return vfs_check_empty(vfs, target);
    return 0;
}

/* What is not published yet has no document to rename: it is published first, as it is. */
static int publish_both(struct vfs *vfs, const struct renaming *renaming) {
    int result = 0;
    if (inode_is_unpublished(vfs->inodes, renaming->inode))
        result = vfs_publish(vfs, renaming->inode);
    if (result == 0 && renaming->flags & RENAME_EXCHANGE && inode_is_unpublished(vfs->inodes, renaming->target))
        result = vfs_publish(vfs, renaming->target);
    return result;
}

static void rename_known(struct vfs *vfs, const struct renaming *renaming) {
    struct attributes now = {.has = ATTRIBUTES_CTIME, .ctime_ns = renaming->ctime_ns};
    if (renaming->flags & RENAME_EXCHANGE)
        inode_exchanged(vfs->inodes, renaming->from_parent, renaming->from, renaming->to_parent, renaming->to);
    else
        inode_moved(vfs->inodes, renaming->from_parent, renaming->from, renaming->to_parent, renaming->to);
    (void)inode_change(vfs->inodes, renaming->inode, &now);
    if (renaming->target)
        (void)inode_change(vfs->inodes, renaming->target, &now);
    vfs_touch_directory(vfs, renaming->from_parent);
    if (renaming->to_parent != renaming->from_parent)
        vfs_touch_directory(vfs, renaming->to_parent);
}

static int rename_found(struct vfs *vfs, const struct renaming *renaming) {
    int result = check_renaming(vfs, renaming);
    if (result == 0)
        result = publish_both(vfs, renaming);
    if (result)
        return result;
    bool ordered = (uintptr_t)renaming->inode < (uintptr_t)renaming->target || !renaming->target;
    struct file *first = vfs_shut(vfs, ordered ? renaming->inode : renaming->target);
    struct file *second = vfs_shut(vfs, ordered ? renaming->target : renaming->inode);
    struct file *of_target = ordered ? second : first;
    result = rename_stored(vfs, renaming);
    if (result == 0 && renaming->target && inode_is_unpublished(vfs->inodes, renaming->target))
        vfs_drop_unpublished(vfs, renaming->target, of_target, renaming->to_parent, renaming->to);
    if (result == 0) {
        rename_known(vfs, renaming);
        vfs_drop_removed(vfs, renaming->target, of_target);
    }
    vfs_reopen(second);
    vfs_reopen(first);
    if (result == 0)
        journaling_refresh_all(vfs); /* it may be a directory above many */
    return result;
}

int vfs_rename(struct vfs *vfs, struct inode *parent, const char *name, struct inode *new_parent, const char *new_name,
               unsigned flags) {
    struct renaming renaming = {
        .from_parent = parent, .to_parent = new_parent, .flags = flags, .ctime_ns = vfs_now_ns()};
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    int result = vfs_known(vfs, parent, name, renaming.from, &renaming.inode);
    if (result <= 0)
        return result < 0 ? result : -ENOENT;
    result = vfs_known(vfs, new_parent, new_name, renaming.to, &renaming.target);
    if (result >= 0 && renaming.inode != renaming.target)
        result = rename_found(vfs, &renaming);
    if (renaming.target)
        inode_release(vfs->inodes, renaming.target);
    inode_release(vfs->inodes, renaming.inode);
    return result < 0 ? result : 0;
}

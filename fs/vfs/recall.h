// SPDX-License-Identifier: Apache-2.0
/* What is answered while the server is away: names, attributes and listings as they were when they were last told.
 *
 *     here --[recall_may() of a question that was not answered]--> away --[the server answers anybody]--> here
 *
 * The question that finds it away has waited for the timeout; while it lasts, what is known is answered at once. Who asks
 * for what is not known, or opens a file, still asks the server, and so do the driver's own looks at it: it heals by itself.
 * What it is not: a promise. What is recalled is believed no longer than what was asked for; contents are opened only as
 * the mode allows, with a question.
 *
 * Threads: any. */
#ifndef FS_VFS_RECALL_H
#define FS_VFS_RECALL_H

#include "fs/vfs/vfs_private.h"

/* Whether it is known that the server is away, and known names may be answered without a question. */
bool recall_is_due(struct vfs *vfs);
/* Whether they may be after a question that came to this. */
bool recall_may(struct vfs *vfs, int result);
/* The inode that is known at a name (stored form), with one more lookup. */
bool recall_name(struct vfs *vfs, struct inode *parent, const char *stored, struct inode **ret_inode);
/* The handle, at its start, gives the entries of the last listing that was whole; false when none is known. */
bool recall_listing(struct vfs *vfs, struct handle *handle);
/* The entry at a key of a listing that is recalled: whether there is one, as far as this mount knows. */
bool recall_entry(struct vfs *vfs, struct handle *handle, const char *stored, const struct store_item *item,
                  bool with_inode, struct vfs_entry *ret_entry);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a change stream vouches for: notes of inodes, set by answers and taken away by doubts.c. */
#include <utlist.h>

#include "fs/vfs/inode_private.h"

static bool is_noted(const struct inode *inode) {
    return inode->type == STORE_DIRECTORY && (inode->vouched || inode->listing);
}

void vouch_set(struct inodes *inodes, struct inode *inode, bool vouched, bool listing) {
    bool before = is_noted(inode);
    inode->vouched = vouched;
    inode->listing = listing;
    if (!listing)
        inode->keys = keys_unref(inode->keys);
    bool now = is_noted(inode);
    if (now && !before)
        DL_APPEND2(inodes->noted, inode, prev_opened, next_opened);
    else if (before && !now)
        DL_DELETE2(inodes->noted, inode, prev_opened, next_opened);
}

void vouch_answer(struct inodes *inodes, struct inode *inode, const struct coherence_moment *asked) {
    bool vouched = inodes->coherence && asked && !coherence_crossed(inodes->coherence, asked);
    if (inode->vouched != vouched)
        vouch_set(inodes, inode, vouched, inode->listing);
}

bool inode_believe(struct inodes *inodes, struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool vouched = inode->vouched;
    inode->believed |= vouched;
    lock_release(&inodes->lock);
    return vouched;
}

bool inode_is_doubtful(struct inodes *inodes, const struct inode *inode) {
    lock_acquire(&inodes->lock);
    bool ours = inode->unpublished || inode->publishing || inode->removed;
    bool doubtful = inode->believed && !inode->vouched && !ours;
    lock_release(&inodes->lock);
    return doubtful;
}

/* Nothing but fresh replies may be in the kernel's copy of a listing when it is kept. So while handles are open that may
 * still bring in what they asked for before a change, no further one adds to it; and when they are closed, it is dropped. */
enum inode_listing inode_open_listing(struct inodes *inodes, struct inode *directory, struct keys **ret_keys) {
    if (!inodes->coherence)
        return INODE_LISTING_ASKED;
    lock_acquire(&inodes->lock);
    bool vouching = coherence_vouches(inodes->coherence);
    enum inode_listing result = !vouching || (!directory->keys && directory->caching) ? INODE_LISTING_ASKED
                                : directory->keys                                     ? INODE_LISTING_KEPT
                                                                                      : INODE_LISTING_FRESH;
    if (result == INODE_LISTING_FRESH)
        vouch_set(inodes, directory, directory->vouched, true);
    if (result == INODE_LISTING_KEPT)
        *ret_keys = keys_ref(directory->keys);
    directory->caching += result != INODE_LISTING_ASKED;
    lock_release(&inodes->lock);
    return result;
}

/* `listing` is as the one handle that makes a new copy left it: no other does meanwhile. */
void inode_end_listing(struct inodes *inodes, struct inode *directory, struct keys *keys,
                       const struct coherence_moment *asked) {
    lock_acquire(&inodes->lock);
    if (directory->listing && !directory->keys) {
        directory->keys = keys_ref(keys);
        directory->listed = asked->at;
    }
    lock_release(&inodes->lock);
}

struct keys *inode_listing(struct inodes *inodes, const struct inode *directory) {
    lock_acquire(&inodes->lock);
    struct keys *keys = directory->keys ? keys_ref(directory->keys) : NULL;
    lock_release(&inodes->lock);
    return keys;
}

void inode_close_listing(struct inodes *inodes, struct inode *directory) {
    lock_acquire(&inodes->lock);
    directory->caching--;
    lock_release(&inodes->lock);
}

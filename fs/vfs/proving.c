// SPDX-License-Identifier: Apache-2.0
/* With `verify`: files of which a SHA-256 is recorded are compared with it while they are read (cache/proof.h).
 *
 * What the kernel keeps of a file is not read again. So at an open it is dropped, unless all that it can have was followed;
 * and from when all of it was found sound, it is believed for as long as the inode has that content. */
#include <errno.h>
#include <string.h>

#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/vfs/vfs_private.h"

/* The value as text, to be freed; NULL: it is not among them, or there is no memory. */
static char *find_text(const struct store_xattr *first, const char *name) {
    while (first && strcmp(first->name, name) != 0)
        first = first->next;
    return first ? strndup(first->value, first->size) : NULL;
}

/* As whoever reads its extended attributes finds it. */
static int ask(struct vfs *vfs, struct inode *inode, struct published *published) {
    struct revision *revision = published_revision(published);
    struct store *store = inode_store(inode);
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL), *recorded = NULL, *id = NULL;
    struct store_xattr *first;
    struct store_object object = {.path = path ? path : "", .kind = STORE_FILE, .revision = revision};
    int result = store->ops->xattrs(store, &object, &first);
    if (result)
        return result == -ENOENT ? 0 : result; /* others have removed it just now: who knows what was recorded */
    recorded = find_text(first, "user.gridfs.sha256");
    id = find_text(first, "user.gridfs.id");
    store_xattrs_free(first);
    if (recorded)
        return published_prove(published, recorded, id ? id : "?");
    inode_set_proof(vfs->inodes, inode, revision, INODE_PROOF_NONE);
    return 0;
}

int proving_open(struct vfs *vfs, struct handle *handle) {
    cleanup_with(published_unref) struct published *published = NULL;
    struct inode *inode = handle->inode;
    if (!vfs->config.verify || inode_proof(vfs->inodes, inode) != INODE_PROOF_UNKNOWN)
        return 0;
    int result = inode_published(vfs->inodes, inode, vfs->config.chunks, &published);
    if (result)
        return result == -ENOENT ? 0 : result; /* nothing is published yet */
    struct proof *proof = published_proof(published);
    if (proof) {
        handle->fresh = !proof_resume(proof);
        return 0;
    }
    result = ask(vfs, inode, published);
    handle->fresh = published_proof(published) != NULL;
    return result;
}

bool vfs_may_keep(const struct handle *handle) {
    return !handle->fresh;
}

static void complain(struct vfs *vfs, struct inode *inode, const struct proof *proof) {
    cleanup_free char *path = inode_path(vfs->inodes, inode, NULL);
    log_error("file '%s' (_id %s) is not what was stored: its SHA-256 is recorded as %.64s, but what was read has %s",
              path ? path : "?", proof_subject(proof), proof_recorded(proof), proof_found(proof));
}

int proving_read(struct vfs *vfs, struct inode *inode, struct published *published, int64_t offset,
                 struct reader_view *views, unsigned count) {
    struct proof *proof = published_proof(published);
    enum proof_answer answer = proof ? proof_take(proof, offset, views, count) : PROOF_GIVE;
    if (answer == PROOF_GIVE_SOUND) {
        inode_set_proof(vfs->inodes, inode, published_revision(published), INODE_PROOF_SOUND);
        stats_add(STAT_sound_reads, 1);
    } else if (answer == PROOF_KEEP_WRONG) {
        stats_add(STAT_wrong_reads, 1);
        complain(vfs, inode, proof);
    }
    if (answer != PROOF_KEEP && answer != PROOF_KEEP_WRONG)
        return 0;
    reader_release(views, count);
    return -EIO;
}

// SPDX-License-Identifier: Apache-2.0
/* What of a staged file is not as its base has it. */
#include "cache/staging_private.h"

enum {
    ZEROS = 1 << EXTENT_ZEROS,
    HOLE = 1 << EXTENT_HOLE,
    CHANGED = EXTENTS_WRITTEN | ZEROS | HOLE,
};

bool staged_next_part(struct staged *staged, int64_t offset, struct staged_part *ret_part) {
    const struct extents *extents = &staged->extents;
    lock_acquire(&staged->lock);
    int64_t start = extents_next(extents, offset, staged->length, CHANGED);
    bool found = offset < staged->length && start < staged->length;
    if (found) {
        unsigned kind = 1u << extents_kind(extents, start);
        unsigned same = kind & EXTENTS_WRITTEN ? EXTENTS_WRITTEN : kind;
        int64_t end = extents_next(extents, start, staged->length, EXTENTS_ALL & ~same);
        *ret_part = (struct staged_part){
            .offset = start,
            .length = end - start,
            .kind = same == EXTENTS_WRITTEN ? STAGED_BYTES : same == ZEROS ? STAGED_ZEROS : STAGED_HOLE};
    }
    lock_release(&staged->lock);
    return found;
}

uint64_t staged_version(struct staged *staged) {
    lock_acquire(&staged->lock);
    uint64_t version = staged->version;
    lock_release(&staged->lock);
    return version;
}

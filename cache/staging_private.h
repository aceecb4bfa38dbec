// SPDX-License-Identifier: Apache-2.0
/* What staging.c (an area and the memory in it), staged.c (one file), staged_parts.c (what of it is changed) and
 * staged_copy.c (between two) share. */
#ifndef CACHE_STAGING_PRIVATE_H
#define CACHE_STAGING_PRIVATE_H

#include "cache/base/lock.h"
#include "cache/content.h"
#include "cache/extents.h"
#include "cache/staging.h"

/* What a file takes of its area. */
struct staged_shares {
    size_t blocks;    /* bytes of memory for content */
    size_t index;     /* bytes of memory for extents */
    uint64_t written; /* bytes staged, wherever they are */
};

struct staged {
    struct staging *staging;
    /* Under the area's lock: */
    unsigned references;         /* the owner's, and those of who makes room */
    struct staged_shares shares; /* as the area counts them */
    struct staged *prev, *next;  /* while it has blocks */
    /* Under the file's: */
    struct lock lock;
    struct staged_base base;
    struct extents extents;
    struct content content;
    int64_t length;
    uint64_t version;
    bool dirty;
};

/* Under the file's lock, which is held by their caller: */

/* The two changes that follow will not fail, or -errno. */
int staged_prepare_locked(struct staged *staged);
/* To at least `length`, with a hole. */
void staged_grow_locked(struct staged *staged, int64_t length);
/* In a range, each kind becomes another; the file is dirty if any did. */
void staged_change_locked(struct staged *staged, int64_t start, int64_t end, const unsigned char becomes[EXTENT_KINDS]);

/* Whether the area has room for what a file's extents may grow by: 0 or -ENOSPC. */
int staging_admit(struct staging *staging);
/* Takes memory for blocks of a file that is about to be written to, if the area has it. */
bool staging_take(struct staged *staged, size_t bytes);
/* Counts what a file takes by now. Its lock is held. */
void staging_settle(struct staged *staged);
/* Moves some of the file that was not written to for longest to disk, or of `staged`: when it is `alone`, and when no
 * file has anything in memory. No lock is held. */
int staging_make_room(struct staged *staged, bool alone);
void staging_enter(struct staged *staged);
/* Gives a reference back, and with the last one the file. Its content is counted no more. */
void staging_leave(struct staged *staged);

#endif

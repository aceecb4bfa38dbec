// SPDX-License-Identifier: Apache-2.0
/* The small files of a directory in the order of its last listing, so that a program which reads them one after the
 * other gets their content in batches.
 *
 * What it is not: a cache of names. It only says what to fetch ahead; nothing is believed because of it.
 *
 * Threads: none of its own; the inode table's lock is held around all calls.
 * Memory: a reference to each revision; SIBLINGS_MOST in all directories together, further ones are not noted.
 * Facts: a revision is planned once while a program goes on in order; a plan keeps its bounds. */
#ifndef FS_VFS_SIBLINGS_H
#define FS_VFS_SIBLINGS_H

#include "fs/store/revision.h"

enum {
    SIBLINGS_MOST = 100000,
    SIBLINGS_PLAN = 64,           /* files */
    SIBLINGS_PLAN_BYTES = 2 << 20,
    SIBLINGS_SMALL = 128 << 10,   /* a file of more bytes is read by itself */
};

struct siblings;

struct siblings *siblings_new(void);
/* Takes NULL, returns NULL. */
struct siblings *siblings_free(struct siblings *siblings);
/* A listing begins: forgets the one before. */
void siblings_clear(struct siblings *siblings);
/* The next file of a listing. Returns its place, from 1 on; 0 when it is not noted. */
uint32_t siblings_add(struct siblings *siblings, struct revision *revision);
/* The file at `place` is opened. Returns how many revisions are worth fetching now, each is a
 * reference of the caller's. */
unsigned siblings_follow(struct siblings *siblings, uint32_t place, struct revision *ret_revisions[SIBLINGS_PLAN]);

#endif

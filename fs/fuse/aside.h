// SPDX-License-Identifier: Apache-2.0
/* Requests that were read from the kernel and are not served yet, or may be served again: copies, in a list.
 *
 * Threads: the caller's lock guards a list. */
#ifndef FS_FUSE_ASIDE_H
#define FS_FUSE_ASIDE_H

#include <stddef.h>
#include <stdint.h>

#include "fs/fuse/opcodes.h"

struct copy {
    struct copy *prev, *next;
    uint64_t unique; /* the kernel's number of the request */
    enum opcode_kind kind;
    size_t size;
    char bytes[];
};

struct aside {
    struct copy *first, *last; /* in the order they came */
};

/* In no list; to be freed. NULL without memory. */
struct copy *copy_of(uint64_t unique, enum opcode_kind kind, const void *bytes, size_t size);
void aside_append(struct aside *aside, struct copy *copy);
void aside_remove(struct aside *aside, struct copy *copy);

#endif

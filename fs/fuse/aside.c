// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/aside.h"

#include <stdlib.h>
#include <string.h>

struct copy *copy_of(uint64_t unique, enum opcode_kind kind, const void *bytes, size_t size) {
    struct copy *copy = malloc(sizeof *copy + size);
    if (copy) {
        *copy = (struct copy){.unique = unique, .kind = kind, .size = size};
        memcpy(copy->bytes, bytes, size);
    }
    return copy;
}

void aside_append(struct aside *aside, struct copy *copy) {
    copy->prev = aside->last;
    copy->next = NULL;
    *(copy->prev ? &copy->prev->next : &aside->first) = copy;
    aside->last = copy;
}

void aside_remove(struct aside *aside, struct copy *copy) {
    *(copy->prev ? &copy->prev->next : &aside->first) = copy->next;
    *(copy->next ? &copy->next->prev : &aside->last) = copy->prev;
}

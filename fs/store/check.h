// SPDX-License-Identifier: Apache-2.0
/* Looking a bucket over: what is damaged, what dead mounts left behind, and what there is to know of it.
 *
 * A check only reads. It holds against others who change the bucket meanwhile: what looks wrong is asked for once more
 * before it counts. Its repair, where there is one, takes away what is proven to be of no use to anybody, and finishes
 * what was half done: all that mounts do by themselves. Content is never repaired, and chunks without a files document
 * are left alone unless a record says whose they were: they may be another client's upload under way.
 *
 *     for each check of the table:  find(), then perhaps repair() and find() once more
 *
 * Threads: one. Blocks, as store.h says. Memory: bounded, however large the bucket is; what a finding points to lives as
 * long as the call. Errors: those of store.h; -EACCES: a collection of gridmount's may not be read. */
#ifndef FS_STORE_CHECK_H
#define FS_STORE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum check_kind {
    CHECK_NOTE,      /* to be known */
    CHECK_LEFT_OVER, /* harmless; a mount, or the repair, takes it away */
    CHECK_PROBLEM,
};

enum check_class {
#define CHECK_CLASS(name, word, kind, about) CHECK_##name,
#include "fs/store/check.def"
#undef CHECK_CLASS
    CHECK_CLASSES
};

struct check_class_row {
    const char *word;
    enum check_kind kind;
    const char *about;
};

extern const struct check_class_row check_classes[CHECK_CLASSES];

struct check_finding {
    enum check_class class;
    int64_t count; /* of what it stands for */
    int64_t bytes; /* of content, or 0 */
    const char *name; /* a filename or path as stored, any bytes of name_size; or NULL */
    size_t name_size;
    const char *id;     /* the text of the _id, see .gridfs/id; or NULL */
    const char *detail; /* what is wrong, or NULL */
};

struct check_listener {
    void *context;
    void (*found)(void *context, const struct check_finding *finding);
    /* Now and then: how far it is. */
    void (*progress)(void *context, int64_t documents);
};

struct checks;

struct check {
    const char *name;
    int (*find)(struct checks *checks, const struct check_listener *listener);
    /* NULL: nothing of it can be repaired. -EBUSY: a mount of this bucket does it by itself soon. */
    int (*repair)(struct checks *checks);
};

struct checks {
    const struct check *table;
    size_t count;
    struct checks *(*free)(struct checks *checks);
};

#endif

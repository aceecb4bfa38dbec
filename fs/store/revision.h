// SPDX-License-Identifier: Apache-2.0
/* A revision: one files document, that is one content of one name, as far as a filesystem needs it.
 *
 * Published revisions never change, so neither does this object once it is shared; who sees other attributes of the
 * same content (a chmod elsewhere) gets another object with the same key.
 *
 * Threads: immutable; references from any thread.
 * Memory: revision_new() gives one reference. */
#ifndef FS_STORE_REVISION_H
#define FS_STORE_REVISION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cache/base/cleanup.h"
#include "fs/store/attributes.h"

enum { REVISION_KEY = 16, REVISION_HOLES_MOST = 4096 };

/* A part of a file that was never written: zeros, in the database too, but no blocks in st_blocks. */
struct hole {
    int64_t offset, length; /* bytes */
};

struct store;

struct revision {
    atomic_uint references;
    struct store *store; /* where its chunks are */
    unsigned char key[REVISION_KEY]; /* digest of bucket, _id, uploadDate, length and chunkSize */
    int64_t length;                  /* bytes, >= 0; 0 when damaged */
    int64_t date_ms;                 /* uploadDate since 1970, which orders; INT64_MIN without a usable one */
    int64_t content_date_ms;         /* the same before a rename lifted it: what key and times are made of */
    uint32_t chunk_size;             /* bytes, > 0 unless damaged */
    const char *damage;              /* why the content cannot be read, or NULL */
    struct attributes attributes;
    enum {
        POSIX_OTHER,   /* metadata.posix is not there, or was written for another revision and copied along */
        POSIX_ADOPTED, /* it is this revision's, whose content an application put: a change of attributes wrote it */
        POSIX_OWN,     /* it is this revision's, which a gridmount put */
    } posix;
    struct hole *holes; /* owned; in order, apart, within length */
    uint32_t hole_count;
    uint32_t id_size;
    unsigned char id[]; /* the _id, opaque to all but the store that made it */
};

struct revision *revision_new(const void *id, uint32_t id_size);
/* The same revision seen with other attributes; the caller's. NULL without memory. */
struct revision *revision_with(const struct revision *revision, const struct attributes *attributes);
struct revision *revision_ref(struct revision *revision);
/* Takes NULL, returns NULL. */
struct revision *revision_unref(struct revision *revision);
bool revision_same_content(const struct revision *one, const struct revision *other);
/* The number of chunks a sound file of this length has. */
uint32_t revision_chunks(const struct revision *revision);
/* How many bytes chunk n of a sound file has, n < revision_chunks(). */
uint32_t revision_chunk_length(const struct revision *revision, uint32_t n);

DEFINE_CLEANUP(struct revision, revision_unref)

#endif

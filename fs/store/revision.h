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

enum { REVISION_KEY = 16 };

/* What the database says of an inode beyond its content; the rest is the mount's defaults. */
struct attributes {
    enum {
        ATTRIBUTES_MODE = 1,
        ATTRIBUTES_UID = 2,
        ATTRIBUTES_GID = 4,
        ATTRIBUTES_ATIME = 8,
        ATTRIBUTES_MTIME = 16,
        ATTRIBUTES_CTIME = 32,
    } has;
    uint32_t mode, uid, gid; /* mode: permission bits only */
    uint32_t device;         /* of a device node */
    int64_t atime_ns, mtime_ns, ctime_ns;
    uint64_t identity; /* from metadata.posix.file: what st_ino is made of; 0: none */
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
    uint32_t id_size;
    unsigned char id[]; /* the _id, opaque to all but the store that made it */
};

struct revision *revision_new(const void *id, uint32_t id_size);
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

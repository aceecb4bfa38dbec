// SPDX-License-Identifier: Apache-2.0
/* A store in memory: a bucket of files and nodes that obeys fs/store/store.h, and a server of such buckets.
 *
 * Names are sorted as the database sorts them; what others do to a bucket is done with the functions below, at any
 * time. Every answer makes new revision objects, as a database does.
 * What it is not: it knows no spellings and no older revisions; the newest of a name is all there is. What was replaced
 * or removed by an operation counts as retired.
 *
 * Threads: any; one mutex. Memory: a server owns its stores. */
#ifndef TESTS_FAKE_MEMORY_STORE_H
#define TESTS_FAKE_MEMORY_STORE_H

#include "fs/store/store.h"

enum {
    MEMORY_CHUNK_SIZE = 261120,   /* of a put without a base */
    MEMORY_XATTRS_MOST = 1 << 20, /* bytes of all of an object: past that, -ENOSPC */
};

struct memory_store;

struct memory_store *memory_store_new(const char *bucket);
struct memory_store *memory_store_free(struct memory_store *memory);
struct store *memory_store_store(struct memory_store *memory);

/* A new revision of `path`, with a date later than all before. Its _id's text is "id-N" with the number returned. */
unsigned memory_store_put(struct memory_store *memory, const char *path, const void *bytes, size_t size,
                          uint32_t chunk_size);
/* The same content with other attributes, as after a chmod. */
void memory_store_set_attributes(struct memory_store *memory, const char *path, const struct attributes *attributes);
/* A directory, symlink (with `target`), FIFO ... of its own. */
void memory_store_node(struct memory_store *memory, const char *path, enum store_kind kind, const char *target);
/* With all its hard links and its chunks at once, as other GridFS clients do; whether there was a file or node. */
bool memory_store_remove(struct memory_store *memory, const char *path);
/* Chunk n of a file answers with this -errno from now on. */
void memory_store_damage_chunk(struct memory_store *memory, const char *path, uint32_t n, int error);
/* The files document of a file is unusable from now on. */
void memory_store_damage_file(struct memory_store *memory, const char *path, const char *damage);
/* This SHA-256 is recorded of a file, for what it has now. */
void memory_store_record(struct memory_store *memory, const char *path, const char *digits);
/* The claim of this path has expired, as that of a host which was away. */
void memory_store_lose_lease(struct memory_store *memory, const char *path);
/* All that is retired, now or later, is due: the next tidy() deletes it. */
void memory_store_end_grace(struct memory_store *memory);

/* The content of a file, with a NUL behind it; NULL without a file. It stays until the store is freed, or until tidy()
 * or another client deletes it. */
const void *memory_store_content(struct memory_store *memory, const char *path, size_t *ret_size);
/* How many puts were made through the operation. */
unsigned memory_store_puts(struct memory_store *memory);
/* Uploads that go on, those that were begun, and how many of their chunks were as the puts wanted them. */
struct memory_uploads {
    unsigned going_on, begun, used_chunks;
};
struct memory_uploads memory_store_uploads(struct memory_store *memory);

/* ---- a server ---- */

struct server *memory_server_new(void);
/* The bucket, made when it is new. */
struct memory_store *memory_server_bucket(struct server *server, const char *name);

#endif

// SPDX-License-Identifier: Apache-2.0
/* What a store in memory holds; private to tests/fake/memory_*.c.
 *
 * A record is a name, an object what stands at it: a files document with its chunks, or a node. Hard links are several
 * records of one object. An object without a name stays until the store is freed, for those who have it open.
 *
 * Threads: all functions want memory->mutex held. Memory: records and objects belong to the store. */
#ifndef TESTS_FAKE_MEMORY_RECORDS_H
#define TESTS_FAKE_MEMORY_RECORDS_H

#include <pthread.h>

#include "tests/fake/memory_store.h"

enum { MEMORY_PATH_MOST = 8192 };

struct object {
    struct object *next;
    enum store_kind kind;
    unsigned names; /* records of it */
    char *path;     /* of the last of them */
    struct attributes attributes;
    struct store_xattr *xattrs; /* in the order they were made */
    char *target;
    unsigned id; /* of a file; 0: none */
    int64_t date_ms, content_date_ms;
    uint32_t chunk_size, damaged_chunk;
    int chunk_error;
    const char *damage;
    unsigned char *bytes; /* with a NUL behind them; NULL: the chunks were deleted */
    size_t size;
    struct hole *holes;
    uint32_t hole_count;
};

/* `path` of a directory ends in "/", so that plain byte order is the order of keys; the root's is "". */
struct record {
    char *path;
    struct object *object;
};

struct store_lease {
    struct store_lease *next;
    char *path;
    bool lost;
};

struct memory_store {
    struct store store; /* first */
    pthread_mutex_t mutex;
    unsigned last_id, puts;
    unsigned uploads, uploads_begun, sent_chunks; /* uploads that go on; in all; chunks that puts took from them */
    int64_t last_date_ms;
    bool grace_is_over;
    struct object *objects;
    struct store_lease *leases;
    struct record *records; /* sorted by path, each path once */
    size_t count, capacity;
};

struct memory_store *memory_of(struct store *store);

struct object *memory_object_new(struct memory_store *memory, enum store_kind kind);
/* A file's object, with the next _id and a date later than all before. Takes over `bytes`, with a byte to spare. */
struct object *memory_file_new(struct memory_store *memory, unsigned char *bytes, size_t size, uint32_t chunk_size);
/* The object with a revision's _id, whether or not it has a name; NULL: none. */
struct object *memory_object_of(struct memory_store *memory, const struct revision *revision);
/* As the database shows it, with its count of links. */
struct attributes memory_attributes(const struct object *object);
/* Of a put with this base. */
uint32_t memory_chunk_size(const struct revision *base);
/* Whether a chunk of a put was sent before, as it is now; then it is filled in. Without the mutex. */
bool memory_take_sent(struct memory_store *memory, const struct store_put *put, int64_t offset, size_t size,
                      unsigned char *into);
struct revision *memory_revision(struct memory_store *memory, const struct object *object);
void memory_copy_xattrs(struct object *object, const struct object *from);
void memory_delete_chunks(struct object *object);

/* The first record whose path is not below `path`. */
size_t memory_lower_bound(const struct memory_store *memory, const char *path);
/* What has exactly this path; NULL: nothing. */
struct object *memory_find(struct memory_store *memory, const char *path);
/* The first record below a directory's path ("a/"), or the directory's own; NULL without any. */
struct record *memory_below(struct memory_store *memory, const char *directory);
/* How a directory's record is written. */
void memory_directory_path(const char *path, char ret_directory[MEMORY_PATH_MOST]);
/* Whether a name is taken, by whatever it be. */
bool memory_is_taken(struct memory_store *memory, const char *path);
bool memory_is_claimed(const struct memory_store *memory, const char *path);
/* Whether a directory is there, by a record of its own or by what is below it. */
bool memory_is_directory(struct memory_store *memory, const char *path);
/* Whether anything is below a directory's path ("a/"). */
bool memory_has_entries(struct memory_store *memory, const char *directory);
/* What a change is meant for: a file by its _id, while it has a name, all else by its path. NULL: it has gone. */
struct object *memory_resolve(struct memory_store *memory, const struct store_object *object);

/* Records for a directory and its parents, where they have none. */
void memory_make_directories(struct memory_store *memory, const char *path);
/* Puts an object at a path, in place of what is there. */
void memory_place(struct memory_store *memory, const char *path, struct object *object);
/* Whether there was something. */
bool memory_unplace(struct memory_store *memory, const char *path);
void memory_free_records(struct memory_store *memory);

#endif

/* A bucket on a MongoDB server as a `struct store`: what its operations share. Included by this folder only. */
#ifndef FS_STORE_MONGO_BUCKET_H
#define FS_STORE_MONGO_BUCKET_H

#include <stdatomic.h>

#include "fs/store/mongo/connection.h"

/* Something most buckets do not have, and every lookup would have to ask for: believed absent for a while, but only
 * where the answer is about a name that is there (see store.h, server_config.trust_ms). Threads: any, without a lock:
 * asking once too often is harmless. */
struct absence {
    atomic_int_least64_t until_ms; /* believed absent until then */
};

struct bucket {
    struct store store; /* first: a store of this kind is one of these */
    struct connection *connection;
    char *files, *chunks, *nodes; /* collection names */
    int trust_ms;
    struct absence spellings; /* names with a leading "/" or "./" */
    struct absence any_nodes; /* documents in nodes */
};

int bucket_new(struct connection *connection, const char *name, int trust_ms, struct bucket **ret_bucket);
struct bucket *bucket_free(struct bucket *bucket);

/* The operations of store.h, one file each. */
int bucket_lookup(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry);
int bucket_newest(struct store *store, const char *path, struct revision **ret_revision);
int bucket_by_id(struct store *store, const char *text, struct revision **ret_revision);
int bucket_survey(struct store *store);
int bucket_list_open(struct store *store, const char *path, const char *after, struct store_list **ret_list);
int bucket_list_next(struct store_list *list, struct store_item *ret_item);
void bucket_list_close(struct store_list *list);
int bucket_fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors);
int bucket_fetch_heads(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors);

/* Whether the bucket may have what `absence` stands for. Asks when that is not believed. */
bool bucket_may_have_spellings(struct bucket *bucket);
bool bucket_may_have_nodes(struct bucket *bucket);
/* Appends {field: the value in {_id: value}}: equal to that value, even when it looks like an operator. */
void bucket_match_id(bson_t *filter, const char *field, const bson_t *id);
/* Whether the _id is of a kind that an application may give again; ObjectIds are made once. */
bool bucket_may_reuse_id(const struct revision *revision);
/* find() of the primary; nodes that the user may not read count as none. */
int bucket_find(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
                connection_visit *visit, void *context);

#endif

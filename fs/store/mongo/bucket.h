// SPDX-License-Identifier: Apache-2.0
/* A bucket on a MongoDB server as a `struct store`: what its operations share. Included by this folder only. */
#ifndef FS_STORE_MONGO_BUCKET_H
#define FS_STORE_MONGO_BUCKET_H

#include <stdatomic.h>

#include "fs/store/mongo/beliefs.h"
#include "fs/store/mongo/connection.h"
#include "fs/store/mongo/hold.h"
#include "fs/store/mongo/intents.h"
#include "fs/store/mongo/lease.h"
#include "fs/store/mongo/recent.h"

struct uploaders;
struct watch;

struct bucket {
    struct store store; /* first: a store of this kind is one of these */
    struct connection *connection;
    char *files, *chunks, *nodes, *locks, *trash, *intents; /* collection names */
    struct uploaders *uploaders;                              /* of the server */
    struct server_config policy; /* of which only the numbers are meant; the strings belong to others */
    struct beliefs beliefs;
    struct recents recents;
    struct {                           /* see change.h; asking once too often is harmless here too */
        atomic_int_least64_t until_ms; /* known to be of our format until then */
        atomic_bool marked;            /* and says so in nodes */
        atomic_bool hard_links;        /* there are some, or have been */
        atomic_bool ordered, ordered_refused; /* the server's release knows bulkWrite; it would not do it */
        atomic_bool format_said, denied_said, concern_said;
    } changing;
    struct {
        atomic_int_least64_t until_ms, offset_ms; /* the server's time minus the own clock, good until then */
    } clock;
    struct intents puts;
    struct leases leases;
    struct holder holder;
    atomic_int computes; /* of updates that compute, as renames of directories want: see rename_files.c */
    atomic_int_least64_t unions_refused_until_ms; /* the server cannot ask two collections at once */
    atomic_int_least64_t copies_refused_until_ms; /* the server cannot copy chunks */
    atomic_bool holes_refused;                    /* it takes no array in an array */
    atomic_bool keep_refused;                     /* this user may not say what is open */
    struct watch *_Atomic watch;                  /* NULL: not watched */
    bool is_janitor;                              /* see tidy.c; used by the thread that tidies */
};

int bucket_new(struct connection *connection, struct uploaders *uploaders, const char *name,
               const struct server_config *config, struct bucket **ret_bucket);
struct bucket *bucket_free(struct bucket *bucket);

/* The operations of store.h, one file each. */
int bucket_lookup(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry);
int bucket_newest(struct store *store, const char *path, struct revision **ret_revision);
int bucket_by_id(struct store *store, const char *text, struct revision **ret_revision);
int bucket_history(struct store *store, const char *path, const char *id, uint32_t most, struct store_past **ret_list,
                   uint32_t *ret_count);
int bucket_is_retired(struct store *store, const char *path);
int bucket_survey(struct store *store);
int bucket_list_open(struct store *store, const char *path, const char *after, struct store_list **ret_list);
int bucket_list_next(struct store_list *list, struct store_item *ret_item);
void bucket_list_close(struct store_list *list);
int bucket_fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors);
int bucket_fetch_heads(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors);
int bucket_link(struct store *store, const struct store_object *object, const char *path,
                struct revision **ret_revision);
int bucket_set_attributes(struct store *store, const struct store_object *object, const struct attributes *changes,
                          struct revision **ret_revision);
int bucket_xattrs(struct store *store, const struct store_object *object, struct store_xattr **ret_first);
int bucket_xattrs_of(struct store *store, struct revision *const *revisions, uint32_t count, struct store_xattr **ret_firsts);
int bucket_set_xattr(struct store *store, const struct store_object *object, const char *name, const void *value,
                     size_t size, enum store_xattr_how how);
int bucket_put(struct store *store, const struct store_put *put, struct revision **ret_revision);
int bucket_upload_begin(struct store *store, const struct revision *model, const struct store_source *source,
                        int64_t start, struct store_upload **ret_upload);
void bucket_upload_offer(struct store *store, struct store_upload *upload, int64_t end);
struct store_upload *bucket_upload_end(struct store *store, struct store_upload *upload);
int bucket_reserve(struct store *store, const char *path, struct store_lease **ret_lease);
struct store_lease *bucket_release(struct store *store, struct store_lease *lease);
int bucket_make(struct store *store, const char *path, const struct store_entry *node);
int bucket_keep_directory(struct store *store, const char *path);
int bucket_remove(struct store *store, const struct store_object *object);
int bucket_remove_directory(struct store *store, const char *path);
int bucket_rename(struct store *store, const struct store_rename *rename);
int bucket_keep(struct store *store, struct revision *const *open, uint32_t count);
int bucket_tidy(struct store *store, struct revision *const *open, uint32_t count);
int bucket_watch(struct store *store, const struct store_listener *listener);
void bucket_unwatch(struct store *store);
int bucket_hold_open(struct store *store, const char *path, char kind, struct store_hold **ret_hold);
int bucket_hold_set(struct store *store, struct store_hold *hold, const struct store_range *list, uint32_t count);
int bucket_hold_find(struct store *store, struct store_hold *hold, const struct store_range *wanted,
                     struct store_range *ret_found);
int bucket_hold_check(struct store *store, const struct store_hold *hold);
struct store_hold *bucket_hold_close(struct store *store, struct store_hold *hold);

/* Appends {field: the value in {_id: value}}: equal to that value, even when it looks like an operator. */
void bucket_match_id(bson_t *filter, const char *field, const bson_t *id);
/* Whether the _id is of a kind that an application may give again; ObjectIds are made once. */
bool bucket_may_reuse_id(const struct revision *revision);
/* find() of the primary; what the user may not read of the collections of our own counts as none. */
int bucket_find(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
                connection_visit *visit, void *context);

#endif

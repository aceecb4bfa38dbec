// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/bucket.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/janitor.h"
#include "fs/store/mongo/watch.h"

static const struct store_ops bucket_ops = {
    .lookup = bucket_lookup,
    .newest = bucket_newest,
    .by_id = bucket_by_id,
    .history = bucket_history,
    .is_retired = bucket_is_retired,
    .survey = bucket_survey,
    .list_open = bucket_list_open,
    .list_next = bucket_list_next,
    .list_close = bucket_list_close,
    .fetch = bucket_fetch,
    .fetch_heads = bucket_fetch_heads,
    .link = bucket_link,
    .set_attributes = bucket_set_attributes,
    .xattrs = bucket_xattrs,
    .xattrs_of = bucket_xattrs_of,
    .set_xattr = bucket_set_xattr,
    .put = bucket_put,
    .upload_begin = bucket_upload_begin,
    .upload_offer = bucket_upload_offer,
    .upload_end = bucket_upload_end,
    .reserve = bucket_reserve,
    .release = bucket_release,
    .make = bucket_make,
    .keep_directory = bucket_keep_directory,
    .remove = bucket_remove,
    .remove_directory = bucket_remove_directory,
    .rename = bucket_rename,
    .keep = bucket_keep,
    .tidy = bucket_tidy,
    .watch = bucket_watch,
    .unwatch = bucket_unwatch,
    .hold_open = bucket_hold_open,
    .hold_set = bucket_hold_set,
    .hold_find = bucket_hold_find,
    .hold_check = bucket_hold_check,
    .hold_close = bucket_hold_close,
};

int bucket_new(struct connection *connection, struct uploaders *uploaders, const char *name,
               const struct server_config *config, struct bucket **ret_bucket) {
    struct bucket *bucket = calloc(1, sizeof *bucket);
    if (!bucket)
        return -ENOMEM;
    bucket->store.ops = &bucket_ops;
    bucket->store.bucket = strdup(name);
    bucket->store.oddities = oddities_new();
    bucket->connection = connection;
    bucket->uploaders = uploaders;
    bucket->policy = *config;
    beliefs_init(&bucket->beliefs);
    recents_init(&bucket->recents);
    intents_init(&bucket->puts);
    leases_init(&bucket->leases);
    holder_init(&bucket->holder);
    bool named = asprintf(&bucket->files, "%s.files", name) > 0 && asprintf(&bucket->chunks, "%s.chunks", name) > 0 &&
                 asprintf(&bucket->nodes, "%s.gridmount.nodes", name) > 0 &&
                 asprintf(&bucket->locks, "%s.gridmount.locks", name) > 0 &&
                 asprintf(&bucket->trash, "%s.gridmount.trash", name) > 0 &&
                 asprintf(&bucket->intents, "%s.gridmount.intents", name) > 0;
    if (!named || !bucket->store.bucket || !bucket->store.oddities) {
        bucket_free(bucket);
        return -ENOMEM;
    }
    *ret_bucket = bucket;
    return 0;
}

struct bucket *bucket_free(struct bucket *bucket) {
    if (!bucket)
        return NULL;
    watch_done(bucket);
    janitor_done(bucket);
    leases_done(bucket);
    holder_done(bucket);
    intents_done(bucket);
    beliefs_done(&bucket->beliefs);
    recents_done(&bucket->recents);
    oddities_free(bucket->store.oddities);
    free(bucket->store.bucket);
    free(bucket->files);
    free(bucket->chunks);
    free(bucket->nodes);
    free(bucket->locks);
    free(bucket->trash);
    free(bucket->intents);
    free(bucket);
    return NULL;
}

void bucket_match_id(bson_t *filter, const char *field, const bson_t *id) {
    bson_t equal;
    bson_iter_t value;
    CHECK(bson_iter_init_find(&value, id, "_id"));
    if (!BSON_ITER_HOLDS_DOCUMENT(&value) && !BSON_ITER_HOLDS_REGEX(&value)) {
        document_append(filter, field, &value); /* not every server has its index serve $eq */
        return;
    }
    bson_append_document_begin(filter, field, -1, &equal);
    document_append(&equal, "$eq", &value);
    bson_append_document_end(filter, &equal);
}

bool bucket_may_reuse_id(const struct revision *revision) {
    bson_t id;
    bson_iter_t value;
    return !bson_init_static(&id, revision->id, revision->id_size) || !bson_iter_init_find(&value, &id, "_id") ||
           !BSON_ITER_HOLDS_OID(&value);
}

int bucket_find(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
                connection_visit *visit, void *context) {
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = connection_find(bucket->connection, collection, filter, options, primary, visit, context);
    mongoc_read_prefs_destroy(primary);
    return result == -EACCES && collection != bucket->files && collection != bucket->chunks ? 0 : result;
}

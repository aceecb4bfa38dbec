// SPDX-License-Identifier: Apache-2.0
/* The names of all files below a directory. Where the server can compute the new name from the old one, an update
 * renames a range of names at once; elsewhere the names are read and each is given its new one. What is renamed leaves
 * the range, so that each piece begins at its start and whatever was done can be done again. */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bulk.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/rename.h"
#include "fs/store/names.h"

enum { PIECE = 5000, READ_AT_ONCE = 5000, UPDATE_AT_ONCE = 20, COMPUTES = 1, COMPUTES_NOT = -1 };

/* One spelling of a directory. */
struct range {
    struct rename_intent *intent;
    const char *from, *until; /* "path/" and "path0" */
    const char *to;           /* what the part before the "/" becomes */
};

static bson_t *in_range(const struct range *range) {
    return BCON_NEW("filename", "{", "$gte", BCON_UTF8(range->from), "$lt", BCON_UTF8(range->until), "}");
}

/* ---- whether the server computes ---- */

/* [{$set: {field: prefix + what the field has from that byte on}}] */
static bson_t *computed(const char *field, const char *prefix, size_t skipped) {
    cleanup_free char *reference = NULL;
    if (asprintf(&reference, "$%s", field) < 0)
        return NULL;
    return BCON_NEW("0", "{", "$set", "{", field, "{", "$concat", "[", "{", "$literal", BCON_UTF8(prefix), "}", "{",
                    "$substrBytes", "[", BCON_UTF8(reference), BCON_INT64((int64_t)skipped), BCON_INT64(-1), "]", "}",
                    "]", "}", "}", "}");
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* Some servers take such an update and do something else: so it is tried on the intent, and looked at. */
static int try_to_compute(struct rename_intent *intent) {
    struct bucket *bucket = intent->bucket;
    mongoc_client_t *client = connection_pop(bucket->connection);
    bson_t *update = computed("probe", "$to", 4);
    if (!client || !update) {
        bson_destroy(update);
        return client ? (connection_push(bucket->connection, client), -ENOMEM) : -ETIMEDOUT;
    }
    bson_error_t error = {0};
    mongoc_collection_t *intents = bucket_collection(bucket, client, bucket->intents);
    bson_t *filter = BCON_NEW("_id", BCON_OID(&intent->id));
    bool taken = mongoc_collection_update_one(intents, filter, update, NULL, NULL, &error);
    mongoc_collection_destroy(intents);
    connection_push(bucket->connection, client);
    bson_destroy(update);
    int result = 0;
    if (taken) {
        BSON_APPEND_UTF8(filter, "probe", "$to/b");
        bson_t *options = BCON_NEW("limit", BCON_INT64(1));
        result = bucket_find(bucket, bucket->intents, filter, options, found_one, NULL);
        bson_destroy(options);
    } else {
        log_debug("the server computes no names: %s", error.message);
        result = error.domain == MONGOC_ERROR_SERVER ? 0 : -ETIMEDOUT;
    }
    bson_destroy(filter);
    return result;
}

static int can_compute(struct rename_intent *intent) {
    int known = atomic_load(&intent->bucket->computes);
    if (known)
        return known == COMPUTES;
    int result = try_to_compute(intent);
    if (result >= 0)
        atomic_store(&intent->bucket->computes, result ? COMPUTES : COMPUTES_NOT);
    return result;
}

/* ---- a piece computed ---- */

static int take_name(void *context, const bson_t *document) {
    size_t size = 0;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    if (!name)
        return 1; /* an array with names in it: then the rest is one piece */
    *(char **)context = strndup(name, size);
    return *(char **)context ? 1 : -ENOMEM;
}

/* The name that ends the first piece; NULL when all that is left is one. */
static int find_end(const struct range *range, char **ret_name) {
    struct bucket *bucket = range->intent->bucket;
    bson_t *filter = in_range(range);
    bson_t *options = BCON_NEW("sort", "{", "filename", BCON_INT32(1), "}", "skip", BCON_INT64(PIECE), "limit",
                               BCON_INT64(1), "projection", "{", "_id", BCON_INT32(0), "filename", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, filter, options, take_name, ret_name);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : 0;
}

/* 1: there is more. Revisions of one name stay together, so each piece makes headway. */
static int compute_piece(const struct range *range) {
    struct bucket *bucket = range->intent->bucket;
    cleanup_free char *end = NULL;
    int result = find_end(range, &end);
    bson_t *update = computed("filename", range->to, strlen(range->from) - 1);
    if (result || !update) {
        bson_destroy(update);
        return result ? result : -ENOMEM;
    }
    bson_t *filter = BCON_NEW("filename", "{", "$gte", BCON_UTF8(range->from), end ? "$lte" : "$lt",
                              BCON_UTF8(end ? end : range->until), "}");
    result = bucket_update(bucket, bucket->files, filter, update, true, false, NULL);
    bson_destroy(filter);
    bson_destroy(update);
    return result ? result : end != NULL;
}

/* ---- a piece read and written ---- */

struct batch {
    const struct range *range;
    struct {
        bson_t filter, update;
    } changes[READ_AT_ONCE];
    uint32_t count, seen;
};

static int take_file(void *context, const bson_t *document) {
    struct batch *batch = context;
    size_t size = 0, skipped = strlen(batch->range->from) - 1, prefix = strlen(batch->range->to);
    const char *name = document_filename(document, &size);
    bson_iter_t id;
    bson_t set, identity = BSON_INITIALIZER;
    stats_add(STAT_documents_fetched, 1);
    batch->seen++;
    if (!name || size <= skipped || !bson_iter_init_find(&id, document, "_id")) {
        bson_destroy(&identity);
        return 0;
    }
    cleanup_free char *renamed = malloc(prefix + size - skipped);
    if (!renamed) {
        bson_destroy(&identity);
        return -ENOMEM;
    }
    memcpy(renamed, batch->range->to, prefix);
    memcpy(renamed + prefix, name + skipped, size - skipped);
    bson_t *filter = &batch->changes[batch->count].filter, *update = &batch->changes[batch->count].update;
    bson_init(filter);
    bson_init(update);
    document_append(&identity, "_id", &id);
    bucket_match_id(filter, "_id", &identity);
    bson_append_utf8(filter, "filename", -1, name, (int)size);
    bson_append_document_begin(update, "$set", -1, &set);
    bson_append_utf8(&set, "filename", -1, renamed, (int)(prefix + size - skipped));
    bson_append_document_end(update, &set);
    bson_destroy(&identity);
    batch->count++;
    return 0;
}

static int write_some(const struct batch *batch, uint32_t first, uint32_t until) {
    struct bucket *bucket = batch->range->intent->bucket;
    struct bulk bulk;
    int result = bulk_begin(bucket, bucket->files, &bulk);
    if (result)
        return result;
    for (uint32_t i = first; i < until; i++)
        bulk_update(&bulk, &batch->changes[i].filter, &batch->changes[i].update, false);
    result = bulk_end(&bulk);
    return result ? result : rename_intent_keep(batch->range->intent);
}

/* Few at once: the one server known to need this takes far more than ten times as long for ten times as many. */
static int write_batch(const struct batch *batch) {
    int result = 0;
    for (uint32_t done = 0, until; result == 0 && done < batch->count; done = until) {
        until = done + UPDATE_AT_ONCE < batch->count ? done + UPDATE_AT_ONCE : batch->count;
        result = write_some(batch, done, until);
    }
    return result;
}

/* 1: there is more. */
static int rewrite_piece(const struct range *range) {
    struct bucket *bucket = range->intent->bucket;
    struct batch *batch = calloc(1, sizeof *batch);
    if (!batch)
        return -ENOMEM;
    batch->range = range;
    bson_t *filter = in_range(range);
    bson_t *options = BCON_NEW("limit", BCON_INT64(READ_AT_ONCE), "projection", "{", "filename", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, filter, options, take_file, batch);
    bson_destroy(options);
    bson_destroy(filter);
    if (result == 0)
        result = write_batch(batch);
    if (result == 0)
        result = batch->count && batch->seen == READ_AT_ONCE;
    for (uint32_t i = 0; i < batch->count; i++) {
        bson_destroy(&batch->changes[i].filter);
        bson_destroy(&batch->changes[i].update);
    }
    free(batch);
    return result;
}

/* ---- all of them ---- */

/* A name that is no string cannot be computed with, and fails a whole piece: that is read then. */
static int rename_range(const struct range *range, bool computes) {
    int result = 1;
    while (result > 0) {
        result = computes ? compute_piece(range) : rewrite_piece(range);
        if (computes && result == -EIO) {
            computes = false;
            result = 1;
        }
        if (result > 0) {
            int kept = rename_intent_keep(range->intent);
            result = kept ? kept : result;
        }
    }
    return result;
}

int rename_files_below(struct rename_intent *intent, const char *from, const char *to) {
    int computes = can_compute(intent), result = computes < 0 ? computes : 0;
    for (unsigned i = 0; result == 0 && i < NAMES_SPELLINGS; i++) {
        cleanup_free char *start = NULL, *until = NULL;
        if (asprintf(&start, "%s%s/", names_spellings[i], from) < 0 ||
            asprintf(&until, "%s%s0", names_spellings[i], from) < 0)
            return -ENOMEM;
        const struct range range = {.intent = intent, .from = start, .until = until, .to = to};
        result = rename_range(&range, computes);
    }
    return result;
}

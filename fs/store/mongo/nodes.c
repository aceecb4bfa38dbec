// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/nodes.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bulk.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/mongo/presence.h"

/* ---- single documents ---- */

static int take_copy(void *context, const bson_t *document) {
    stats_add(STAT_documents_fetched, 1);
    *(bson_t **)context = bson_copy(document);
    return 1;
}

int nodes_read(struct bucket *bucket, const char *path, bson_t **ret_document) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path)), *options = BCON_NEW("limit", BCON_INT64(1));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_copy, ret_document);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

bson_t *nodes_renamed(const bson_t *document, const char *path) {
    bson_t *renamed = BCON_NEW("_id", BCON_UTF8(path));
    bson_copy_to_excluding_noinit(document, renamed, "_id", NULL);
    return renamed;
}

bool nodes_is_directory(const bson_t *document) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, "kind") && BSON_ITER_HOLDS_UTF8(&iter) &&
           strcmp(bson_iter_utf8(&iter, NULL), document_kind_word(STORE_DIRECTORY)) == 0;
}

static const char *path_of(const bson_t *document) {
    bson_iter_t iter;
    CHECK(bson_iter_init_find(&iter, document, "_id") && BSON_ITER_HOLDS_UTF8(&iter));
    return bson_iter_utf8(&iter, NULL);
}

int nodes_insert(struct bucket *bucket, const bson_t *document) {
    int result = bucket_insert(bucket, bucket->nodes, document);
    if (result == -EEXIST && links_bury(bucket, path_of(document)) > 0)
        result = bucket_insert(bucket, bucket->nodes, document);
    bucket_note_node(bucket, path_of(document));
    return result;
}

int nodes_replace(struct bucket *bucket, const bson_t *document) {
    int result = bucket_begin_changing(bucket);
    if (result == 0)
        result = bucket_mark_format(bucket);
    if (result)
        return result;
    mongoc_client_t *client = connection_pop(bucket->connection);
    if (!client)
        return log_error("%s: no connection came free in time", bucket->nodes), -ETIMEDOUT;
    bson_error_t error = {0};
    mongoc_collection_t *nodes = bucket_collection(bucket, client, bucket->nodes);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path_of(document)));
    if (!nodes_is_directory(document))
        BCON_APPEND(filter, "kind", "{", "$ne", document_kind_word(STORE_DIRECTORY), "}");
    bson_t *options = BCON_NEW("upsert", BCON_BOOL(true), "validate", BCON_BOOL(false));
    if (!mongoc_collection_replace_one(nodes, filter, document, options, NULL, &error))
        result = bucket_change_errno(bucket, &error, NULL, bucket->nodes);
    bson_destroy(options);
    bson_destroy(filter);
    mongoc_collection_destroy(nodes);
    connection_push(bucket->connection, client);
    bucket_note_node(bucket, path_of(document));
    return result;
}

int nodes_delete(struct bucket *bucket, const char *path, bool directory) {
    int64_t deleted = 0;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path), "kind", "{", directory ? "$eq" : "$ne",
                              document_kind_word(STORE_DIRECTORY), "}");
    int result = bucket_delete(bucket, bucket->nodes, filter, false, &deleted);
    bson_destroy(filter);
    return result ? result : deleted > 0;
}

/* ---- the operations ---- */

static int node_document(const char *path, const struct store_entry *node, bson_t **ret_document) {
    bool symlink = node->kind == STORE_SYMLINK;
    CHECK(node->kind != STORE_FILE);
    if (symlink && (!node->target || !*node->target || !bson_utf8_validate(node->target, strlen(node->target), false)))
        return log_warning("the target of '%s' cannot be stored", path), -EINVAL;
    bson_t *document = BCON_NEW("_id", BCON_UTF8(path), "kind", BCON_UTF8(document_kind_word(node->kind)));
    if (symlink)
        BSON_APPEND_UTF8(document, "target", node->target);
    if (node->kind == STORE_CHARACTER_DEVICE || node->kind == STORE_BLOCK_DEVICE)
        BSON_APPEND_INT64(document, "device", node->attributes.device);
    posix_append(document, "", &node->attributes);
    *ret_document = document;
    return 0;
}

/* Only the very node that was made, should others have been at it. */
static void take_back(struct bucket *bucket, const bson_t *document) {
    bson_t filter = BSON_INITIALIZER;
    bson_iter_t iter;
    for (bool more = bson_iter_init(&iter, document); more && bson_iter_next(&iter);)
        if (strcmp(bson_iter_key(&iter), "_id") == 0 || strcmp(bson_iter_key(&iter), "file") == 0 ||
            strcmp(bson_iter_key(&iter), "kind") == 0)
            document_append(&filter, NULL, &iter);
    if (bucket_delete(bucket, bucket->nodes, &filter, false, NULL))
        log_warning("'%s' was made although that failed", path_of(document));
    bson_destroy(&filter);
}

/* Under the claim of its name. */
static int insert_alone(struct bucket *bucket, const char *path, const bson_t *document,
                        const struct store_lease *lease) {
    int result = nodes_insert(bucket, document);
    if (result)
        return result;
    result = lease_check(bucket, lease);
    if (result == 0)
        result = presence_of_file(bucket, path);
    if (result)
        take_back(bucket, document);
    return result > 0 ? -EEXIST : result;
}

int bucket_make(struct store *store, const char *path, const struct store_entry *node) {
    struct bucket *bucket = (struct bucket *)store;
    bson_t *document;
    int result = presence_check_path(path);
    if (result == 0)
        result = node_document(path, node, &document);
    if (result)
        return result;
    struct store_lease *lease = NULL;
    result = lease_take_for_node(bucket, path, &lease);
    if (result == 0)
        result = insert_alone(bucket, path, document, lease);
    lease_end(bucket, lease);
    bson_destroy(document);
    return result;
}

int bucket_keep_directory(struct store *store, const char *path) {
    struct bucket *bucket = (struct bucket *)store;
    struct bulk bulk;
    cleanup_free char *parent = strdup(path);
    if (!parent)
        return -ENOMEM;
    int result = *path ? bulk_begin(bucket, bucket->nodes, &bulk) : 0;
    if (result || !*path)
        return result;
    bson_t *update = BCON_NEW("$setOnInsert", "{", "kind", BCON_UTF8(document_kind_word(STORE_DIRECTORY)), "}");
    for (char *end = parent + strlen(parent); end; end = strrchr(parent, '/')) {
        *end = '\0';
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(parent));
        bulk_update(&bulk, filter, update, true);
        bson_destroy(filter);
    }
    bson_destroy(update);
    result = bulk_end(&bulk);
    bucket_note_node(bucket, path);
    return result;
}

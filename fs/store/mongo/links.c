// SPDX-License-Identifier: Apache-2.0
/* Making a further name, and what all changes of them share. */
#include <errno.h>
#include <string.h>

#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/lease.h"
#include "fs/store/mongo/links_private.h"
#include "fs/store/mongo/nodes.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/names.h"

enum { LINKS_MOST = 65000 }; /* as on ext4: programs expect some bound */

/* ---- the documents ---- */

/* To find the further names of a file, and those of files below a directory. Without them it is only slower. */
static void make_indexes(struct bucket *bucket) {
    bson_t *command = BCON_NEW("createIndexes", BCON_UTF8(bucket->nodes), "indexes", "[", "{", "key", "{", "file",
                               BCON_INT32(1), "}", "name", "file_1", "}", "{", "key", "{", "at", BCON_INT32(1), "}",
                               "name", "at_1", "}", "]");
    bson_t reply;
    bson_error_t error;
    if (connection_command(bucket->connection, command, &reply, &error))
        log_debug("no indexes for hard links on %s: %s", bucket->nodes, error.message);
    bson_destroy(&reply);
    bson_destroy(command);
}

/* Before the first in a bucket. */
static int say_there_are_some(struct bucket *bucket) {
    int result = bucket_begin_changing(bucket);
    if (result || atomic_load(&bucket->changing.hard_links))
        return result;
    bson_t *filter = BCON_NEW("_id", ""), *update = BCON_NEW("$set", "{", "hard_links", BCON_BOOL(true), "}");
    result = bucket_mark_format(bucket);
    if (result == 0)
        result = bucket_update(bucket, bucket->nodes, filter, update, false, false, NULL);
    bson_destroy(update);
    bson_destroy(filter);
    if (result)
        return result;
    make_indexes(bucket);
    atomic_store(&bucket->changing.hard_links, true);
    return 0;
}

bool links_possible(struct bucket *bucket, const struct attributes *attributes) {
    return attributes->has & ATTRIBUTES_FILE && (attributes->links > 1 || atomic_load(&bucket->changing.hard_links));
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

int links_any(struct bucket *bucket, const struct attributes *attributes) {
    bson_oid_t file;
    int result = bucket_begin_changing(bucket);
    if (result || !links_possible(bucket, attributes))
        return result;
    bson_oid_init_from_data(&file, attributes->file);
    bson_t *filter = BCON_NEW("file", BCON_OID(&file), "kind", "link");
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    result = bucket_find(bucket, bucket->nodes, filter, options, found_one, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

int links_is_alive(struct bucket *bucket, const char *path, const unsigned char file[ATTRIBUTES_FILE_SIZE]) {
    struct store_entry entry;
    int result = bucket_lookup(&bucket->store, path, NULL, &entry);
    if (result)
        return result == -ENOENT ? 0 : result;
    const struct attributes *attributes = entry.revision ? &entry.revision->attributes : &entry.attributes;
    bool alive = entry.kind != STORE_DIRECTORY && attributes->has & ATTRIBUTES_FILE &&
                 memcmp(attributes->file, file, ATTRIBUTES_FILE_SIZE) == 0;
    store_entry_done(&entry);
    return alive;
}

bson_t *links_document(const char *path, const struct document_link *link) {
    bson_oid_t file;
    bson_oid_init_from_data(&file, link->file);
    bson_t *document = BCON_NEW("_id", BCON_UTF8(path), "kind", "link", "file", BCON_OID(&file), "at",
                                BCON_UTF8(link->at));
    if (link->was)
        BSON_APPEND_UTF8(document, "was", link->was);
    if (link->node)
        BSON_APPEND_BOOL(document, "node", true);
    return document;
}

int links_insert(struct bucket *bucket, const char *path, const struct document_link *link) {
    bson_t *document = links_document(path, link);
    int result = say_there_are_some(bucket);
    if (result == 0)
        result = nodes_insert(bucket, document);
    bson_destroy(document);
    return result;
}

int links_delete(struct bucket *bucket, const char *path, const struct document_link *link) {
    bson_oid_t file;
    int64_t deleted;
    bson_oid_init_from_data(&file, link->file);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path), "kind", "link", "file", BCON_OID(&file));
    int result = bucket_delete(bucket, bucket->nodes, filter, false, &deleted);
    bson_destroy(filter);
    return result ? result : deleted > 0;
}

int links_point(struct bucket *bucket, const unsigned char file[ATTRIBUTES_FILE_SIZE], const char *at,
                const char *was) {
    bson_oid_t oid;
    bson_oid_init_from_data(&oid, file);
    bson_t *filter = BCON_NEW("file", BCON_OID(&oid), "kind", "link");
    bson_t *update = BCON_NEW("$set", "{", "at", BCON_UTF8(at), "was", BCON_UTF8(was), "}");
    int result = bucket_update(bucket, bucket->nodes, filter, update, true, false, NULL);
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

/* ---- the count ---- */

static int next_count(const struct attributes *attributes, int by, int64_t ctime_ns, struct attributes *ret_changes) {
    int64_t count = (attributes->has & ATTRIBUTES_LINKS ? attributes->links : 1) + (int64_t)by;
    if (count > LINKS_MOST)
        return -EMLINK;
    *ret_changes = (struct attributes){.has = ATTRIBUTES_LINKS, .links = count > 0 ? (uint32_t)count : 1};
    if (ctime_ns)
        attributes_apply(ret_changes, &(struct attributes){.has = ATTRIBUTES_CTIME, .ctime_ns = ctime_ns});
    if (!(attributes->has & ATTRIBUTES_FILE))
        attributes_new_file(ret_changes);
    return 0;
}

int links_count_file(struct bucket *bucket, const struct revision *revision, int by, int64_t ctime_ns,
                     struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *read = NULL;
    int adopted = links_adopt(bucket, revision, &read);
    if (adopted < 0)
        return adopted;
    for (int i = 0; i < POSIX_TRIES; i++) {
        struct attributes changes;
        const struct revision *seen = read ? read : revision;
        int result = next_count(&seen->attributes, by, ctime_ns, &changes);
        if (result == 0)
            result = posix_try(bucket, seen, &changes);
        if (result)
            return result < 0 ? result : ret_revision ? posix_changed(seen, &changes, ret_revision) : 0;
        struct revision *now;
        result = posix_read(bucket, seen, &now, NULL);
        if (result)
            return result;
        revision_unref(read);
        read = now;
    }
    log_error("a file is linked and unlinked by others all the time");
    return -EIO;
}

/* 1; 0 when the node is not as it was read. */
static int try_node(struct bucket *bucket, const char *path, const struct attributes *seen,
                    const struct attributes *changes) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path)), *update = bson_new(), set;
    int64_t matched;
    if (seen->has & ATTRIBUTES_LINKS)
        BSON_APPEND_INT64(filter, "links", seen->links);
    else
        BCON_APPEND(filter, "links", "{", "$exists", BCON_BOOL(false), "}");
    if (changes->has & ATTRIBUTES_FILE)
        BCON_APPEND(filter, "file", "{", "$exists", BCON_BOOL(false), "}");
    bson_append_document_begin(update, "$set", -1, &set);
    posix_append(&set, "", changes);
    bson_append_document_end(update, &set);
    int result = bucket_update(bucket, bucket->nodes, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    return result ? result : matched > 0;
}

int links_count_node(struct bucket *bucket, const char *path, int by, int64_t ctime_ns,
                     unsigned char ret_file[ATTRIBUTES_FILE_SIZE]) {
    for (int i = 0; i < POSIX_TRIES; i++) {
        struct attributes seen = {0}, changes;
        bson_t *document;
        int result = nodes_read(bucket, path, &document);
        if (result)
            return result;
        document_attributes(document, &seen);
        bson_destroy(document);
        result = next_count(&seen, by, ctime_ns, &changes);
        if (result == 0)
            result = try_node(bucket, path, &seen, &changes);
        if (result > 0)
            memcpy(ret_file, changes.has & ATTRIBUTES_FILE ? changes.file : seen.file, ATTRIBUTES_FILE_SIZE);
        if (result)
            return result < 0 ? result : 0;
    }
    log_error("%s is linked and unlinked by others all the time", path);
    return -EIO;
}

void links_count_behind(struct bucket *bucket, const struct document_link *link, int by, int64_t ctime_ns) {
    unsigned char file[ATTRIBUTES_FILE_SIZE];
    if (link->node) {
        if (links_count_node(bucket, link->at, by, ctime_ns, file) == -ENOENT && link->was)
            (void)links_count_node(bucket, link->was, by, ctime_ns, file);
        return;
    }
    struct store_entry entry = {0};
    if (links_follow(bucket, link, &entry) > 0 && entry.revision)
        (void)links_count_file(bucket, entry.revision, by, ctime_ns, NULL);
    store_entry_done(&entry);
}

/* ---- the operation ---- */

/* The file as it is now, under the name it has now; or what has replaced it. */
static int read_file(struct bucket *bucket, const struct store_object *object, struct revision **ret_revision,
                     char **ret_filename) {
    int result = posix_read(bucket, object->revision, ret_revision, ret_filename);
    cleanup_with(revision_unref) struct revision *newest = NULL;
    if (result == -ENOENT)
        result = bucket_newest(&bucket->store, object->path, &newest);
    if (newest)
        result = posix_read(bucket, newest, ret_revision, ret_filename);
    if (result == 0 && !*ret_filename) {
        *ret_revision = revision_unref(*ret_revision);
        return -EINVAL; /* nothing could say where it is */
    }
    return result;
}

/* Under the claim of its name, like all that becomes a node. */
static int insert_alone(struct bucket *bucket, const char *path, const struct document_link *link,
                        const struct store_lease *lease) {
    int result = links_insert(bucket, path, link);
    if (result)
        return result;
    int failed = lease_check(bucket, lease);
    if (failed == 0 && (failed = links_is_alive(bucket, path, link->file)) >= 0)
        failed = failed ? 0 : -EEXIST; /* a file hides it */
    if (failed == 0)
        return 0;
    result = links_delete(bucket, path, link);
    return failed != -EEXIST ? failed : result < 0 ? result : -EEXIST;
}

static int publish(struct bucket *bucket, const char *path, const struct document_link *link) {
    struct store_lease *lease;
    int result = lease_take_for_node(bucket, path, &lease);
    if (result)
        return result;
    result = insert_alone(bucket, path, link, lease);
    lease_end(bucket, lease);
    return result;
}

static int link_file(struct bucket *bucket, const struct store_object *object, const char *path,
                     struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *revision = NULL, *counted = NULL;
    cleanup_free char *filename = NULL;
    int result = read_file(bucket, object, &revision, &filename);
    if (result == 0 && strcmp(filename + names_skip_spelling(filename, strlen(filename)), path) == 0)
        result = -EEXIST;
    if (result == 0)
        result = links_count_file(bucket, revision, 1, object->ctime_ns, &counted);
    if (result)
        return result;
    struct document_link link = {.at = filename};
    memcpy(link.file, counted->attributes.file, sizeof link.file);
    result = publish(bucket, path, &link);
    if (result && result != -ETIMEDOUT)
        (void)links_count_file(bucket, counted, -1, 0, NULL);
    if (result == 0)
        *ret_revision = steal_ptr(&counted);
    return result;
}

static int link_node(struct bucket *bucket, const struct store_object *object, const char *path) {
    struct document_link link = {.node = true};
    int result = links_node(bucket, object->path, &link.at);
    if (result == 0)
        result = links_count_node(bucket, link.at, 1, object->ctime_ns, link.file);
    if (result == 0) {
        result = publish(bucket, path, &link);
        if (result && result != -ETIMEDOUT)
            links_count_behind(bucket, &link, -1, 0);
    }
    document_link_done(&link);
    return result;
}

int bucket_link(struct store *store, const struct store_object *object, const char *path,
                struct revision **ret_revision) {
    struct bucket *bucket = (struct bucket *)store;
    if (object->kind == STORE_DIRECTORY)
        return -EPERM;
    int result = presence_check_path(path);
    if (result)
        return result;
    return object->revision ? link_file(bucket, object, path, ret_revision) : link_node(bucket, object, path);
}

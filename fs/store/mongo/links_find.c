// SPDX-License-Identifier: Apache-2.0
/* Reading further names: what they stand for. */
#include <errno.h>
#include <string.h>

#include "cache/base/stats.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/links_private.h"
#include "fs/store/names.h"

enum { RESOLVED_AT_ONCE = 100 }; /* names in one $in */

static int take_link(void *context, const bson_t *document) {
    stats_add(STAT_documents_fetched, 1);
    int result = document_link(document, context);
    return result == 0 ? 1 : result == -EINVAL ? 0 : result;
}

int links_at(struct bucket *bucket, const char *path, struct document_link *ret_link) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path)), *options = BCON_NEW("limit", BCON_INT64(1));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_link, ret_link);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

bool links_is_of(const struct document_link *link, const struct revision *revision) {
    return revision->attributes.has & ATTRIBUTES_FILE &&
           memcmp(link->file, revision->attributes.file, sizeof link->file) == 0;
}

/* A question about the files or the nodes that some further names stand for. */
struct resolving {
    struct bucket *bucket;
    const struct document_link *const *links;
    struct store_entry *entries;
    size_t count;
    bool nodes;
    bool by_was[RESOLVED_AT_ONCE]; /* the revision found has the name of before */
};

static bool is_named(const char *expected, const char *name, size_t size) {
    return expected && strlen(expected) == size && memcmp(expected, name, size) == 0;
}

static bool stands_for(const struct document_link *link, const char *name, size_t size,
                       const struct attributes *attributes) {
    bool named = is_named(link->at, name, size) || is_named(link->was, name, size);
    return named && attributes->has & ATTRIBUTES_FILE && memcmp(attributes->file, link->file, sizeof link->file) == 0;
}

static int take_file(void *context, const bson_t *document) {
    struct resolving *resolving = context;
    cleanup_with(revision_unref) struct revision *revision = NULL;
    size_t size;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    int result = name ? document_revision(document, &resolving->bucket->store, &revision) : -EINVAL;
    if (result)
        return result == -EINVAL ? 0 : result;
    for (size_t i = 0; i < resolving->count; i++) {
        struct revision **found = &resolving->entries[i].revision;
        if (resolving->links[i]->node || !stands_for(resolving->links[i], name, size, &revision->attributes) ||
            (*found && !document_is_newer(revision, *found)))
            continue;
        revision_unref(*found);
        *found = revision_ref(revision);
        resolving->by_was[i] = !is_named(resolving->links[i]->at, name, size);
    }
    return 0;
}

/* The path of the file that a further name was found to stand for; NULL: none. */
static const char *path_found(const struct resolving *resolving, size_t i) {
    const struct document_link *link = resolving->links[i];
    const char *name = resolving->by_was[i] ? link->was : link->at;
    return resolving->entries[i].revision ? name + names_skip_spelling(name, strlen(name)) : NULL;
}

/* What has the name of a file and no identity is its next revision. */
static int take_newer(void *context, const bson_t *document) {
    struct resolving *resolving = context;
    cleanup_with(revision_unref) struct revision *revision = NULL;
    size_t size;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    int result = name ? document_revision(document, &resolving->bucket->store, &revision) : -EINVAL;
    if (result)
        return result == -EINVAL ? 0 : result;
    size_t skip = names_skip_spelling(name, size);
    for (size_t i = 0; i < resolving->count && !(revision->attributes.has & ATTRIBUTES_FILE); i++) {
        struct revision **found = &resolving->entries[i].revision;
        if (!is_named(path_found(resolving, i), name + skip, size - skip) || !document_is_newer(revision, *found))
            continue;
        revision_unref(*found);
        *found = revision_ref(revision);
    }
    return 0;
}

static int copy_entry(const struct store_entry *entry, struct store_entry *ret_copy) {
    struct store_entry copy = {.kind = entry->kind, .attributes = entry->attributes};
    if (entry->target && !(copy.target = strdup(entry->target)))
        return -ENOMEM;
    store_entry_done(ret_copy);
    *ret_copy = copy;
    return 0;
}

static int take_node(void *context, const bson_t *document) {
    struct resolving *resolving = context;
    struct store_entry entry;
    bson_iter_t id;
    stats_add(STAT_documents_fetched, 1);
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return 0;
    uint32_t size;
    const char *name = bson_iter_utf8(&id, &size);
    int result = document_node(document, &entry);
    if (result)
        return result == -EINVAL ? 0 : result;
    for (size_t i = 0; result == 0 && i < resolving->count && entry.kind != STORE_DIRECTORY; i++)
        if (resolving->links[i]->node && stands_for(resolving->links[i], name, size, &entry.attributes))
            result = copy_entry(&entry, &resolving->entries[i]);
    store_entry_done(&entry);
    return result;
}

/* {field: {$in: names}, file_field: {$in: files}}; NULL when no link is of this sort. */
static bson_t *filter_of(const struct resolving *resolving, const char *field, const char *file_field) {
    bson_t *filter = bson_new(), in, array;
    char index[16];
    uint32_t names = 0, files = 0;
    bson_append_document_begin(filter, field, -1, &in);
    array_begin(&in, "$in", &array);
    for (size_t i = 0; i < resolving->count; i++) {
        const struct document_link *link = resolving->links[i];
        const char *candidates[] = {link->at, link->was};
        for (unsigned k = 0; k < 2 && link->node == resolving->nodes && candidates[k]; k++) {
            snprintf(index, sizeof index, "%u", names++);
            bson_append_utf8(&array, index, -1, candidates[k], -1);
        }
    }
    bson_append_array_end(&in, &array);
    bson_append_document_end(filter, &in);
    bson_append_document_begin(filter, file_field, -1, &in);
    array_begin(&in, "$in", &array);
    for (size_t i = 0; i < resolving->count; i++) {
        bson_oid_t file;
        bson_oid_init_from_data(&file, resolving->links[i]->file);
        snprintf(index, sizeof index, "%u", files++);
        bson_append_oid(&array, index, -1, &file);
    }
    bson_append_array_end(&in, &array);
    bson_append_document_end(filter, &in);
    if (names)
        return filter;
    bson_destroy(filter);
    return NULL;
}

static int ask(struct resolving *resolving, bool nodes) {
    struct bucket *bucket = resolving->bucket;
    resolving->nodes = nodes;
    bson_t *filter = filter_of(resolving, nodes ? "_id" : "filename", nodes ? "file" : "metadata.posix.file");
    if (!filter)
        return 0;
    bson_t *options = nodes ? bson_new() : BCON_NEW(DOCUMENT_FILE_FIELDS);
    int result = bucket_find(bucket, nodes ? bucket->nodes : bucket->files, filter, options,
                             nodes ? take_node : take_file, resolving);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

/* Those without identity that may be newer than what was found; NULL when nothing was. */
static bson_t *filter_of_newer(const struct resolving *resolving) {
    bson_t *filter = bson_new(), in, array;
    char index[16];
    uint32_t names = 0;
    int64_t oldest_ms = INT64_MAX;
    bson_append_document_begin(filter, "filename", -1, &in);
    array_begin(&in, "$in", &array);
    for (size_t i = 0; i < resolving->count; i++) {
        const char *path = path_found(resolving, i);
        for (unsigned k = 0; path && k < NAMES_SPELLINGS; k++) {
            cleanup_free char *name = NULL;
            if (asprintf(&name, "%s%s", names_spellings[k], path) < 0)
                continue;
            snprintf(index, sizeof index, "%u", names++);
            bson_append_utf8(&array, index, -1, name, -1);
        }
        if (path && resolving->entries[i].revision->date_ms < oldest_ms)
            oldest_ms = resolving->entries[i].revision->date_ms;
    }
    bson_append_array_end(&in, &array);
    bson_append_document_end(filter, &in);
    BCON_APPEND(filter, "metadata.posix.file", "{", "$not", "{", "$type", "objectId", "}", "}");
    if (oldest_ms > INT64_MIN)
        BCON_APPEND(filter, "uploadDate", "{", "$gte", BCON_DATE_TIME(oldest_ms), "}");
    if (names)
        return filter;
    bson_destroy(filter);
    return NULL;
}

static int ask_newer(struct resolving *resolving) {
    bson_t *filter = filter_of_newer(resolving);
    if (!filter)
        return 0;
    bson_t *options = BCON_NEW(DOCUMENT_FILE_FIELDS);
    int result = bucket_find(resolving->bucket, resolving->bucket->files, filter, options, take_newer, resolving);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

int links_resolve(struct bucket *bucket, const struct document_link *const *links, size_t count,
                  struct store_entry *ret_entries) {
    memset(ret_entries, 0, count * sizeof *ret_entries);
    int result = 0;
    for (size_t done = 0; result == 0 && done < count; done += RESOLVED_AT_ONCE) {
        size_t some = count - done < RESOLVED_AT_ONCE ? count - done : RESOLVED_AT_ONCE;
        struct resolving resolving = {
            .bucket = bucket, .links = links + done, .entries = ret_entries + done, .count = some};
        result = ask(&resolving, false);
        if (result == 0)
            result = ask_newer(&resolving);
        if (result == 0)
            result = ask(&resolving, true);
    }
    for (size_t i = 0; result && i < count; i++)
        store_entry_done(&ret_entries[i]);
    return result;
}

int links_follow(struct bucket *bucket, const struct document_link *link, struct store_entry *ret_entry) {
    struct store_entry entry;
    int result = links_resolve(bucket, &link, 1, &entry);
    if (result || (entry.kind == STORE_FILE && !entry.revision))
        return result;
    *ret_entry = entry;
    return 1;
}

static int take_path(void *context, const bson_t *document) {
    char **path = context;
    bson_iter_t id;
    stats_add(STAT_documents_fetched, 1);
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return 0;
    *path = strdup(bson_iter_utf8(&id, NULL));
    return *path ? 1 : -ENOMEM;
}

/* Where the node is that a further name stands for. */
static int find_home(struct bucket *bucket, const struct document_link *link, char **ret_path) {
    bson_oid_t file;
    bson_oid_init_from_data(&file, link->file);
    bson_t *filter = BCON_NEW("_id", "{", "$in", "[", BCON_UTF8(link->at), BCON_UTF8(link->was ? link->was : link->at),
                              "]", "}", "file", BCON_OID(&file), "kind", "{", "$ne", "link", "}");
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_path, ret_path);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : result == 0 ? -ENOENT : 0;
}

int links_node(struct bucket *bucket, const char *path, char **ret_path) {
    struct document_link link;
    int result = links_at(bucket, path, &link);
    if (result < 0)
        return result;
    if (result == 0) {
        char *own = strdup(path);
        return own ? (*ret_path = own, 0) : -ENOMEM;
    }
    result = link.node ? find_home(bucket, &link, ret_path) : -ENOENT;
    document_link_done(&link);
    return result;
}

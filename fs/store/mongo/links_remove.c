// SPDX-License-Identifier: Apache-2.0
/* Taking away one of several names. When it is the file's own, one of the further names becomes its own:
 *
 *     further names point to both      the file is found by them before and after
 *     the newest revision moves        from here on it has its new name
 *     the older revisions follow
 *     the further name's node goes     its count goes down
 *
 * A crash in between leaves each name with the right content (or older revisions, where an application had put some, at
 * the old one), a count that is too high, and a node that the file hides: see remove_hidden(). */
#include <errno.h>
#include <string.h>

#include "fs/store/mongo/change.h"
#include "fs/store/mongo/links_private.h"
#include "fs/store/mongo/nodes.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/names.h"

static int remove_further(struct bucket *bucket, const struct store_object *object, const struct document_link *link) {
    int result = links_delete(bucket, object->path, link);
    if (result > 0)
        links_count_behind(bucket, link, -1, object->ctime_ns);
    return result == 0 ? -ENOENT : result;
}

/* ---- who takes over ---- */

enum { HEIRS_MOST = 100 };

struct heirs {
    char *paths[HEIRS_MOST];
    unsigned count;
};

static int take_heir(void *context, const bson_t *document) {
    struct heirs *heirs = context;
    bson_iter_t id;
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return 0;
    char *path = strdup(bson_iter_utf8(&id, NULL));
    if (!path)
        return -ENOMEM;
    heirs->paths[heirs->count++] = path;
    return heirs->count == HEIRS_MOST;
}

static int find_heirs(struct bucket *bucket, const unsigned char file[ATTRIBUTES_FILE_SIZE], struct heirs *heirs) {
    bson_oid_t oid;
    bson_oid_init_from_data(&oid, file);
    bson_t *filter = BCON_NEW("file", BCON_OID(&oid), "kind", "link");
    bson_t *options = BCON_NEW("limit", BCON_INT64(HEIRS_MOST), "projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_heir, heirs);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : 0;
}

/* 1 and the further name that takes over, to be freed; 0 when there is none. Buries the dead. */
static int choose_heir(struct bucket *bucket, const unsigned char file[ATTRIBUTES_FILE_SIZE], char **ret_heir) {
    struct heirs heirs = {.count = 0};
    struct document_link dead = {0};
    memcpy(dead.file, file, sizeof dead.file);
    int result = find_heirs(bucket, file, &heirs);
    for (unsigned i = 0; result == 0 && i < heirs.count; i++) {
        result = links_is_alive(bucket, heirs.paths[i], file);
        if (result > 0)
            *ret_heir = steal_ptr(&heirs.paths[i]);
        else if (result == 0 && (result = links_delete(bucket, heirs.paths[i], &dead)) > 0)
            result = 0;
    }
    for (unsigned i = 0; i < heirs.count; i++)
        free(heirs.paths[i]);
    return result;
}

/* ---- the file's own name ---- */

static int move_newest(struct bucket *bucket, const struct revision *revision, const char *filename,
                       const char *heir) {
    bson_t id, filter = BSON_INITIALIZER;
    int64_t matched = 0;
    if (!bson_init_static(&id, revision->id, revision->id_size))
        return -EINVAL;
    bucket_match_id(&filter, "_id", &id);
    BSON_APPEND_UTF8(&filter, "filename", filename);
    bson_t *update = BCON_NEW("$set", "{", "filename", BCON_UTF8(heir), "}");
    int result = bucket_update(bucket, bucket->files, &filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(&filter);
    return result ? result : matched ? 0 : -ENOENT;
}

/* What was put under the name meanwhile is newer, and stays. */
static int move_older(struct bucket *bucket, const struct revision *newest, const char *path, const char *heir) {
    cleanup_free char *slashed = NULL, *dotted = NULL;
    if (asprintf(&slashed, "/%s", path) < 0 || asprintf(&dotted, "./%s", path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("filename", "{", "$in", "[", BCON_UTF8(path), BCON_UTF8(slashed), BCON_UTF8(dotted),
                              "]", "}");
    if (newest->date_ms != INT64_MIN)
        BCON_APPEND(filter, "uploadDate", "{", "$not", "{", "$gt", BCON_DATE_TIME(newest->date_ms), "}", "}");
    bson_t *update = BCON_NEW("$set", "{", "filename", BCON_UTF8(heir), "}");
    int result = bucket_update(bucket, bucket->files, filter, update, true, false, NULL);
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

/* 1: it lives on, maybe because others took this name away meanwhile. */
static int give_file_over(struct bucket *bucket, const struct store_object *object, const struct revision *revision) {
    struct document_link link = {0};
    cleanup_with(revision_unref) struct revision *now = NULL;
    cleanup_free char *filename = NULL, *heir = NULL;
    int result = posix_read(bucket, revision, &now, &filename);
    if (result || !filename)
        return result ? result : -EINVAL;
    if (strcmp(filename + names_skip_spelling(filename, strlen(filename)), object->path) != 0)
        return 1;
    memcpy(link.file, now->attributes.file, sizeof link.file);
    result = choose_heir(bucket, link.file, &heir);
    if (result <= 0)
        return result;
    result = links_point(bucket, link.file, heir, filename);
    if (result == 0)
        result = move_newest(bucket, now, filename, heir);
    if (result == 0)
        result = move_older(bucket, now, object->path, heir);
    if (result == 0)
        result = links_delete(bucket, heir, &link);
    if (result < 0)
        return result;
    (void)links_count_file(bucket, now, -1, object->ctime_ns, NULL);
    return 1;
}

static bool same_file(const struct revision *one, const struct revision *other) {
    return one->attributes.has & other->attributes.has & ATTRIBUTES_FILE &&
           memcmp(one->attributes.file, other->attributes.file, sizeof one->attributes.file) == 0;
}

/* Whether this is the newest of its file, which is another than that of what the name shows. */
static bool is_lost(const struct revision *const *revisions, uint32_t count, uint32_t i, const struct revision *newest) {
    const struct attributes *attributes = &revisions[i]->attributes;
    bool several = attributes->has & ATTRIBUTES_FILE && attributes->has & ATTRIBUTES_LINKS && attributes->links > 1;
    if (!several || !(newest->attributes.has & ATTRIBUTES_FILE) || same_file(revisions[i], newest))
        return false;
    for (uint32_t k = 0; k < count; k++)
        if (k != i && same_file(revisions[k], revisions[i]) && document_is_newer(revisions[k], revisions[i]))
            return false;
    return true;
}

int links_rescue(struct bucket *bucket, const char *path, const struct revision *const *revisions, uint32_t count,
                 const struct revision *newest) {
    int rescued = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_lost(revisions, count, i, newest))
            continue;
        const struct store_object object = {.path = path, .kind = STORE_FILE, .revision = revisions[i]};
        int result = links_remove(bucket, &object);
        if (result < 0)
            return result;
        rescued |= result;
    }
    return rescued;
}

/* ---- the same of a node ---- */

/* The further name becomes the node: all its fields but the name, with one name less. */
static bson_t *inheritance_of(const bson_t *node, int64_t ctime_ns) {
    bson_t *update = bson_new(), set;
    bson_iter_t field;
    int64_t links = 2;
    bson_append_document_begin(update, "$set", -1, &set);
    for (bool more = bson_iter_init(&field, node); more && bson_iter_next(&field);) {
        const char *key = bson_iter_key(&field);
        bool of_a_link = strcmp(key, "at") == 0 || strcmp(key, "was") == 0 || strcmp(key, "node") == 0;
        if (strcmp(key, "links") == 0)
            (void)document_whole_number(&field, 2, INT32_MAX, &links);
        else if (strcmp(key, "_id") != 0 && !of_a_link && !(ctime_ns && strcmp(key, "ctime_ns") == 0))
            document_append(&set, NULL, &field);
    }
    BSON_APPEND_INT64(&set, "links", links - 1);
    if (ctime_ns)
        BSON_APPEND_INT64(&set, "ctime_ns", ctime_ns);
    bson_append_document_end(update, &set);
    BCON_APPEND(update, "$unset", "{", "at", BCON_INT32(1), "was", BCON_INT32(1), "node", BCON_INT32(1), "}");
    return update;
}

static int give_node_over(struct bucket *bucket, const struct store_object *object, const bson_t *node,
                          const struct attributes *attributes) {
    cleanup_free char *heir = NULL;
    int result = choose_heir(bucket, attributes->file, &heir);
    if (result > 0)
        result = links_point(bucket, attributes->file, heir, object->path);
    if (result < 0 || !heir)
        return result;
    bson_oid_t file;
    int64_t matched = 0;
    bson_oid_init_from_data(&file, attributes->file);
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(heir), "kind", "link", "file", BCON_OID(&file));
    bson_t *update = inheritance_of(node, object->ctime_ns);
    result = bucket_update(bucket, bucket->nodes, filter, update, false, false, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    if (result || !matched)
        return result ? result : -EIO;
    filter = BCON_NEW("_id", BCON_UTF8(object->path), "file", BCON_OID(&file));
    result = bucket_delete(bucket, bucket->nodes, filter, false, NULL);
    bson_destroy(filter);
    return result ? result : 1;
}

static int remove_node(struct bucket *bucket, const struct store_object *object) {
    bson_t *node;
    struct document_link link;
    struct attributes attributes = {0};
    int result = nodes_read(bucket, object->path, &node);
    if (result)
        return result == -ENOENT ? 0 : result;
    document_attributes(node, &attributes);
    int is_link = document_link(node, &link);
    if (is_link == 0) {
        result = remove_further(bucket, object, &link);
        document_link_done(&link);
    } else if (is_link == -EINVAL && links_possible(bucket, &attributes)) {
        result = give_node_over(bucket, object, node, &attributes);
    } else {
        result = is_link == -EINVAL ? 0 : is_link;
    }
    bson_destroy(node);
    return result;
}

static int remove_file(struct bucket *bucket, const struct store_object *object, const struct revision *revision) {
    struct document_link link = {0};
    int result = links_any(bucket, &revision->attributes);
    if (result <= 0)
        return result;
    result = links_at(bucket, object->path, &link);
    if (result < 0)
        return result;
    /* Another file's further name may be there, hidden by this file until it has gone. */
    bool further = result > 0 && links_is_of(&link, revision);
    result = further ? remove_further(bucket, object, &link)
                     : give_file_over(bucket, object, revision);
    document_link_done(&link);
    return result;
}

int links_remove(struct bucket *bucket, const struct store_object *object) {
    if (!object->revision)
        return object->kind == STORE_DIRECTORY ? 0 : remove_node(bucket, object);
    cleanup_with(revision_unref) struct revision *adopted = NULL;
    int result = links_adopt(bucket, object->revision, &adopted);
    return result < 0 ? result : remove_file(bucket, object, adopted ? adopted : object->revision);
}

// SPDX-License-Identifier: Apache-2.0
/* Extended attributes: of files in metadata, of all else in nodes. Each change reads what is there, and is made only
 * if that still is there. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/mongo/xattr_document.h"
#include "fs/store/mongo/xattr_field.h"

static int take_copy(void *context, const bson_t *document) {
    bson_t **copy = context;
    stats_add(STAT_documents_fetched, 1);
    *copy = bson_copy(document);
    return 1;
}

static void match_file(bson_t *filter, const struct revision *revision) {
    bson_t id;
    CHECK(bson_init_static(&id, revision->id, revision->id_size));
    bucket_match_id(filter, "_id", &id);
}

/* The files document of a file, or the node of all else. */
static int read_document(struct bucket *bucket, const struct store_object *object, bson_t **ret_document) {
    bool file = object->revision != NULL;
    bson_t filter = BSON_INITIALIZER;
    if (file)
        match_file(&filter, object->revision);
    else
        BSON_APPEND_UTF8(&filter, "_id", object->path);
    bson_t *options = BCON_NEW("limit", BCON_INT64(1));
    if (file)
        BCON_APPEND(options, "projection", "{", "length", BCON_INT32(1), "chunkSize", BCON_INT32(1), "uploadDate",
                    BCON_INT32(1), "contentType", BCON_INT32(1), "metadata", BCON_INT32(1), "}");
    int result = bucket_find(bucket, file ? bucket->files : bucket->nodes, &filter, options, take_copy, ret_document);
    bson_destroy(options);
    bson_destroy(&filter);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

static const char *array_field(bool file) {
    return file ? "metadata.posix.xattr" : "xattr";
}

static bool find_field(const bson_t *document, const char *field, bson_iter_t *ret_value) {
    bson_iter_t root;
    return bson_iter_init(&root, document) && bson_iter_find_descendant(&root, field, ret_value);
}

/* The object itself where the path is a further name of a node. */
static int resolve(struct bucket *bucket, const struct store_object *object, struct store_object *ret_object,
                   char **ret_path) {
    *ret_object = *object;
    if (object->revision || object->kind == STORE_DIRECTORY)
        return 0;
    int result = links_node(bucket, object->path, ret_path);
    if (result == 0)
        ret_object->path = *ret_path;
    return result;
}

/* Adds those of a files document, or of a node. */
static int read_all(struct bucket *bucket, const bson_t *document, bool file, struct xattr_list *list) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    bson_iter_t array;
    int result = file ? document_revision(document, &bucket->store, &revision) : 0;
    if (revision)
        result = xattr_read_file(document, revision, list);
    if (result == 0 && find_field(document, array_field(file), &array))
        result = xattr_read_array(&array, list);
    return result;
}

/* Adds those of a revision that was retired. -ENOENT: it was not, or is gone. */
static int read_retired(struct bucket *bucket, const struct revision *revision, struct xattr_list *list) {
    bson_t filter = BSON_INITIALIZER, *options = BCON_NEW("limit", BCON_INT64(1)), *record, document;
    match_file(&filter, revision);
    int result = bucket_find(bucket, bucket->trash, &filter, options, take_copy, &record);
    bson_destroy(options);
    bson_destroy(&filter);
    if (result <= 0)
        return result ? result : -ENOENT;
    result = retire_unwrap(record, &document) ? read_all(bucket, &document, true, list) : -ENOENT;
    if (result == 0)
        result = xattr_read_due(record, list);
    bson_destroy(record);
    return result;
}

int bucket_xattrs(struct store *store, const struct store_object *object, struct store_xattr **ret_first) {
    struct bucket *bucket = (struct bucket *)store;
    cleanup_free char *path = NULL;
    struct store_object itself;
    struct xattr_list list = {0};
    bson_t *document = NULL;
    int result = resolve(bucket, object, &itself, &path);
    if (result == 0)
        result = read_document(bucket, &itself, &document);
    if (result == 0)
        result = read_all(bucket, document, object->revision, &list);
    else if (result == -ENOENT && object->revision)
        result = read_retired(bucket, object->revision, &list);
    else if (result == -ENOENT && object->kind == STORE_DIRECTORY)
        result = 0;
    bson_destroy(document);
    if (result)
        store_xattrs_free(list.first);
    else
        *ret_first = list.first;
    return result;
}

/* ---- changing ---- */

/* {field: equal to this value}, or that there is none. */
static void match_field(bson_t *filter, const char *field, const bson_iter_t *value) {
    bson_t condition;
    bson_append_document_begin(filter, field, -1, &condition);
    if (value)
        document_append(&condition, "$eq", value);
    else
        BSON_APPEND_BOOL(&condition, "$exists", false);
    bson_append_document_end(filter, &condition);
}

/* 1, or 0 when the document is not as it was read. */
static int update_document(struct bucket *bucket, const struct store_object *object, bson_t *filter,
                           const bson_t *update) {
    int64_t matched = 0;
    int result;
    if (object->revision) {
        match_file(filter, object->revision);
        result = posix_update(bucket, object->revision, filter, update, &matched);
    } else {
        BSON_APPEND_UTF8(filter, "_id", object->path);
        BCON_APPEND(filter, "kind", "{", "$ne", "link", "}");
        result = bucket_update(bucket, bucket->nodes, filter, update, false, false, &matched);
    }
    return result ? result : matched > 0;
}

/* What is asked for. */
struct change {
    const char *name;
    const void *value;
    size_t size;
    enum store_xattr_how how;
};

/* Sets what `set` says, or (NULL) takes these fields away, if they still are as they were read. */
static int change_fields(struct bucket *bucket, const struct store_object *object, const bson_t *document,
                         const char *const *fields, unsigned count, const bson_t *set) {
    bson_iter_t value;
    bson_t filter = BSON_INITIALIZER, update = BSON_INITIALIZER, unset = BSON_INITIALIZER;
    for (unsigned i = 0; i < count; i++) {
        match_field(&filter, fields[i], find_field(document, fields[i], &value) ? &value : NULL);
        BSON_APPEND_INT32(&unset, fields[i], 1);
    }
    BSON_APPEND_DOCUMENT(&update, set ? "$set" : "$unset", set ? set : &unset);
    int result = update_document(bucket, object, &filter, &update);
    bson_destroy(&unset);
    bson_destroy(&update);
    bson_destroy(&filter);
    return result;
}

static int change_array(struct bucket *bucket, const struct store_object *object, const bson_t *document,
                        const struct change *change) {
    const char *field = array_field(object->revision);
    bson_iter_t array;
    bool there = find_field(document, field, &array);
    bson_t set = BSON_INITIALIZER;
    int result = there && !BSON_ITER_HOLDS_ARRAY(&array) ? -EPERM : 0;
    if (result == 0)
        result = xattr_change_array(there ? &array : NULL, change->name, change->value, change->size, change->how,
                                    field, &set);
    if (result == 0)
        result = change_fields(bucket, object, document, &field, 1, bson_empty(&set) ? NULL : &set);
    bson_destroy(&set);
    return result;
}

static int check_how(bool there, enum store_xattr_how how) {
    if (there && how == STORE_XATTR_CREATE)
        return -EEXIST;
    return !there && (how == STORE_XATTR_REPLACE || how == STORE_XATTR_REMOVE) ? -ENODATA : 0;
}

static int change_type(struct bucket *bucket, const struct store_object *object, const bson_t *document,
                       const struct change *change) {
    static const char *const fields[] = {"metadata.contentType", "contentType"};
    bson_iter_t value;
    bool remove = change->how == STORE_XATTR_REMOVE;
    int result = check_how(xattr_find_type(document, &value), change->how);
    if (result == 0 && !remove && !bson_utf8_validate(change->value, change->size, false))
        result = -EINVAL;
    if (result)
        return result;
    bson_t set = BSON_INITIALIZER;
    bson_append_utf8(&set, fields[0], -1, change->value, (int)change->size);
    result = change_fields(bucket, object, document, fields, 2, remove ? NULL : &set);
    bson_destroy(&set);
    return result;
}

/* Whether one more value has its place beside what is there, where it would be shown. */
static bool has_room(const bson_t *document, bool there, size_t size) {
    bson_iter_t metadata, field;
    unsigned count = 0;
    uint32_t all = 0;
    const uint8_t *bytes;
    if (!bson_iter_init_find(&metadata, document, "metadata") || !BSON_ITER_HOLDS_DOCUMENT(&metadata))
        return true;
    bson_iter_document(&metadata, &all, &bytes);
    for (bool more = bson_iter_recurse(&metadata, &field); more && bson_iter_next(&field);)
        count++;
    return (there || count < XATTR_FIELDS_MOST) && all + size <= 2 * XATTR_ALL_MOST; /* the array is in there */
}

/* A field that is there, but cannot be seen, is not to be lost by who does not know of it. */
static int check_shown(struct bucket *bucket, const bson_t *document, const char *name) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    struct xattr_list list = {0};
    int result = document_revision(document, &bucket->store, &revision);
    if (result == 0)
        result = xattr_read_file(document, revision, &list);
    const struct store_xattr *found = list.first;
    while (found && strcmp(found->name, name) != 0)
        found = found->next;
    store_xattrs_free(list.first);
    return result ? result : found ? 0 : -EPERM;
}

static int change_field(struct bucket *bucket, const struct store_object *object, const bson_t *document,
                        const struct change *change) {
    cleanup_free char *path = NULL;
    bson_iter_t metadata, before;
    bson_t set = BSON_INITIALIZER;
    bool remove = change->how == STORE_XATTR_REMOVE;
    if (bson_iter_init_find(&metadata, document, "metadata") && BSON_ITER_HOLDS_ARRAY(&metadata))
        return -EPERM; /* servers would look into it */
    if (asprintf(&path, "metadata.%s", xattr_field(change->name)) < 0)
        return path = NULL, -ENOMEM;
    bool there = find_field(document, path, &before);
    int result = there ? check_shown(bucket, document, change->name) : 0;
    if (result == 0)
        result = check_how(there, change->how);
    if (result == 0 && !remove)
        result = !has_room(document, there, change->size) ? -ENOSPC
                 : xattr_field_append(&set, path, there ? &before : NULL, change->value, change->size);
    if (result == 0)
        result = change_fields(bucket, object, document, (const char *const *)&path, 1, remove ? NULL : &set);
    bson_destroy(&set);
    return result;
}

/* The document to change; a directory that exists by its files gets one. */
static int read_to_change(struct bucket *bucket, const struct store_object *object, bson_t **ret_document) {
    static const struct attributes none;
    int result = read_document(bucket, object, ret_document);
    if (result != -ENOENT || object->kind != STORE_DIRECTORY)
        return result;
    struct revision *unused; /* it is no file */
    result = bucket_set_attributes(&bucket->store, object, &none, &unused);
    return result ? result : read_document(bucket, object, ret_document);
}

int bucket_set_xattr(struct store *store, const struct store_object *object, const char *name, const void *value,
                     size_t size, enum store_xattr_how how) {
    struct bucket *bucket = (struct bucket *)store;
    const struct change change = {.name = name, .value = value ? value : "", .size = size, .how = how};
    cleanup_free char *path = NULL;
    struct store_object itself;
    const char *field = object->revision ? xattr_field(name) : NULL;
    bool type = object->revision && xattr_is_type(name);
    int result = field ? xattr_field_check(field) : xattr_is_made(name) ? -EPERM : 0;
    if (result == 0)
        result = resolve(bucket, object, &itself, &path);
    for (int i = 0; result == 0 && i < POSIX_TRIES; i++) {
        bson_t *document;
        result = read_to_change(bucket, &itself, &document);
        if (result)
            return result;
        result = (type ? change_type : field ? change_field : change_array)(bucket, &itself, document, &change);
        bson_destroy(document);
    }
    recents_note(&bucket->recents, object->path, NULL); /* what a removal would put into the trash is of before */
    if (result == 0)
        log_error("the extended attributes of %s are changed by others all the time", object->path);
    return result < 0 ? result : result ? 0 : -EIO;
}

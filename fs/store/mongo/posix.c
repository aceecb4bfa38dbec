// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/posix.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"

static void append_number(bson_t *document, const char *prefix, const char *field, int64_t number) {
    char key[64];
    snprintf(key, sizeof key, "%s%s", prefix, field);
    bson_append_int64(document, key, -1, number);
}

static void append_file(bson_t *document, const char *prefix, const unsigned char file[ATTRIBUTES_FILE_SIZE]) {
    char key[64];
    bson_oid_t oid;
    snprintf(key, sizeof key, "%sfile", prefix);
    bson_oid_init_from_data(&oid, file);
    bson_append_oid(document, key, -1, &oid);
}

void posix_append(bson_t *document, const char *prefix, const struct attributes *attributes) {
    const struct {
        unsigned has;
        const char *field;
        int64_t number;
    } numbers[] = {{ATTRIBUTES_MODE, "mode", attributes->mode},
                   {ATTRIBUTES_UID, "uid", attributes->uid},
                   {ATTRIBUTES_GID, "gid", attributes->gid},
                   {ATTRIBUTES_ATIME, "atime_ns", attributes->atime_ns},
                   {ATTRIBUTES_MTIME, "mtime_ns", attributes->mtime_ns},
                   {ATTRIBUTES_CTIME, "ctime_ns", attributes->ctime_ns},
                   {ATTRIBUTES_LINKS, "links", attributes->links}};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (attributes->has & numbers[i].has)
            append_number(document, prefix, numbers[i].field, numbers[i].number);
    if (attributes->has & ATTRIBUTES_FILE)
        append_file(document, prefix, attributes->file);
}

/* {_id: value} as it is in a revision. */
static void id_of(const struct revision *revision, bson_t *ret_id) {
    CHECK(bson_init_static(ret_id, revision->id, revision->id_size));
}

int posix_update(struct bucket *bucket, const struct revision *revision, const bson_t *filter, const bson_t *update,
                 int64_t *ret_matched) {
    int result = bucket_update(bucket, bucket->files, filter, update, false, false, ret_matched);
    if (result != -EPERM)
        return result;
    bson_t id, null = BSON_INITIALIZER;
    int64_t matched;
    id_of(revision, &id);
    bucket_match_id(&null, "_id", &id);
    BCON_APPEND(&null, "metadata", "{", "$type", "null", "}");
    bson_t *empty = BCON_NEW("$set", "{", "metadata", "{", "}", "}");
    result = bucket_update(bucket, bucket->files, &null, empty, false, false, &matched);
    bson_destroy(empty);
    bson_destroy(&null);
    if (result == 0)
        result = matched ? bucket_update(bucket, bucket->files, filter, update, false, false, ret_matched) : -EPERM;
    return result;
}

/* What an application copied along with the content of another revision. */
static void forget_copied(bson_t *update, const struct attributes *changes) {
    bson_t unset;
    bson_append_document_begin(update, "$unset", -1, &unset);
    BSON_APPEND_INT32(&unset, "metadata.posix.holes", 1);
    BSON_APPEND_INT32(&unset, "metadata.posix.lift", 1);
    if (!(changes->has & ATTRIBUTES_ATIME))
        BSON_APPEND_INT32(&unset, "metadata.posix.atime_ns", 1);
    if (!(changes->has & ATTRIBUTES_MTIME))
        BSON_APPEND_INT32(&unset, "metadata.posix.mtime_ns", 1);
    if (!(changes->has & ATTRIBUTES_CTIME))
        BSON_APPEND_INT32(&unset, "metadata.posix.ctime_ns", 1);
    bson_append_document_end(update, &unset);
}

static void append_update(bson_t *update, const struct revision *revision, const struct attributes *changes) {
    bson_t id, set;
    bson_iter_t value;
    id_of(revision, &id);
    CHECK(bson_iter_init_find(&value, &id, "_id"));
    bson_append_document_begin(update, "$set", -1, &set);
    document_append(&set, "metadata.posix.rev", &value);
    if (revision->posix == POSIX_OTHER)
        BSON_APPEND_BOOL(&set, "metadata.posix.adopted", true);
    posix_append(&set, "metadata.posix.", changes);
    bson_append_document_end(update, &set);
    if (revision->posix == POSIX_OTHER)
        forget_copied(update, changes);
}

/* The document as `revision` says, as far as the changes depend on it. */
static void append_filter(bson_t *filter, const struct revision *revision, const struct attributes *changes) {
    bson_t id, other;
    bson_iter_t value;
    const struct attributes *seen = &revision->attributes;
    id_of(revision, &id);
    CHECK(bson_iter_init_find(&value, &id, "_id"));
    bucket_match_id(filter, "_id", &id);
    if (revision->posix == POSIX_OTHER) {
        bson_append_document_begin(filter, "metadata.posix.rev", -1, &other);
        document_append(&other, "$ne", &value);
        bson_append_document_end(filter, &other);
    } else {
        bucket_match_id(filter, "metadata.posix.rev", &id);
    }
    if (changes->has & ATTRIBUTES_FILE && seen->has & ATTRIBUTES_FILE)
        append_file(filter, "metadata.posix.", seen->file);
    else if (changes->has & ATTRIBUTES_FILE)
        BCON_APPEND(filter, "metadata.posix.file", "{", "$not", "{", "$type", "objectId", "}", "}");
    if (changes->has & ATTRIBUTES_LINKS && seen->has & ATTRIBUTES_LINKS)
        append_number(filter, "metadata.posix.", "links", seen->links);
    else if (changes->has & ATTRIBUTES_LINKS)
        BCON_APPEND(filter, "metadata.posix.links", "{", "$exists", BCON_BOOL(false), "}");
}

int posix_try(struct bucket *bucket, const struct revision *revision, const struct attributes *changes) {
    bson_t filter = BSON_INITIALIZER, update = BSON_INITIALIZER;
    int64_t matched;
    append_filter(&filter, revision, changes);
    append_update(&update, revision, changes);
    int result = posix_update(bucket, revision, &filter, &update, &matched);
    bson_destroy(&update);
    bson_destroy(&filter);
    return result ? result : matched > 0;
}

int posix_changed(const struct revision *revision, const struct attributes *changes, struct revision **ret_revision) {
    struct attributes attributes = revision->attributes;
    attributes_apply(&attributes, changes);
    struct revision *changed = revision_with(revision, &attributes);
    if (!changed)
        return -ENOMEM;
    if (changed->posix == POSIX_OTHER)
        changed->posix = POSIX_ADOPTED;
    *ret_revision = changed;
    return 0;
}

struct read {
    struct bucket *bucket;
    struct revision *revision;
    char *filename;
};

/* Which servers look into when they match, but not when they set. */
static bool has_array(const bson_t *document, const char *field) {
    bson_iter_t root, value;
    return bson_iter_init(&root, document) && bson_iter_find_descendant(&root, field, &value) &&
           BSON_ITER_HOLDS_ARRAY(&value);
}

static int take_document(void *context, const bson_t *document) {
    struct read *read = context;
    size_t size;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    if (has_array(document, "metadata") || has_array(document, "metadata.posix"))
        return -EPERM;
    read->filename = name && !memchr(name, '\0', size) ? strndup(name, size) : NULL;
    int result = document_revision(document, &read->bucket->store, &read->revision);
    return result ? result : 1;
}

int posix_read(struct bucket *bucket, const struct revision *revision, struct revision **ret_revision,
               char **ret_filename) {
    struct read read = {.bucket = bucket};
    bson_t id, filter = BSON_INITIALIZER;
    id_of(revision, &id);
    bucket_match_id(&filter, "_id", &id);
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), DOCUMENT_FILE_FIELDS);
    int result = bucket_find(bucket, bucket->files, &filter, options, take_document, &read);
    bson_destroy(options);
    bson_destroy(&filter);
    if (result <= 0 || !ret_filename)
        free(read.filename);
    if (result <= 0)
        return result ? result : -ENOENT;
    *ret_revision = read.revision;
    if (ret_filename)
        *ret_filename = read.filename;
    return 0;
}

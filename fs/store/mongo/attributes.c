// SPDX-License-Identifier: Apache-2.0
/* Attributes of what is at a path: in metadata.posix of a file, in the node of all else. */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/posix.h"

static int gave_up(const char *path) {
    log_error("%s is changed by others all the time: its attributes could not be set", path);
    return -EIO;
}

static int set_of_file(struct bucket *bucket, const struct store_object *object, const struct attributes *changes,
                       struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *read = NULL;
    const struct revision *seen = object->revision;
    for (int i = 0; i < POSIX_TRIES; i++) {
        struct attributes wanted = *changes;
        if (seen->attributes.has & ATTRIBUTES_FILE) /* made once */
            wanted.has &= ~(unsigned)ATTRIBUTES_FILE;
        if (!wanted.has)
            return (*ret_revision = revision_with(seen, &seen->attributes)) ? 0 : -ENOMEM;
        int result = posix_try(bucket, seen, &wanted);
        if (result)
            return result < 0 ? result : posix_changed(seen, &wanted, ret_revision);
        struct revision *now;
        result = posix_read(bucket, seen, &now, NULL);
        if (result)
            return result;
        revision_unref(read);
        seen = read = now;
    }
    return gave_up(object->path);
}

/* With the kind, which the root may not have yet, and so that it is never empty. */
static bson_t *update_of(const struct attributes *changes, enum store_kind kind) {
    bson_t *update = bson_new(), set;
    bson_append_document_begin(update, "$set", -1, &set);
    BSON_APPEND_UTF8(&set, "kind", document_kind_word(kind));
    posix_append(&set, "", changes);
    bson_append_document_end(update, &set);
    return update;
}

static int update_node(struct bucket *bucket, const char *path, enum store_kind kind,
                       const struct attributes *changes, bool make) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path)), *update = update_of(changes, kind);
    int64_t matched;
    if (*path)
        BSON_APPEND_UTF8(filter, "kind", document_kind_word(kind));
    if (changes->has & ATTRIBUTES_FILE && !make)
        BCON_APPEND(filter, "file", "{", "$exists", BCON_BOOL(false), "}");
    int result = bucket_update(bucket, bucket->nodes, filter, update, false, make, &matched);
    bson_destroy(update);
    bson_destroy(filter);
    if (make && result == 0)
        bucket_note_node(bucket, path);
    return result ? result : matched > 0;
}

/* 1, or 0 when there is no such node. The identity is made once. */
static int set_of_node(struct bucket *bucket, const char *path, enum store_kind kind,
                       const struct attributes *changes) {
    struct attributes known = *changes;
    int result = update_node(bucket, path, kind, changes, false);
    known.has &= ~(unsigned)ATTRIBUTES_FILE;
    if (result == 0 && known.has != changes->has)
        result = update_node(bucket, path, kind, &known, false);
    return result;
}

/* A directory that exists by what is below it. */
static int make_directory(struct bucket *bucket, const char *path, const struct attributes *changes) {
    struct store_entry entry = {.kind = STORE_DIRECTORY};
    int result = *path ? bucket_lookup(&bucket->store, path, NULL, &entry) : 0;
    if (result)
        return result;
    bool directory = entry.kind == STORE_DIRECTORY;
    store_entry_done(&entry);
    result = directory ? update_node(bucket, path, STORE_DIRECTORY, changes, true) : -ENOENT;
    return result == -EEXIST ? -ENOENT : result < 0 ? result : 0; /* not a directory any more */
}

static int set_of_other(struct bucket *bucket, const struct store_object *object, const struct attributes *changes,
                        bool make) {
    int result = set_of_node(bucket, object->path, object->kind, changes);
    if (result)
        return result < 0 ? result : 0;
    if (object->kind == STORE_DIRECTORY)
        return make ? make_directory(bucket, object->path, changes) : -ENOENT;
    cleanup_free char *path = NULL;
    result = links_node(bucket, object->path, &path);
    if (result == 0)
        result = set_of_node(bucket, path, object->kind, changes);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

int bucket_set_attributes(struct store *store, const struct store_object *object, const struct attributes *changes,
                          struct revision **ret_revision) {
    struct bucket *bucket = (struct bucket *)store;
    int result = object->revision ? set_of_file(bucket, object, changes, ret_revision)
                                  : set_of_other(bucket, object, changes, ret_revision);
    recents_note(&bucket->recents, object->path, NULL); /* what a removal would put into the trash is of before */
    return result;
}

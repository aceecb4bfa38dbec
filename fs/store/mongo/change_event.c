// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/change_event.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/hold.h"
#include "fs/store/names.h"

static bson_t *match_names(const struct change_collections *collections) {
    return BCON_NEW("ns.coll", "{", "$in", "[", BCON_UTF8(collections->files), BCON_UTF8(collections->nodes), "]", "}");
}

/* A hold that is inserted gives nothing back. */
static bson_t *match_locks(const struct change_collections *collections) {
    bson_t *match = BCON_NEW("ns.coll", BCON_UTF8(collections->locks), "operationType", "{", "$in", "[",
                             BCON_UTF8("update"), BCON_UTF8("replace"), BCON_UTF8("delete"), "]", "}");
    hold_match_ids(match, "documentKey._id");
    return match;
}

/* Whichever of them is asked for. */
static bson_t *match_any(const struct change_collections *collections) {
    bson_t *matches[] = {collections->files ? match_names(collections) : NULL,
                         collections->locks ? match_locks(collections) : NULL};
    bson_t *any = bson_new(), list;
    const char *index = "0";
    array_begin(any, "$or", &list);
    for (size_t i = 0; i < sizeof matches / sizeof *matches; i++) {
        if (!matches[i])
            continue;
        bson_append_document(&list, index, 1, matches[i]);
        bson_destroy(matches[i]);
        index = "1";
    }
    bson_append_array_end(any, &list);
    return any;
}

bson_t *change_event_pipeline(const struct change_collections *collections, const bson_t *token) {
    bson_t stream = BSON_INITIALIZER, *any = match_any(collections);
    if (token)
        BSON_APPEND_DOCUMENT(&stream, "resumeAfter", token);
    bson_t *pipeline = BCON_NEW(
        "pipeline", "[",
        "{", "$changeStream", BCON_DOCUMENT(&stream), "}",
        "{", "$match", BCON_DOCUMENT(any), "}",
        "{", "$project", "{", "operationType", BCON_INT32(1), "ns", BCON_INT32(1), "documentKey", BCON_INT32(1),
        "fullDocument.filename", BCON_INT32(1), "updateDescription.updatedFields", BCON_INT32(1),
        "updateDescription.removedFields", BCON_INT32(1), "}", "}",
        "]");
    bson_destroy(any);
    bson_destroy(&stream);
    return pipeline;
}

/* ---- reading ---- */

static const char *text_at(const bson_t *event, const char *field, uint32_t *ret_size) {
    bson_iter_t root, value;
    bool found = bson_iter_init(&root, event) && bson_iter_find_descendant(&root, field, &value) &&
                 BSON_ITER_HOLDS_UTF8(&value);
    return found ? bson_iter_utf8(&value, ret_size) : NULL;
}

static bool is_word(const bson_t *event, const char *field, const char *word) {
    uint32_t size;
    const char *text = text_at(event, field, &size);
    return text && size == strlen(word) && memcmp(text, word, size) == 0;
}

/* Whether an update set a field of this name, or anything below it; *ret_value has it. */
static bool has_set(const bson_t *event, const char *name, bson_iter_t *ret_value) {
    bson_iter_t root, fields;
    return bson_iter_init(&root, event) && bson_iter_find_descendant(&root, "updateDescription.updatedFields", &fields) &&
           BSON_ITER_HOLDS_DOCUMENT(&fields) && bson_iter_recurse(&fields, ret_value) &&
           bson_iter_find(ret_value, name);
}

static bool has_removed(const bson_t *event, const char *name) {
    bson_iter_t root, names, each;
    bool found = bson_iter_init(&root, event) &&
                 bson_iter_find_descendant(&root, "updateDescription.removedFields", &names) &&
                 BSON_ITER_HOLDS_ARRAY(&names) && bson_iter_recurse(&names, &each);
    while (found && bson_iter_next(&each))
        if (BSON_ITER_HOLDS_UTF8(&each) && strcmp(bson_iter_utf8(&each, NULL), name) == 0)
            return true;
    return false;
}

/* 1 and a path, maybe only of a directory that is there by a name which is none; 0 when nothing of the text is one. */
static int take_path(const char *text, size_t size, struct store_change *change) {
    size_t start = text ? names_skip_spelling(text, size) : 0, end = text ? names_path_size(text, size) : 0;
    if (!end)
        return 0;
    char *path = strndup(text + start, end - start);
    change->path = path;
    return path ? 1 : -ENOMEM;
}

/* The _id as a document of its own, as revisions have it. */
static int take_id(const bson_t *event, struct store_change *change) {
    bson_iter_t root, value;
    if (!bson_iter_init(&root, event) || !bson_iter_find_descendant(&root, "documentKey._id", &value))
        return 0;
    bson_t id = BSON_INITIALIZER;
    void *copy = document_append(&id, "_id", &value) ? malloc(id.len) : NULL;
    if (copy)
        memcpy(copy, bson_get_data(&id), id.len);
    change->id = copy;
    change->id_size = id.len;
    bson_destroy(&id);
    return copy ? 1 : -ENOMEM;
}

static int read_update(const bson_t *event, struct store_change *change) {
    bson_iter_t value;
    if (!has_set(event, "filename", &value)) {
        /* Another revision of its name may be the newest now, and only the older one is told of. */
        bool ordered = has_set(event, "uploadDate", &value) || has_removed(event, "uploadDate");
        change->kind = ordered                            ? STORE_CHANGE_ANY
                       : has_removed(event, "filename") ? STORE_CHANGE_WENT
                                                          : STORE_CHANGE_CHANGED;
        return 1;
    }
    uint32_t size = 0;
    const char *text = BSON_ITER_HOLDS_UTF8(&value) ? bson_iter_utf8(&value, &size) : NULL;
    int result = take_path(text, size, change);
    change->kind = result ? STORE_CHANGE_MOVED : STORE_CHANGE_WENT; /* to where no path is */
    return result < 0 ? result : 1;
}

static int read_file(const bson_t *event, struct store_change *change) {
    int result = take_id(event, change);
    if (result <= 0)
        return result;
    if (is_word(event, "operationType", "update"))
        return read_update(event, change);
    change->kind = STORE_CHANGE_WENT;
    if (is_word(event, "operationType", "delete"))
        return 1;
    bool replaced = is_word(event, "operationType", "replace");
    uint32_t size = 0;
    const char *filename = text_at(event, "fullDocument.filename", &size);
    result = take_path(filename, size, change);
    if (result > 0)
        change->kind = replaced ? STORE_CHANGE_MOVED : STORE_CHANGE_CAME;
    return result || replaced ? (result < 0 ? result : 1) : 0;
}

static int read_node(const bson_t *event, struct store_change *change) {
    uint32_t size = 0;
    const char *path = text_at(event, "documentKey._id", &size);
    change->kind = is_word(event, "operationType", "delete")   ? STORE_CHANGE_WENT
                   : is_word(event, "operationType", "update") ? STORE_CHANGE_CHANGED
                                                               : STORE_CHANGE_CAME;
    return take_path(path, size, change);
}

/* Who waits here knows what this mount let go of; and who tries in vain does that, so it would try again at once. */
static int read_hold(const bson_t *event, const bson_oid_t *self, struct store_change *change) {
    uint32_t size = 0;
    size_t path_size;
    const char *id = text_at(event, "documentKey._id", &size), *path;
    bson_oid_t mount;
    if (!id || is_word(event, "operationType", "insert") || !hold_parse_id(id, size, &path, &path_size, &mount) ||
        bson_oid_equal(&mount, self) || !names_is_path(path, path_size))
        return 0;
    change->kind = STORE_CHANGE_UNLOCKED;
    return take_path(path, path_size, change);
}

static bool is_in(const bson_t *event, const char *collection) {
    return collection && is_word(event, "ns.coll", collection);
}

static bool is_of_documents(const bson_t *event) {
    static const char *const words[] = {"insert", "update", "replace", "delete"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_word(event, "operationType", words[i]))
            return true;
    return false;
}

int change_event_read(const bson_t *event, const struct change_collections *collections,
                      struct store_change *ret_change) {
    struct store_change change = {.kind = STORE_CHANGE_ANY};
    int result = 0;
    if (!is_of_documents(event))
        result = is_word(event, "operationType", "create") ? 0 : 1; /* a collection was dropped, renamed ... */
    else if (is_in(event, collections->files))
        result = read_file(event, &change);
    else if (is_in(event, collections->nodes))
        result = read_node(event, &change);
    else if (is_in(event, collections->locks))
        result = read_hold(event, &collections->mount, &change);
    if (result > 0)
        *ret_change = change;
    else
        change_event_done(&change);
    return result;
}

bool change_event_is_spelled(const bson_t *event) {
    bson_iter_t value;
    uint32_t size = 0;
    const char *name = text_at(event, "fullDocument.filename", &size);
    if (!name && has_set(event, "filename", &value) && BSON_ITER_HOLDS_UTF8(&value))
        name = bson_iter_utf8(&value, &size);
    return name && names_skip_spelling(name, size) > 0;
}

void change_event_done(struct store_change *change) {
    free((void *)change->path);
    free((void *)change->id);
    *change = (struct store_change){.kind = STORE_CHANGE_ANY};
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/files_document.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "fs/store/mongo/array.h"
#include "fs/store/mongo/document.h"

static bool is_one_of(const char *key, const char *const *words, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (strcmp(key, words[i]) == 0)
            return true;
    return false;
}

#define IS_ONE_OF(key, words) is_one_of(key, words, sizeof(words) / sizeof *(words))

/* ---- metadata.posix ---- */

static bool append_holes(bson_t *posix, const struct store_content *content) {
    bson_t holes, pair;
    char text[16];
    const char *index;
    if (content->hole_count == 0 || content->hole_count > REVISION_HOLES_MOST)
        return true;
    bool done = array_begin(posix, "holes", &holes);
    for (uint32_t i = 0; done && i < content->hole_count; i++) {
        bson_uint32_to_string(i, &index, text, sizeof text);
        done = array_begin(&holes, index, &pair) &&
               bson_append_int64(&pair, "0", 1, content->holes[i].offset) &&
               bson_append_int64(&pair, "1", 1, content->holes[i].length) && bson_append_array_end(&holes, &pair);
    }
    return done && bson_append_array_end(posix, &holes);
}

static bool append_attributes(bson_t *posix, const struct attributes *attributes) {
    bson_oid_t file;
    unsigned has = attributes->has;
    memcpy(file.bytes, attributes->file, sizeof file.bytes);
    return (!(has & ATTRIBUTES_FILE) || BSON_APPEND_OID(posix, "file", &file)) &&
           (!(has & ATTRIBUTES_MODE) || BSON_APPEND_INT32(posix, "mode", (int32_t)attributes->mode)) &&
           (!(has & ATTRIBUTES_UID) || BSON_APPEND_INT64(posix, "uid", attributes->uid)) &&
           (!(has & ATTRIBUTES_GID) || BSON_APPEND_INT64(posix, "gid", attributes->gid)) &&
           (!(has & ATTRIBUTES_ATIME) || BSON_APPEND_INT64(posix, "atime_ns", attributes->atime_ns)) &&
           (!(has & ATTRIBUTES_MTIME) || BSON_APPEND_INT64(posix, "mtime_ns", attributes->mtime_ns)) &&
           (!(has & ATTRIBUTES_CTIME) || BSON_APPEND_INT64(posix, "ctime_ns", attributes->ctime_ns));
}

/* What the base says beyond that: the number of links as it is now, extended attributes, what we do not know of. */
static bool carry_posix(bson_t *posix, const bson_iter_t *base, bool of_another) {
    static const char *const of_the_revision[] = {"rev",      "adopted",  "holes",   "lift",
                                                  "atime_ns", "mtime_ns", "ctime_ns"};
    static const char *const of_the_file[] = {"file", "links"};
    bson_iter_t field;
    bool done = bson_iter_recurse(base, &field);
    while (done && bson_iter_next(&field)) {
        const char *key = bson_iter_key(&field);
        bool left_out = IS_ONE_OF(key, of_the_revision) || (of_another && IS_ONE_OF(key, of_the_file));
        if (!left_out && !bson_has_field(posix, key))
            done = document_append(posix, NULL, &field);
    }
    return done;
}

/* The identity of the base is older than what was made meanwhile without seeing it, and other names may go by it. */
static struct attributes without_file_of(const struct attributes *attributes, const bson_iter_t *base) {
    struct attributes others = *attributes;
    bson_iter_t field;
    if (base && BSON_ITER_HOLDS_DOCUMENT(base) && bson_iter_recurse(base, &field) && bson_iter_find(&field, "file") &&
        BSON_ITER_HOLDS_OID(&field))
        others.has &= ~(unsigned)ATTRIBUTES_FILE;
    return others;
}

/* `base`: metadata.posix of the base, or NULL. */
static bool append_posix(bson_t *metadata, const struct files_document *parts, const bson_iter_t *base) {
    const struct attributes attributes =
        parts->of_another ? *parts->attributes : without_file_of(parts->attributes, base);
    bson_t posix;
    bool has_links = parts->attributes->has & ATTRIBUTES_LINKS && parts->attributes->links > 1;
    return bson_append_document_begin(metadata, "posix", -1, &posix) && BSON_APPEND_OID(&posix, "rev", parts->id) &&
           append_attributes(&posix, &attributes) &&
           (parts->without_holes || append_holes(&posix, parts->content)) &&
           (!base || !BSON_ITER_HOLDS_DOCUMENT(base) || carry_posix(&posix, base, parts->of_another)) &&
           (parts->base || !has_links || BSON_APPEND_INT32(&posix, "links", (int32_t)parts->attributes->links)) &&
           bson_append_document_end(metadata, &posix);
}

/* ---- metadata ---- */

static bool append_sha256(bson_t *metadata, const unsigned char *sha256) {
    char digits[65];
    for (int i = 0; i < 32; i++)
        snprintf(digits + 2 * i, 3, "%02x", sha256[i]);
    return BSON_APPEND_UTF8(metadata, "sha256", digits);
}

static bool fill_metadata(bson_t *metadata, const struct files_document *parts, const bson_iter_t *base) {
    bson_iter_t field;
    bool done = true, more = base && BSON_ITER_HOLDS_DOCUMENT(base) && bson_iter_recurse(base, &field);
    bool has_posix = false;
    while (done && more && bson_iter_next(&field)) {
        const char *key = bson_iter_key(&field);
        if (strcmp(key, "posix") == 0) {
            done = has_posix || append_posix(metadata, parts, &field);
            has_posix = true;
        } else if (strcmp(key, "sha256") != 0) {
            done = document_append(metadata, NULL, &field);
        }
    }
    return done && (has_posix || append_posix(metadata, parts, NULL)) &&
           (!parts->sha256 || append_sha256(metadata, parts->sha256));
}

static bool append_metadata(bson_t *document, const struct files_document *parts, const bson_iter_t *base) {
    bson_t metadata;
    if (base && !BSON_ITER_HOLDS_DOCUMENT(base) && !BSON_ITER_HOLDS_NULL(base))
        return document_append(document, NULL, base);
    return bson_append_document_begin(document, "metadata", -1, &metadata) &&
           fill_metadata(&metadata, parts, base) && bson_append_document_end(document, &metadata);
}

/* ---- the document ---- */

static const char *const ours[] = {"_id", "length", "chunkSize", "uploadDate", "filename", "metadata"};

enum { OURS = sizeof ours / sizeof *ours };

/* Appends the field of this name; `base`: the base's, or NULL. */
static bool append_ours(bson_t *document, const struct files_document *parts, const char *key,
                        const bson_iter_t *base) {
    switch (key[0]) {
    case '_':
        return BSON_APPEND_OID(document, "_id", parts->id);
    case 'l':
        return BSON_APPEND_INT64(document, "length", parts->content->length);
    case 'c':
        return BSON_APPEND_INT32(document, "chunkSize", (int32_t)parts->chunk_size);
    case 'u':
        return BSON_APPEND_DATE_TIME(document, "uploadDate", parts->date_ms);
    case 'f':
        return bson_append_utf8(document, "filename", -1, parts->filename, (int)parts->filename_size);
    default:
        return append_metadata(document, parts, base);
    }
}

int files_document_make(const struct files_document *parts, bson_t *document) {
    bson_iter_t field;
    bool done = true, more = parts->base && bson_iter_init(&field, parts->base);
    while (done && more && bson_iter_next(&field)) {
        const char *key = bson_iter_key(&field);
        if (!IS_ONE_OF(key, ours))
            done = strcmp(key, "md5") == 0 || document_append(document, NULL, &field);
        else if (!bson_has_field(document, key))
            done = append_ours(document, parts, key, &field);
    }
    if (more && field.err_off)
        return -EIO;
    for (size_t i = 0; done && i < OURS; i++)
        if (!bson_has_field(document, ours[i]))
            done = append_ours(document, parts, ours[i], NULL);
    return done ? 0 : -ENOSPC;
}

// SPDX-License-Identifier: Apache-2.0
/* Files documents: any bytes that libbson takes for a document, as the driver hands them over. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/files_document.h"
#include "fs/store/mongo/identity.h"
#include "fs/store/mongo/value_order.h"
#include "fs/store/mongo/xattr_document.h"
#include "fs/store/mongo/xattr_field.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static void try_identity(const struct revision *revision) {
    cleanup_free char *text = identity_text(revision);
    bson_t filter = BSON_INITIALIZER;
    for (const char *c = text; c && *c; c++)
        CHECK(*c > ' ' && *c < 127 && *c != '/');
    if (text && identity_parse(text, &filter) == 0) {
        CHECK(bson_count_keys(&filter) == 1);
        CHECK(bson_has_field(&filter, "_id"));
    }
    bson_destroy(&filter);
}

static void try_xattrs(const bson_t *document, const struct revision *revision) {
    struct xattr_list list = {0};
    bson_t changed = BSON_INITIALIZER;
    bson_iter_t root, array;
    bool there = bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.xattr", &array);
    CHECK(xattr_read_file(document, revision, &list) == 0);
    CHECK(!there || xattr_read_array(&array, &list) == 0);
    unsigned count = 0;
    for (const struct store_xattr *xattr = list.first; xattr; xattr = xattr->next, count++)
        CHECK(*xattr->name && strlen(xattr->name) <= XATTR_NAME_MOST && xattr->size <= XATTR_VALUE_MOST);
    CHECK(count == list.count && count <= XATTR_COUNT_MOST);
    store_xattrs_free(list.first);
    if (there && BSON_ITER_HOLDS_ARRAY(&array)) {
        int result = xattr_change_array(&array, "user.x", "1", 1, STORE_XATTR_ANY, "x", &changed);
        CHECK(result == -ENOSPC || (result == 0 && bson_has_field(&changed, "x")));
    }
    bson_destroy(&changed);
}

/* Whatever is there, and whatever its value is set to: it becomes one value, or is refused. */
static void try_fields(const bson_t *document) {
    static const char *const values[] = {"5", "text", "{\"a\": [1]}", "2020-01-02T03:04:05Z", "5}{", "\"},{\""};
    enum { COUNT = sizeof values / sizeof *values, FIELDS_MOST = 64 };
    bson_iter_t field;
    unsigned fields = 0;
    for (bool more = bson_iter_init(&field, document); more && bson_iter_next(&field) && fields < FIELDS_MOST; fields++)
        for (unsigned i = 0; i < COUNT; i++) {
            bson_t set = BSON_INITIALIZER;
            int result = xattr_field_append(&set, "v", &field, values[i], strlen(values[i]));
            CHECK(result == 0 ? bson_count_keys(&set) == 1 : result == -EINVAL && bson_empty(&set));
            bson_destroy(&set);
        }
}

/* Of any two values one comes first, whichever is asked about. */
static void try_order(const bson_t *document) {
    enum { PAIRS_MOST = 256 };
    bson_iter_t one, other;
    unsigned pairs = 0;
    for (bool more = bson_iter_init(&one, document); more && bson_iter_next(&one) && pairs < PAIRS_MOST;)
        for (bson_iter_init(&other, document); bson_iter_next(&other) && pairs < PAIRS_MOST; pairs++) {
            int there = value_order(&one, &other), back = value_order(&other, &one);
            CHECK((there < 0) == (back > 0) && (there > 0) == (back < 0));
        }
}

static void try_revision(const bson_t *document) {
    static struct store store = {.bucket = (char *)"fs"};
    struct revision *revision = NULL, *again = NULL;
    if (document_revision(document, &store, &revision)) {
        CHECK(!revision);
        return;
    }
    CHECK(revision->length >= 0);
    CHECK((revision->attributes.mode & ~07777u) == 0);
    CHECK(revision->hole_count <= REVISION_HOLES_MOST && (revision->hole_count == 0) == !revision->holes);
    int64_t end = 0;
    for (uint32_t i = 0; i < revision->hole_count; i++) {
        CHECK(revision->holes[i].offset >= end && revision->holes[i].length > 0);
        CHECK(revision->holes[i].length <= revision->length - revision->holes[i].offset);
        end = revision->holes[i].offset + revision->holes[i].length;
    }
    if (!revision->damage) {
        CHECK(revision->chunk_size > 0 && revision->chunk_size <= INT32_MAX);
        uint32_t chunks = revision_chunks(revision);
        CHECK(chunks <= INT32_MAX && (chunks == 0) == (revision->length == 0));
        CHECK(!chunks || revision_chunk_length(revision, chunks - 1) > 0);
    }
    CHECK(document_revision(document, &store, &again) == 0 && revision_same_content(revision, again));
    CHECK(document_compare_ids(revision, again) == 0);
    try_identity(revision);
    try_xattrs(document, revision);
    revision_unref(again);
    revision_unref(revision);
}

/* The document of a revision that is made from this one is read as what it was made of. */
static void try_next(const bson_t *base) {
    static struct store store = {.bucket = (char *)"fs"};
    static const struct store_content content = {.length = 10};
    static const struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0640};
    bson_t document = BSON_INITIALIZER;
    bson_oid_t id = {{1}};
    struct files_document parts = {.base = base, .id = &id, .filename = "f", .filename_size = 1, .date_ms = 5,
                                   .chunk_size = 7, .content = &content, .attributes = &attributes};
    struct revision *revision = NULL;
    if (files_document_make(&parts, &document) == 0) {
        CHECK(document_revision(&document, &store, &revision) == 0);
        CHECK(!revision->damage && revision->length == 10 && revision->chunk_size == 7 && revision->date_ms == 5);
        revision_unref(revision);
    }
    bson_destroy(&document);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    bson_t document;
    if (size < 5 || !bson_init_static(&document, data, size))
        return 0;
    try_revision(&document);
    try_order(&document);
    try_fields(&document);
    try_next(&document);
    size_t filename_size = 0, sum = 0;
    const char *filename = document_filename(&document, &filename_size);
    for (size_t i = 0; filename && i < filename_size; i++)
        sum += (unsigned char)filename[i]; /* every byte is there to be read */
    return sum == SIZE_MAX;
}

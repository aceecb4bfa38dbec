/* Documents of a bucket: any bytes that libbson takes for a document, as the driver hands them over. */
#include <string.h>

#include "cache/base/check.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/identity.h"

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

static void try_revision(const bson_t *document) {
    static struct store store = {.bucket = (char *)"fs"};
    struct revision *revision = NULL, *again = NULL;
    if (document_revision(document, &store, &revision)) {
        CHECK(!revision);
        return;
    }
    CHECK(revision->length >= 0);
    CHECK((revision->attributes.mode & ~07777u) == 0);
    if (!revision->damage) {
        CHECK(revision->chunk_size > 0 && revision->chunk_size <= INT32_MAX);
        uint32_t chunks = revision_chunks(revision);
        CHECK(chunks <= INT32_MAX && (chunks == 0) == (revision->length == 0));
        CHECK(!chunks || revision_chunk_length(revision, chunks - 1) > 0);
    }
    CHECK(document_revision(document, &store, &again) == 0 && revision_same_content(revision, again));
    CHECK(document_compare_ids(revision, again) == 0);
    try_identity(revision);
    revision_unref(again);
    revision_unref(revision);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    bson_t document;
    if (size < 5 || !bson_init_static(&document, data, size))
        return 0;
    try_revision(&document);
    struct store_entry entry;
    if (document_node(&document, &entry) == 0) {
        CHECK(entry.kind != STORE_FILE && !entry.revision && !entry.witness);
        CHECK((entry.kind == STORE_SYMLINK) == (entry.target != NULL));
        CHECK((entry.attributes.mode & ~07777u) == 0);
        store_entry_done(&entry);
    }
    size_t filename_size = 0, sum = 0;
    const char *filename = document_filename(&document, &filename_size);
    for (size_t i = 0; filename && i < filename_size; i++)
        sum += (unsigned char)filename[i]; /* every byte is there to be read */
    return sum == SIZE_MAX;
}

// SPDX-License-Identifier: Apache-2.0
/* Names under .gridfs/id: any text is an _id or none, and an _id's own text leads back to it. */
#include <string.h>

#include "cache/base/check.h"
#include "fs/store/mongo/identity.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size) {
    cleanup_free char *text = malloc(size + 1), *own = NULL, *twice = NULL;
    CHECK(text);
    memcpy(text, data, size);
    text[size] = '\0';
    bson_t filter = BSON_INITIALIZER, back = BSON_INITIALIZER;
    if (identity_parse(text, &filter)) {
        CHECK(bson_count_keys(&filter) == 0);
    } else {
        CHECK(bson_count_keys(&filter) == 1 && bson_has_field(&filter, "_id"));
        cleanup_with(revision_unref) struct revision *revision = revision_new(bson_get_data(&filter), filter.len);
        own = identity_text(revision);
        if (own && identity_parse(own, &back) == 0) {
            cleanup_with(revision_unref) struct revision *again = revision_new(bson_get_data(&back), back.len);
            twice = identity_text(again);
            CHECK(twice && strcmp(own, twice) == 0);
        }
    }
    bson_destroy(&filter);
    bson_destroy(&back);
    return 0;
}

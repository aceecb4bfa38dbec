// SPDX-License-Identifier: Apache-2.0
/* Documents from JSON with single quotes, for tests of what is read from them. */
#ifndef TESTS_UNIT_DOCUMENT_JSON_H
#define TESTS_UNIT_DOCUMENT_JSON_H

#include <string.h>

#include "fs/store/mongo/document.h"
#include "tests/unit/unit.h"

static struct store bucket = {.bucket = "fs"};

static inline bson_t *document_of(const char *json) {
    char *text = strdup(json);
    bson_error_t error;
    for (char *c = text; *c; c++)
        if (*c == '\'')
            *c = '"';
    bson_t *document = bson_new_from_json((const uint8_t *)text, -1, &error);
    if (!document)
        fail_msg("%s: %s", text, error.message);
    free(text);
    return document;
}

static inline struct revision *revision_of(const char *json) {
    bson_t *document = document_of(json);
    struct revision *revision = NULL;
    assert_int_equal(document_revision(document, &bucket, &revision), 0);
    assert_non_null(revision);
    bson_destroy(document);
    return revision;
}

#endif

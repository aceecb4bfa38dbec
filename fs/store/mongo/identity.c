// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/identity.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "fs/store/mongo/document.h"

enum { OBJECT_ID_DIGITS = 24 };

static bool is_plain(unsigned char byte) {
    return (byte < 128 && isalnum(byte)) || strchr("-_.~", byte) != NULL;
}

static char *percent_encode(const char *text, size_t size) {
    char *encoded = malloc(3 * size + 1), *end = encoded;
    for (size_t i = 0; encoded && i < size; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte && is_plain(byte))
            *end++ = (char)byte;
        else
            end += sprintf(end, "%%%02X", byte);
    }
    if (encoded)
        *end = '\0';
    return encoded;
}

static char *percent_decode(const char *text) {
    char *decoded = malloc(strlen(text) + 1), *end = decoded;
    for (; decoded && *text; text++) {
        unsigned byte;
        if (*text != '%') {
            *end++ = *text;
        } else if (isxdigit((unsigned char)text[1]) && isxdigit((unsigned char)text[2]) &&
                   sscanf(text + 1, "%2x", &byte) == 1 && byte) {
            *end++ = (char)byte;
            text += 2;
        } else {
            free(decoded);
            return NULL;
        }
    }
    if (decoded)
        *end = '\0';
    return decoded;
}

/* Takes the white space between tokens out of JSON text, in place. Returns the size. */
static size_t compact(char *json, size_t size) {
    size_t kept = 0;
    bool quoted = false;
    for (size_t i = 0; i < size; i++) {
        if (!quoted && json[i] == ' ')
            continue;
        json[kept++] = json[i];
        if (quoted && json[i] == '\\')
            json[kept++] = json[++i]; /* the library's own output: something follows */
        else if (json[i] == '"')
            quoted = !quoted;
    }
    return kept;
}

char *identity_text(const struct revision *revision) {
    bson_t id;
    bson_iter_t value;
    if (!bson_init_static(&id, revision->id, revision->id_size) || !bson_iter_init_find(&value, &id, "_id"))
        return NULL;
    if (BSON_ITER_HOLDS_OID(&value)) {
        char *text = malloc(OBJECT_ID_DIGITS + 1);
        if (text)
            bson_oid_to_string(bson_iter_oid(&value), text);
        return text;
    }
    static const char start[] = "{\"_id\":";
    size_t size, skipped = sizeof start - 1;
    cleanup_with(bson_free) char *json = bson_as_canonical_extended_json(&id, &size);
    if (!json)
        return NULL;
    size = compact(json, size);
    return percent_encode(json + skipped, size - skipped - 1); /* without the last "}" */
}

/* One document and nothing behind it; NULL otherwise. bson_new_from_json() stops at the end of the first. */
static bson_t *parse_one(const char *json) {
    bson_json_reader_t *reader = bson_json_data_reader_new(true, 0);
    bson_t *parsed = bson_new(), rest = BSON_INITIALIZER;
    bson_error_t error;
    bson_json_data_reader_ingest(reader, (const uint8_t *)json, strlen(json));
    if (bson_json_reader_read(reader, parsed, &error) != 1 || bson_json_reader_read(reader, &rest, &error) != 0) {
        bson_destroy(parsed);
        parsed = NULL;
    }
    bson_destroy(&rest);
    bson_json_reader_destroy(reader);
    return parsed;
}

int identity_parse(const char *text, bson_t *ret_id) {
    size_t size = strlen(text);
    if (size == OBJECT_ID_DIGITS && bson_oid_is_valid(text, size)) {
        bson_oid_t oid;
        bson_oid_init_from_string(&oid, text);
        return bson_append_oid(ret_id, "_id", 3, &oid) ? 0 : -EINVAL;
    }
    cleanup_free char *value = percent_decode(text);
    cleanup_free char *json = NULL;
    if (!value || asprintf(&json, "{ \"_id\" : %s }", value) < 0)
        return -EINVAL;
    bson_t *parsed = parse_one(json);
    bson_iter_t iter;
    bool usable = parsed && bson_count_keys(parsed) == 1 && bson_iter_init_find(&iter, parsed, "_id") &&
                  document_append(ret_id, "_id", &iter);
    bson_destroy(parsed);
    return usable ? 0 : -EINVAL;
}

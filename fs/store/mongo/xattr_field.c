// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/xattr_field.h"

#include <errno.h>
#include <string.h>

#include "fs/store/mongo/document.h"

enum { NESTED_MOST = 90 }; /* servers allow 100, in all of a document */

static const char prefix[] = "user.gridfs.metadata.";

const char *xattr_field(const char *name) {
    return strncmp(name, prefix, strlen(prefix)) == 0 ? name + strlen(prefix) : NULL;
}

int xattr_field_check(const char *field) {
    static const char *const own[] = {"posix", "sha256", "contentType"};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(field, own[i]) == 0)
            return -EPERM;
    bool usable = *field && *field != '$' && !strchr(field, '.') && bson_utf8_validate(field, strlen(field), false);
    return usable ? 0 : -EINVAL;
}

/* ---- extended JSON ---- */

/* Whether a server would take it: older ones refuse such names. */
static bool has_plain_names(const bson_iter_t *value, unsigned depth) {
    bson_iter_t item;
    if (!BSON_ITER_HOLDS_DOCUMENT(value) && !BSON_ITER_HOLDS_ARRAY(value))
        return true;
    if (depth >= NESTED_MOST || !bson_iter_recurse(value, &item))
        return false;
    while (bson_iter_next(&item)) {
        const char *name = bson_iter_key(&item);
        if (!*name || *name == '$' || strchr(name, '.') || !has_plain_names(&item, depth + 1))
            return false;
    }
    return true;
}

/* A document with the value as its "v", of the JSON `before` `text` `behind`; NULL when that is not one value. */
static bson_t *parse(const char *before, const char *text, const char *behind) {
    cleanup_free char *json = NULL;
    bson_iter_t value;
    bson_error_t error;
    if (asprintf(&json, "{\"v\":%s%s%s,\"end\":1}", before, text, behind) < 0) {
        json = NULL;
        return NULL;
    }
    bson_t *holder = bson_new_from_json((const uint8_t *)json, -1, &error);
    bool one = holder && bson_count_keys(holder) == 2 && bson_has_field(holder, "end") &&
               bson_iter_init_find(&value, holder, "v") && has_plain_names(&value, 0);
    if (holder && !one) { /* it closed the object by itself, say */
        bson_destroy(holder);
        holder = NULL;
    }
    return holder;
}

/* In quotes, which it has none of. */
static bson_t *parse_quoted(const char *before, const char *text) {
    return strpbrk(text, "\"\\") ? NULL : parse(before, text, "\"}");
}

/* What was a double, or of 64 bits, is so again, whichever number it is. */
static bool append_number(bson_t *to, const char *key, const bson_iter_t *before, const bson_iter_t *value) {
    if (!BSON_ITER_HOLDS_NUMBER(value))
        return false;
    if (BSON_ITER_HOLDS_DOUBLE(before))
        return bson_append_double(to, key, -1, bson_iter_as_double(value));
    return BSON_ITER_HOLDS_INT64(before) && BSON_ITER_HOLDS_INT(value)
               ? bson_append_int64(to, key, -1, bson_iter_as_int64(value))
               : document_append(to, key, value);
}

/* ---- by what was there ---- */

static bool is_structure(const bson_iter_t *value) {
    return BSON_ITER_HOLDS_DOCUMENT(value) || BSON_ITER_HOLDS_ARRAY(value);
}

static bool append_same_type(bson_t *to, const char *key, const bson_iter_t *before, const char *text) {
    bson_iter_t value;
    bson_type_t type = bson_iter_type(before);
    bson_t *holder = type == BSON_TYPE_DATE_TIME    ? parse_quoted("{\"$date\":\"", text)
                     : type == BSON_TYPE_OID        ? parse_quoted("{\"$oid\":\"", text)
                     : type == BSON_TYPE_DECIMAL128 ? parse_quoted("{\"$numberDecimal\":\"", text)
                                                    : parse("", text, "");
    bool done = holder && bson_iter_init_find(&value, holder, "v");
    if (done && BSON_ITER_HOLDS_NUMBER(before) && type != BSON_TYPE_DECIMAL128)
        done = append_number(to, key, before, &value);
    else if (done)
        done = (bson_iter_type(&value) == type || (is_structure(before) && is_structure(&value))) &&
               document_append(to, key, &value);
    bson_destroy(holder);
    return done;
}

/* False: it is no object or array. */
static bool append_structure(bson_t *to, const char *key, const char *text) {
    bson_iter_t value;
    bson_t *holder = *text == '{' || *text == '[' ? parse("", text, "") : NULL;
    bool done = holder && bson_iter_init_find(&value, holder, "v") && document_append(to, key, &value);
    bson_destroy(holder);
    return done;
}

int xattr_field_append(bson_t *to, const char *key, const bson_iter_t *before, const void *value, size_t size) {
    if (!bson_utf8_validate(value, size, false))
        return -EINVAL;
    cleanup_free char *text = strndup(value, size);
    if (!text)
        return -ENOMEM;
    bool is_new = !before || BSON_ITER_HOLDS_NULL(before);
    if (!is_new && !BSON_ITER_HOLDS_UTF8(before))
        return append_same_type(to, key, before, text) ? 0 : -EINVAL;
    if (is_new && append_structure(to, key, text))
        return 0;
    return bson_append_utf8(to, key, -1, text, (int)size) ? 0 : -ENOMEM;
}

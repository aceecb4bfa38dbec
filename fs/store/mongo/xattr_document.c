// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/xattr_document.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/identity.h"

static const char type_name[] = "user.mime_type", made[] = "user.gridfs.";

bool xattr_is_made(const char *name) {
    return strncmp(name, made, strlen(made)) == 0;
}

bool xattr_is_type(const char *name) {
    return strcmp(name, type_name) == 0;
}

/* ---- the list ---- */

/* Adds one, unless the name is there already, or something is too much. */
static int add(struct xattr_list *list, const char *name, size_t name_size, const void *value, size_t size) {
    bool usable = name_size && name_size <= XATTR_NAME_MOST && !memchr(name, '\0', name_size);
    if (!usable || size > XATTR_VALUE_MOST || list->count >= XATTR_COUNT_MOST)
        return 0;
    for (const struct store_xattr *other = list->first; other; other = other->next)
        if (strlen(other->name) == name_size && memcmp(other->name, name, name_size) == 0)
            return 0;
    struct store_xattr *xattr = malloc(sizeof *xattr + size + name_size + 1);
    if (!xattr)
        return -ENOMEM;
    char *value_copy = (char *)(xattr + 1), *name_copy = value_copy + size;
    if (size)
        memcpy(value_copy, value, size);
    memcpy(name_copy, name, name_size);
    name_copy[name_size] = '\0';
    *xattr = (struct store_xattr){.next = list->first, .size = size, .value = value_copy, .name = name_copy};
    list->first = xattr;
    list->count++;
    return 0;
}

static int add_text(struct xattr_list *list, const char *name, const char *text) {
    return add(list, name, strlen(name), text, strlen(text));
}

/* ---- the array ---- */

struct element {
    const char *name;
    const uint8_t *value;
    uint32_t name_size, size;
};

static bool read_element(const bson_iter_t *item, struct element *ret_element) {
    bson_iter_t fields, name, value;
    bson_subtype_t subtype;
    const uint8_t *bytes;
    if (!BSON_ITER_HOLDS_DOCUMENT(item) || !bson_iter_recurse(item, &fields) ||
        !bson_iter_find_descendant(&fields, "n", &name) || !BSON_ITER_HOLDS_BINARY(&name) ||
        !bson_iter_recurse(item, &fields) || !bson_iter_find_descendant(&fields, "v", &value) ||
        !BSON_ITER_HOLDS_BINARY(&value))
        return false;
    bson_iter_binary(&name, &subtype, &ret_element->name_size, &bytes);
    ret_element->name = (const char *)bytes;
    bson_iter_binary(&value, &subtype, &ret_element->size, &ret_element->value);
    return true;
}

/* Nobody but we say what is under such a name. */
static bool is_made(const struct element *element) {
    return element->name_size >= strlen(made) && memcmp(element->name, made, strlen(made)) == 0;
}

int xattr_read_array(const bson_iter_t *array, struct xattr_list *list) {
    bson_iter_t item;
    int result = 0;
    if (!BSON_ITER_HOLDS_ARRAY(array))
        return 0;
    for (bool more = bson_iter_recurse(array, &item); result == 0 && more && bson_iter_next(&item);) {
        struct element element;
        if (read_element(&item, &element) && !is_made(&element))
            result = add(list, element.name, element.name_size, element.value, element.size);
    }
    return result;
}

static void append_element(bson_t *array, uint32_t index, const char *name, const void *value, size_t size) {
    char key[16];
    bson_t item;
    snprintf(key, sizeof key, "%u", index);
    bson_append_document_begin(array, key, -1, &item);
    bson_append_binary(&item, "n", 1, BSON_SUBTYPE_BINARY, (const uint8_t *)name, (uint32_t)strlen(name));
    bson_append_binary(&item, "v", 1, BSON_SUBTYPE_BINARY, value ? value : "", (uint32_t)size);
    bson_append_document_end(array, &item);
}

/* Copies all elements but those of this name. */
static uint32_t copy_others(const bson_iter_t *array, const char *name, bson_t *copy, size_t *ret_bytes,
                            bool *ret_found) {
    bson_iter_t item;
    uint32_t index = 0;
    size_t size = strlen(name);
    for (bool more = array && bson_iter_recurse(array, &item); more && bson_iter_next(&item);) {
        struct element element;
        bool usable = read_element(&item, &element);
        if (usable && element.name_size == size && memcmp(element.name, name, size) == 0) {
            *ret_found = true;
            continue;
        }
        char key[16];
        snprintf(key, sizeof key, "%u", index++);
        document_append(copy, key, &item);
        *ret_bytes += usable ? element.name_size + element.size : 0;
    }
    return index;
}

int xattr_change_array(const bson_iter_t *array, const char *name, const void *value, size_t size,
                       enum store_xattr_how how, const char *key, bson_t *ret_change) {
    bson_t changed = BSON_INITIALIZER;
    size_t bytes = 0;
    bool found = false;
    uint32_t count = copy_others(array, name, &changed, &bytes, &found);
    int result = 0;
    if (found && how == STORE_XATTR_CREATE)
        result = -EEXIST;
    else if (!found && (how == STORE_XATTR_REPLACE || how == STORE_XATTR_REMOVE))
        result = -ENODATA;
    else if (how != STORE_XATTR_REMOVE &&
             (bytes + strlen(name) + size > XATTR_ALL_MOST || count >= XATTR_COUNT_MOST))
        result = -ENOSPC;
    if (result == 0 && how != STORE_XATTR_REMOVE)
        append_element(&changed, count++, name, value, size);
    if (result == 0 && count)
        bson_append_array(ret_change, key, -1, &changed);
    bson_destroy(&changed);
    return result;
}

/* ---- what files documents say ---- */

bool xattr_find_type(const bson_t *document, bson_iter_t *ret_value) {
    bson_iter_t root;
    return (bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.contentType", ret_value) &&
            BSON_ITER_HOLDS_UTF8(ret_value)) ||
           (bson_iter_init_find(ret_value, document, "contentType") && BSON_ITER_HOLDS_UTF8(ret_value));
}

/* ISO 8601 with milliseconds; NULL for a year that has no four digits. */
static char *date_text(int64_t date_ms) {
    int64_t milliseconds = date_ms % 1000;
    time_t seconds = (time_t)(date_ms / 1000);
    if (milliseconds < 0) {
        milliseconds += 1000;
        seconds--;
    }
    struct tm date;
    char *text = NULL;
    if (!gmtime_r(&seconds, &date) || date.tm_year < -1900 || date.tm_year > 9999 - 1900 ||
        asprintf(&text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", date.tm_year + 1900, date.tm_mon + 1, date.tm_mday,
                 date.tm_hour, date.tm_min, date.tm_sec, (int)milliseconds) < 0)
        return NULL;
    return text;
}

/* The value as relaxed extended JSON, taken out of a document that holds it. NULL without memory or when it is long. */
static char *json_text(const bson_iter_t *value) {
    uint32_t size = 0;
    const uint8_t *bytes;
    bson_subtype_t subtype;
    if (BSON_ITER_HOLDS_DOCUMENT(value))
        bson_iter_document(value, &size, &bytes);
    else if (BSON_ITER_HOLDS_ARRAY(value))
        bson_iter_array(value, &size, &bytes);
    else if (BSON_ITER_HOLDS_BINARY(value))
        bson_iter_binary(value, &subtype, &size, &bytes);
    if (size > XATTR_VALUE_MOST)
        return NULL;
    bson_t holder = BSON_INITIALIZER;
    document_append(&holder, "v", value);
    cleanup_with(bson_free) char *json = bson_as_relaxed_extended_json(&holder, NULL);
    bson_destroy(&holder);
    const char *start = json ? strchr(json, ':') : NULL, *end = json ? strrchr(json, '}') : NULL;
    if (!start || !end)
        return NULL;
    for (start++; *start == ' ';)
        start++;
    while (end > start && end[-1] == ' ')
        end--;
    return strndup(start, (size_t)(end - start));
}

static char *text_of(const bson_iter_t *value) {
    char digits[BSON_DECIMAL128_STRING];
    bson_decimal128_t decimal;
    if (BSON_ITER_HOLDS_OID(value)) {
        bson_oid_to_string(bson_iter_oid(value), digits);
        return strdup(digits);
    }
    if (BSON_ITER_HOLDS_DECIMAL128(value) && bson_iter_decimal128(value, &decimal)) {
        bson_decimal128_to_string(&decimal, digits);
        return strdup(digits);
    }
    return BSON_ITER_HOLDS_DATE_TIME(value) ? date_text(bson_iter_date_time(value)) : json_text(value);
}

static int add_field(struct xattr_list *list, const bson_iter_t *field) {
    cleanup_free char *name = NULL, *text = NULL;
    const char *key = bson_iter_key(field);
    if (!*key || strlen(key) > XATTR_NAME_MOST)
        return 0;
    if (asprintf(&name, "%smetadata.%s", made, key) < 0)
        return -ENOMEM;
    if (BSON_ITER_HOLDS_UTF8(field)) {
        uint32_t size;
        const char *value = bson_iter_utf8(field, &size);
        return add(list, name, strlen(name), value, size);
    }
    text = text_of(field);
    return text ? add_text(list, name, text) : 0;
}

/* What metadata has of others. */
static int add_fields(const bson_t *document, bool own_digest, struct xattr_list *list) {
    bson_iter_t metadata, field;
    unsigned count = 0;
    int result = 0;
    if (!bson_iter_init_find(&metadata, document, "metadata") || !BSON_ITER_HOLDS_DOCUMENT(&metadata))
        return 0;
    for (bool more = bson_iter_recurse(&metadata, &field); result == 0 && more && bson_iter_next(&field);) {
        const char *key = bson_iter_key(&field);
        bool type = strcmp(key, "contentType") == 0 && BSON_ITER_HOLDS_UTF8(&field);
        bool digest = strcmp(key, "sha256") == 0 && BSON_ITER_HOLDS_UTF8(&field) && own_digest;
        if (strcmp(key, "posix") == 0 || type)
            continue;
        if (digest)
            result = add_text(list, "user.gridfs.sha256", bson_iter_utf8(&field, NULL));
        else if (count++ < XATTR_FIELDS_MOST)
            result = add_field(list, &field);
    }
    return result;
}

/* Who made it, as far as is recorded. */
static int add_maker(const struct revision *revision, struct xattr_list *list) {
    char uid[16];
    int result = add_text(list, "user.gridfs.by", revision->posix == POSIX_OWN ? "gridmount" : "application");
    snprintf(uid, sizeof uid, "%u", (unsigned)revision->attributes.uid);
    return result || !(revision->attributes.has & ATTRIBUTES_UID) ? result : add_text(list, "user.gridfs.uid", uid);
}

int xattr_read_file(const bson_t *document, const struct revision *revision, struct xattr_list *list) {
    char number[16], key[2 * REVISION_KEY + 1];
    bson_iter_t type;
    int result = 0;
    cleanup_free char *id = identity_text(revision), *date = date_text(revision->date_ms);
    for (unsigned i = 0; i < REVISION_KEY; i++)
        snprintf(key + 2 * i, 3, "%02x", revision->key[i]);
    snprintf(number, sizeof number, "%u", revision->chunk_size);
    if (id)
        result = add_text(list, "user.gridfs.id", id);
    if (result == 0 && date && revision->date_ms != INT64_MIN)
        result = add_text(list, "user.gridfs.uploadDate", date);
    if (result == 0 && !revision->damage)
        result = add_text(list, "user.gridfs.chunkSize", number);
    if (result == 0)
        result = add_text(list, "user.gridfs.revision", key);
    if (result == 0)
        result = add_maker(revision, list);
    if (result == 0 && xattr_find_type(document, &type)) {
        uint32_t size;
        const char *text = bson_iter_utf8(&type, &size);
        result = add(list, type_name, strlen(type_name), text, size);
    }
    return result ? result : add_fields(document, revision->posix == POSIX_OWN, list);
}

int xattr_read_due(const bson_t *record, struct xattr_list *list) {
    bson_iter_t due;
    bool dated = bson_iter_init_find(&due, record, "due") && BSON_ITER_HOLDS_DATE_TIME(&due);
    cleanup_free char *date = dated ? date_text(bson_iter_date_time(&due)) : NULL;
    return date ? add_text(list, "user.gridfs.due", date) : 0;
}

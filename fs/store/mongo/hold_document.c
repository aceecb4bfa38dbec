// SPDX-License-Identifier: Apache-2.0
/* The document of what a mount holds of a file. */
#include <string.h>

#include "fs/store/mongo/hold.h"

#include "fs/store/mongo/array.h"

enum { KIND_SIZE = 3, MOUNT_SIZE = 24 }; /* "/r/", and the digits behind "//" */

bool hold_parse_id(const char *id, size_t size, const char **ret_path, size_t *ret_size, bson_oid_t *ret_mount) {
    if (size < KIND_SIZE + 2 + MOUNT_SIZE || (memcmp(id, "/r/", KIND_SIZE) != 0 && memcmp(id, "/w/", KIND_SIZE) != 0))
        return false;
    const char *mount = id + size - MOUNT_SIZE;
    if (memcmp(mount - 2, "//", 2) != 0 || !bson_oid_is_valid(mount, MOUNT_SIZE))
        return false;
    bson_oid_init_from_string(ret_mount, mount);
    *ret_path = id + KIND_SIZE;
    *ret_size = (size_t)(mount - 2 - *ret_path);
    return true;
}

void hold_match_ids(bson_t *filter, const char *field) {
    bson_t range;
    BSON_APPEND_DOCUMENT_BEGIN(filter, field, &range);
    BSON_APPEND_UTF8(&range, "$gte", "/r/");
    BSON_APPEND_UTF8(&range, "$lt", "/w0"); /* behind all that begin with "/w/"; those of mounts are before */
    bson_append_document_end(filter, &range);
}

bool hold_parse(const bson_t *document, struct hold_found *ret_found) {
    bson_iter_t mount, until;
    if (!bson_iter_init_find(&mount, document, "mount") || !BSON_ITER_HOLDS_OID(&mount) ||
        !bson_iter_init_find(&until, document, "until") || !BSON_ITER_HOLDS_DATE_TIME(&until))
        return false;
    bson_oid_copy(bson_iter_oid(&mount), &ret_found->mount);
    ret_found->until_ms = bson_iter_date_time(&until);
    return true;
}

static bool is_number(const bson_iter_t *field) {
    return BSON_ITER_HOLDS_INT64(field) || BSON_ITER_HOLDS_INT32(field);
}

static bool parse_range(const bson_iter_t *value, struct store_range *ret_range) {
    bson_iter_t field;
    struct store_range range = {.start = -1, .end = -1};
    if (!BSON_ITER_HOLDS_DOCUMENT(value) || !bson_iter_recurse(value, &field))
        return false;
    while (bson_iter_next(&field)) {
        const char *key = bson_iter_key(&field);
        if (strcmp(key, "start") == 0 && is_number(&field))
            range.start = bson_iter_as_int64(&field);
        else if (strcmp(key, "end") == 0 && is_number(&field))
            range.end = bson_iter_as_int64(&field);
        else if (strcmp(key, "exclusive") == 0)
            range.exclusive = bson_iter_as_bool(&field);
    }
    *ret_range = range;
    return range.start >= 0 && range.start <= range.end;
}

bool hold_excludes(const bson_t *document, const struct store_range *ranges, uint32_t count,
                   struct store_range *ret_range) {
    bson_iter_t held, value;
    if (!bson_iter_init_find(&held, document, "held") || !BSON_ITER_HOLDS_ARRAY(&held) ||
        !bson_iter_recurse(&held, &value))
        return false;
    while (bson_iter_next(&value)) {
        struct store_range range;
        if (!parse_range(&value, &range))
            continue;
        for (uint32_t i = 0; i < count; i++)
            if (range.start <= ranges[i].end && ranges[i].start <= range.end &&
                (range.exclusive || ranges[i].exclusive)) {
                *ret_range = range;
                return true;
            }
    }
    return false;
}

void hold_append(bson_t *document, const bson_oid_t *mount, int64_t until_ms, const struct hold_ranges *held) {
    bson_t array, range;
    BSON_APPEND_OID(document, "mount", mount);
    BSON_APPEND_DATE_TIME(document, "until", until_ms);
    array_begin(document, "held", &array);
    for (uint32_t i = 0; i < held->count; i++) {
        char text[16];
        const char *key;
        size_t size = bson_uint32_to_string(i, &key, text, sizeof text);
        bson_append_document_begin(&array, key, (int)size, &range);
        BSON_APPEND_INT64(&range, "start", held->list[i].start);
        BSON_APPEND_INT64(&range, "end", held->list[i].end);
        BSON_APPEND_BOOL(&range, "exclusive", held->list[i].exclusive);
        bson_append_document_end(&array, &range);
    }
    bson_append_array_end(document, &array);
}

bson_t *hold_nothing(void) {
    return BCON_NEW("$nor", "[", "{", "_id", "{", "$gte", BCON_UTF8("/r/"), "$lt", BCON_UTF8("/r0"), "}", "}", "{",
                    "_id", "{", "$gte", BCON_UTF8("/w/"), "$lt", BCON_UTF8("/w0"), "}", "}", "]");
}

/* Ranges are in order and apart, so one that is not covered by one alone may be by neighbours of another kind: then it
 * counts as not covered, which costs a look. */
static bool covers_one(const struct hold_ranges *held, const struct store_range *range) {
    for (uint32_t i = 0; i < held->count; i++) {
        const struct store_range *each = &held->list[i];
        if (each->start <= range->start && range->end <= each->end && (each->exclusive || !range->exclusive))
            return true;
    }
    return false;
}

bool hold_covers(const struct hold_ranges *held, const struct hold_ranges *ranges) {
    for (uint32_t i = 0; i < ranges->count; i++)
        if (!covers_one(held, &ranges->list[i]))
            return false;
    return true;
}

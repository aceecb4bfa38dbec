// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/value_order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NESTED_MOST = 100 };

/* As MongoDB documents it; types of one rank are compared with each other. */
static int rank_of(bson_type_t type) {
    static const bson_type_t ranks[] = {
        BSON_TYPE_MINKEY,   BSON_TYPE_NULL,      BSON_TYPE_INT32,     BSON_TYPE_UTF8,  BSON_TYPE_DOCUMENT,
        BSON_TYPE_ARRAY,    BSON_TYPE_BINARY,    BSON_TYPE_OID,       BSON_TYPE_BOOL,  BSON_TYPE_DATE_TIME,
        BSON_TYPE_TIMESTAMP, BSON_TYPE_REGEX,    BSON_TYPE_DBPOINTER, BSON_TYPE_CODE,  BSON_TYPE_CODEWSCOPE,
        BSON_TYPE_MAXKEY,
    };
    enum { RANKS = sizeof ranks / sizeof *ranks };
    if (type == BSON_TYPE_UNDEFINED || type == BSON_TYPE_EOD)
        type = BSON_TYPE_NULL;
    else if (type == BSON_TYPE_INT64 || type == BSON_TYPE_DOUBLE || type == BSON_TYPE_DECIMAL128)
        type = BSON_TYPE_INT32;
    else if (type == BSON_TYPE_SYMBOL)
        type = BSON_TYPE_UTF8;
    for (int i = 0; i < RANKS; i++)
        if (ranks[i] == type)
            return i;
    return RANKS;
}

static int order(int64_t one, int64_t other) {
    return one < other ? -1 : one > other;
}

static int order_bytes(const void *one, size_t one_size, const void *other, size_t other_size) {
    size_t size = one_size < other_size ? one_size : other_size;
    int first = size ? memcmp(one, other, size) : 0;
    return first ? first : order((int64_t)one_size, (int64_t)other_size);
}

/* Wide enough for every int64 and double. */
static long double number_of(const bson_iter_t *iter) {
    bson_decimal128_t decimal;
    char text[BSON_DECIMAL128_STRING];
    if (BSON_ITER_HOLDS_DOUBLE(iter))
        return bson_iter_double(iter);
    if (!BSON_ITER_HOLDS_DECIMAL128(iter))
        return bson_iter_as_int64(iter);
    if (!bson_iter_decimal128(iter, &decimal))
        return 0;
    bson_decimal128_to_string(&decimal, text);
    return strtold(text, NULL);
}

static int order_numbers(const bson_iter_t *one, const bson_iter_t *other) {
    long double a = number_of(one), b = number_of(other);
    if (isnan(a) || isnan(b))
        return order(!isnan(a), !isnan(b)); /* NaN comes first */
    if (a != b)
        return a < b ? -1 : 1;
    bool decimals = BSON_ITER_HOLDS_DECIMAL128(one) && BSON_ITER_HOLDS_DECIMAL128(other);
    bson_decimal128_t first, second;
    if (decimals && bson_iter_decimal128(one, &first) && bson_iter_decimal128(other, &second))
        return order_bytes(&first, sizeof first, &second, sizeof second); /* may have been rounded */
    return order(BSON_ITER_HOLDS_DECIMAL128(one), BSON_ITER_HOLDS_DECIMAL128(other));
}

static const char *text_of(const bson_iter_t *iter, uint32_t *ret_size) {
    return BSON_ITER_HOLDS_UTF8(iter) ? bson_iter_utf8(iter, ret_size) : bson_iter_symbol(iter, ret_size);
}

static int order_texts(const bson_iter_t *one, const bson_iter_t *other) {
    uint32_t sizes[2] = {0, 0};
    const char *a = text_of(one, &sizes[0]), *b = text_of(other, &sizes[1]);
    return order_bytes(a, sizes[0], b, sizes[1]);
}

static int order_binaries(const bson_iter_t *one, const bson_iter_t *other) {
    bson_subtype_t kinds[2] = {0, 0};
    uint32_t sizes[2] = {0, 0};
    const uint8_t *a = NULL, *b = NULL;
    bson_iter_binary(one, &kinds[0], &sizes[0], &a);
    bson_iter_binary(other, &kinds[1], &sizes[1], &b);
    int first = order(sizes[0], sizes[1]);
    first = first ? first : order((int)kinds[0], (int)kinds[1]);
    return first ? first : order_bytes(a, sizes[0], b, sizes[1]);
}

static int order_timestamps(const bson_iter_t *one, const bson_iter_t *other) {
    uint32_t times[2], counts[2];
    bson_iter_timestamp(one, &times[0], &counts[0]);
    bson_iter_timestamp(other, &times[1], &counts[1]);
    return times[0] != times[1] ? order(times[0], times[1]) : order(counts[0], counts[1]);
}

/* What has no simple order of its own: as it is stored. */
static int order_as_stored(const bson_iter_t *one, const bson_iter_t *other) {
    bson_t copies[2] = {BSON_INITIALIZER, BSON_INITIALIZER};
    bson_append_iter(&copies[0], "", 0, one);
    bson_append_iter(&copies[1], "", 0, other);
    int result = order_bytes(bson_get_data(&copies[0]), copies[0].len, bson_get_data(&copies[1]), copies[1].len);
    bson_destroy(&copies[0]);
    bson_destroy(&copies[1]);
    return result;
}

static int order_values(const bson_iter_t *one, const bson_iter_t *other, unsigned depth);

/* Field by field: type, then name (not of arrays), then value. */
static int order_fields(const bson_iter_t *one, const bson_iter_t *other, unsigned depth) {
    bson_iter_t a, b;
    bool named = BSON_ITER_HOLDS_DOCUMENT(one);
    if (depth == NESTED_MOST || !bson_iter_recurse(one, &a) || !bson_iter_recurse(other, &b))
        return order_as_stored(one, other);
    for (;;) {
        bool more = bson_iter_next(&a), others = bson_iter_next(&b);
        if (!more || !others)
            return order(more, others);
        int result = order(rank_of(bson_iter_type(&a)), rank_of(bson_iter_type(&b)));
        if (result == 0 && named)
            result = strcmp(bson_iter_key(&a), bson_iter_key(&b));
        if (result == 0)
            result = order_values(&a, &b, depth + 1);
        if (result)
            return result;
    }
}

static int order_values(const bson_iter_t *one, const bson_iter_t *other, unsigned depth) {
    int ranks = order(rank_of(bson_iter_type(one)), rank_of(bson_iter_type(other)));
    if (ranks)
        return ranks;
    switch (bson_iter_type(one)) {
    case BSON_TYPE_INT32:
    case BSON_TYPE_INT64:
    case BSON_TYPE_DOUBLE:
    case BSON_TYPE_DECIMAL128:
        return order_numbers(one, other);
    case BSON_TYPE_UTF8:
    case BSON_TYPE_SYMBOL:
        return order_texts(one, other);
    case BSON_TYPE_DOCUMENT:
    case BSON_TYPE_ARRAY:
        return order_fields(one, other, depth);
    case BSON_TYPE_BINARY:
        return order_binaries(one, other);
    case BSON_TYPE_OID:
        return bson_oid_compare(bson_iter_oid(one), bson_iter_oid(other));
    case BSON_TYPE_BOOL:
        return order(bson_iter_bool(one), bson_iter_bool(other));
    case BSON_TYPE_DATE_TIME:
        return order(bson_iter_date_time(one), bson_iter_date_time(other));
    case BSON_TYPE_TIMESTAMP:
        return order_timestamps(one, other);
    case BSON_TYPE_NULL:
    case BSON_TYPE_UNDEFINED:
    case BSON_TYPE_MINKEY:
    case BSON_TYPE_MAXKEY:
        return 0;
    default:
        return order_as_stored(one, other);
    }
}

int value_order(const bson_iter_t *one, const bson_iter_t *other) {
    return order_values(one, other, 0);
}

// SPDX-License-Identifier: Apache-2.0
/* The order of values of any type, as the database documents it. */
#include "unit.h"

#include "fs/store/mongo/value_order.h"

/* Not from JSON: libbson 1.23 sometimes refuses a sound {"$code": "x"}. */
#define CODE "code"
#define CODE_WITH_SCOPE "code with scope"

/* In rising order; what stands in one array is equal. */
static const char *const sorted[] = {
    "[{\"$minKey\": 1}]",
    "[null, {\"$undefined\": true}]",
    "[{\"$numberDouble\": \"NaN\"}]",
    "[{\"$numberDouble\": \"-Infinity\"}]",
    "[-1.5]",
    "[0, {\"$numberLong\": \"0\"}, {\"$numberDouble\": \"0.0\"}, {\"$numberDouble\": \"-0.0\"}]",
    "[1.25]",
    "[2, {\"$numberLong\": \"2\"}, {\"$numberDouble\": \"2.0\"}]",
    "[{\"$numberDecimal\": \"2.5\"}]",
    "[{\"$numberLong\": \"9007199254740992\"}, {\"$numberDouble\": \"9007199254740992\"}]",
    "[{\"$numberLong\": \"9007199254740993\"}]",
    "[\"\"]",
    "[\"a\", {\"$symbol\": \"a\"}]",
    "[\"a\\u0000b\"]",
    "[\"aa\"]",
    "[\"b\"]",
    "[\"\u00e9\"]",
    "[{}]",
    "[{\"a\": 1}, {\"a\": {\"$numberLong\": \"1\"}}]",
    "[{\"a\": 1, \"b\": 1}]",
    "[{\"a\": 2}]",
    "[{\"b\": 1}]",
    "[{\"a\": \"x\"}]",
    "[[]]",
    "[[1]]",
    "[[1, 2]]",
    "[[2]]",
    "[{\"$binary\": {\"base64\": \"/w==\", \"subType\": \"00\"}}]",
    "[{\"$binary\": {\"base64\": \"AAA=\", \"subType\": \"00\"}}]",
    "[{\"$binary\": {\"base64\": \"AAE=\", \"subType\": \"00\"}}]",
    "[{\"$binary\": {\"base64\": \"AAA=\", \"subType\": \"05\"}}]",
    "[{\"$oid\": \"000000000000000000000001\"}]",
    "[{\"$oid\": \"ff0000000000000000000000\"}]",
    "[false]",
    "[true]",
    "[{\"$date\": {\"$numberLong\": \"-1\"}}]",
    "[{\"$date\": {\"$numberLong\": \"1\"}}]",
    "[{\"$timestamp\": {\"t\": 1, \"i\": 2}}]",
    "[{\"$timestamp\": {\"t\": 2, \"i\": 1}}]",
    "[{\"$regularExpression\": {\"pattern\": \"a\", \"options\": \"\"}}]",
    CODE,
    CODE_WITH_SCOPE,
    "[{\"$maxKey\": 1}]",
};

enum { SORTED = sizeof sorted / sizeof *sorted };

static bson_t *make_code(const bson_t *scope) {
    bson_t *values = bson_new();
    if (scope)
        BSON_APPEND_CODE_WITH_SCOPE(values, "0", "x", scope);
    else
        BSON_APPEND_CODE(values, "0", "x");
    return values;
}

static bson_t *read_values(const char *json) {
    bson_t scope = BSON_INITIALIZER;
    bson_error_t error;
    if (strcmp(json, CODE) == 0 || strcmp(json, CODE_WITH_SCOPE) == 0)
        return make_code(strcmp(json, CODE) ? &scope : NULL);
    bson_t *values = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (!values)
        fail_msg("%s: %s", json, error.message);
    return values;
}

static int sign(int number) {
    return (number > 0) - (number < 0);
}

static void compare_all(const char *one, const char *other, int expected) {
    bson_t *ours = read_values(one), *theirs = read_values(other);
    bson_iter_t mine, yours;
    for (bson_iter_init(&mine, ours); bson_iter_next(&mine);)
        for (bson_iter_init(&yours, theirs); bson_iter_next(&yours);)
            if (sign(value_order(&mine, &yours)) != expected)
                fail_msg("%s against %s is %d, not %d", one, other, value_order(&mine, &yours), expected);
    bson_destroy(ours);
    bson_destroy(theirs);
}

static void test_values_of_all_types_are_in_order(void **state) {
    (void)state;
    for (int i = 0; i < SORTED; i++)
        for (int k = 0; k < SORTED; k++)
            compare_all(sorted[i], sorted[k], sign(i - k));
}

static void test_deep_values_end(void **state) {
    (void)state;
    enum { DEPTH = 90 }; /* servers allow 100 */
    char json[DEPTH * 6 + 16] = "[";
    for (int i = 0; i < DEPTH; i++)
        strcat(json, "{\"a\":");
    strcat(json, "1");
    for (int i = 0; i < DEPTH; i++)
        strcat(json, "}");
    strcat(json, "]");
    compare_all(json, json, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values_of_all_types_are_in_order),
        cmocka_unit_test(test_deep_values_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/identity.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static struct revision *revision_with_id(const bson_t *id) {
    return revision_new(bson_get_data(id), id->len);
}

static bson_t *id_of(const char *json) {
    bson_error_t error;
    bson_t *id = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (!id)
        fail_msg("%s: %s", json, error.message);
    return id;
}

/* The text of an _id, after checking that it leads back to the same _id; to be freed. */
static char *text_of(const bson_t *id) {
    cleanup_with(revision_unref) struct revision *revision = revision_with_id(id);
    char *text = identity_text(revision);
    bson_t back = BSON_INITIALIZER;
    assert_non_null(text);
    assert_null(strchr(text, '/'));
    if (identity_parse(text, &back))
        fail_msg("%s leads nowhere", text);
    if (!bson_equal(id, &back))
        fail_msg("%s leads elsewhere", text);
    bson_destroy(&back);
    return text;
}

static void assert_text(const char *json, const char *expected) {
    bson_t *id = id_of(json);
    cleanup_free char *text = text_of(id);
    assert_string_equal(text, expected);
    bson_destroy(id);
}

static void an_object_id_is_its_hex_digits(void **state) {
    (void)state;
    assert_text("{\"_id\": {\"$oid\": \"0123456789abcdef01234567\"}}", "0123456789abcdef01234567");
}

static void other_types_are_percent_encoded_json(void **state) {
    (void)state;
    assert_text("{\"_id\": \"a b\"}", "%22a%20b%22");
    assert_text("{\"_id\": {\"$numberInt\": \"5\"}}", "%7B%22%24numberInt%22%3A%225%22%7D");
    assert_text("{\"_id\": null}", "null");
    assert_text("{\"_id\": true}", "true");
    assert_text("{\"_id\": \"0123456789abcdef01234567\"}", "%220123456789abcdef01234567%22");
    assert_text("{\"_id\": \"../../etc/passwd\"}", "%22..%2F..%2Fetc%2Fpasswd%22");
}

static void any_id_leads_back_to_itself(void **state) {
    (void)state;
    static const char *const ids[] = {
        "{\"_id\": \"\"}",
        "{\"_id\": \" } \"}",
        "{\"_id\": \"\\\"quoted\\\" \\\\ : \\u0001\"}",
        "{\"_id\": \"K\u00e4se \U0001F600\"}",
        "{\"_id\": {\"$numberLong\": \"-9223372036854775808\"}}",
        "{\"_id\": {\"$numberDouble\": \"0.1\"}}",
        "{\"_id\": {\"$numberDouble\": \"-0.0\"}}",
        "{\"_id\": {\"$numberDouble\": \"Infinity\"}}",
        "{\"_id\": {\"$numberDecimal\": \"1.500\"}}",
        "{\"_id\": {\"$date\": {\"$numberLong\": \"-62135596800001\"}}}",
        "{\"_id\": {\"$binary\": {\"base64\": \"AAECAw==\", \"subType\": \"04\"}}}",
        "{\"_id\": {\"$timestamp\": {\"t\": 1, \"i\": 4294967295}}}",
        "{\"_id\": {}}",
        "{\"_id\": {\"a\": {\"b\": [1, 2, {\"c\": null}]}, \"_id\": 5}}",
        "{\"_id\": {\"$minKey\": 1}}",
        "{\"_id\": {\"$regularExpression\": {\"pattern\": \"a/b\", \"options\": \"i\"}}}",
        "{\"_id\": {\"$code\": \"f()\"}}",
        "{\"_id\": {\"$uuid\": \"00112233-4455-6677-8899-aabbccddeeff\"}}",
    };
    for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
        bson_t *id = id_of(ids[i]);
        free(text_of(id));
        bson_destroy(id);
    }
}

static void every_short_string_id_leads_back_to_itself(void **state) {
    (void)state;
    for (unsigned c = 1; c < 128; c++) {
        char text[] = {'x', (char)c, ' ', '\0'};
        bson_t id = BSON_INITIALIZER;
        bson_append_utf8(&id, "_id", 3, text, -1);
        free(text_of(&id));
        bson_destroy(&id);
    }
}

static void what_is_no_identity_is_refused(void **state) {
    (void)state;
    static const char *const none[] = {"",
                                       "hello",
                                       "%",
                                       "%2",
                                       "%zz",
                                       "%00",
                                       "%-1",
                                       "%22open",
                                       "0123456789abcdef0123456g",
                                       "1%2C%20%22x%22%20%3A%202",              /* 1, "x" : 2 */
                                       "1%7D",                                   /* 1} */
                                       "1%20%7D%20%7B%20%22_id%22%20%3A%202",   /* 1 } { "_id" : 2 */
                                       "%7B%22%24oid%22%3A%22xyz%22%7D"};
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        bson_t filter = BSON_INITIALIZER;
        if (identity_parse(none[i], &filter) != -EINVAL)
            fail_msg("'%s' was taken for an _id", none[i]);
        assert_int_equal(bson_count_keys(&filter), 0);
        bson_destroy(&filter);
    }
}

static void an_id_that_json_cannot_hold_has_no_text(void **state) {
    (void)state;
    bson_t id = BSON_INITIALIZER;
    bson_append_utf8(&id, "_id", 3, "\xFF\xFE", 2);
    cleanup_with(revision_unref) struct revision *revision = revision_with_id(&id);
    cleanup_free char *text = identity_text(revision);
    assert_null(text);
    bson_destroy(&id);
    cleanup_with(revision_unref) struct revision *nonsense = revision_new("nonsense", 8);
    assert_null(identity_text(nonsense));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_object_id_is_its_hex_digits),
        cmocka_unit_test(other_types_are_percent_encoded_json),
        cmocka_unit_test(any_id_leads_back_to_itself),
        cmocka_unit_test(every_short_string_id_leads_back_to_itself),
        cmocka_unit_test(what_is_no_identity_is_refused),
        cmocka_unit_test(an_id_that_json_cannot_hold_has_no_text),
    };
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}

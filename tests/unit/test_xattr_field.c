// SPDX-License-Identifier: Apache-2.0
/* Values of fields, as they are set: by what was there before. */
#include "fs/store/mongo/xattr_field.h"

#include <errno.h>

#include "tests/unit/document_json.h"

/* What {v: before} becomes, in canonical JSON; NULL: it is refused. */
static char *set(const char *before, const char *value) {
    bson_t *document = before ? document_of(before) : bson_new(), changed = BSON_INITIALIZER;
    bson_iter_t iter;
    bool there = bson_iter_init_find(&iter, document, "v");
    int result = xattr_field_append(&changed, "v", there ? &iter : NULL, value, strlen(value));
    assert_true(result == 0 || result == -EINVAL);
    char *json = result ? NULL : bson_as_canonical_extended_json(&changed, NULL);
    for (char *blanks; json && (blanks = strstr(json, "  "));) /* in what is empty, by older drivers */
        memmove(blanks, blanks + 1, strlen(blanks));
    bson_destroy(&changed);
    bson_destroy(document);
    return json;
}

static void expect(const char *before, const char *value, const char *expected) {
    char *found = set(before, value);
    if (!found != !expected || (found && strcmp(found, expected) != 0))
        fail_msg("%s set to %s is %s, not %s", before ? before : "nothing", value, found ? found : "refused",
                 expected ? expected : "refused");
    bson_free(found);
}

static void text_is_text_whatever_it_looks_like(void **state) {
    (void)state;
    expect("{'v': 'a'}", "5", "{ \"v\" : \"5\" }");
    expect("{'v': 'a'}", "{\"b\": 1}", "{ \"v\" : \"{\\\"b\\\": 1}\" }");
    expect("{'v': 'a'}", "", "{ \"v\" : \"\" }");
    expect("{'v': 'a'}", "\xff", NULL);
}

static void what_is_new_is_text_or_a_structure(void **state) {
    (void)state;
    static const char *const nothing[] = {NULL, "{'v': null}"};
    for (unsigned i = 0; i < 2; i++) {
        expect(nothing[i], "5", "{ \"v\" : \"5\" }");
        expect(nothing[i], "true", "{ \"v\" : \"true\" }");
        expect(nothing[i], "{not JSON", "{ \"v\" : \"{not JSON\" }");
        expect(nothing[i], "[1, \"x\"]", "{ \"v\" : [ { \"$numberInt\" : \"1\" }, \"x\" ] }");
        expect(nothing[i], "{\"$numberInt\": \"5\"}", "{ \"v\" : { \"$numberInt\" : \"5\" } }");
        expect(nothing[i], "{\"$date\": \"1970-01-01T00:00:01Z\"}", "{ \"v\" : { \"$date\" : { \"$numberLong\" : \"1000\" } } }");
    }
}

static void a_number_stays_a_number_of_its_width(void **state) {
    (void)state;
    expect("{'v': 1}", "-5", "{ \"v\" : { \"$numberInt\" : \"-5\" } }");
    expect("{'v': 1}", "5000000000", "{ \"v\" : { \"$numberLong\" : \"5000000000\" } }");
    expect("{'v': 1}", "1.5", "{ \"v\" : { \"$numberDouble\" : \"1.5\" } }");
    expect("{'v': {'$numberLong': '1'}}", "5", "{ \"v\" : { \"$numberLong\" : \"5\" } }");
    expect("{'v': 1.5}", "5", "{ \"v\" : { \"$numberDouble\" : \"5.0\" } }");
    expect("{'v': {'$numberDecimal': '1'}}", "2.50", "{ \"v\" : { \"$numberDecimal\" : \"2.50\" } }");
    static const char *const wrong[] = {"", "five", "5 6", "\"5\"", "true", "null", "[5]", "{}", "5,\"w\":6", "5}", "5}{", "0x5"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        expect("{'v': 1}", wrong[i], NULL);
        expect("{'v': 1.5}", wrong[i], NULL);
    }
}

static void what_has_a_form_keeps_it(void **state) {
    (void)state;
    expect("{'v': true}", "false", "{ \"v\" : false }");
    expect("{'v': true}", "0", NULL);
    expect("{'v': {'$date': 0}}", "1970-01-01T00:00:00.007Z", "{ \"v\" : { \"$date\" : { \"$numberLong\" : \"7\" } } }");
    expect("{'v': {'$date': 0}}", "soon", NULL);
    expect("{'v': {'$date': 0}}", "1970-01-01T00:00:00.007Z\"},\"w\":{\"a\":\"", NULL);
    expect("{'v': {'$oid': '0123456789abcdef01234567'}}", "76543210fedcba9876543210",
           "{ \"v\" : { \"$oid\" : \"76543210fedcba9876543210\" } }");
    expect("{'v': {'$oid': '0123456789abcdef01234567'}}", "7654", NULL);
    expect("{'v': {'a': 1}}", "{\"b\": {\"c\": true}}", "{ \"v\" : { \"b\" : { \"c\" : true } } }");
    expect("{'v': {'a': 1}}", "[ ]", "{ \"v\" : [ ] }");
    expect("{'v': [1]}", "text", NULL);
    expect("{'v': {'$binary': {'base64': 'AA==', 'subType': '00'}}}", "{\"$binary\": {\"base64\": \"AQ==\", \"subType\": \"00\"}}",
           "{ \"v\" : { \"$binary\" : { \"base64\" : \"AQ==\", \"subType\" : \"00\" } } }");
    expect("{'v': {'$binary': {'base64': 'AA==', 'subType': '00'}}}", "AQ==", NULL);
}

static void servers_get_no_names_that_they_refuse(void **state) {
    (void)state;
    char deep[2 * 200 + 1];
    static const char *const wrong[] = {"{\"$set\": 1}", "{\"a\": {\"$b\": 1}}", "{\"a.b\": 1}", "{\"\": 1}", "[{\"$a\": 1}]"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect("{'v': {'a': 1}}", wrong[i], NULL);
    memset(deep, '[', 200);
    memset(deep + 200, ']', 200);
    deep[400] = '\0';
    expect("{'v': {'a': 1}}", deep, NULL);
}

static void some_fields_are_the_stores_and_some_are_none(void **state) {
    (void)state;
    assert_string_equal(xattr_field("user.gridfs.metadata.colour"), "colour");
    assert_null(xattr_field("user.gridfs.id"));
    assert_null(xattr_field("user.colour"));
    assert_int_equal(xattr_field_check("colour"), 0);
    static const char *const own[] = {"posix", "sha256", "contentType"}, *const none[] = {"", "a.b", "$a", ".", "a\xff"};
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        assert_int_equal(xattr_field_check(own[i]), -EPERM);
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++)
        assert_int_equal(xattr_field_check(none[i]), -EINVAL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_text_whatever_it_looks_like),
        cmocka_unit_test(what_is_new_is_text_or_a_structure),
        cmocka_unit_test(a_number_stays_a_number_of_its_width),
        cmocka_unit_test(what_has_a_form_keeps_it),
        cmocka_unit_test(servers_get_no_names_that_they_refuse),
        cmocka_unit_test(some_fields_are_the_stores_and_some_are_none),
    };
    return cmocka_run_group_tests_name("xattr_field", tests, NULL, NULL);
}

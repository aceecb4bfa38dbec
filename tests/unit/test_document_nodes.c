// SPDX-License-Identifier: Apache-2.0
/* The other documents of a bucket, and the order of _ids. */
#include "fs/store/mongo/document.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/document_json.h"

static int node_of(const char *json, struct store_entry *ret_entry) {
    bson_t *document = document_of(json);
    int result = document_node(document, ret_entry);
    bson_destroy(document);
    return result;
}

static void nodes_have_their_kind(void **state) {
    (void)state;
    static const struct {
        const char *word;
        enum store_kind kind;
    } kinds[] = {{"directory", STORE_DIRECTORY}, {"fifo", STORE_FIFO},
                 {"socket", STORE_SOCKET},       {"character", STORE_CHARACTER_DEVICE},
                 {"block", STORE_BLOCK_DEVICE}};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char json[256];
        snprintf(json, sizeof json, "{'_id': 'a', 'kind': '%s', 'mode': 448, 'device': 5, 'mtime_ns': 9}",
                 kinds[i].word);
        struct store_entry entry;
        assert_int_equal(node_of(json, &entry), 0);
        assert_int_equal(entry.kind, kinds[i].kind);
        assert_int_equal(entry.attributes.mode, 0700);
        assert_int_equal(entry.attributes.mtime_ns, 9);
        assert_int_equal(entry.attributes.device, 5);
        assert_null(entry.revision);
        assert_null(entry.witness);
        store_entry_done(&entry);
    }
}

static void a_symlink_has_a_target(void **state) {
    (void)state;
    struct store_entry entry;
    assert_int_equal(node_of("{'_id': 'a', 'kind': 'symlink', 'target': '../x'}", &entry), 0);
    assert_int_equal(entry.kind, STORE_SYMLINK);
    assert_string_equal(entry.target, "../x");
    store_entry_done(&entry);
}

static void what_is_no_node_is_refused(void **state) {
    (void)state;
    static const char *const none[] = {"{}", "{'_id': '', 'format': 1}", "{'kind': 5}", "{'kind': 'file'}",
                                       "{'kind': ''}", "{'kind': 'symlink'}", "{'kind': 'symlink', 'target': ''}",
                                       "{'kind': 'symlink', 'target': 5}"};
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        struct store_entry entry;
        assert_int_equal(node_of(none[i], &entry), -EINVAL);
    }
}

static int link_of(const char *json, struct document_link *ret_link) {
    bson_t *document = document_of(json);
    int result = document_link(document, ret_link);
    bson_destroy(document);
    return result;
}

#define FILE_ID "'file': {'$oid': '0123456789abcdef01234567'}"

static void a_further_name_says_where_the_file_is(void **state) {
    (void)state;
    static const unsigned char file[ATTRIBUTES_FILE_SIZE] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab,
                                                               0xcd, 0xef, 0x01, 0x23, 0x45, 0x67};
    struct document_link link;
    assert_int_equal(link_of("{'_id': 'b', 'kind': 'link', 'at': '/a', " FILE_ID "}", &link), 0);
    assert_string_equal(link.at, "/a");
    assert_null(link.was);
    assert_false(link.node);
    assert_memory_equal(link.file, file, sizeof file);
    document_link_done(&link);
    assert_null(link.at);
    assert_int_equal(link_of("{'kind': 'link', 'at': 'a', 'was': 'b', 'node': true, " FILE_ID "}", &link), 0);
    assert_string_equal(link.was, "b");
    assert_true(link.node);
    document_link_done(&link);
}

static void what_is_no_further_name_is_refused(void **state) {
    (void)state;
    static const char *const none[] = {"{}", "{'kind': 'link', 'at': 'a'}", "{'kind': 'link', " FILE_ID "}",
                                       "{'kind': 'link', 'at': '', " FILE_ID "}",
                                       "{'kind': 'link', 'at': 5, " FILE_ID "}",
                                       "{'kind': 'link', 'at': 'a\\u0000b', " FILE_ID "}",
                                       "{'kind': 'fifo', 'at': 'a', " FILE_ID "}",
                                       "{'kind': 'link', 'at': 'a', 'file': 'text'}"};
    for (unsigned i = 0; i < sizeof none / sizeof *none; i++) {
        struct document_link link;
        assert_int_equal(link_of(none[i], &link), -EINVAL);
    }
    struct store_entry entry;
    assert_int_equal(node_of("{'kind': 'link', 'at': 'a', " FILE_ID "}", &entry), -EINVAL);
}

static int compare(const char *one_id, const char *other_id) {
    char json[256];
    snprintf(json, sizeof json, "{'_id': %s}", one_id);
    cleanup_with(revision_unref) struct revision *one = revision_of(json);
    snprintf(json, sizeof json, "{'_id': %s}", other_id);
    cleanup_with(revision_unref) struct revision *other = revision_of(json);
    int order = document_compare_ids(one, other), reverse = document_compare_ids(other, one);
    assert_true((order > 0) == (reverse < 0) && (order == 0) == (reverse == 0));
    return order;
}

static void ids_are_ordered_as_the_server_does(void **state) {
    (void)state;
    assert_true(compare("1", "2") < 0);
    assert_true(compare("-1", "1") < 0);
    assert_true(compare("255", "256") < 0);
    assert_true(compare("2", "{'$numberLong': '10'}") < 0);
    assert_int_equal(compare("3", "3.0"), 0);
    assert_true(compare("'a'", "'b'") < 0);
    assert_true(compare("'a'", "'aa'") < 0);
    assert_true(compare("'z'", "'aa'") > 0);
    assert_true(compare("{'$oid': '0123456789abcdef01234567'}", "{'$oid': '0123456789abcdef01234568'}") < 0);
    assert_true(compare("{'$date': 255}", "{'$date': 256}") < 0);
    assert_true(compare("{'$date': -1}", "{'$date': 1}") < 0);
    assert_int_equal(compare("'a'", "'a'"), 0);
}

static void fractions_are_ordered_as_numbers_too(void **state) {
    (void)state;
    assert_true(compare("1.5", "2.5") < 0);
    assert_true(compare("1.5", "2") < 0);
    assert_true(compare("-2.5", "-1.5") < 0);
    assert_int_equal(compare("{'$numberDouble': 'NaN'}", "{'$numberDouble': 'NaN'}"), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nodes_have_their_kind),
        cmocka_unit_test(a_symlink_has_a_target),
        cmocka_unit_test(what_is_no_node_is_refused),
        cmocka_unit_test(a_further_name_says_where_the_file_is),
        cmocka_unit_test(what_is_no_further_name_is_refused),
        cmocka_unit_test(ids_are_ordered_as_the_server_does),
        cmocka_unit_test(fractions_are_ordered_as_numbers_too),
    };
    return cmocka_run_group_tests_name("document_nodes", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/change_event.h"

#include <errno.h>

#include "fs/store/mongo/document.h"
#include "tests/unit/document_json.h"

#define HERE "5f0000000000000000000001"
#define THERE "5f0000000000000000000002"

static struct change_collections collections = {
    .files = "fs.files", .nodes = "fs.gridmount.nodes", .locks = "fs.gridmount.locks"};

static int set_up(void **state) {
    (void)state;
    bson_oid_init_from_string(&collections.mount, HERE);
    return 0;
}

/* Reads an event; *ret_change is to be done. */
static int read_event(const char *json, struct store_change *ret_change) {
    bson_t *event = document_of(json);
    int result = change_event_read(event, &collections, ret_change);
    bson_destroy(event);
    return result;
}

static void expect(const char *json, enum store_change_kind kind, const char *path, const char *id) {
    struct store_change change;
    assert_int_equal(read_event(json, &change), 1);
    assert_int_equal(change.kind, kind);
    if (path)
        assert_string_equal(change.path, path);
    else
        assert_null(change.path);
    assert_true(!id == !change.id);
    if (id) {
        cleanup_with(revision_unref) struct revision *revision = revision_of(id);
        assert_int_equal(change.id_size, revision->id_size);
        assert_memory_equal(change.id, revision->id, revision->id_size);
    }
    change_event_done(&change);
}

static void expect_nothing(const char *json) {
    struct store_change change = {.kind = STORE_CHANGE_WENT};
    assert_int_equal(read_event(json, &change), 0);
    assert_int_equal(change.kind, STORE_CHANGE_WENT); /* untouched */
}

#define FILES "'ns': {'db': 'd', 'coll': 'fs.files'}, "
#define NODES "'ns': {'db': 'd', 'coll': 'fs.gridmount.nodes'}, "
#define LOCKS "'ns': {'db': 'd', 'coll': 'fs.gridmount.locks'}, "
#define KEY "'documentKey': {'shard': 9, '_id': 7}, "

static void a_file_comes_with_its_path_and_id(void **state) {
    (void)state;
    expect("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': 'a/b'}}", STORE_CHANGE_CAME, "a/b",
           "{'_id': 7}");
    expect("{'operationType': 'insert', " FILES "'documentKey': {'_id': {'$oid': '6b0ad601922e9398a277a3ce'}}, "
           "'fullDocument': {'filename': './a'}}",
           STORE_CHANGE_CAME, "a", "{'_id': {'$oid': '6b0ad601922e9398a277a3ce'}}");
}

static void a_file_that_no_path_can_name_comes_unseen(void **state) {
    (void)state;
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': '//b'}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': '../b'}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': 5}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'x': 1}");
}

static void a_directory_may_come_by_a_file_that_no_path_can_name(void **state) {
    (void)state;
    expect("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': '/a/b//c'}}", STORE_CHANGE_CAME, "a/b",
           "{'_id': 7}");
}

static void a_deletion_has_only_the_id(void **state) {
    (void)state;
    expect("{'operationType': 'delete', " FILES KEY "'x': 1}", STORE_CHANGE_WENT, NULL, "{'_id': 7}");
}

static void a_rename_has_the_new_path_only(void **state) {
    (void)state;
    expect("{'operationType': 'update', " FILES KEY
           "'updateDescription': {'updatedFields': {'filename': '/b', 'uploadDate': 1}}}",
           STORE_CHANGE_MOVED, "b", "{'_id': 7}");
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'filename': '/'}}}",
           STORE_CHANGE_WENT, NULL, "{'_id': 7}");
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'filename': 'b/'}}}",
           STORE_CHANGE_MOVED, "b", "{'_id': 7}"); /* a directory by that */
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'filename': null}}}",
           STORE_CHANGE_WENT, NULL, "{'_id': 7}");
    expect("{'operationType': 'update', " FILES KEY
           "'updateDescription': {'updatedFields': {}, 'removedFields': ['x', 'filename']}}",
           STORE_CHANGE_WENT, NULL, "{'_id': 7}");
    expect("{'operationType': 'replace', " FILES KEY "'fullDocument': {'filename': 'c'}}", STORE_CHANGE_MOVED, "c",
           "{'_id': 7}");
    expect("{'operationType': 'replace', " FILES KEY "'fullDocument': {'filename': ''}}", STORE_CHANGE_WENT, NULL,
           "{'_id': 7}");
}

static void expect_spelled(const char *json, bool spelled) {
    bson_t *event = document_of(json);
    assert_int_equal(change_event_is_spelled(event), spelled);
    bson_destroy(event);
}

static void a_name_with_a_spelling_is_noticed(void **state) {
    (void)state;
    expect_spelled("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': '/a'}}", true);
    expect_spelled("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': './a'}}", true);
    expect_spelled("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': '.a/b'}}", false);
    expect_spelled("{'operationType': 'update', " FILES KEY
                   "'updateDescription': {'updatedFields': {'filename': '/a'}}}", true);
    expect_spelled("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'filename': 7}}}",
                   false);
    expect_spelled("{'operationType': 'delete', " FILES "'documentKey': {'_id': 7}}", false);
}

static void other_updates_change_attributes(void **state) {
    (void)state;
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'metadata.posix.mode': 1}}}",
           STORE_CHANGE_CHANGED, NULL, "{'_id': 7}");
    expect("{'operationType': 'update', " FILES KEY "'x': 1}", STORE_CHANGE_CHANGED, NULL, "{'_id': 7}");
}

static void another_order_of_revisions_may_be_anywhere(void **state) {
    (void)state;
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'uploadDate': 1}}}",
           STORE_CHANGE_ANY, NULL, "{'_id': 7}");
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'removedFields': ['uploadDate']}}",
           STORE_CHANGE_ANY, NULL, "{'_id': 7}");
}

static void a_node_is_its_path(void **state) {
    (void)state;
    static const char key[] = NODES "'documentKey': {'_id': 'd/e'}}";
    static const struct {
        const char *type;
        enum store_change_kind kind;
    } rows[] = {{"insert", STORE_CHANGE_CAME}, {"replace", STORE_CHANGE_CAME}, {"update", STORE_CHANGE_CHANGED},
                {"delete", STORE_CHANGE_WENT}};
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        char json[200];
        snprintf(json, sizeof json, "{'operationType': '%s', %s", rows[i].type, key);
        expect(json, rows[i].kind, "d/e", NULL);
    }
    expect_nothing("{'operationType': 'update', " NODES "'documentKey': {'_id': ''}}"); /* the format */
    expect_nothing("{'operationType': 'insert', " NODES "'documentKey': {'_id': 5}}");
}

static void a_lock_that_another_mount_lets_go_has_its_path(void **state) {
    (void)state;
    expect("{'operationType': 'delete', " LOCKS "'documentKey': {'_id': '/r/d/f//" THERE "'}}", STORE_CHANGE_UNLOCKED,
           "d/f", NULL);
    expect("{'operationType': 'delete', " LOCKS "'documentKey': {'shard': 9, '_id': '/w/f//" THERE "'}}",
           STORE_CHANGE_UNLOCKED, "f", NULL);
    expect("{'operationType': 'update', " LOCKS "'documentKey': {'_id': '/r/f//" THERE "'}, "
           "'updateDescription': {'updatedFields': {'held': [], 'until': 1}}}",
           STORE_CHANGE_UNLOCKED, "f", NULL);
    expect("{'operationType': 'replace', " LOCKS "'documentKey': {'_id': '/r/f//" THERE "'}}", STORE_CHANGE_UNLOCKED,
           "f", NULL);
}

static void what_gives_no_lock_back_is_not_told(void **state) {
    (void)state;
    expect_nothing("{'operationType': 'insert', " LOCKS "'documentKey': {'_id': '/r/f//" THERE "'}}");
    expect_nothing("{'operationType': 'delete', " LOCKS "'documentKey': {'_id': '/r/f//" HERE "'}}");
    expect_nothing("{'operationType': 'update', " LOCKS "'documentKey': {'_id': '/mount/" THERE "'}}");
    expect_nothing("{'operationType': 'delete', " LOCKS "'documentKey': {'_id': 'd/f'}}"); /* a lease */
}

static void an_id_that_is_no_hold_is_not_told(void **state) {
    (void)state;
    static const char *const ids[] = {
        "'/x/f//" THERE "'", "'/r/f/" THERE "'",  "'/r/f//5f000000000000000000000g'", "'/r/f//'", "'/r/" THERE "'",
        "'/r///" THERE "'",  "'/r//" THERE "'",   "'/r/a//b//" THERE "'",             "''",       "7",
    };
    for (unsigned i = 0; i < sizeof ids / sizeof *ids; i++) {
        char json[200];
        snprintf(json, sizeof json, "{'operationType': 'delete', " LOCKS "'documentKey': {'_id': %s}}", ids[i]);
        expect_nothing(json);
    }
    expect_nothing("{'operationType': 'delete', " LOCKS "'x': 1}");
}

static char *stages_for(const struct change_collections *wanted) {
    bson_t *stages = change_event_pipeline(wanted, NULL);
    char *text = bson_as_canonical_extended_json(stages, NULL);
    bson_destroy(stages);
    return text;
}

static void only_what_is_wanted_is_asked_for(void **state) {
    (void)state;
    struct change_collections names = {.files = "fs.files", .nodes = "fs.gridmount.nodes"};
    struct change_collections locks = {.locks = "fs.gridmount.locks"};
    cleanup_free char *of_names = stages_for(&names), *of_locks = stages_for(&locks);
    cleanup_free char *of_both = stages_for(&collections);
    assert_non_null(strstr(of_names, "fs.files"));
    assert_null(strstr(of_names, "locks"));
    assert_non_null(strstr(of_locks, "fs.gridmount.locks"));
    assert_null(strstr(of_locks, "fs.files"));
    assert_non_null(strstr(of_both, "fs.files"));
    assert_non_null(strstr(of_both, "fs.gridmount.locks"));
    struct store_change change = {.kind = STORE_CHANGE_WENT};
    bson_t *event = document_of("{'operationType': 'delete', " FILES KEY "'x': 1}");
    assert_int_equal(change_event_read(event, &locks, &change), 0);
    bson_destroy(event);
}

static void what_happens_to_a_collection_may_be_anywhere(void **state) {
    (void)state;
    static const char *const types[] = {"drop", "rename", "dropDatabase", "invalidate", "something new"};
    for (unsigned i = 0; i < sizeof types / sizeof *types; i++) {
        char json[200];
        snprintf(json, sizeof json, "{'operationType': '%s', " FILES "'x': 1}", types[i]);
        expect(json, STORE_CHANGE_ANY, NULL, NULL);
    }
    expect("{}", STORE_CHANGE_ANY, NULL, NULL);
    expect_nothing("{'operationType': 'create', " FILES "'x': 1}");
}

static void other_collections_are_not_ours(void **state) {
    (void)state;
    expect_nothing("{'operationType': 'insert', 'ns': {'coll': 'fs.files2'}, " KEY "'fullDocument': {'filename': 'a'}}");
    expect_nothing("{'operationType': 'delete', " KEY "'x': 1}");
}

static void content_is_not_asked_for(void **state) {
    (void)state;
    bson_t *token = document_of("{'_data': 'x'}"), *stages = change_event_pipeline(&collections, token);
    bson_iter_t root, found;
    assert_true(bson_iter_init(&root, stages) &&
                bson_iter_find_descendant(&root, "pipeline.0.$changeStream.resumeAfter._data", &found));
    bson_destroy(stages);
    stages = change_event_pipeline(&collections, NULL);
    assert_false(bson_iter_init(&root, stages) &&
                 bson_iter_find_descendant(&root, "pipeline.0.$changeStream.resumeAfter", &found));
    cleanup_free char *text = bson_as_canonical_extended_json(stages, NULL);
    assert_null(strstr(text, "chunks"));
    bson_destroy(stages);
    bson_destroy(token);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_comes_with_its_path_and_id),
        cmocka_unit_test(a_file_that_no_path_can_name_comes_unseen),
        cmocka_unit_test(a_directory_may_come_by_a_file_that_no_path_can_name),
        cmocka_unit_test(a_deletion_has_only_the_id),
        cmocka_unit_test(a_rename_has_the_new_path_only),
        cmocka_unit_test(a_name_with_a_spelling_is_noticed),
        cmocka_unit_test(other_updates_change_attributes),
        cmocka_unit_test(another_order_of_revisions_may_be_anywhere),
        cmocka_unit_test(a_node_is_its_path),
        cmocka_unit_test(a_lock_that_another_mount_lets_go_has_its_path),
        cmocka_unit_test(what_gives_no_lock_back_is_not_told),
        cmocka_unit_test(an_id_that_is_no_hold_is_not_told),
        cmocka_unit_test(only_what_is_wanted_is_asked_for),
        cmocka_unit_test(what_happens_to_a_collection_may_be_anywhere),
        cmocka_unit_test(other_collections_are_not_ours),
        cmocka_unit_test(content_is_not_asked_for),
    };
    return cmocka_run_group_tests_name("change_event", tests, set_up, NULL);
}

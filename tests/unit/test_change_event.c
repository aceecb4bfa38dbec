#include "fs/store/mongo/change_event.h"

#include <errno.h>

#include "fs/store/mongo/document.h"
#include "tests/unit/document_json.h"

static const struct change_collections collections = {.files = "fs.files", .nodes = "fs.gridmount.nodes"};

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
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': 'a//b'}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {'filename': 5}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'fullDocument': {}}");
    expect_nothing("{'operationType': 'insert', " FILES KEY "'x': 1}");
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
    expect("{'operationType': 'update', " FILES KEY "'updateDescription': {'updatedFields': {'filename': 'b/'}}}",
           STORE_CHANGE_WENT, NULL, "{'_id': 7}");
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
        cmocka_unit_test(a_deletion_has_only_the_id),
        cmocka_unit_test(a_rename_has_the_new_path_only),
        cmocka_unit_test(other_updates_change_attributes),
        cmocka_unit_test(another_order_of_revisions_may_be_anywhere),
        cmocka_unit_test(a_node_is_its_path),
        cmocka_unit_test(what_happens_to_a_collection_may_be_anywhere),
        cmocka_unit_test(other_collections_are_not_ours),
        cmocka_unit_test(content_is_not_asked_for),
    };
    return cmocka_run_group_tests_name("change_event", tests, NULL, NULL);
}

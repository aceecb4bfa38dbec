// SPDX-License-Identifier: Apache-2.0
/* The revisions of a name, those that were retired too; and one of them put again. */
#include <errno.h>
#include <string.h>

#include "tests/store/sample.h"

static void file(struct real_store *real, int id, const char *name, const char *more) {
    real_store_insert(real, "files",
                      real_store_json("{'_id': %d, 'filename': '%s', 'length': 0, 'chunkSize': 10,"
                                      " 'uploadDate': {'$date': %d}%s}", id, name, id * 1000, more));
}

static void retired(struct real_store *real, int id, const char *name) {
    real_store_insert(real, "gridmount.trash",
                      real_store_json("{'_id': %d, 'due': {'$date': 4000000000000}, 'document': {'_id': %d, 'filename':"
                                      " '%s', 'length': 0, 'chunkSize': 10, 'uploadDate': {'$date': %d}}}",
                                      id, id, name, id * 1000));
}

/* Their dates in seconds, those that were retired in brackets, in the order of their dates. */
static void expect(struct real_store *real, const char *path, const char *id, const char *expected) {
    struct store_past *list = NULL;
    uint32_t count = 0;
    char found[256] = "";
    assert_int_equal(real->store->ops->history(real->store, path, id, STORE_PAST_MOST, &list, &count), 0);
    for (int64_t second = 0; second < 100; second++)
        for (uint32_t i = 0; i < count; i++)
            if (list[i].revision->date_ms == second * 1000)
                sprintf(found + strlen(found), list[i].retired ? "(%s) " : "%s ", list[i].id);
    assert_string_equal(found, expected);
    for (uint32_t i = 1; i < count && !list[i].retired; i++)
        assert_true(list[i - 1].revision->date_ms > list[i].revision->date_ms);
    store_pasts_free(list, count);
}

#define INT(number) "%7B%22%24numberInt%22%3A%22" #number "%22%7D"

static void a_name_has_revisions_in_all_spellings(void **state) {
    (void)state;
    struct real_store real = real_store_open("spellings");
    file(&real, 1, "d/f", "");
    file(&real, 3, "/d/f", "");
    file(&real, 2, "./d/f", "");
    file(&real, 4, "d/f.txt", "");
    file(&real, 5, "d/f/below", "");
    retired(&real, 6, "d/f");
    retired(&real, 7, "/d/f");
    retired(&real, 8, "d/g");
    retired(&real, 3, "/d/f"); /* it was not taken out of files */
    expect(&real, "d/f", NULL, INT(1) " " INT(2) " " INT(3) " (" INT(6) ") (" INT(7) ") ");
    expect(&real, "d/f", INT(2), INT(2) " ");
    expect(&real, "d/f", INT(7), "(" INT(7) ") ");
    expect(&real, "d/f", INT(4), "");
    expect(&real, "d/f", INT(8), "");
    expect(&real, "d", NULL, "");
    struct store_past *list;
    uint32_t count;
    assert_int_equal(real.store->ops->history(real.store, "d/f", "{", 1, &list, &count), -EINVAL);
    real_store_close(&real);
}

static void what_is_no_record_is_left_out(void **state) {
    (void)state;
    struct real_store real = real_store_open("hostile");
    static const char *const records[] = {
        "{'_id': 1}", "{'_id': 2, 'document': 5}", "{'_id': 3, 'document': {'filename': 'f'}}",
        "{'_id': 4, 'document': [{'filename': 'f'}]}", "{'_id': 5, 'document': {'_id': 5, 'filename': ['f']}}",
        "{'_id': 6, 'document': {'_id': 6, 'filename': {'f': 'f'}}}"};
    for (unsigned i = 0; i < sizeof records / sizeof *records; i++)
        real_store_insert(&real, "gridmount.trash", real_store_json("%s", records[i]));
    expect(&real, "f", NULL, "");
    retired(&real, 7, "f");
    expect(&real, "f", NULL, "(" INT(7) ") ");
    real_store_close(&real);
}

static void what_was_there_is_known(void **state) {
    (void)state;
    struct real_store real = real_store_open("known");
    retired(&real, 1, "a/b/f");
    retired(&real, 2, "./g");
    static const char *const there[] = {"a", "a/b", "a/b/f", "g"}, *const not_there[] = {"a/b/f/x", "a/b/", "b", "a/f", "a/b/fo", "f"};
    for (unsigned i = 0; i < sizeof there / sizeof *there; i++)
        assert_int_equal(real.store->ops->is_retired(real.store, there[i]), 1);
    for (unsigned i = 0; i < sizeof not_there / sizeof *not_there; i++)
        assert_int_equal(real.store->ops->is_retired(real.store, not_there[i]), 0);
    real_store_close(&real);
}

/* Ten thousand of them are held at once. */
static void a_list_leaves_out_what_takes_much_room(void **state) {
    (void)state;
    struct real_store real = real_store_open("room");
    struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0600};
    struct hole holes[] = {{0, 4096}, {8192, 100}};
    struct content content;
    char id[2001] = "";
    struct store_past *list = NULL, *one = NULL;
    uint32_t count = 0;
    cleanup_with(revision_unref) struct revision *made = NULL;
    sample_make(&content, 10000, 1);
    content.content.holes = holes;
    content.content.hole_count = 2;
    attributes_new_file(&attributes);
    struct store_put put = {.path = "f", .attributes = &attributes, .content = &content.content};
    assert_int_equal(real.store->ops->put(real.store, &put, &made), 0);
    sample_done(&content);
    memset(id, 'x', sizeof id - 1);
    real_store_insert(&real, "files",
                      real_store_json("{'_id': '%s', 'filename': 'f', 'length': 0, 'chunkSize': 10, 'uploadDate': {'$date': 2000}}", id));
    assert_int_equal(real.store->ops->history(real.store, "f", NULL, STORE_PAST_MOST, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].revision->length, 10000);
    assert_int_equal(list[0].revision->hole_count, 0);
    assert_int_equal(real.store->ops->history(real.store, "f", list[0].id, 1, &one, &count), 0);
    assert_int_equal(one[0].revision->hole_count, made->hole_count); /* or none, where a server takes none */
    store_pasts_free(one, count);
    store_pasts_free(list, 1);
    real_store_close(&real);
}

static void what_is_known_of_each_is_told(void **state) {
    (void)state;
    struct real_store real = real_store_open("told");
    char digits[65] = "";
    struct store_past *list = NULL;
    uint32_t count = 0;
    memset(digits, 'a', sizeof digits - 1);
    for (int id = 1; id < 6; id++)
        real_store_insert(&real, "files",
                          real_store_json("{'_id': %d, 'filename': 'f', 'length': 0, 'chunkSize': 10, 'uploadDate': {'$date': 1000},"
                                          " 'metadata': {'sha256': '%.*s', 'posix': {'rev': %d}}}",
                                          id, id == 3 ? 63 : 64, digits, id == 4 ? 9 : id));
    retired(&real, 7, "f");
    retired(&real, 8, "f");
    assert_int_equal(real.store->ops->history(real.store, "f", NULL, 4, &list, &count), 0);
    assert_int_equal(count, 6); /* 4 of 5, in the order of their _ids where dates are the same, and both */
    for (uint32_t i = 1; i < 4; i++)
        assert_true(strcmp(list[i - 1].id, list[i].id) > 0);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(list[i].due_ms, INT64_MIN);
        assert_true((list[i].sha256 != NULL) == (strcmp(list[i].id, INT(3)) != 0 && strcmp(list[i].id, INT(4)) != 0));
    }
    assert_string_equal(list[4].id, INT(8));
    assert_int_equal(list[4].due_ms, 4000000000000);
    store_pasts_free(list, count);
    assert_int_equal(real.store->ops->history(real.store, "\xff", NULL, 4, &list, &count), 0);
    assert_int_equal(count, 0);
    store_pasts_free(list, count);
    real_store_close(&real);
}

/* ---- put again ---- */

static struct revision *put(struct real_store *real, const struct revision *base, const struct revision *restored,
                            int64_t length) {
    struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0600};
    struct content content;
    struct revision *made = NULL;
    sample_make(&content, length, 1);
    attributes_new_file(&attributes);
    struct store_put put = {
        .path = "f", .base = base, .attributes = &attributes, .content = &content.content, .restored = restored};
    assert_int_equal(real->store->ops->put(real->store, &put, &made), 0);
    sample_expect(&content, real, made);
    sample_done(&content);
    return made;
}

static int64_t count(struct real_store *real, const char *collection, const char *filter) {
    return real_store_count(real, collection, real_store_json("%s", filter));
}

static void a_put_that_restores_retires_nothing(void **state) {
    (void)state;
    struct real_store real = real_store_open("restores");
    real.bucket->policy.revisions = SERVER_REVISIONS_KEEP;
    cleanup_with(revision_unref) struct revision *first = put(&real, NULL, NULL, 10), *second = put(&real, first, NULL, 20);
    real.bucket->policy.revisions = SERVER_REVISIONS_REPLACE;
    cleanup_with(revision_unref) struct revision *third = put(&real, second, first, 10);
    assert_int_equal(count(&real, "files", "{}"), 3);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 0);
    cleanup_with(revision_unref) struct revision *newest = NULL, *fourth = NULL;
    assert_int_equal(real.store->ops->newest(real.store, "f", &newest), 0);
    assert_true(revision_same_content(newest, third));
    fourth = put(&real, third, NULL, 30); /* any other does */
    assert_int_equal(count(&real, "files", "{}"), 1);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 3);
    real_store_close(&real);
}

static void where_nothing_is_the_fields_of_others_come_back(void **state) {
    (void)state;
    struct real_store real = real_store_open("absent");
    cleanup_with(revision_unref) struct revision *first = put(&real, NULL, NULL, 10), *second = NULL, *third = NULL;
    real_store_update(&real, "files", bson_new(),
                      real_store_json("{'$set': {'custom': 1, 'md5': 'x', 'metadata.tag': 'a', 'metadata.sha256': 'x',"
                                      " 'metadata.posix.links': 2, 'metadata.posix.xattr': ['kept']}}"));
    struct store_object object = {.path = "f", .kind = STORE_FILE, .revision = first};
    assert_int_equal(real.store->ops->remove(real.store, &object), 0);
    assert_int_equal(count(&real, "files", "{}"), 0);
    second = put(&real, NULL, first, 10);
    assert_int_equal(count(&real, "files", "{'custom': 1, 'metadata.tag': 'a', 'filename': 'f', 'metadata.posix.mode': 384,"
                                           " 'metadata.posix.xattr': 'kept',"
                                           " 'md5': {'$exists': false}, 'metadata.sha256': {'$exists': false},"
                                           " 'metadata.posix.links': {'$exists': false}}"), 1);
    assert_memory_not_equal(first->attributes.file, second->attributes.file, ATTRIBUTES_FILE_SIZE);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 1);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'metadata': 'no document'}}"));
    third = put(&real, NULL, second, 10);
    assert_int_equal(count(&real, "files", "{'metadata': 'no document'}"), 2);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_has_revisions_in_all_spellings),
        cmocka_unit_test(what_is_no_record_is_left_out),
        cmocka_unit_test(what_was_there_is_known),
        cmocka_unit_test(a_list_leaves_out_what_takes_much_room),
        cmocka_unit_test(what_is_known_of_each_is_told),
        cmocka_unit_test(a_put_that_restores_retires_nothing),
        cmocka_unit_test(where_nothing_is_the_fields_of_others_come_back),
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}

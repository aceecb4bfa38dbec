// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/change.h"

#include <errno.h>

#include "fs/store/mongo/retire.h"
#include "tests/store/real_store.h"

static int64_t all(struct real_store *real, const char *collection) {
    return real_store_count(real, collection, bson_new());
}

static int insert(struct real_store *real, const char *collection, const char *json) {
    bson_t *document = real_store_json("%s", json);
    int result = bucket_insert(real->bucket, collection, document);
    bson_destroy(document);
    return result;
}

static void single_documents_are_changed(void **state) {
    (void)state;
    struct real_store real = real_store_open("change");
    int64_t count = -1;
    assert_int_equal(insert(&real, real.bucket->files, "{'_id': 1, '': 'an empty name', 'n': 1}"), 0);
    assert_int_equal(insert(&real, real.bucket->files, "{'_id': 1}"), -EEXIST);
    assert_int_equal(insert(&real, real.bucket->files, "{'_id': 2, 'n': 1}"), 0);
    bson_t *filter = real_store_json("{'n': 1}"), *update = real_store_json("{'$set': {'n': 2}}");
    assert_int_equal(bucket_update(real.bucket, real.bucket->files, filter, update, true, false, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(bucket_update(real.bucket, real.bucket->files, filter, update, false, true, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(all(&real, "files"), 3);
    bson_destroy(filter);
    filter = real_store_json("{'n': 2}");
    assert_int_equal(bucket_delete(real.bucket, real.bucket->files, filter, false, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(bucket_delete(real.bucket, real.bucket->files, filter, true, &count), 0);
    assert_int_equal(count, 2);
    bson_destroy(filter);
    bson_destroy(update);
    real_store_close(&real);
}

static void what_is_written_outside_gridfs_is_marked_first(void **state) {
    (void)state;
    struct real_store real = real_store_open("marked");
    assert_int_equal(insert(&real, real.bucket->files, "{'_id': 1}"), 0);
    assert_int_equal(all(&real, "gridmount.nodes"), 0);
    assert_int_equal(insert(&real, real.bucket->locks, "{'_id': 'a'}"), 0);
    assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'_id': '', 'format': 1}")), 1);
    assert_int_equal(insert(&real, real.bucket->trash, "{'_id': 'a'}"), 0);
    real_store_close(&real);
}

static void a_format_of_the_future_is_read_only(void **state) {
    (void)state;
    struct real_store real = real_store_open("future");
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': '', 'format': 2}"));
    assert_int_equal(insert(&real, real.bucket->files, "{'_id': 1}"), -EROFS);
    assert_int_equal(insert(&real, real.bucket->nodes, "{'_id': 'a'}"), -EROFS);
    assert_int_equal(all(&real, "files"), 0);
    real_store_close(&real);
}

static void an_empty_bucket_gets_its_indexes(void **state) {
    (void)state;
    struct real_store real = real_store_open("indexes"), other = real_store_open("noindexes");
    assert_int_equal(insert(&real, real.bucket->files, "{'_id': 1}"), 0);
    real_store_insert(&real, "chunks", real_store_json("{'files_id': 1, 'n': 0}"));
    assert_int_equal(insert(&real, real.bucket->chunks, "{'files_id': 1, 'n': 0}"), -EEXIST);
    real_store_insert(&other, "files", real_store_json("{'_id': 1}"));
    real_store_insert(&other, "chunks", real_store_json("{'files_id': 1, 'n': 0}"));
    assert_int_equal(insert(&other, other.bucket->chunks, "{'files_id': 1, 'n': 0}"), 0);
    real_store_close(&real);
    real_store_close(&other);
}

static void the_clock_is_the_servers(void **state) {
    (void)state;
    struct real_store real = real_store_open("clock");
    int64_t now = 0, own = (int64_t)time(NULL) * 1000;
    assert_int_equal(bucket_now_ms(real.bucket, &now), 0);
    assert_in_range(now, own - 5000, own + 5000); /* it runs on this machine */
    real_store_close(&real);
}

static int retire(struct real_store *real, const char *id) {
    bson_t *document = real_store_first(real, "files", real_store_json("{'_id': %s}", id));
    assert_non_null(document);
    int result = retire_document(real->bucket, document, NULL);
    if (result == 0)
        result = retire_document(real->bucket, document, NULL); /* may be done again */
    bson_destroy(document);
    return result;
}

static void a_retired_revision_waits_in_the_trash(void **state) {
    (void)state;
    static const char oid[] = "{'$oid': '0123456789abcdef01234567'}";
    struct real_store real = real_store_open("retire");
    real_store_insert(&real, "files",
                      real_store_json("{'_id': %s, 'length': 1, 'chunkSize': 1, 'uploadDate': {'$date': 1}, 'x': 1}",
                                      oid));
    real_store_insert(&real, "chunks", real_store_json("{'files_id': %s, 'n': 0}", oid));
    assert_int_equal(retire(&real, oid), 0);
    assert_int_equal(all(&real, "files"), 0);
    assert_int_equal(all(&real, "chunks"), 1);
    bson_t *filter = real_store_json("{'_id': %s, 'document.x': 1, 'due': {'$gt': {'$date': 1}}}", oid);
    assert_int_equal(real_store_count(&real, "gridmount.trash", filter), 1);
    real_store_close(&real);
}

static void what_was_renamed_meanwhile_is_not_retired(void **state) {
    (void)state;
    struct real_store real = real_store_open("renamed");
    real_store_insert(&real, "files", real_store_json("{'_id': {'$oid': '0123456789abcdef01234567'}, 'filename': 'a',"
                                                      " 'length': 1, 'chunkSize': 1, 'uploadDate': {'$date': 1}}"));
    bson_t *document = real_store_first(&real, "files", bson_new());
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'filename': 'b'}}"));
    assert_int_equal(retire_document(real.bucket, document, NULL), 0);
    assert_int_equal(all(&real, "files"), 1);
    bson_destroy(document);
    real_store_close(&real);
}

static void a_custom_id_goes_at_once(void **state) {
    (void)state;
    struct real_store real = real_store_open("custom");
    real_store_insert(&real, "files", real_store_json("{'_id': 'mine', 'length': 5000, 'chunkSize': 1,"
                                                      " 'uploadDate': {'$date': 1}}"));
    real_store_insert(&real, "chunks", real_store_json("{'files_id': 'mine', 'n': 0}"));
    real_store_insert(&real, "chunks", real_store_json("{'files_id': 'mine', 'n': 4999}"));
    real_store_insert(&real, "chunks", real_store_json("{'files_id': 'other', 'n': 0}"));
    assert_int_equal(retire(&real, "'mine'"), 0);
    assert_int_equal(all(&real, "files"), 0);
    assert_int_equal(all(&real, "chunks"), 1);
    assert_int_equal(all(&real, "gridmount.trash"), 0);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(single_documents_are_changed),
        cmocka_unit_test(what_is_written_outside_gridfs_is_marked_first),
        cmocka_unit_test(a_format_of_the_future_is_read_only),
        cmocka_unit_test(an_empty_bucket_gets_its_indexes),
        cmocka_unit_test(the_clock_is_the_servers),
        cmocka_unit_test(a_retired_revision_waits_in_the_trash),
        cmocka_unit_test(what_was_renamed_meanwhile_is_not_retired),
        cmocka_unit_test(a_custom_id_goes_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Attributes: what a change writes, and what it leaves. */
#include <errno.h>
#include <string.h>

#include "tests/store/sample.h"

#define FILE_OF(id) "{'_id': " id ", 'filename': 'a', 'length': 0, 'chunkSize': 10, 'uploadDate': {'$date': 5000}"

static struct revision *newest(struct real_store *real, const char *path) {
    struct revision *revision = NULL;
    assert_int_equal(real->store->ops->newest(real->store, path, &revision), 0);
    return revision;
}

static int set(struct real_store *real, const char *path, const struct attributes *changes) {
    struct revision *revision = newest(real, path), *changed = NULL;
    struct store_object object = {.path = path, .kind = STORE_FILE, .revision = revision};
    int result = real->store->ops->set_attributes(real->store, &object, changes, &changed);
    if (result == 0) {
        struct revision *read = newest(real, path);
        assert_true(revision_same_content(changed, revision));
        assert_int_equal(changed->attributes.has, read->attributes.has);
        assert_int_equal(changed->attributes.mode, read->attributes.mode);
        assert_int_equal(changed->attributes.mtime_ns, read->attributes.mtime_ns);
        assert_int_equal(changed->posix, read->posix);
        revision_unref(read);
    }
    revision_unref(changed);
    revision_unref(revision);
    return result;
}

static int64_t files(struct real_store *real, const char *filter) {
    return real_store_count(real, "files", real_store_json("%s", filter));
}

static const struct attributes new_mode = {.has = ATTRIBUTES_MODE | ATTRIBUTES_CTIME, .mode = 0640, .ctime_ns = 77};

static void a_file_without_metadata_gets_some(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_plain");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'x': 1}"));
    assert_int_equal(set(&real, "a", &new_mode), 0);
    assert_int_equal(files(&real, "{'_id': 1, 'x': 1, 'metadata.posix.mode': 416, 'metadata.posix.rev': 1,"
                                  " 'metadata.posix.ctime_ns': 77, 'metadata.posix.mtime_ns': {'$exists': false}}"),
                     1);
    real_store_close(&real);
}

static void fields_of_others_stay(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_others");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'metadata': {'who': 'me'}}"));
    assert_int_equal(set(&real, "a", &new_mode), 0);
    assert_int_equal(files(&real, "{'metadata.who': 'me', 'metadata.posix.mode': 416}"), 1);
    real_store_close(&real);
}

static void metadata_that_is_null_becomes_a_document(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_null");
    real_store_insert(&real, "files", real_store_json(FILE_OF("'b'") ", 'metadata': null}"));
    assert_int_equal(set(&real, "a", &new_mode), 0);
    assert_int_equal(files(&real, "{'metadata.posix.mode': 416, 'metadata.posix.rev': 'b'}"), 1);
    real_store_close(&real);
}

static void metadata_of_another_type_is_left_alone(void **state) {
    (void)state;
    static const char *const documents[] = {
        FILE_OF("1") ", 'metadata': 'text'}", FILE_OF("1") ", 'metadata': 5}",
        FILE_OF("1") ", 'metadata': [{'posix': {'rev': 1}}]}", FILE_OF("1") ", 'metadata': {'posix': 'text'}}",
        FILE_OF("1") ", 'metadata': {'posix': null}}"};
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++) {
        char name[32];
        snprintf(name, sizeof name, "attr_type%u", i);
        struct real_store real = real_store_open(name);
        real_store_insert(&real, "files", real_store_json("%s", documents[i]));
        bson_t *before = real_store_first(&real, "files", bson_new());
        assert_int_equal(set(&real, "a", &new_mode), -EPERM);
        bson_t *after = real_store_first(&real, "files", bson_new());
        assert_true(bson_equal(before, after));
        bson_destroy(before);
        bson_destroy(after);
        real_store_close(&real);
    }
}

/* An application that copies metadata when it puts again. */
static void what_was_copied_does_not_come_alive(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_copied");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("2") ", 'metadata': {'posix': {'rev': 1, 'mode': 7, 'uid': 9,"
                                                   " 'mtime_ns': 3, 'atime_ns': 4, 'holes': [0, 1], 'lift': {}}}}"));
    assert_int_equal(set(&real, "a", &new_mode), 0);
    assert_int_equal(files(&real, "{'metadata.posix.rev': 2, 'metadata.posix.uid': 9, 'metadata.posix.ctime_ns': 77,"
                                  " 'metadata.posix.adopted': true,"
                                  " 'metadata.posix.mtime_ns': {'$exists': false},"
                                  " 'metadata.posix.atime_ns': {'$exists': false},"
                                  " 'metadata.posix.lift': {'$exists': false},"
                                  " 'metadata.posix.holes': {'$exists': false}}"),
                     1);
    real_store_close(&real);
}

/* Its _id may be stored anywhere in the application. */
static void a_change_makes_no_revision_ours(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_adopted");
    real_store_insert(&real, "files", real_store_json(FILE_OF("{'$oid': '0123456789abcdef01234567'}") "}"));
    assert_int_equal(set(&real, "a", &new_mode), 0);
    struct revision *base = newest(&real, "a"), *published = NULL;
    assert_int_equal(base->posix, POSIX_ADOPTED);
    struct content content;
    struct attributes attributes = base->attributes;
    attributes_new_file(&attributes);
    sample_make(&content, 10, 1);
    struct store_put put = {.path = "a", .base = base, .attributes = &attributes, .content = &content.content};
    assert_int_equal(real.store->ops->put(real.store, &put, &published), 0);
    assert_int_equal(published->posix, POSIX_OWN);
    assert_int_equal(files(&real, "{'filename': 'a'}"), 2); /* still there, as an older revision */
    sample_done(&content);
    revision_unref(published);
    revision_unref(base);
    real_store_close(&real);
}

static void what_is_its_own_stays(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_own");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("1") ", 'metadata': {'posix': {'rev': 1, 'mtime_ns': 3, 'holes': []}}}"));
    assert_int_equal(set(&real, "a", &new_mode), 0);
    assert_int_equal(files(&real, "{'metadata.posix.mtime_ns': 3, 'metadata.posix.holes': [],"
                                  " 'metadata.posix.adopted': {'$exists': false}}"),
                     1);
    real_store_close(&real);
}

static void the_identity_is_made_once(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_file");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") "}"));
    struct revision *before = newest(&real, "a"), *one = NULL, *two = NULL;
    struct store_object object = {.path = "a", .kind = STORE_FILE, .revision = before};
    struct attributes changes = {.has = 0};
    attributes_new_file(&changes);
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &changes, &one), 0);
    attributes_new_file(&changes); /* another mount, which has not seen the first */
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &changes, &two), 0);
    assert_true(one->attributes.identity != 0);
    assert_true(one->attributes.identity == two->attributes.identity);
    revision_unref(before);
    revision_unref(one);
    revision_unref(two);
    real_store_close(&real);
}

static void an_unusable_identity_is_replaced(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_badfile");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'metadata': {'posix': {'file': 'x'}}}"));
    struct attributes changes = {.has = 0};
    attributes_new_file(&changes);
    assert_int_equal(set(&real, "a", &changes), 0);
    assert_int_equal(files(&real, "{'metadata.posix.file': {'$type': 'objectId'}}"), 1);
    real_store_close(&real);
}

static void what_has_gone_is_not_there(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_gone");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") "}"));
    struct revision *revision = newest(&real, "a"), *changed = NULL;
    struct store_object object = {.path = "a", .kind = STORE_FILE, .revision = revision};
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'filename': 'b'}}"));
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &new_mode, &changed), 0); /* renamed */
    revision_unref(changed);
    mongoc_collection_t *handle = real_store_collection(&real, "files");
    assert_true(mongoc_collection_drop(handle, NULL));
    mongoc_collection_destroy(handle);
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &new_mode, &changed), -ENOENT);
    revision_unref(revision);
    real_store_close(&real);
}

static void times_that_come_late_do_not_bring_a_directory_back(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_late");
    struct store_object object = {.path = "gone", .kind = STORE_DIRECTORY};
    struct attributes times = {.has = ATTRIBUTES_MTIME, .mtime_ns = 1};
    real_store_insert(&real, "files", real_store_json("{'_id': 1, 'filename': 'gone/f', 'length': 0, 'chunkSize': 1}"));
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &times, NULL), -ENOENT);
    assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'_id': 'gone'}")), 0);
    real_store_close(&real);
}

static int set_node(struct real_store *real, const char *path, enum store_kind kind) {
    struct store_object object = {.path = path, .kind = kind};
    struct revision *unused;
    return real->store->ops->set_attributes(real->store, &object, &new_mode, &unused);
}

static uint32_t mode_of(struct real_store *real, const char *path) {
    struct store_entry entry;
    assert_int_equal(real->store->ops->lookup(real->store, path, NULL, &entry), 0);
    uint32_t mode = entry.attributes.mode;
    store_entry_done(&entry);
    return mode;
}

static void nodes_have_attributes(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_nodes");
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': 's', 'kind': 'symlink', 'target': 'x'}"));
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': 'd', 'kind': 'directory', 'uid': 3}"));
    assert_int_equal(set_node(&real, "s", STORE_SYMLINK), 0);
    assert_int_equal(set_node(&real, "d", STORE_DIRECTORY), 0);
    assert_int_equal(set_node(&real, "d", STORE_FIFO), -ENOENT);
    assert_int_equal(set_node(&real, "none", STORE_FIFO), -ENOENT);
    assert_int_equal(set_node(&real, "none", STORE_DIRECTORY), -ENOENT);
    assert_int_equal(mode_of(&real, "s"), 0640);
    assert_int_equal(mode_of(&real, "d"), 0640);
    assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'_id': 'none'}")), 0);
    real_store_close(&real);
}

static void a_directory_of_files_is_made(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_implied");
    real_store_insert(&real, "files", real_store_json("{'_id': 1, 'filename': 'd/e/f', 'length': 0, 'chunkSize': 1}"));
    assert_int_equal(set_node(&real, "d/e", STORE_DIRECTORY), 0);
    assert_int_equal(mode_of(&real, "d/e"), 0640);
    assert_int_equal(real_store_count(&real, "gridmount.nodes",
                                      real_store_json("{'_id': 'd/e', 'kind': 'directory', 'ctime_ns': 77}")),
                     1);
    real_store_close(&real);
}

static void the_root_has_attributes_too(void **state) {
    (void)state;
    struct real_store real = real_store_open("attr_root");
    assert_int_equal(mode_of(&real, ""), 0);
    assert_int_equal(set_node(&real, "", STORE_DIRECTORY), 0);
    assert_int_equal(mode_of(&real, ""), 0640);
    assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'_id': '', 'format': 1}")), 1);
    struct store_list *list;
    struct store_item item;
    assert_int_equal(real.store->ops->list_open(real.store, "", NULL, &list), 0);
    assert_int_equal(real.store->ops->list_next(list, &item), 0); /* it is no entry of itself */
    real.store->ops->list_close(list);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_without_metadata_gets_some),
        cmocka_unit_test(fields_of_others_stay),
        cmocka_unit_test(times_that_come_late_do_not_bring_a_directory_back),
        cmocka_unit_test(metadata_that_is_null_becomes_a_document),
        cmocka_unit_test(metadata_of_another_type_is_left_alone),
        cmocka_unit_test(what_was_copied_does_not_come_alive),
        cmocka_unit_test(a_change_makes_no_revision_ours),
        cmocka_unit_test(what_is_its_own_stays),
        cmocka_unit_test(the_identity_is_made_once),
        cmocka_unit_test(an_unusable_identity_is_replaced),
        cmocka_unit_test(what_has_gone_is_not_there),
        cmocka_unit_test(nodes_have_attributes),
        cmocka_unit_test(a_directory_of_files_is_made),
        cmocka_unit_test(the_root_has_attributes_too),
    };
    return cmocka_run_group_tests_name("attributes", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Extended attributes: what is stored, and what is made of what files documents say. */
#include <errno.h>
#include <string.h>

#include "tests/store/real_store.h"

#define FILE_OF(id) "{'_id': " id ", 'filename': 'a', 'length': 0, 'chunkSize': 10, 'uploadDate': {'$date': 1234}"

/* What is at a path, for as long as the test needs it. */
static struct store_object object_at(struct real_store *real, const char *path) {
    struct store_entry entry;
    assert_int_equal(real->store->ops->lookup(real->store, path, NULL, &entry), 0);
    struct store_object object = {.path = path, .kind = entry.kind, .revision = steal_ptr(&entry.revision)};
    store_entry_done(&entry);
    return object;
}

static void done(struct store_object *object) {
    revision_unref((struct revision *)object->revision);
}

static int set(struct real_store *real, const char *path, const char *name, const char *value,
               enum store_xattr_how how) {
    struct store_object object = object_at(real, path);
    int result = real->store->ops->set_xattr(real->store, &object, name, value, value ? strlen(value) : 0, how);
    done(&object);
    return result;
}

/* The value, to be freed, with a NUL behind it; NULL without one. */
static char *get(struct real_store *real, const char *path, const char *name) {
    struct store_object object = object_at(real, path);
    struct store_xattr *first;
    char *value = NULL;
    assert_int_equal(real->store->ops->xattrs(real->store, &object, &first), 0);
    for (const struct store_xattr *xattr = first; xattr; xattr = xattr->next)
        if (strcmp(xattr->name, name) == 0) {
            assert_null(value); /* each name once */
            value = strndup(xattr->value, xattr->size);
        }
    store_xattrs_free(first);
    done(&object);
    return value;
}

static void assert_xattr(struct real_store *real, const char *path, const char *name, const char *expected) {
    char *value = get(real, path, name);
    if (!expected != !value || (value && strcmp(value, expected) != 0))
        fail_msg("%s of %s is %s, not %s", name, path, value ? value : "absent", expected ? expected : "absent");
    free(value);
}

static int64_t files(struct real_store *real, const char *filter) {
    return real_store_count(real, "files", real_store_json("%s", filter));
}

static void set_and_remove(struct real_store *real, const char *path) {
    assert_int_equal(set(real, path, "user.x", "", STORE_XATTR_REPLACE), -ENODATA);
    assert_int_equal(set(real, path, "user.x", "1", STORE_XATTR_CREATE), 0);
    assert_int_equal(set(real, path, "user.x", "2", STORE_XATTR_CREATE), -EEXIST);
    assert_int_equal(set(real, path, "user.y", "", STORE_XATTR_ANY), 0);
    assert_int_equal(set(real, path, "user.x", "3", STORE_XATTR_ANY), 0);
    assert_xattr(real, path, "user.x", "3");
    assert_xattr(real, path, "user.y", "");
    assert_int_equal(set(real, path, "user.x", "4", STORE_XATTR_REPLACE), 0);
    assert_xattr(real, path, "user.x", "4");
    assert_int_equal(set(real, path, "user.x", NULL, STORE_XATTR_REMOVE), 0);
    assert_int_equal(set(real, path, "user.x", NULL, STORE_XATTR_REMOVE), -ENODATA);
    assert_xattr(real, path, "user.x", NULL);
    assert_xattr(real, path, "user.y", "");
    assert_int_equal(set(real, path, "user.y", NULL, STORE_XATTR_REMOVE), 0);
    assert_xattr(real, path, "user.y", NULL);
}

static void a_file_keeps_them_in_metadata(void **state) {
    (void)state;
    static const char *const documents[] = {FILE_OF("1") "}", FILE_OF("1") ", 'metadata': null}",
                                            FILE_OF("1") ", 'metadata': {'x': 1, 'posix': {'rev': 1, 'mode': 6}}}"};
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++) {
        char name[32];
        snprintf(name, sizeof name, "xattr_file%u", i);
        struct real_store real = real_store_open(name);
        real_store_insert(&real, "files", real_store_json("%s", documents[i]));
        set_and_remove(&real, "a");
        assert_int_equal(files(&real, "{'metadata.posix.xattr': {'$exists': true}}"), 0);
        assert_int_equal(files(&real, "{'metadata.x': 1, 'metadata.posix.mode': 6}"), i == 2);
        assert_int_equal(set(&real, "a", "security.selinux", "context", STORE_XATTR_ANY), 0);
        assert_xattr(&real, "a", "security.selinux", "context");
        real_store_close(&real);
    }
}

static void all_else_keeps_them_in_its_node(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_nodes");
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': 's', 'kind': 'symlink', 'target': 'x'}"));
    real_store_insert(&real, "files", real_store_json("{'_id': 1, 'filename': 'd/f', 'length': 0, 'chunkSize': 1}"));
    set_and_remove(&real, "s");
    set_and_remove(&real, "d"); /* exists by its files */
    set_and_remove(&real, "");
    struct store_object object = object_at(&real, "s");
    assert_int_equal(real.store->ops->link(real.store, &object, "t", NULL), 0);
    done(&object);
    set_and_remove(&real, "t");
    assert_int_equal(set(&real, "t", "trusted.x", "1", STORE_XATTR_ANY), 0);
    assert_xattr(&real, "s", "trusted.x", "1");
    real_store_close(&real);
}

static void metadata_of_another_type_is_left_alone(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_type");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'metadata': 'text'}"));
    assert_int_equal(set(&real, "a", "user.x", "1", STORE_XATTR_ANY), -EPERM);
    assert_int_equal(set(&real, "a", "user.mime_type", "text/plain", STORE_XATTR_ANY), -EPERM);
    assert_int_equal(files(&real, "{'metadata': 'text'}"), 1);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'metadata': {'posix': {'xattr': 5}}}}"));
    assert_int_equal(set(&real, "a", "user.x", "1", STORE_XATTR_ANY), -EPERM);
    assert_xattr(&real, "a", "user.x", NULL);
    real_store_close(&real);
}

static void the_type_is_the_content_type(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_mime");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'contentType': 'image/png'}"));
    assert_xattr(&real, "a", "user.mime_type", "image/png");
    assert_int_equal(set(&real, "a", "user.mime_type", "x/y", STORE_XATTR_CREATE), -EEXIST);
    assert_int_equal(set(&real, "a", "user.mime_type", "\xff", STORE_XATTR_ANY), -EINVAL);
    assert_int_equal(set(&real, "a", "user.mime_type", "text/plain", STORE_XATTR_REPLACE), 0);
    assert_xattr(&real, "a", "user.mime_type", "text/plain");
    assert_int_equal(files(&real, "{'contentType': 'image/png', 'metadata': {'contentType': 'text/plain'}}"), 1);
    assert_int_equal(set(&real, "a", "user.mime_type", NULL, STORE_XATTR_REMOVE), 0);
    assert_xattr(&real, "a", "user.mime_type", NULL);
    assert_int_equal(set(&real, "a", "user.mime_type", NULL, STORE_XATTR_REMOVE), -ENODATA);
    real_store_close(&real);
}

static void what_the_document_says_is_shown(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_made");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("{'$oid': '0123456789abcdef01234567'}")
                                      ", 'metadata': {'sha256': 'abc', 'text': 'x y', 'number': 5,"
                                      " 'fraction': 1.5, 'truth': true, 'nothing': null,"
                                      " 'date': {'$date': 0}, 'id': {'$oid': '0123456789abcdef01234567'},"
                                      " 'tags': ['a', 1], 'deep': {'a': {'b': 'c}'}}}}"));
    assert_xattr(&real, "a", "user.gridfs.id", "0123456789abcdef01234567");
    assert_xattr(&real, "a", "user.gridfs.uploadDate", "1970-01-01T00:00:01.234Z");
    assert_xattr(&real, "a", "user.gridfs.chunkSize", "10");
    assert_xattr(&real, "a", "user.gridfs.by", "application");
    assert_xattr(&real, "a", "user.gridfs.uid", NULL);
    assert_xattr(&real, "a", "user.gridfs.sha256", NULL); /* an application's */
    assert_xattr(&real, "a", "user.gridfs.metadata.sha256", "abc");
    assert_xattr(&real, "a", "user.gridfs.metadata.text", "x y");
    assert_xattr(&real, "a", "user.gridfs.metadata.number", "5");
    assert_xattr(&real, "a", "user.gridfs.metadata.fraction", "1.5");
    assert_xattr(&real, "a", "user.gridfs.metadata.truth", "true");
    assert_xattr(&real, "a", "user.gridfs.metadata.nothing", "null");
    assert_xattr(&real, "a", "user.gridfs.metadata.date", "1970-01-01T00:00:00.000Z");
    assert_xattr(&real, "a", "user.gridfs.metadata.id", "0123456789abcdef01234567");
    assert_xattr(&real, "a", "user.gridfs.metadata.tags", "[ \"a\", 1 ]");
    assert_xattr(&real, "a", "user.gridfs.metadata.deep", "{ \"a\" : { \"b\" : \"c}\" } }");
    assert_xattr(&real, "a", "user.gridfs.metadata.posix", NULL);
    assert_int_equal(set(&real, "a", "user.gridfs.id", "1", STORE_XATTR_ANY), -EPERM);
    assert_int_equal(set(&real, "a", "user.gridfs.metadata.posix", "{}", STORE_XATTR_ANY), -EPERM);
    assert_int_equal(set(&real, "a", "user.gridfs.metadata.sha256", NULL, STORE_XATTR_REMOVE), -EPERM);
    char *key = get(&real, "a", "user.gridfs.revision");
    assert_int_equal(strlen(key), 2 * REVISION_KEY);
    free(key);
    real_store_close(&real);
}

/* Nor what only some files have, which is not there to be met first. */
static void what_is_made_is_not_taken_from_others(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_forged");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("1") ", 'metadata': {'posix': {'rev': 1, 'uid': 4711, 'xattr': ["
                                      "{'n': {'$binary': {'base64': 'dXNlci5ncmlkZnMuZHVl', 'subType': '0'}}," /* user.gridfs.due */
                                      " 'v': {'$binary': {'base64': 'Zm9yZ2Vk', 'subType': '0'}}},"
                                      "{'n': {'$binary': {'base64': 'dXNlci5ncmlkZnM=', 'subType': '0'}}," /* user.gridfs */
                                      " 'v': {'$binary': {'base64': 'eA==', 'subType': '0'}}}]}}}"));
    assert_xattr(&real, "a", "user.gridfs.due", NULL);
    assert_xattr(&real, "a", "user.gridfs", "x");
    assert_xattr(&real, "a", "user.gridfs.by", "gridmount");
    assert_xattr(&real, "a", "user.gridfs.uid", "4711");
    real_store_close(&real);
}

static void fields_are_set_and_stay_what_they_were(void **state) {
    (void)state;
    static const struct {
        const char *field, *value, *shown, *stored; /* `shown` NULL: as the value; "": it is refused */
    } cases[] = {
        {"text", "7", NULL, "'7'"},
        {"number", "-7", NULL, "-7"},
        {"number", "seven", "", NULL},
        {"long", "7", NULL, "{'$numberLong': '7'}"},
        {"fraction", "7", "7.0", "7.0"},
        {"truth", "false", NULL, "false"},
        {"truth", "maybe", "", NULL},
        {"date", "2020-01-02T03:04:05.006Z", NULL, "{'$date': '2020-01-02T03:04:05.006Z'}"},
        {"date", "yesterday", "", NULL},
        {"id", "0123456789abcdef76543210", NULL, "{'$oid': '0123456789abcdef76543210'}"},
        {"id", "7", "", NULL},
        {"tags", "[ \"b\", 2 ]", NULL, "['b', 2]"},
        {"deep", "{ \"x\" : { \"y\" : 1 } }", NULL, "{'x': {'y': 1}}"},
        {"deep", "{ \"$x\" : 1 }", "", NULL},
        {"nothing", "something", NULL, "'something'"},
        {"new", "7", NULL, "'7'"},
        {"typed", "{\"$numberInt\": \"7\"}", "7", "7"},
    };
    struct real_store real = real_store_open("xattr_fields");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("1") ", 'metadata': {'text': 'x y', 'number': 5, 'long': {'$numberLong': '5'},"
                                      " 'fraction': 1.5, 'truth': true, 'nothing': null, 'date': {'$date': 0},"
                                      " 'id': {'$oid': '0123456789abcdef01234567'}, 'tags': ['a', 1], 'deep': {'a': 1}}}"));
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char name[64];
        bool refused = cases[i].shown && !*cases[i].shown;
        snprintf(name, sizeof name, "user.gridfs.metadata.%s", cases[i].field);
        int result = set(&real, "a", name, cases[i].value, STORE_XATTR_ANY);
        if (result != (refused ? -EINVAL : 0))
            fail_msg("%s = %s: %d", cases[i].field, cases[i].value, result);
        if (refused)
            continue;
        assert_xattr(&real, "a", name, cases[i].shown ? cases[i].shown : cases[i].value);
        bson_t *filter = real_store_json("{'metadata.%s': %s}", cases[i].field, cases[i].stored);
        if (real_store_count(&real, "files", filter) != 1)
            fail_msg("%s is not stored as %s", cases[i].field, cases[i].stored);
    }
    real_store_close(&real);
}

static void fields_come_and_go_as_xattrs_do(void **state) {
    (void)state;
    static const char *const documents[] = {FILE_OF("1") "}", FILE_OF("1") ", 'metadata': null}",
                                            FILE_OF("1") ", 'metadata': {'x': 1}}"};
    const char *name = "user.gridfs.metadata.colour";
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++) {
        char bucket_name[32];
        snprintf(bucket_name, sizeof bucket_name, "xattr_field%u", i);
        struct real_store real = real_store_open(bucket_name);
        real_store_insert(&real, "files", real_store_json("%s", documents[i]));
        assert_int_equal(set(&real, "a", name, "red", STORE_XATTR_REPLACE), -ENODATA);
        assert_int_equal(set(&real, "a", name, "red", STORE_XATTR_CREATE), 0);
        assert_int_equal(set(&real, "a", name, "blue", STORE_XATTR_CREATE), -EEXIST);
        assert_int_equal(set(&real, "a", name, "blue", STORE_XATTR_REPLACE), 0);
        assert_int_equal(files(&real, "{'metadata.colour': 'blue'}"), 1);
        assert_int_equal(files(&real, "{'metadata.x': 1}"), i == 2);
        assert_int_equal(set(&real, "a", name, NULL, STORE_XATTR_REMOVE), 0);
        assert_int_equal(set(&real, "a", name, NULL, STORE_XATTR_REMOVE), -ENODATA);
        assert_int_equal(files(&real, "{'metadata.colour': {'$exists': true}}"), 0);
        assert_int_equal(set(&real, "a", "user.gridfs.metadata.a.b", "1", STORE_XATTR_ANY), -EINVAL);
        assert_int_equal(set(&real, "a", "user.gridfs.metadata.$a", "1", STORE_XATTR_ANY), -EINVAL);
        assert_int_equal(set(&real, "a", "user.gridfs.metadata.", "1", STORE_XATTR_ANY), -EINVAL);
        assert_int_equal(set(&real, "a", name, "\xff", STORE_XATTR_ANY), -EINVAL);
        real_store_close(&real);
    }
}

static void a_field_that_cannot_be_seen_is_not_lost(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_hidden");
    char *text = malloc((64 << 10) + 2);
    memset(text, 'x', (64 << 10) + 1);
    text[(64 << 10) + 1] = '\0';
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'metadata': {'long': '%s'}}", text));
    assert_xattr(&real, "a", "user.gridfs.metadata.long", NULL);
    assert_int_equal(set(&real, "a", "user.gridfs.metadata.long", "short", STORE_XATTR_ANY), -EPERM);
    assert_int_equal(set(&real, "a", "user.gridfs.metadata.long", NULL, STORE_XATTR_REMOVE), -EPERM);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'metadata': [{'b': 1}]}}"));
    assert_int_equal(set(&real, "a", "user.gridfs.metadata.0", "1", STORE_XATTR_ANY), -EPERM);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'metadata': 'text'}}"));
    assert_int_equal(set(&real, "a", "user.gridfs.metadata.b", "1", STORE_XATTR_ANY), -EPERM);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'metadata': {}}}"));
    for (int i = 0; i <= 100; i++) {
        char name[64];
        snprintf(name, sizeof name, "user.gridfs.metadata.f%d", i);
        assert_int_equal(set(&real, "a", name, "", STORE_XATTR_ANY), i < 100 ? 0 : -ENOSPC);
    }
    free(text);
    real_store_close(&real);
}

static void the_digest_counts_for_the_own_revision(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_digest");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("1") ", 'metadata': {'sha256': 'abc', 'posix': {'rev': 1}}}"));
    assert_xattr(&real, "a", "user.gridfs.sha256", "abc");
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'metadata.posix.rev': 2}}"));
    assert_xattr(&real, "a", "user.gridfs.sha256", NULL);
    struct store_object object = object_at(&real, "a");
    struct attributes changes = {.has = ATTRIBUTES_MODE, .mode = 6};
    struct revision *changed;
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &changes, &changed), 0);
    revision_unref(changed);
    done(&object);
    assert_xattr(&real, "a", "user.gridfs.sha256", NULL); /* nor does it come alive */
    real_store_close(&real);
}

static void there_is_a_bound_for_all_together(void **state) {
    (void)state;
    enum { SIZE = 60000, FIT = (1 << 20) / (SIZE + 8) };
    struct real_store real = real_store_open("xattr_much");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") "}"));
    char *value = malloc(SIZE + 1), name[16];
    memset(value, 'v', SIZE);
    value[SIZE] = '\0';
    for (int i = 0; i <= FIT; i++) {
        snprintf(name, sizeof name, "user.%03d", i);
        assert_int_equal(set(&real, "a", name, value, STORE_XATTR_ANY), i < FIT ? 0 : -ENOSPC);
    }
    assert_xattr(&real, "a", "user.000", value);
    assert_int_equal(set(&real, "a", "user.000", "", STORE_XATTR_ANY), 0);
    free(value);
    real_store_close(&real);
}

/* What others wrote is shown as far as it can be, and kept. */
static void strange_elements_are_kept(void **state) {
    (void)state;
    static const char strange[] = "5, {'n': 'text', 'v': 1}, {'n': {'$binary': {'base64': '', 'subType': '0'}}}";
    struct real_store real = real_store_open("xattr_strange");
    real_store_insert(&real, "files",
                      real_store_json(FILE_OF("1") ", 'metadata': {'posix': {'xattr': [%s]}}}", strange));
    assert_int_equal(set(&real, "a", "user.x", "1", STORE_XATTR_ANY), 0);
    assert_int_equal(set(&real, "a", "user.x", NULL, STORE_XATTR_REMOVE), 0);
    bson_t *document = real_store_first(&real, "files", bson_new());
    bson_t *expected = real_store_json("{'x': [%s]}", strange);
    bson_iter_t root, found, wanted;
    assert_true(bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.xattr", &found));
    assert_true(bson_iter_init_find(&wanted, expected, "x"));
    uint32_t sizes[2];
    const uint8_t *bytes[2];
    bson_iter_array(&found, &sizes[0], &bytes[0]);
    bson_iter_array(&wanted, &sizes[1], &bytes[1]);
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    bson_destroy(document);
    bson_destroy(expected);
    real_store_close(&real);
}

static void what_has_gone_is_not_there(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_gone");
    struct store_object fifo = {.path = "f", .kind = STORE_FIFO}, directory = {.path = "d", .kind = STORE_DIRECTORY};
    struct store_xattr *first = NULL;
    assert_int_equal(real.store->ops->xattrs(real.store, &fifo, &first), -ENOENT);
    assert_int_equal(real.store->ops->set_xattr(real.store, &fifo, "user.x", "", 0, STORE_XATTR_ANY), -ENOENT);
    assert_int_equal(real.store->ops->set_xattr(real.store, &directory, "user.x", "", 0, STORE_XATTR_ANY), -ENOENT);
    real_store_close(&real);
}

static void those_of_several_files_come_at_once(void **state) {
    (void)state;
    struct real_store real = real_store_open("xattr_several");
    real_store_insert(&real, "files", real_store_json(FILE_OF("1") ", 'metadata': {'x': 1}}"));
    real_store_insert(&real, "files", real_store_json("{'_id': 'two', 'filename': 'b', 'length': 0, 'chunkSize': 10,"
                                                        " 'uploadDate': {'$date': 1}}"));
    struct store_object a = object_at(&real, "a"), b = object_at(&real, "b");
    assert_int_equal(set(&real, "b", "user.b", "value", STORE_XATTR_CREATE), 0);
    cleanup_with(revision_unref) struct revision *gone = revision_new(a.revision->id, a.revision->id_size);
    gone->id[gone->id_size - 2] ^= 0x40; /* another number */
    struct revision *revisions[] = {(struct revision *)b.revision, gone, (struct revision *)a.revision};
    struct store_xattr *firsts[3];
    assert_int_equal(real.store->ops->xattrs_of(real.store, revisions, 3, firsts), 0);
    assert_null(firsts[1]);
    for (unsigned i = 0; i < 3; i += 2) {
        struct store_xattr *alone = NULL;
        assert_int_equal(real.store->ops->xattrs(real.store, i ? &a : &b, &alone), 0);
        for (struct store_xattr *one = alone, *other = firsts[i]; one || other; one = one->next, other = other->next) {
            assert_true(one && other);
            assert_string_equal(one->name, other->name);
            assert_int_equal(one->size, other->size);
            assert_memory_equal(one->value, other->value, one->size);
        }
        store_xattrs_free(alone);
        store_xattrs_free(firsts[i]);
    }
    done(&a);
    done(&b);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_keeps_them_in_metadata),
        cmocka_unit_test(all_else_keeps_them_in_its_node),
        cmocka_unit_test(metadata_of_another_type_is_left_alone),
        cmocka_unit_test(the_type_is_the_content_type),
        cmocka_unit_test(what_the_document_says_is_shown),
        cmocka_unit_test(what_is_made_is_not_taken_from_others),
        cmocka_unit_test(fields_are_set_and_stay_what_they_were),
        cmocka_unit_test(fields_come_and_go_as_xattrs_do),
        cmocka_unit_test(a_field_that_cannot_be_seen_is_not_lost),
        cmocka_unit_test(the_digest_counts_for_the_own_revision),
        cmocka_unit_test(there_is_a_bound_for_all_together),
        cmocka_unit_test(strange_elements_are_kept),
        cmocka_unit_test(what_has_gone_is_not_there),
        cmocka_unit_test(those_of_several_files_come_at_once),
    };
    return cmocka_run_group_tests_name("xattrs", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/document.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/document_json.h"

static struct revision *shaped(const char *length, const char *chunk_size) {
    char json[512];
    snprintf(json, sizeof json, "{'_id': 1, 'length': %s, 'chunkSize': %s, 'uploadDate': {'$date': 5}}", length,
             chunk_size);
    return revision_of(json);
}

static void a_files_document_is_a_revision(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *revision =
        revision_of("{'_id': {'$oid': '0123456789abcdef01234567'}, 'length': 1000, 'chunkSize': 300,"
                    " 'uploadDate': {'$date': {'$numberLong': '1700000000123'}}, 'filename': 'a/b'}");
    assert_int_equal(revision->length, 1000);
    assert_int_equal(revision->chunk_size, 300);
    assert_int_equal(revision->date_ms, 1700000000123);
    assert_int_equal(revision->content_date_ms, 1700000000123);
    assert_null(revision->damage);
    assert_int_equal(revision->attributes.has, 0);
    assert_int_equal(revision->attributes.identity, 0);
    assert_ptr_equal(revision->store, &bucket);
}

static void numbers_may_be_of_any_numeric_type(void **state) {
    (void)state;
    static const char *const thousands[] = {"{'$numberInt': '1000'}", "{'$numberLong': '1000'}",
                                            "{'$numberDouble': '1000.0'}"};
    for (unsigned i = 0; i < 3; i++) {
        cleanup_with(revision_unref) struct revision *revision = shaped(thousands[i], thousands[2 - i]);
        assert_null(revision->damage);
        assert_int_equal(revision->length, 1000);
        assert_int_equal(revision->chunk_size, 1000);
    }
}

static void hostile_shapes_are_damage_and_no_crash(void **state) {
    (void)state;
    static const char *const lengths[] = {"-1",
                                          "{'$numberLong': '-9223372036854775808'}",
                                          "{'$numberLong': '9223372036854775807'}",
                                          "{'$numberDouble': 'NaN'}",
                                          "{'$numberDouble': 'Infinity'}",
                                          "{'$numberDouble': '-Infinity'}",
                                          "{'$numberDouble': '1e300'}",
                                          "1.5",
                                          "'10'",
                                          "null",
                                          "{}",
                                          "[1]",
                                          "true",
                                          "{'$numberDecimal': 'NaN'}",
                                          "{'$numberLong': '2305843009213693952'}"}; /* more chunks than can be */
    for (unsigned i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        cleanup_with(revision_unref) struct revision *revision = shaped(lengths[i], "261120");
        assert_non_null(revision->damage);
        assert_true(revision->length >= 0);
    }
    static const char *const sizes[] = {"0", "-1", "-2147483648", "{'$numberLong': '2147483648'}", "0.5", "null", "''"};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        cleanup_with(revision_unref) struct revision *revision = shaped("10", sizes[i]);
        assert_non_null(revision->damage);
    }
    cleanup_with(revision_unref) struct revision *bare = revision_of("{'_id': 1}");
    assert_non_null(bare->damage);
    assert_int_equal(bare->date_ms, INT64_MIN);
}

static void more_chunks_than_gridfs_can_number_are_damage(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *most = shaped("2147483646", "1");
    assert_null(most->damage);
    cleanup_with(revision_unref) struct revision *beyond = shaped("2147483648", "1");
    assert_non_null(beyond->damage);
}

static void a_damaged_revision_has_no_length(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *revision = shaped("10", "0");
    assert_int_equal(revision->length, 0);
}

static void a_document_without_id_is_none(void **state) {
    (void)state;
    bson_t *document = document_of("{'length': 1, 'chunkSize': 1}");
    struct revision *revision = NULL;
    assert_int_equal(document_revision(document, &bucket, &revision), -EINVAL);
    assert_null(revision);
    bson_destroy(document);
}

static void an_id_may_be_of_any_type(void **state) {
    (void)state;
    static const char *const ids[] = {"1", "1.5", "'text'", "''", "null", "true", "{}", "{'a': [1, {'b': 2}]}",
                                      "{'$binary': {'base64': 'AAEC', 'subType': '04'}}", "{'$minKey': 1}",
                                      "{'$timestamp': {'t': 1, 'i': 2}}", "{'$numberDecimal': '1.50'}",
                                      "{'$date': 0}", "{'$regularExpression': {'pattern': 'a', 'options': ''}}",
                                      "{'$code': 'f()'}", "{'$undefined': true}"};
    struct revision *revisions[sizeof ids / sizeof *ids];
    enum { COUNT = sizeof ids / sizeof *ids };
    for (unsigned i = 0; i < COUNT; i++) {
        char json[256];
        snprintf(json, sizeof json, "{'_id': %s, 'length': 1, 'chunkSize': 1}", ids[i]);
        revisions[i] = revision_of(json);
        assert_null(revisions[i]->damage);
        for (unsigned k = 0; k < i; k++)
            assert_false(revision_same_content(revisions[i], revisions[k]));
    }
    for (unsigned i = 0; i < COUNT; i++)
        revision_unref(revisions[i]);
}

static void the_key_is_made_of_bucket_id_date_length_and_chunk_size_only(void **state) {
    (void)state;
    static const char *const others[] = {
        "{'_id': 2, 'length': 10, 'chunkSize': 4, 'uploadDate': {'$date': 5}}",
        "{'_id': {'$numberLong': '1'}, 'length': 10, 'chunkSize': 4, 'uploadDate': {'$date': 5}}",
        "{'_id': 1, 'length': 11, 'chunkSize': 4, 'uploadDate': {'$date': 5}}",
        "{'_id': 1, 'length': 10, 'chunkSize': 5, 'uploadDate': {'$date': 5}}",
        "{'_id': 1, 'length': 10, 'chunkSize': 4, 'uploadDate': {'$date': 6}}",
    };
    cleanup_with(revision_unref) struct revision *one =
        revision_of("{'_id': 1, 'length': 10, 'chunkSize': 4, 'uploadDate': {'$date': 5}}");
    cleanup_with(revision_unref) struct revision *same =
        revision_of("{'filename': 'x', 'metadata': {'posix': {'mode': 0}}, 'chunkSize': 4.0,"
                    " 'uploadDate': {'$date': 5}, 'length': {'$numberLong': '10'}, '_id': 1}");
    assert_true(revision_same_content(one, same));
    for (unsigned i = 0; i < sizeof others / sizeof *others; i++) {
        cleanup_with(revision_unref) struct revision *other = revision_of(others[i]);
        assert_false(revision_same_content(one, other));
    }
    struct store elsewhere = {.bucket = "elsewhere"};
    bson_t *document = document_of("{'_id': 1, 'length': 10, 'chunkSize': 4, 'uploadDate': {'$date': 5}}");
    cleanup_with(revision_unref) struct revision *other = NULL;
    assert_int_equal(document_revision(document, &elsewhere, &other), 0);
    assert_false(revision_same_content(one, other));
    bson_destroy(document);
}

static struct revision *with_posix(const char *posix) {
    char json[1024];
    snprintf(json, sizeof json,
             "{'_id': 7, 'length': 1, 'chunkSize': 1, 'uploadDate': {'$date': 5000}, 'metadata': {'posix': %s}}",
             posix);
    return revision_of(json);
}

static void mode_and_owner_come_from_metadata(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *revision =
        with_posix("{'mode': 416, 'uid': 1000.0, 'gid': {'$numberLong': '4294967294'}}");
    const struct attributes *attributes = &revision->attributes;
    assert_int_equal(attributes->has, ATTRIBUTES_MODE | ATTRIBUTES_UID | ATTRIBUTES_GID);
    assert_int_equal(attributes->mode, 0640);
    assert_int_equal(attributes->uid, 1000);
    assert_int_equal(attributes->gid, 4294967294u);
}

static void setuid_bits_are_shown_but_no_other_kind(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *revision = with_posix("{'mode': 36333}"); /* 0106755 */
    assert_int_equal(revision->attributes.mode, 06755);
}

static void hostile_metadata_is_left_out_one_by_one(void **state) {
    (void)state;
    static const char *const hostile[] = {
        "null", "5", "[]", "'x'", "{'mode': -1}", "{'mode': 'rwx'}", "{'uid': -1}", "{'uid': 4294967295}",
        "{'gid': 1.5}", "{'mtime_ns': 5}", "{'rev': 7}", "{'rev': {'$numberLong': '7'}, 'mtime_ns': 5}",
        "{'rev': 7, 'mtime_ns': {'$date': 5}}", "{'rev': 7, 'atime_ns': {'$numberDouble': 'NaN'}}",
        "{'file': 'x'}", "{'lift': {'from': {'$date': 1}}}", "{'lift': 'x'}",
    };
    for (unsigned i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        cleanup_with(revision_unref) struct revision *revision = with_posix(hostile[i]);
        if (revision->attributes.has)
            fail_msg("%s counts", hostile[i]);
        assert_int_equal(revision->attributes.identity, 0);
        assert_int_equal(revision->content_date_ms, 5000);
    }
    static const char *const metadata[] = {"null", "5", "[{'posix': {'mode': 0}}]", "{'posix.mode': 0}"};
    for (unsigned i = 0; i < sizeof metadata / sizeof *metadata; i++) {
        char json[256];
        snprintf(json, sizeof json, "{'_id': 7, 'length': 1, 'chunkSize': 1, 'metadata': %s}", metadata[i]);
        cleanup_with(revision_unref) struct revision *revision = revision_of(json);
        assert_int_equal(revision->attributes.has, 0);
    }
}

static void times_count_only_for_the_revision_they_were_written_for(void **state) {
    (void)state;
    static const char times[] =
        "'mtime_ns': {'$numberLong': '1700000000123456789'}, 'atime_ns': -1, 'ctime_ns': 3, 'mode': 384";
    char posix[512];
    snprintf(posix, sizeof posix, "{%s, 'rev': 7}", times);
    cleanup_with(revision_unref) struct revision *own = with_posix(posix);
    assert_int_equal(own->attributes.has, ATTRIBUTES_MODE | ATTRIBUTES_ATIME | ATTRIBUTES_MTIME | ATTRIBUTES_CTIME);
    assert_int_equal(own->attributes.mtime_ns, 1700000000123456789);
    assert_int_equal(own->attributes.atime_ns, -1);
    snprintf(posix, sizeof posix, "{%s, 'rev': 8}", times);
    cleanup_with(revision_unref) struct revision *copied = with_posix(posix);
    assert_int_equal(copied->attributes.has, ATTRIBUTES_MODE);
    snprintf(posix, sizeof posix, "{%s}", times);
    cleanup_with(revision_unref) struct revision *without = with_posix(posix);
    assert_int_equal(without->attributes.has, ATTRIBUTES_MODE);
}

static void a_lifted_date_orders_and_the_one_before_names_the_content(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *plain = with_posix("{}");
    cleanup_with(revision_unref) struct revision *lifted = revision_of(
        "{'_id': 7, 'length': 1, 'chunkSize': 1, 'uploadDate': {'$date': 9000},"
        " 'metadata': {'posix': {'lift': {'from': {'$date': 5000}, 'to': {'$date': 9000}}}}}");
    assert_int_equal(lifted->date_ms, 9000);
    assert_int_equal(lifted->content_date_ms, 5000);
    assert_true(revision_same_content(plain, lifted));
    /* A lift to another date is a leftover that some application copied. */
    cleanup_with(revision_unref) struct revision *copied =
        with_posix("{'lift': {'from': {'$date': 1}, 'to': {'$date': 9000}}}");
    assert_int_equal(copied->content_date_ms, 5000);
}

static void the_files_identity_survives_its_revisions(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *one = with_posix("{'file': {'$oid': '0123456789abcdef01234567'}}");
    cleanup_with(revision_unref) struct revision *same =
        with_posix("{'rev': 1, 'file': {'$oid': '0123456789abcdef01234567'}}");
    cleanup_with(revision_unref) struct revision *other = with_posix("{'file': {'$oid': '0123456789abcdef01234568'}}");
    assert_true(one->attributes.identity != 0);
    assert_true(one->attributes.identity == same->attributes.identity);
    assert_true(one->attributes.identity != other->attributes.identity);
}

static void a_filename_is_a_string_of_any_bytes_or_none(void **state) {
    (void)state;
    size_t size;
    bson_t document = BSON_INITIALIZER;
    bson_append_utf8(&document, "filename", -1, "a\0\xFF", 3);
    assert_memory_equal(document_filename(&document, &size), "a\0\xFF", 3);
    assert_int_equal(size, 3);
    bson_destroy(&document);
    static const char *const without[] = {"{}", "{'filename': null}", "{'filename': 5}", "{'filename': ['a']}"};
    for (unsigned i = 0; i < sizeof without / sizeof *without; i++) {
        bson_t *none = document_of(without[i]);
        assert_null(document_filename(none, &size));
        bson_destroy(none);
    }
}

static void whole_numbers_are_whole_and_within_their_bounds(void **state) {
    (void)state;
    static const struct {
        const char *json;
        bool whole;
    } cases[] = {{"{'n': 10}", true},        {"{'n': 10.0}", true},  {"{'n': -10}", true},
                 {"{'n': 11}", false},       {"{'n': -11}", false},  {"{'n': 9.5}", false},
                 {"{'n': -0.0}", true},      {"{'n': '1'}", false},  {"{'n': true}", false},
                 {"{'n': {'$date': 1}}", false}, {"{'n': 1e19}", false}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        bson_t *document = document_of(cases[i].json);
        bson_iter_t iter;
        int64_t number = 77;
        assert_true(bson_iter_init_find(&iter, document, "n"));
        assert_int_equal(document_whole_number(&iter, -10, 10, &number), cases[i].whole);
        assert_true(cases[i].whole || number == 77);
        bson_destroy(document);
    }
}

static void whose_metadata_it_is_is_known(void **state) {
    (void)state;
    static const struct {
        const char *posix;
        int expected;
    } cases[] = {{"{'rev': 1}", POSIX_OWN},
                 {"{'rev': 1, 'adopted': true}", POSIX_ADOPTED},
                 {"{'rev': 2, 'adopted': true}", POSIX_OTHER},
                 {"{'rev': 2}", POSIX_OTHER},
                 {"{'rev': '1'}", POSIX_OTHER},
                 {"{'mode': 1}", POSIX_OTHER},
                 {"{}", POSIX_OTHER},
                 {"null", POSIX_OTHER}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[256];
        snprintf(json, sizeof json, "{'_id': 1, 'length': 0, 'chunkSize': 1, 'metadata': {'posix': %s}}",
                 cases[i].posix);
        cleanup_with(revision_unref) struct revision *revision = revision_of(json);
        assert_int_equal(revision->posix, cases[i].expected);
    }
}

static void the_newer_is_of_the_later_date_then_id(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *old = revision_of("{'_id': 9, 'uploadDate': {'$date': 1}}");
    cleanup_with(revision_unref) struct revision *low = revision_of("{'_id': 1, 'uploadDate': {'$date': 2}}");
    cleanup_with(revision_unref) struct revision *high = revision_of("{'_id': 2, 'uploadDate': {'$date': 2}}");
    assert_true(document_is_newer(low, old) && !document_is_newer(old, low));
    assert_true(document_is_newer(high, low) && !document_is_newer(low, high));
    assert_false(document_is_newer(low, low));
}

static struct revision *with_holes(const char *rev, const char *holes) {
    char json[1024];
    snprintf(json, sizeof json,
             "{'_id': 1, 'length': 1000, 'chunkSize': 300, 'uploadDate': {'$date': 5},"
             " 'metadata': {'posix': {'rev': %s, 'holes': %s}}}",
             rev, holes);
    return revision_of(json);
}

static void holes_count_for_their_revision(void **state) {
    (void)state;
    static const char holes[] = "[[0, 10], [{'$numberLong': '20'}, {'$numberDouble': '30.0'}], [50, 950]]";
    cleanup_with(revision_unref) struct revision *own = with_holes("1", holes);
    assert_int_equal(own->hole_count, 3);
    assert_int_equal(own->holes[1].offset, 20);
    assert_int_equal(own->holes[1].length, 30);
    assert_int_equal(own->holes[2].offset + own->holes[2].length, own->length);
    cleanup_with(revision_unref) struct revision *copied = with_holes("2", holes);
    assert_int_equal(copied->hole_count, 0);
    assert_null(copied->holes);
}

static void one_wrong_hole_makes_all_ignored(void **state) {
    (void)state;
    static const char *const wrong[] = {"[]",
                                        "1",
                                        "{}",
                                        "[[0, 10], [5, 10]]",
                                        "[[20, 10], [0, 10]]",
                                        "[[0, 0]]",
                                        "[[-1, 2]]",
                                        "[[0, 1001]]",
                                        "[[1000, 1]]",
                                        "[[999, 2]]",
                                        "[[0, {'$numberLong': '9223372036854775807'}]]",
                                        "[[{'$numberLong': '9223372036854775807'}, 1]]",
                                        "[[0, 1.5]]",
                                        "[[0]]",
                                        "[[0, 1, 2]]",
                                        "[0, 1]",
                                        "[[0, 10], null]"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cleanup_with(revision_unref) struct revision *revision = with_holes("1", wrong[i]);
        assert_int_equal(revision->hole_count, 0);
        assert_null(revision->holes);
        assert_null(revision->damage);
    }
}

static void more_holes_than_are_kept_are_none(void **state) {
    (void)state;
    for (int count = REVISION_HOLES_MOST; count <= REVISION_HOLES_MOST + 1; count++) {
        char *json = malloc((size_t)count * 16 + 200), *at = json;
        at += sprintf(at, "{'_id': 1, 'length': 100000, 'chunkSize': 300, 'metadata': {'posix': {'rev': 1, 'holes': [");
        for (int i = 0; i < count; i++)
            at += sprintf(at, "%s[%d, 1]", i ? "," : "", 2 * i);
        strcpy(at, "]}}}");
        cleanup_with(revision_unref) struct revision *revision = revision_of(json);
        assert_int_equal(revision->hole_count, count == REVISION_HOLES_MOST ? count : 0);
        free(json);
    }
}

/* The field `name` of a document, which holds a document, becomes an array with those keys. */
static void make_array(bson_t *document, const char *name) {
    uint8_t *bytes = (uint8_t *)bson_get_data(document);
    uint8_t *key = memmem(bytes, document->len, name, strlen(name) + 1);
    assert_non_null(key);
    key[-1] = BSON_TYPE_ARRAY;
}

static void arrays_that_are_not_numbered_are_taken_without_complaint(void **state) {
    (void)state;
    bson_t *document = document_of("{'_id': {'7': 1}, 'theirs': {'x': 1, 'inner': {'3': 2, '4': 3}}}");
    bson_t copy = BSON_INITIALIZER;
    struct revision *revision = NULL;
    static const char *const arrays[] = {"_id", "theirs", "inner"};
    for (unsigned i = 0; i < 3; i++)
        make_array(document, arrays[i]);
    int before = dup(STDERR_FILENO), words = memfd_create("words", 0);
    dup2(words, STDERR_FILENO);
    bson_iter_t theirs;
    bool done = bson_iter_init_find(&theirs, document, "theirs") && document_append(&copy, NULL, &theirs) &&
                document_append(&copy, "again", &theirs);
    int result = document_revision(document, &bucket, &revision);
    fflush(stderr);
    dup2(before, STDERR_FILENO);
    assert_true(done);
    assert_int_equal(result, 0);
    assert_int_equal(lseek(words, 0, SEEK_END), 0);
    bson_t *expected = document_of("{'theirs': [1, [2, 3]], 'again': [1, [2, 3]]}");
    assert_true(bson_equal(&copy, expected));
    close(words);
    close(before);
    bson_destroy(expected);
    bson_destroy(&copy);
    bson_destroy(document);
    revision_unref(revision);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arrays_that_are_not_numbered_are_taken_without_complaint),
        cmocka_unit_test(a_files_document_is_a_revision),
        cmocka_unit_test(numbers_may_be_of_any_numeric_type),
        cmocka_unit_test(hostile_shapes_are_damage_and_no_crash),
        cmocka_unit_test(more_chunks_than_gridfs_can_number_are_damage),
        cmocka_unit_test(a_damaged_revision_has_no_length),
        cmocka_unit_test(a_document_without_id_is_none),
        cmocka_unit_test(an_id_may_be_of_any_type),
        cmocka_unit_test(the_key_is_made_of_bucket_id_date_length_and_chunk_size_only),
        cmocka_unit_test(mode_and_owner_come_from_metadata),
        cmocka_unit_test(whose_metadata_it_is_is_known),
        cmocka_unit_test(the_newer_is_of_the_later_date_then_id),
        cmocka_unit_test(setuid_bits_are_shown_but_no_other_kind),
        cmocka_unit_test(hostile_metadata_is_left_out_one_by_one),
        cmocka_unit_test(times_count_only_for_the_revision_they_were_written_for),
        cmocka_unit_test(a_lifted_date_orders_and_the_one_before_names_the_content),
        cmocka_unit_test(the_files_identity_survives_its_revisions),
        cmocka_unit_test(a_filename_is_a_string_of_any_bytes_or_none),
        cmocka_unit_test(whole_numbers_are_whole_and_within_their_bounds),
        cmocka_unit_test(holes_count_for_their_revision),
        cmocka_unit_test(one_wrong_hole_makes_all_ignored),
        cmocka_unit_test(more_holes_than_are_kept_are_none),
    };
    return cmocka_run_group_tests_name("document", tests, NULL, NULL);
}

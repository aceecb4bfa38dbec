// SPDX-License-Identifier: Apache-2.0
#include "fs/store/revision.h"

#include <pthread.h>
#include <string.h>

#include "fs/store/store.h"
#include "tests/unit/unit.h"

static struct revision *revision_of(int64_t length, uint32_t chunk_size) {
    struct revision *revision = revision_new("id", 2);
    revision->length = length;
    revision->chunk_size = chunk_size;
    return revision;
}

static void it_keeps_the_id_as_given(void **state) {
    (void)state;
    struct revision *revision = revision_new("a\0b", 3);
    assert_int_equal(revision->id_size, 3);
    assert_memory_equal(revision->id, "a\0b", 3);
    assert_ptr_equal(revision_ref(revision), revision);
    assert_null(revision_unref(revision));
    assert_null(revision_unref(revision));
    assert_null(revision_unref(NULL));
}

static void the_number_of_chunks_is_the_length_rounded_up(void **state) {
    (void)state;
    static const struct {
        int64_t length;
        uint32_t chunk_size, chunks, last;
    } cases[] = {{0, 10, 0, 0},
                 {1, 10, 1, 1},
                 {10, 10, 1, 10},
                 {11, 10, 2, 1},
                 {261120, 261120, 1, 261120},
                 {(int64_t)INT32_MAX - 1, 1, INT32_MAX - 1, 1},
                 {(int64_t)INT32_MAX * (INT32_MAX - 1), INT32_MAX, INT32_MAX - 1, INT32_MAX}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        cleanup_with(revision_unref) struct revision *revision = revision_of(cases[i].length, cases[i].chunk_size);
        assert_int_equal(revision_chunks(revision), cases[i].chunks);
        if (cases[i].chunks)
            assert_int_equal(revision_chunk_length(revision, cases[i].chunks - 1), cases[i].last);
        if (cases[i].chunks > 1)
            assert_int_equal(revision_chunk_length(revision, 0), cases[i].chunk_size);
    }
}

static void the_key_alone_tells_contents_apart(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *one = revision_of(1, 1);
    cleanup_with(revision_unref) struct revision *other = revision_of(2, 2);
    assert_true(revision_same_content(one, other));
    other->key[REVISION_KEY - 1] ^= 1;
    assert_false(revision_same_content(one, other));
}

static void with_other_attributes_it_is_the_same_content(void **state) {
    (void)state;
    static const struct hole holes[] = {{0, 4}, {8, 1}};
    struct store store = {.ops = NULL};
    cleanup_with(revision_unref) struct revision *revision = revision_new("a long enough _id\0", 19);
    revision->store = &store;
    revision->key[3] = 7;
    revision->length = 9;
    revision->date_ms = 2;
    revision->content_date_ms = 1;
    revision->chunk_size = 4;
    revision->damage = "why";
    revision->holes = memcpy(malloc(sizeof holes), holes, sizeof holes);
    revision->hole_count = 2;
    struct revision *other = revision_with(revision, &(struct attributes){.has = ATTRIBUTES_MODE, .mode = 04711});
    assert_true(revision_same_content(revision, other));
    assert_ptr_equal(other->store, &store);
    assert_int_equal(other->attributes.mode, 04711);
    assert_int_equal(revision->attributes.has, 0);
    assert_int_equal(other->length, 9);
    assert_int_equal(other->chunk_size, 4);
    assert_int_equal(other->date_ms, 2);
    assert_int_equal(other->content_date_ms, 1);
    assert_string_equal(other->damage, "why");
    assert_int_equal(other->id_size, 19);
    assert_memory_equal(other->id, "a long enough _id\0", 19);
    assert_int_equal(other->hole_count, 2);
    assert_ptr_not_equal(other->holes, revision->holes);
    assert_memory_equal(other->holes, holes, sizeof holes);
    assert_int_equal(atomic_load(&revision->references), 1);
    revision_unref(other);
}

static void *refer(void *revision) {
    for (int i = 0; i < 1000; i++)
        revision_unref(revision_ref(revision));
    return NULL;
}

static void it_is_seen_with_other_attributes_while_others_use_it(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *revision = revision_of(1, 1);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, refer, revision), 0);
    for (int i = 0; i < 1000; i++) {
        struct revision *other = revision_with(revision, &(struct attributes){.has = 0});
        assert_int_equal(atomic_load(&other->references), 1);
        revision_unref(other);
    }
    pthread_join(thread, NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_keeps_the_id_as_given),
        cmocka_unit_test(the_number_of_chunks_is_the_length_rounded_up),
        cmocka_unit_test(the_key_alone_tells_contents_apart),
        cmocka_unit_test(with_other_attributes_it_is_the_same_content),
        cmocka_unit_test(it_is_seen_with_other_attributes_while_others_use_it),
    };
    return cmocka_run_group_tests_name("revision", tests, NULL, NULL);
}

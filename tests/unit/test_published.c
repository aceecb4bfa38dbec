// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/published.h"

#include <errno.h>
#include <string.h>

#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

static struct memory_mount *mount;

static int set_up(void **state) {
    (void)state;
    mount = memory_mount_new("fs", 1000, false);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    memory_mount_done(mount);
    return 0;
}

static struct published *published_of(const char *path) {
    struct store *store = &mount->faulty.store;
    struct revision *revision;
    assert_int_equal(store->ops->newest(store, path, &revision), 0);
    struct published *published = published_new(mount->chunks, revision);
    revision_unref(revision); /* it keeps what it needs */
    assert_non_null(published);
    return published;
}

static void expect_read(struct published *published, int64_t offset, size_t size, const char *expected) {
    struct reader_view views[READER_VIEWS];
    char text[100] = "";
    unsigned count;
    assert_int_equal(published_read(published, offset, size, views, &count), 0);
    for (unsigned i = 0; i < count; i++)
        strncat(text, (const char *)views[i].bytes, views[i].size);
    reader_release(views, count);
    assert_string_equal(text, expected);
}

static void it_is_read_anywhere(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    memory_mount_put(mount, "one", "abc"); /* less than a chunk */
    struct published *published = published_of("file"), *one = published_of("one");
    expect_read(published, 0, 99, "0123456789");
    expect_read(published, 3, 4, "3456");
    expect_read(published, 9, 99, "9");
    expect_read(published, 10, 1, "");
    expect_read(one, 1, 99, "bc");
    published_unref(published);
    published_unref(one);
}

static void an_empty_or_damaged_file_reads_as_empty(void **state) {
    (void)state;
    memory_mount_put(mount, "empty", "");
    memory_mount_put(mount, "damaged", "text");
    memory_store_damage_file(mount->memory, "damaged", "its length is a poem");
    struct published *empty = published_of("empty"), *damaged = published_of("damaged");
    expect_read(empty, 0, 99, "");
    expect_read(damaged, 0, 99, ""); /* open() refuses it before */
    assert_int_equal(published_base(damaged).length, 0);
    published_unref(empty);
    published_unref(damaged);
    assert_null(published_unref(NULL));
}

static void a_base_gives_exactly_what_is_asked_for(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct published *published = published_of("file");
    struct staged_base base = published_base(published);
    char text[10];
    assert_int_equal(base.length, 10);
    assert_int_equal(base.read(base.context, 0, 10, text), 0);
    assert_memory_equal(text, "0123456789", 10);
    assert_int_equal(base.read(base.context, 5, 3, text), 0);
    assert_memory_equal(text, "567", 3);
    assert_int_equal(base.read(base.context, 5, 6, text), -EIO); /* never short without an error */
    published_unref(published);
    assert_null(published_base(NULL).context);
}

static void a_base_keeps_the_content_by_a_reference_of_its_own(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct published *published = published_of("file");
    struct staged_base base = published_base(published);
    char text[10];
    base.ref(base.context);
    published_unref(published);
    assert_int_equal(base.read(base.context, 0, 10, text), 0);
    base.unref(base.context);
}

static void what_cannot_be_read_is_an_error_of_the_base(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    memory_store_damage_chunk(mount->memory, "file", 1, -EIO);
    struct published *published = published_of("file");
    struct staged_base base = published_base(published);
    char text[10];
    assert_int_equal(base.read(base.context, 0, 4, text), 0);
    assert_int_equal(base.read(base.context, 2, 4, text), -EIO);
    published_unref(published);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(it_is_read_anywhere),
        TEST(an_empty_or_damaged_file_reads_as_empty),
        TEST(a_base_gives_exactly_what_is_asked_for),
        TEST(a_base_keeps_the_content_by_a_reference_of_its_own),
        TEST(what_cannot_be_read_is_an_error_of_the_base),
    };
    return cmocka_run_group_tests_name("published", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/attributes.h"

#include <string.h>

#include "fs/store/store.h"
#include "tests/unit/unit.h"

static void a_file_has_its_identity_from_its_object_id(void **state) {
    (void)state;
    static const unsigned char one[] = "0123456789ab", other[] = "0123456789ac";
    struct attributes first = {.has = 0}, again = {.has = ATTRIBUTES_MODE}, second = {.has = 0};
    attributes_set_file(&first, one);
    attributes_set_file(&again, one);
    attributes_set_file(&second, other);
    assert_int_equal(first.has, ATTRIBUTES_FILE);
    assert_int_equal(again.has, ATTRIBUTES_FILE | ATTRIBUTES_MODE);
    assert_memory_equal(first.file, one, ATTRIBUTES_FILE_SIZE);
    assert_int_not_equal(first.identity, 0);
    assert_int_equal(first.identity, again.identity);
    assert_int_not_equal(first.identity, second.identity);
}

static void new_files_are_told_apart(void **state) {
    (void)state;
    enum { COUNT = 100 };
    struct attributes files[COUNT];
    memset(files, 0, sizeof files);
    time_t before = time(NULL);
    for (int i = 0; i < COUNT; i++) {
        attributes_new_file(&files[i]);
        assert_int_equal(files[i].has, ATTRIBUTES_FILE);
        for (int k = 0; k < i; k++) {
            assert_memory_not_equal(files[i].file, files[k].file, ATTRIBUTES_FILE_SIZE);
            assert_int_not_equal(files[i].identity, files[k].identity);
        }
    }
    const unsigned char *file = files[0].file;
    time_t seconds = (time_t)file[0] << 24 | file[1] << 16 | file[2] << 8 | file[3];
    assert_true(seconds >= before && seconds <= time(NULL)); /* an ObjectId begins with the time */
}

static const struct attributes all = {
    .has = ATTRIBUTES_MODE | ATTRIBUTES_UID | ATTRIBUTES_GID | ATTRIBUTES_ATIME | ATTRIBUTES_MTIME | ATTRIBUTES_CTIME |
           ATTRIBUTES_LINKS,
    .mode = 07777,
    .uid = 1,
    .gid = 2,
    .links = 3,
    .atime_ns = 4,
    .mtime_ns = 5,
    .ctime_ns = -6,
};

static void a_change_takes_over_what_it_has(void **state) {
    (void)state;
    struct attributes changes = all, changed = {.has = 0};
    attributes_set_file(&changes, (const unsigned char *)"0123456789ab");
    attributes_apply(&changed, &changes);
    assert_int_equal(changed.has, changes.has);
    assert_int_equal(changed.mode, 07777);
    assert_int_equal(changed.uid, 1);
    assert_int_equal(changed.gid, 2);
    assert_int_equal(changed.links, 3);
    assert_int_equal(changed.atime_ns, 4);
    assert_int_equal(changed.mtime_ns, 5);
    assert_int_equal(changed.ctime_ns, -6);
    assert_int_equal(changed.identity, changes.identity);
}

static void a_change_leaves_what_it_has_not(void **state) {
    (void)state;
    for (unsigned bit = ATTRIBUTES_MODE; bit <= ATTRIBUTES_LINKS; bit *= 2) {
        struct attributes changed = all, changes;
        memset(&changes, 0, sizeof changes);
        changes.has = bit;
        attributes_set_file(&changed, (const unsigned char *)"0123456789ab");
        uint64_t identity = changed.identity;
        attributes_apply(&changed, &changes);
        assert_int_equal(changed.has, all.has | ATTRIBUTES_FILE);
        assert_int_equal(changed.mode, bit == ATTRIBUTES_MODE ? 0 : 07777);
        assert_int_equal(changed.uid, bit == ATTRIBUTES_UID ? 0 : 1);
        assert_int_equal(changed.gid, bit == ATTRIBUTES_GID ? 0 : 2);
        assert_int_equal(changed.links, bit == ATTRIBUTES_LINKS ? 0 : 3);
        assert_int_equal(changed.atime_ns, bit == ATTRIBUTES_ATIME ? 0 : 4);
        assert_int_equal(changed.mtime_ns, bit == ATTRIBUTES_MTIME ? 0 : 5);
        assert_int_equal(changed.ctime_ns, bit == ATTRIBUTES_CTIME ? 0 : -6);
        assert_true((changed.identity == identity) == (bit != ATTRIBUTES_FILE));
    }
}

static void a_list_of_extended_attributes_is_freed_whole(void **state) {
    (void)state;
    struct store_xattr *first = NULL;
    for (int i = 0; i < 3; i++) {
        struct store_xattr *xattr = calloc(1, sizeof *xattr);
        xattr->next = first;
        first = xattr;
    }
    store_xattrs_free(first); /* the leak checker tells */
    store_xattrs_free(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_has_its_identity_from_its_object_id),
        cmocka_unit_test(new_files_are_told_apart),
        cmocka_unit_test(a_change_takes_over_what_it_has),
        cmocka_unit_test(a_change_leaves_what_it_has_not),
        cmocka_unit_test(a_list_of_extended_attributes_is_freed_whole),
    };
    return cmocka_run_group_tests_name("attributes", tests, NULL, NULL);
}

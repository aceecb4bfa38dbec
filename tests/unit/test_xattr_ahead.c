// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/xattr_ahead.h"

#include <errno.h>
#include <string.h>

#include "cache/base/clock.h"
#include "fs/store/store.h"
#include "tests/unit/unit.h"

static struct revision *revision_of(const char *id) {
    struct revision *revision = revision_new(id, (uint32_t)strlen(id));
    memcpy(revision->key, id, 1);
    return revision;
}

static void note(struct xattr_ahead *ahead, uint64_t serial, struct revision *revision, size_t value_bytes) {
    xattr_ahead_note(ahead, serial, revision, strdup("user.a"), 7, value_bytes, xattr_ahead_moment(ahead));
}

static bool take(struct xattr_ahead *ahead, uint64_t serial, const struct revision *revision) {
    char names[7] = "";
    ssize_t size = 0;
    bool noted = xattr_ahead_take(ahead, serial, revision, names, sizeof names, &size);
    assert_int_equal(size, noted ? 7 : 0);
    assert_string_equal(names, noted ? "user.a" : "");
    return noted;
}

static void who_goes_in_order_is_believed_at_the_third(void **state) {
    (void)state;
    static const unsigned expected[] = {1, 1, 8, 16, 32, 64, 128, 256, 256, 256};
    struct xattr_ahead *ahead = xattr_ahead_new(1000);
    for (unsigned i = 0; i < sizeof expected / sizeof *expected; i++)
        assert_int_equal(xattr_ahead_follow(ahead, 100 + 8 * i), expected[i]);
    assert_int_equal(xattr_ahead_follow(ahead, 172), 1); /* the same again: asked for its size first */
    assert_int_equal(xattr_ahead_follow(ahead, 173), STORE_XATTRS_MOST);
    assert_int_equal(xattr_ahead_follow(ahead, 100), 1); /* back */
    assert_int_equal(xattr_ahead_follow(ahead, 101), 1);
    assert_int_equal(xattr_ahead_follow(ahead, 110), 1); /* too far */
    xattr_ahead_free(ahead);
}

static void without_trust_nothing_is_asked_for_ahead(void **state) {
    (void)state;
    struct xattr_ahead *ahead = xattr_ahead_new(0);
    for (unsigned i = 1; i < 20; i++)
        assert_int_equal(xattr_ahead_follow(ahead, i), 1);
    xattr_ahead_free(ahead);
}

static void a_note_is_given_once_and_of_the_same_content(void **state) {
    (void)state;
    struct xattr_ahead *ahead = xattr_ahead_new(1000);
    cleanup_with(revision_unref) struct revision *one = revision_of("1"), *other = revision_of("2");
    char small[3];
    ssize_t size;
    note(ahead, 5, one, 0);
    assert_true(xattr_ahead_take(ahead, 5, one, NULL, 0, &size)); /* asked for its size */
    assert_int_equal(size, 7);
    assert_true(xattr_ahead_take(ahead, 5, one, small, sizeof small, &size));
    assert_int_equal(size, -ERANGE);
    assert_false(take(ahead, 6, one));
    assert_true(take(ahead, 5, one));
    assert_false(take(ahead, 5, one));
    note(ahead, 5, one, 0);
    assert_false(take(ahead, 5, other));
    xattr_ahead_free(ahead);
}

static void what_was_changed_meanwhile_is_not_noted(void **state) {
    (void)state;
    struct xattr_ahead *ahead = xattr_ahead_new(1000);
    cleanup_with(revision_unref) struct revision *one = revision_of("1"), *other = revision_of("2");
    uint64_t moment = xattr_ahead_moment(ahead);
    note(ahead, 5, one, 0);
    note(ahead, 6, other, 0);
    xattr_ahead_forget(ahead, "1", 1);
    assert_false(take(ahead, 5, one));
    assert_true(take(ahead, 6, other));
    xattr_ahead_note(ahead, 5, one, strdup("user.a"), 7, 0, moment);
    assert_false(take(ahead, 5, one));
    note(ahead, 5, one, 0);
    xattr_ahead_forget(ahead, NULL, 0);
    assert_false(take(ahead, 5, one));
    xattr_ahead_free(ahead);
}

/* A batch is not worth it where it is not used in time, or where it is large. */
static void who_is_slow_or_large_begins_anew(void **state) {
    (void)state;
    cleanup_with(revision_unref) struct revision *one = revision_of("1");
    for (int large = 0; large < 2; large++) {
        struct xattr_ahead *ahead = xattr_ahead_new(2);
        for (unsigned i = 1; i < 4; i++)
            xattr_ahead_follow(ahead, i);
        note(ahead, 4, one, large ? 1 << 20 : 0);
        for (int64_t until = clock_now_ms() + 3; clock_now_ms() <= until;)
            ;
        assert_int_equal(large ? 0 : take(ahead, 4, one), 0);
        assert_int_equal(xattr_ahead_follow(ahead, 4), 1);
        xattr_ahead_free(ahead);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_goes_in_order_is_believed_at_the_third),
        cmocka_unit_test(without_trust_nothing_is_asked_for_ahead),
        cmocka_unit_test(a_note_is_given_once_and_of_the_same_content),
        cmocka_unit_test(what_was_changed_meanwhile_is_not_noted),
        cmocka_unit_test(who_is_slow_or_large_begins_anew),
    };
    return cmocka_run_group_tests_name("xattr_ahead", tests, NULL, NULL);
}

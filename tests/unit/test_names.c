// SPDX-License-Identifier: Apache-2.0
#include "fs/store/names.h"

#include <errno.h>
#include <string.h>

#include "tests/unit/unit.h"

static bool is_path(const char *filename) {
    return names_is_path(filename, strlen(filename));
}

/* The stored form of a name, after checking that it is reversible; lives until the next call. */
static const char *stored_of(const char *name) {
    static char stored[NAMES_STORED_MOST + 1];
    char back[NAMES_COMPONENT_MOST + 1];
    assert_int_equal(names_encode(name, stored), 0);
    assert_int_equal(names_decode(stored, strlen(stored), back), 0);
    assert_string_equal(back, name);
    return stored;
}

static bool is_decodable(const char *stored, size_t size) {
    char name[NAMES_COMPONENT_MOST + 1] = "untouched", again[NAMES_STORED_MOST + 1];
    if (names_decode(stored, size, name)) {
        assert_string_equal(name, "untouched");
        return false;
    }
    assert_int_equal(names_encode(name, again), 0);
    assert_int_equal(strlen(again), size);
    assert_memory_equal(again, stored, size);
    return true;
}

static void slashes_separate_directories(void **state) {
    (void)state;
    assert_true(is_path("a"));
    assert_true(is_path("a/b/c.txt"));
    assert_int_equal(names_first_component("ab/c", 4), 2);
    assert_int_equal(names_first_component("ab", 2), 2);
    assert_int_equal(names_first_component("/a", 2), 0);
    assert_int_equal(names_first_component("", 0), 0);
}

static void one_leading_slash_or_dot_slash_counts_as_absent(void **state) {
    (void)state;
    assert_int_equal(names_skip_spelling("a/b", 3), 0);
    assert_int_equal(names_skip_spelling("/a/b", 4), 1);
    assert_int_equal(names_skip_spelling("./a/b", 5), 2);
    assert_int_equal(names_skip_spelling(".", 1), 0);
    assert_int_equal(names_skip_spelling("", 0), 0);
    assert_true(is_path("/a/b"));
    assert_true(is_path("./a/b"));
    static const char *const more[] = {"//a", "/./a", ".//a", "././a"};
    for (unsigned i = 0; i < 4; i++)
        assert_false(is_path(more[i]));
    for (unsigned i = 0; i < NAMES_SPELLINGS; i++)
        assert_int_equal(names_skip_spelling(names_spellings[i], strlen(names_spellings[i])),
                         strlen(names_spellings[i]));
}

static void of_what_is_no_path_the_directories_above_are(void **state) {
    (void)state;
    static const struct {
        const char *filename;
        size_t size;
    } cases[] = {{"a/b", 3}, {"/a/b//c", 4}, {"a/", 1}, {"a/../b", 1}, {"//a", 0}, {"../a", 0}, {".gridfs/a", 0},
                 {"a/.gridfs/../b", 9}, {"", 0}, {"/", 0}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(names_path_size(cases[i].filename, strlen(cases[i].filename)), cases[i].size);
}

static void what_posix_cannot_hold_is_no_path(void **state) {
    (void)state;
    static const char *const filenames[] = {"",      "/",     "./",     ".",     "..",   "a//b", "a/",
                                            "../a",  "a/..",  "a/../b", "a/./b", "/../", "./..", "a/b/"};
    for (unsigned i = 0; i < sizeof filenames / sizeof *filenames; i++)
        assert_false(is_path(filenames[i]));
    assert_false(names_is_path("a\0b", 3));
    assert_false(names_is_path("a/\0", 3));
    assert_true(is_path("..."));
    assert_true(is_path(".a/..b/c.."));
}

static void a_component_has_255_bytes_at_most(void **state) {
    (void)state;
    char name[600];
    memset(name, 'x', sizeof name);
    assert_true(names_is_path(name, 255));
    assert_false(names_is_path(name, 256));
    name[255] = '/';
    assert_true(names_is_path(name, 511));
    assert_false(names_is_path(name, 512));
}

static void the_mounts_own_name_is_taken_at_the_root_only(void **state) {
    (void)state;
    assert_false(is_path(".gridfs"));
    assert_false(is_path("/.gridfs"));
    assert_false(is_path("./.gridfs/id/x"));
    assert_true(is_path("a/.gridfs"));
    assert_true(is_path(".gridfs2"));
    assert_true(is_path(".gridf"));
}

static void names_in_utf8_are_stored_as_they_are(void **state) {
    (void)state;
    static const char *const names[] = {"plain.txt", "Käse", "日本語", "😀", " and\ttabs\n", "\xEF\xBF\xBD"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        assert_string_equal(stored_of(names[i]), names[i]);
}

static void a_byte_outside_utf8_is_stored_as_u_efnn(void **state) {
    (void)state;
    assert_string_equal(stored_of("\x80"), "\xEE\xBE\x80");       /* U+EF80 */
    assert_string_equal(stored_of("\xFF"), "\xEE\xBF\xBF");       /* U+EFFF */
    assert_string_equal(stored_of("a\xE9" "b"), "a\xEE\xBF\xA9" "b"); /* Latin-1 é */
}

static void what_only_looks_like_utf8_is_escaped(void **state) {
    (void)state;
    assert_string_equal(stored_of("\xC0\xAF"), "\xEE\xBF\x80\xEE\xBE\xAF");             /* overlong "/" */
    assert_string_equal(stored_of("\xED\xA0\x80"), "\xEE\xBF\xAD\xEE\xBE\xA0\xEE\xBE\x80"); /* a surrogate */
    assert_string_equal(stored_of("\xF4\x90\x80\x80"),
                        "\xEE\xBF\xB4\xEE\xBE\x90\xEE\xBE\x80\xEE\xBE\x80"); /* beyond U+10FFFF */
    assert_string_equal(stored_of("\xE2\x82"), "\xEE\xBF\xA2\xEE\xBE\x82"); /* cut off */
}

static void a_genuine_escape_character_is_stored_as_three(void **state) {
    (void)state;
    assert_string_equal(stored_of("\xEE\xBE\x80"), "\xEE\xBF\xAE\xEE\xBE\xBE\xEE\xBE\x80");
    assert_string_equal(stored_of("\xEE\xBD\xBF"), "\xEE\xBD\xBF"); /* U+EF7F is none */
    assert_string_equal(stored_of("\xEF\x80\x80"), "\xEF\x80\x80"); /* nor is U+F000 */
}

static void the_longest_name_fits_its_stored_form(void **state) {
    (void)state;
    char name[NAMES_COMPONENT_MOST + 2];
    memset(name, 0xFF, sizeof name - 1);
    name[NAMES_COMPONENT_MOST] = '\0';
    assert_int_equal(strlen(stored_of(name)), NAMES_STORED_MOST);
}

static void names_that_are_none_are_told_apart(void **state) {
    (void)state;
    char stored[NAMES_STORED_MOST + 1] = "untouched", name[NAMES_COMPONENT_MOST + 2];
    static const char *const names[] = {"", ".", "..", "a/b", "/"};
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(names_encode(names[i], stored), -EINVAL);
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    assert_int_equal(names_encode(name, stored), -ENAMETOOLONG);
    assert_string_equal(stored, "untouched");
}

static void what_storing_could_not_have_made_is_no_name(void **state) {
    (void)state;
    assert_false(is_decodable("a\xFF", 2));                           /* no UTF-8 */
    assert_false(is_decodable("\xEE\xBF\x83\xEE\xBE\xA9", 6));        /* escaped, but "é" is valid */
    assert_false(is_decodable("\xEE\xBE\xBE", 2));                    /* cut off */
    assert_false(is_decodable("a\0b", 3));
    assert_false(is_decodable("a/b", 3));
    assert_false(is_decodable("..", 2));
    assert_true(is_decodable("\xEE\xBE\x80", 3));
    assert_true(is_decodable("\xEE\xBF\xAE\xEE\xBE\xBE\xEE\xBE\x80", 9)); /* the genuine U+EF80 */
}

static void every_byte_and_pair_of_bytes_is_stored_reversibly(void **state) {
    (void)state;
    for (unsigned first = 1; first < 256; first++)
        for (unsigned second = 0; second < 256; second++) {
            const char name[] = {(char)first, (char)second, '\0'};
            bool none = first == '/' || second == '/' || (first == '.' && (second == '.' || second == 0));
            char stored[NAMES_STORED_MOST + 1];
            if (none)
                assert_int_equal(names_encode(name, stored), -EINVAL);
            else
                stored_of(name);
        }
}

static void every_stored_byte_and_pair_means_one_name_or_none(void **state) {
    (void)state;
    for (unsigned pair = 0; pair < 1 << 16; pair++) {
        const char stored[] = {(char)(pair >> 8), (char)pair};
        is_decodable(stored, 1);
        is_decodable(stored, 2);
    }
    for (unsigned tail = 0; tail < 1 << 12; tail++) { /* all three-byte characters from U+E000 to U+EFFF */
        const char stored[] = {(char)0xEE, (char)(0x80 | tail >> 6), (char)(0x80 | (tail & 0x3F))};
        assert_int_equal(is_decodable(stored, 3), true);
    }
}

static void random_names_are_stored_reversibly(void **state) {
    (void)state;
    static const unsigned char likely[] = {0xEE, 0xBE, 0xBF, 0x80, 0xFF, 0xED, 0xA0, 0xF0, 0x9F, 'a', '.', 0xC3};
    struct dice dice = dice_new("names");
    for (int round = 0; round < 20000; round++) {
        char name[NAMES_COMPONENT_MOST + 1] = "";
        size_t size = 1 + dice_below(&dice, round % 10 ? 12 : NAMES_COMPONENT_MOST);
        for (size_t i = 0; i < size; i++)
            name[i] = (char)(dice_below(&dice, 4) ? likely[dice_below(&dice, sizeof likely)]
                                                  : 1 + dice_below(&dice, 255));
        char stored[NAMES_STORED_MOST + 1];
        if (names_encode(name, stored) == 0)
            stored_of(name);
        is_decodable(name, size);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(slashes_separate_directories),
        cmocka_unit_test(one_leading_slash_or_dot_slash_counts_as_absent),
        cmocka_unit_test(of_what_is_no_path_the_directories_above_are),
        cmocka_unit_test(what_posix_cannot_hold_is_no_path),
        cmocka_unit_test(a_component_has_255_bytes_at_most),
        cmocka_unit_test(the_mounts_own_name_is_taken_at_the_root_only),
        cmocka_unit_test(names_in_utf8_are_stored_as_they_are),
        cmocka_unit_test(a_byte_outside_utf8_is_stored_as_u_efnn),
        cmocka_unit_test(what_only_looks_like_utf8_is_escaped),
        cmocka_unit_test(a_genuine_escape_character_is_stored_as_three),
        cmocka_unit_test(the_longest_name_fits_its_stored_form),
        cmocka_unit_test(names_that_are_none_are_told_apart),
        cmocka_unit_test(what_storing_could_not_have_made_is_no_name),
        cmocka_unit_test(every_byte_and_pair_of_bytes_is_stored_reversibly),
        cmocka_unit_test(every_stored_byte_and_pair_means_one_name_or_none),
        cmocka_unit_test(random_names_are_stored_reversibly),
    };
    return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}

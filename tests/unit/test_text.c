// SPDX-License-Identifier: Apache-2.0
/* Names of others on a terminal and in JSON. */
#include "unit.h"

#include "fs/tools/text.h"

typedef void put(FILE *out, const char *bytes, size_t size);

static void check(put *put, const char *bytes, size_t size, const char *expected) {
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    put(out, bytes, size);
    fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

#define PLAIN(bytes, expected) check(text_put_plain, bytes, sizeof bytes - 1, expected)
#define JSON(bytes, expected) check(text_put_json, bytes, sizeof bytes - 1, expected)

static void test_what_is_text_stays(void **state) {
    (void)state;
    PLAIN("", "");
    PLAIN("a b/c'\"", "a b/c'\"");
    PLAIN("\u00e9\u20ac\U0001f600", "\u00e9\u20ac\U0001f600");
    JSON("", "\"\"");
    JSON("a\u00e9\u20ac\U0001f600", "\"a\u00e9\u20ac\U0001f600\"");
}

static void test_control_characters_are_shown(void **state) {
    (void)state;
    PLAIN("a\x1b[2J\n\0\x7f\\", "a\\x1b[2J\\x0a\\x00\\x7f\\\\");
    PLAIN("\xc2\x9b", "\\xc2\\x9b"); /* CSI in one character */
    JSON("\"\\\n\0\x7f", "\"\\\"\\\\\\u000a\\u0000\\u007f\"");
}

static void test_what_is_not_utf_8_is_shown(void **state) {
    (void)state;
    PLAIN("\xff", "\\xff");
    PLAIN("a\xc3", "a\\xc3");            /* cut off */
    PLAIN("\xc0\x80", "\\xc0\\x80");     /* too long a form */
    PLAIN("\xed\xa0\x80", "\\xed\\xa0\\x80"); /* a surrogate */
    PLAIN("\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80");
    JSON("a\xff" "b", "\"a\\ufffdb\"");
}

static void test_sizes_have_the_unit_that_suits_them(void **state) {
    (void)state;
    static const struct {
        int64_t bytes;
        const char *text;
    } cases[] = {{0, "0 bytes"}, {1023, "1023 bytes"}, {1024, "1.0 KiB"}, {(3 << 20) + (1 << 19), "3.5 MiB"},
                 {INT64_C(5) << 40, "5.0 TiB"}, {INT64_C(5) << 50, "5120.0 TiB"}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = NULL;
        size_t length;
        FILE *out = open_memstream(&text, &length);
        text_put_size(out, cases[i].bytes);
        fclose(out);
        assert_string_equal(text, cases[i].text);
        free(text);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_text_stays),
        cmocka_unit_test(test_control_characters_are_shown),
        cmocka_unit_test(test_what_is_not_utf_8_is_shown),
        cmocka_unit_test(test_sizes_have_the_unit_that_suits_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

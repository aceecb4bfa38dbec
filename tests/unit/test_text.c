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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_text_stays),
        cmocka_unit_test(test_control_characters_are_shown),
        cmocka_unit_test(test_what_is_not_utf_8_is_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

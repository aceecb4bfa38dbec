// SPDX-License-Identifier: Apache-2.0
#include "fs/revisions_text.h"

#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/store/revision.h"
#include "tests/unit/unit.h"

static struct store_past past(int64_t date_ms, const char *id) {
    struct revision *revision = revision_new("id", 2);
    revision->date_ms = date_ms;
    revision->length = 10;
    return (struct store_past){.revision = revision, .id = strdup(id), .due_ms = INT64_MIN};
}

static void expect(struct store_past *list, uint32_t count, const char *expected) {
    cleanup_free char *text = revisions_text(list, count);
    assert_string_equal(text, expected);
    for (uint32_t i = 0; i < count; i++)
        store_past_done(&list[i]);
}

static void each_is_told_with_what_is_known(void **state) {
    (void)state;
    struct store_past list[] = {past(2000, "b"), past(1000, "a\"<"), past(3000, "c")};
    list[0].revision->posix = POSIX_OWN;
    list[0].revision->attributes = (struct attributes){.has = ATTRIBUTES_UID, .uid = 4294967295u};
    list[0].sha256 = strdup("abc");
    list[2].retired = true;
    list[2].due_ms = -1;
    expect(list, 3,
           "{\"revisions\":["
           "{\"id\":\"b\",\"date_ms\":2000,\"size\":10,\"by\":\"gridmount\",\"uid\":4294967295,\"sha256\":\"abc\",\"state\":\"current\"},"
           "{\"id\":\"a\\\"<\",\"date_ms\":1000,\"size\":10,\"by\":\"application\",\"state\":\"kept\"},"
           "{\"id\":\"c\",\"date_ms\":3000,\"size\":10,\"by\":\"application\",\"until_ms\":-1,\"state\":\"retired\"}"
           "],\"more\":false}\n");
}

static void what_is_not_known_is_left_out(void **state) {
    (void)state;
    struct store_past list[] = {past(INT64_MIN, "a")};
    list[0].revision->damage = "no length";
    list[0].retired = true;
    expect(list, 1, "{\"revisions\":[{\"id\":\"a\",\"by\":\"application\",\"state\":\"retired\"}],\"more\":false}\n");
    expect(NULL, 0, "{\"revisions\":[],\"more\":false}\n");
}

static void it_says_that_there_may_be_more(void **state) {
    (void)state;
    struct store_past list[2 * REVISIONS_TOLD];
    for (unsigned retired = 0; retired < 2; retired++)
        for (unsigned count = REVISIONS_TOLD - 1; count <= REVISIONS_TOLD; count++) {
            for (unsigned i = 0; i < count; i++) {
                list[i] = past(i, "a");
                list[i].retired = retired;
            }
            cleanup_free char *text = revisions_text(list, count);
            assert_int_equal(strstr(text, "\"more\":true") != NULL, count == REVISIONS_TOLD);
            for (unsigned i = 0; i < count; i++)
                store_past_done(&list[i]);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_told_with_what_is_known),
        cmocka_unit_test(what_is_not_known_is_left_out),
        cmocka_unit_test(it_says_that_there_may_be_more),
    };
    return cmocka_run_group_tests_name("revisions_text", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/greeting.h"

#include "cache/base/clock.h"
#include "tests/unit/unit.h"

enum { LONG_MS = 60000, SHORT_MS = 20 };

static const char *const expired = "TLS handshake failed: certificate verify failed (10): certificate has expired";
static const char *const away = "Failed to connect to target host: a.example:27017: Connection refused";

static void hear(struct greeting *greeting, const char *server, const char *message) {
    bson_error_t error = {0};
    if (message)
        bson_set_error(&error, MONGOC_ERROR_STREAM, 0, "%s", message);
    greeting_heard(greeting, server, message ? &error : NULL);
}

/* Of two servers. */
static void begin(struct greeting *greeting) {
    greeting_init(greeting);
    greeting_expect(greeting);
    greeting_expect(greeting);
}

static bool end(struct greeting *greeting, int milliseconds) {
    bson_error_t refusal;
    bool refused = greeting_refused(greeting, milliseconds, &refusal);
    if (refused)
        assert_string_equal(refusal.message, expired);
    greeting_done(greeting);
    return refused;
}

static void it_is_refused_when_all_refuse_for_good(void **state) {
    (void)state;
    struct greeting greeting;
    begin(&greeting);
    hear(&greeting, "a.example:27017", expired);
    hear(&greeting, "b.example:27017", expired);
    assert_true(end(&greeting, LONG_MS));
}

static void one_that_answers_is_enough(void **state) {
    (void)state;
    struct greeting greeting;
    begin(&greeting);
    hear(&greeting, "a.example:27017", expired);
    hear(&greeting, "b.example:27017", NULL);
    assert_false(end(&greeting, LONG_MS));
}

static void one_that_may_come_back_is_waited_for_elsewhere(void **state) {
    (void)state;
    struct greeting greeting;
    begin(&greeting);
    hear(&greeting, "a.example:27017", away);
    hear(&greeting, "b.example:27017", expired);
    assert_false(end(&greeting, LONG_MS));
}

static void one_that_is_heard_twice_does_not_speak_for_the_other(void **state) {
    (void)state;
    struct greeting greeting;
    begin(&greeting);
    hear(&greeting, "a.example:27017", expired);
    hear(&greeting, "a.example:27017", expired);
    int64_t began = clock_now_ms();
    assert_false(end(&greeting, SHORT_MS));
    assert_true(clock_now_ms() - began >= SHORT_MS);
}

static void none_are_not_waited_for(void **state) {
    (void)state;
    struct greeting greeting;
    greeting_init(&greeting);
    assert_false(end(&greeting, LONG_MS));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_refused_when_all_refuse_for_good),
        cmocka_unit_test(one_that_answers_is_enough),
        cmocka_unit_test(one_that_may_come_back_is_waited_for_elsewhere),
        cmocka_unit_test(one_that_is_heard_twice_does_not_speak_for_the_other),
        cmocka_unit_test(none_are_not_waited_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

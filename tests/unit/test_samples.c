// SPDX-License-Identifier: Apache-2.0
#include "fs/tools/samples.h"

#include <stddef.h>

#include "tests/unit/unit.h"

static const char earlier[] = "# TYPE gridmount_reads counter\n"
                              "gridmount_reads_total 100\n"
                              "gridmount_inodes 7\n"
                              "gridmount_uptime_seconds 50\n"
                              "gridmount_request_seconds_bucket{operation=\"read\",le=\"0.001\"} 10\n"
                              "gridmount_request_seconds_bucket{operation=\"read\",le=\"0.01\"} 20\n"
                              "gridmount_request_seconds_bucket{operation=\"read\",le=\"+Inf\"} 20\n"
                              "gridmount_request_seconds_count{operation=\"read\"} 20\n"
                              "gridmount_request_seconds_sum{operation=\"read\"} 0.1\n"
                              "# EOF\n";
static const char later[] = "gridmount_reads_total 300\n"
                            "gridmount_request_seconds_bucket{operation=\"read\",le=\"0.001\"} 110\n"
                            "gridmount_request_seconds_bucket{operation=\"read\",le=\"0.01\"} 220\n"
                            "gridmount_request_seconds_bucket{operation=\"read\",le=\"+Inf\"} 220\n"
                            "gridmount_request_seconds_count{operation=\"read\"} 220\n"
                            "gridmount_request_seconds_sum{operation=\"read\"} 0.5\n";

static void samples_are_found_by_name(void **state) {
    (void)state;
    struct samples *samples = samples_new(earlier, 1000);
    assert_float_equal(samples_get(samples, "reads_total"), 100, 0);
    assert_float_equal(samples_get(samples, "inodes"), 7, 0);
    assert_float_equal(samples_get(samples, "absent"), 0, 0);
    samples_free(samples);
    samples = samples_new("", 0);
    assert_float_equal(samples_get(samples, "reads_total"), 0, 0);
    samples_free(samples);
    samples = samples_new("gridmount_\ngridmount_ 1\nother 3\n\n gridmount_x 1\ngridmount_y 2", 0);
    assert_float_equal(samples_get(samples, "y"), 2, 0);
    assert_float_equal(samples_get(samples, "x"), 0, 0);
    samples_free(samples);
}

static void rates_are_what_grew(void **state) {
    (void)state;
    struct samples *before = samples_new(earlier, 1000), *now = samples_new(later, 3000);
    double rate, mean, most;
    assert_float_equal(samples_rate(now, before, "reads_total"), 100, 1e-9);
    assert_float_equal(samples_rate(before, NULL, "reads_total"), 2, 1e-9); /* since it was mounted */
    assert_float_equal(samples_rate(before, now, "reads_total"), 100000, 1e-3); /* a mount that began anew */
    samples_requests(now, before, "read", &rate, &mean, &most);
    assert_float_equal(rate, 100, 1e-9);
    assert_float_equal(mean, 2, 1e-9);
    assert_float_equal(most, 10, 1e-9);
    samples_requests(now, before, "write", &rate, &mean, &most);
    assert_float_equal(rate, 0, 0);
    assert_float_equal(most, 0, 0);
    samples_free(before);
    samples_free(now);
}

static void what_takes_longer_than_any_bound_is_told(void **state) {
    (void)state;
    struct samples *now = samples_new("gridmount_request_seconds_bucket{operation=\"read\",le=\"30.0\"} 1\n"
                                      "gridmount_request_seconds_bucket{operation=\"read\",le=\"+Inf\"} 10\n"
                                      "gridmount_request_seconds_count{operation=\"read\"} 10\n", 0);
    double rate, mean, most;
    samples_requests(now, NULL, "read", &rate, &mean, &most);
    assert_float_equal(most, -30000, 1e-6);
    samples_free(now);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(samples_are_found_by_name),
        cmocka_unit_test(rates_are_what_grew),
        cmocka_unit_test(what_takes_longer_than_any_bound_is_told),
    };
    return cmocka_run_group_tests_name("samples", tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/metrics_text.h"

#include <errno.h>
#include <linux/fuse.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/fuse/meter.h"
#include "tests/unit/status_bench.h"
#include "tests/unit/unit.h"

static void expect_line(const char *text, const char *line) {
    for (const char *found = text; (found = strstr(found, line)); found++)
        if (found > text && found[-1] == '\n' && found[strlen(line)] == '\n')
            return;
    fail_msg("no line '%s' in\n%s", line, text);
}

static uint64_t value_of(const char *sample) {
    cleanup_free char *text = metrics_text(&facts);
    assert_non_null(text);
    const char *found = strstr(text, sample);
    if (!found)
        fail_msg("no '%s' in\n%s", sample, text);
    return strtoull(found + strlen(sample), NULL, 10);
}

static void each_fact_and_counter_is_a_family(void **state) {
    (void)state;
    cleanup_free char *text = metrics_text(&facts);
    assert_non_null(text);
    expect_line(text, "gridmount_mount_info{version=\"0.1.0\",server=\"host:27017\",database=\"data\",bucket=\"fs\","
                      "mountpoint=\"/mnt/a \\\"quoted\\\" \\\\ back\\nslash\"} 1");
    expect_line(text, "gridmount_healthy 1");
    expect_line(text, "gridmount_push_healthy 0");
    expect_line(text, "gridmount_uptime_seconds 61");
    expect_line(text, "gridmount_cache_size_bytes 268435456");
    expect_line(text, "gridmount_cache_used_bytes 1048576");
    for (unsigned i = 0; i < STATS; i++) {
        char line[512];
        snprintf(line, sizeof line, "# TYPE gridmount_%s %s", stats_name(i), stats_is_gauge(i) ? "gauge" : "counter");
        expect_line(text, line);
        snprintf(line, sizeof line, "# HELP gridmount_%s %s", stats_name(i), stats_text(i));
        expect_line(text, line);
        snprintf(line, sizeof line, "\ngridmount_%s%s ", stats_name(i), stats_is_gauge(i) ? "" : "_total");
        assert_non_null(strstr(text, line));
    }
    assert_null(strstr(text, "cache_dir_size_bytes"));
    assert_string_equal(text + strlen(text) - 6, "# EOF\n");
}

static void it_is_utf_8_whatever_the_mountpoint_is(void **state) {
    (void)state;
    struct status_facts named = facts;
    named.mountpoint = "/mnt/\xff\xc3\xa9";
    cleanup_free char *text = metrics_text(&named);
    assert_non_null(strstr(text, "mountpoint=\"/mnt/\xee\xbf\xbf\xc3\xa9\"}"));
}

static void cache_dir_is_told_of_when_there_is_one(void **state) {
    (void)state;
    struct status_facts kept = facts;
    kept.disk = "/var/cache/gridmount/chunks";
    kept.disk_size = 10 << 20;
    kept.disk_used = 5 << 20;
    kept.disk_resting = -ENOSPC;
    cleanup_free char *text = metrics_text(&kept);
    assert_non_null(text);
    expect_line(text, "gridmount_cache_dir_size_bytes 10485760");
    expect_line(text, "gridmount_cache_dir_used_bytes 5242880");
    expect_line(text, "gridmount_cache_dir_resting 1");
}

static void how_late_changes_are_told_is_there_once_one_could_be(void **state) {
    (void)state;
    struct status_facts told = facts;
    told.told_lag_ms = 1250;
    cleanup_free char *never = metrics_text(&facts), *text = metrics_text(&told);
    assert_null(strstr(never, "push_lag"));
    expect_line(text, "# TYPE gridmount_push_lag_seconds gauge");
    expect_line(text, "gridmount_push_lag_seconds 1.250");
}

static void counters_are_as_counted(void **state) {
    (void)state;
    stats_add(STAT_reads, 17);
    assert_int_equal(value_of("\ngridmount_reads_total "), 17);
    stats_add(STAT_inodes, 3);
    stats_subtract(STAT_inodes, 1);
    assert_int_equal(value_of("\ngridmount_inodes "), 2);
}

#define READS "\ngridmount_request_seconds_"

static void requests_are_counted_by_operation_and_time(void **state) {
    (void)state;
    meter_note(FUSE_READ, 25000, 0);
    meter_note(FUSE_READ, 25001, 0);
    meter_note(FUSE_READ, 40 * INT64_C(1000000000), -ETIMEDOUT);
    meter_note(FUSE_WRITE, 1, -ENOSPC);
    assert_int_equal(value_of(READS "bucket{operation=\"read\",le=\"2.5e-05\"} "), 1);
    assert_int_equal(value_of(READS "bucket{operation=\"read\",le=\"5e-05\"} "), 2);
    assert_int_equal(value_of(READS "bucket{operation=\"read\",le=\"1.0\"} "), 2);
    assert_int_equal(value_of(READS "bucket{operation=\"read\",le=\"30.0\"} "), 2);
    assert_int_equal(value_of(READS "bucket{operation=\"read\",le=\"+Inf\"} "), 3);
    assert_int_equal(value_of(READS "count{operation=\"read\"} "), 3);
    assert_int_equal(value_of(READS "sum{operation=\"read\"} "), 40);
    assert_int_equal(value_of(READS "count{operation=\"write\"} "), 1);
    assert_int_equal(value_of("\ngridmount_request_errors_total{errno=\"ETIMEDOUT\"} "), 1);
    assert_int_equal(value_of("\ngridmount_request_errors_total{errno=\"ENOSPC\"} "), 1);
}

static void what_is_no_operation_or_no_errno_counts_nothing(void **state) {
    (void)state;
    cleanup_free char *before = metrics_text(&facts);
    meter_note(FUSE_FORGET, 1, 0);
    meter_note(0, 1, -EIO);
    meter_note(63, 1, 0);
    meter_note(UINT32_MAX, 1, 0);
    cleanup_free char *after = metrics_text(&facts);
    assert_string_equal(before, after);
    meter_note(FUSE_STATFS, 1, -512);
    assert_int_equal(value_of(READS "count{operation=\"statfs\"} "), 1);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_fact_and_counter_is_a_family),
        cmocka_unit_test(it_is_utf_8_whatever_the_mountpoint_is),
        cmocka_unit_test(cache_dir_is_told_of_when_there_is_one),
        cmocka_unit_test(how_late_changes_are_told_is_there_once_one_could_be),
        cmocka_unit_test(counters_are_as_counted),
        cmocka_unit_test(requests_are_counted_by_operation_and_time),
        cmocka_unit_test(what_is_no_operation_or_no_errno_counts_nothing),
    };
    return cmocka_run_group_tests_name("metrics_text", tests, NULL, NULL);
}

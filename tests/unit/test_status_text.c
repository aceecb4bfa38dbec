// SPDX-License-Identifier: Apache-2.0
#include "fs/status_text.h"

#include <bson/bson.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "tests/unit/status_bench.h"
#include "tests/unit/unit.h"

static bson_t *parsed(const struct status_facts *what) {
    cleanup_free char *json = status_text(what, true);
    bson_error_t error;
    assert_non_null(json);
    bson_t *document = bson_new_from_json((const uint8_t *)json, -1, &error);
    if (!document)
        fail_msg("%s: %s", json, error.message);
    return document;
}

static const char *text_at(const bson_t *document, const char *field) {
    bson_iter_t iter;
    assert_true(bson_iter_init_find(&iter, document, field) && BSON_ITER_HOLDS_UTF8(&iter));
    return bson_iter_utf8(&iter, NULL);
}

static int64_t number_at(const bson_t *document, const char *path) {
    bson_iter_t iter, found;
    assert_true(bson_iter_init(&iter, document) && bson_iter_find_descendant(&iter, path, &found));
    assert_true(BSON_ITER_HOLDS_INT(&found));
    return bson_iter_as_int64(&found);
}

static void json_holds_every_fact(void **state) {
    (void)state;
    bson_t *document = parsed(&facts);
    assert_string_equal(text_at(document, "state"), "ok");
    assert_string_equal(text_at(document, "server"), facts.server);
    assert_string_equal(text_at(document, "database"), facts.database);
    assert_string_equal(text_at(document, "bucket"), facts.bucket);
    assert_string_equal(text_at(document, "mountpoint"), facts.mountpoint);
    assert_true(strlen(text_at(document, "version")) > 0);
    assert_int_equal(number_at(document, "pid"), getpid());
    assert_int_equal(number_at(document, "uptime_seconds"), 61);
    assert_int_equal(number_at(document, "stop_timeout_ms"), 8000);
    assert_string_equal(text_at(document, "staging_dir"), facts.staging_dir);
    assert_int_equal(number_at(document, "cache.size"), facts.cache_size);
    assert_int_equal(number_at(document, "cache.used"), facts.cache_used);
    bson_destroy(document);
}

static void every_counter_is_shown(void **state) {
    (void)state;
    for (unsigned stat = 0; stat < STATS; stat++)
        stats_add((enum statistic)stat, stat + 1);
    bson_t *document = parsed(&facts);
    cleanup_free char *text = status_text(&facts, false);
    for (unsigned stat = 0; stat < STATS; stat++) {
        char path[64];
        snprintf(path, sizeof path, "counters.%s", stats_name((enum statistic)stat));
        assert_int_equal(number_at(document, path), stat + 1);
        assert_non_null(strstr(text, stats_name((enum statistic)stat)));
        assert_non_null(strstr(text, stats_text((enum statistic)stat)));
        stats_subtract((enum statistic)stat, stat + 1);
    }
    bson_destroy(document);
}

static void a_server_that_does_not_answer_is_degraded(void **state) {
    (void)state;
    struct status_facts away = facts;
    away.healthy = false;
    bson_t *document = parsed(&away);
    cleanup_free char *text = status_text(&away, false);
    assert_string_equal(text_at(document, "state"), "degraded");
    assert_non_null(strstr(text, "degraded"));
    assert_string_equal(text_at(document, "away_since"), "");
    bson_destroy(document);
}

static void what_could_not_be_stored_is_degraded_and_what_waits_is_not(void **state) {
    (void)state;
    stats_add(STAT_waiting_files, 1);
    bson_t *waiting = parsed(&facts);
    stats_add(STAT_unsaved_files, 1);
    bson_t *failed = parsed(&facts);
    cleanup_free char *text = status_text(&facts, false);
    stats_subtract(STAT_waiting_files, 1);
    stats_subtract(STAT_unsaved_files, 1);
    assert_string_equal(text_at(waiting, "state"), "ok");
    assert_string_equal(text_at(failed, "state"), "degraded");
    assert_non_null(strstr(text, "degraded: files could not be stored"));
    bson_destroy(waiting);
    bson_destroy(failed);
}

static void since_when_the_server_is_away_is_shown(void **state) {
    (void)state;
    struct status_facts away = facts;
    away.healthy = false;
    away.away_since = 1795885775;
    bson_t *document = parsed(&away), *here = parsed(&facts);
    cleanup_free char *text = status_text(&away, false);
    assert_string_equal(text_at(document, "away_since"), "2026-11-28T17:09:35Z");
    assert_string_equal(text_at(here, "away_since"), "");
    assert_non_null(strstr(text, "since 2026-11-28T17:09:35Z; names and listings are shown as of then"));
    bson_destroy(document);
    bson_destroy(here);
}

static void whether_the_server_tells_of_changes_is_shown(void **state) {
    (void)state;
    struct status_facts told = facts;
    told.told = true;
    bson_t *one = parsed(&facts), *other = parsed(&told);
    cleanup_free char *without = status_text(&facts, false), *with = status_text(&told, false);
    assert_string_equal(text_at(one, "push"), "none");
    assert_string_equal(text_at(other, "push"), "healthy");
    assert_non_null(strstr(without, "push        none"));
    assert_non_null(strstr(with, "push        healthy"));
    bson_destroy(one);
    bson_destroy(other);
}

static void what_is_kept_on_disk_is_shown_where_it_is(void **state) {
    (void)state;
    struct status_facts kept = facts;
    kept.disk = "/var/cache/chunks";
    kept.disk_size = INT64_C(10) << 30;
    kept.disk_used = 3 << 20;
    kept.disk_backlog = 40;
    kept.disk_passing = "used";
    bson_t *without = parsed(&facts), *with = parsed(&kept);
    cleanup_free char *text = status_text(&kept, false);
    assert_false(bson_has_field(without, "cache_dir"));
    assert_int_equal(number_at(with, "cache_dir.size"), kept.disk_size);
    assert_int_equal(number_at(with, "cache_dir.used"), kept.disk_used);
    assert_int_equal(number_at(with, "cache_dir.backlog_percent"), 40);
    assert_non_null(strstr(text, "cache_dir   3 of 10240 MiB in /var/cache/chunks\npassthrough used\n"));
    bson_destroy(without);
    bson_destroy(with);
    kept.disk_resting = -ENOSPC;
    cleanup_free char *resting = status_text(&kept, false);
    assert_non_null(strstr(resting, "in /var/cache/chunks; nothing is kept now: No space left on device\n"));
}

static void what_is_warmed_is_shown_while_it_is(void **state) {
    (void)state;
    static const struct status_warming warming = {.state = "running", .files = 3, .bytes = 5 << 20, .failed = 1};
    struct status_facts busy = facts;
    busy.warming = &warming;
    bson_t *without = parsed(&facts), *with = parsed(&busy);
    cleanup_free char *text = status_text(&busy, false);
    assert_false(bson_has_field(without, "warming"));
    assert_int_equal(number_at(with, "warming.files"), 3);
    assert_int_equal(number_at(with, "warming.bytes"), 5 << 20);
    assert_int_equal(number_at(with, "warming.failed"), 1);
    assert_non_null(strstr(text, "warming     running: 3 files, 5 MiB, 1 failed\n"));
    assert_string_equal(text_at(with, "state"), "ok");
    bson_destroy(without);
    bson_destroy(with);
}

static void json_is_utf8_whatever_the_names(void **state) {
    (void)state;
    static char hostile[] = "</script><b>\"\\\n\xee\xbf\xbf\xc3\xa9";
    struct status_facts named = facts;
    named.mountpoint = "/mnt/\xff\xc3\xa9";
    named.busiest[0] = (struct status_file){.path = hostile, .bytes = 7};
    bson_t *document = parsed(&named);
    bson_iter_t iter, found;
    assert_string_equal(text_at(document, "mountpoint"), "/mnt/\xee\xbf\xbf\xc3\xa9");
    assert_true(bson_iter_init(&iter, document) && bson_iter_find_descendant(&iter, "busiest.0.path", &found));
    assert_string_equal(bson_iter_utf8(&found, NULL), hostile);
    bson_destroy(document);
}

static void text_says_it_in_words(void **state) {
    (void)state;
    cleanup_free char *text = status_text(&facts, false);
    assert_non_null(strstr(text, "state       ok"));
    assert_non_null(strstr(text, "host:27017"));
    assert_non_null(strstr(text, "1 of 256 MiB"));
    assert_int_equal(text[strlen(text) - 1], '\n');
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_holds_every_fact),
        cmocka_unit_test(every_counter_is_shown),
        cmocka_unit_test(a_server_that_does_not_answer_is_degraded),
        cmocka_unit_test(what_could_not_be_stored_is_degraded_and_what_waits_is_not),
        cmocka_unit_test(since_when_the_server_is_away_is_shown),
        cmocka_unit_test(whether_the_server_tells_of_changes_is_shown),
        cmocka_unit_test(what_is_kept_on_disk_is_shown_where_it_is),
        cmocka_unit_test(what_is_warmed_is_shown_while_it_is),
        cmocka_unit_test(json_is_utf8_whatever_the_names),
        cmocka_unit_test(text_says_it_in_words),
    };
    return cmocka_run_group_tests_name("status_text", tests, NULL, NULL);
}

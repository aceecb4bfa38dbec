// SPDX-License-Identifier: Apache-2.0
#include "fs/options.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cache/base/cleanup.h"
#include "tests/unit/unit.h"

static struct options options;

static int set_up(void **state) {
    (void)state;
    static const char *const names[] = {"MONGODB_URL", "MONGODB_URI", "DB_NAME", "DBNAME"};
    for (unsigned i = 0; i < 4; i++)
        unsetenv(names[i]);
    return options_init(&options);
}

static int tear_down(void **state) {
    (void)state;
    options_done(&options);
    return 0;
}

static void accept(const char *text) {
    char *error = NULL;
    if (options_parse(&options, text, &error))
        fail_msg("%s: %s", text, error);
    assert_null(error);
}

/* The text is refused in one line that holds `because`. */
static void refuse(const char *text, const char *because) {
    char *error = NULL;
    if (options_parse(&options, text, &error) != -EINVAL || !error)
        fail_msg("%s was not refused", text);
    if (!strstr(error, because) || strchr(error, '\n'))
        fail_msg("%s was refused with: %s", text, error);
    free(error);
}

static void defaults_are_those_of_the_help(void **state) {
    (void)state;
    assert_string_equal(options.bucket, "fs");
    assert_in_range(options.cache_size, 1 << 20, 256 << 20);
    assert_int_equal(options.consistency.mode, CONSISTENCY_OPEN);
    assert_int_equal(options.consistency.trust_ms, 1000);
    assert_int_equal(options.timeout_ms, 30000);
    assert_int_equal(options.uid, OPTIONS_OWNER);
    assert_int_equal(options.gid, OPTIONS_OWNER);
    assert_int_equal(options.umask, 022);
    assert_int_equal(options.locks, LOCKS_LOCAL);
    assert_int_equal(options.log_level, LOG_LEVEL_INFO);
    assert_false(options.create_indexes || options.allow_other || options.foreground);
    assert_false(options.read_only || options.checksum);
    assert_null(options.staging_dir);
    assert_null(options.cache_dir);
    assert_int_equal(options.cache_disk, (int64_t)10 << 30);
    assert_int_equal(options.cache_free, (int64_t)1 << 30);
    assert_int_equal(options.max_file_size, (int64_t)64 << 30);
    assert_int_equal(options.trash_max, (int64_t)10 << 30);
    assert_int_equal(options.grace_ms, 60000);
    assert_false(options.writeback);
    assert_int_equal(options.writeback_max, (int64_t)1 << 30);
    assert_int_equal(options.stop_ms, 8000);
    assert_int_equal(options.revisions, REVISIONS_OWN);
}

static void several_options_are_separated_by_commas(void **state) {
    (void)state;
    accept("bucket=images,uid=1000,,allow_other,");
    assert_string_equal(options.bucket, "images");
    assert_int_equal(options.uid, 1000);
    assert_true(options.allow_other);
    accept("");
    accept("bucket=*");
    assert_string_equal(options.bucket, "*");
}

static void a_text_may_hold_an_equals_sign_but_not_be_empty(void **state) {
    (void)state;
    accept("log_file=/tmp/a=b");
    assert_string_equal(options.log_file, "/tmp/a=b");
    refuse("bucket=", "bucket");
    refuse("bucket", "needs a value");
}

static void a_flag_takes_no_value(void **state) {
    (void)state;
    accept("create_indexes");
    assert_true(options.create_indexes);
    refuse("allow_other=yes", "takes no value");
}

static void sizes_have_units_of_1024(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t size;
    } cases[] = {{"cache_size=1048576", 1 << 20}, {"cache_size=2048K", 2 << 20}, {"cache_size=64M", 64 << 20},
                 {"cache_size=3G", (int64_t)3 << 30}, {"cache_size=1T", (int64_t)1 << 40}};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        accept(cases[i].text);
        assert_int_equal(options.cache_size, cases[i].size);
    }
    static const char *const wrong[] = {"cache_size=",     "cache_size=M",    "cache_size=0",   "cache_size=-1M",
                                        "cache_size=1K",   "cache_size=1.5M", "cache_size=64X", "cache_size=64MM",
                                        "cache_size= 64M", "cache_size=+64M", "cache_size=9999999999999999999",
                                        "cache_size=99999999T"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "cache_size");
    assert_int_equal(options.cache_size, (int64_t)1 << 40);
}

static void seconds_may_be_fractions(void **state) {
    (void)state;
    accept("timeout=2.5");
    assert_int_equal(options.timeout_ms, 2500);
    accept("grace=3600");
    assert_int_equal(options.grace_ms, 3600000);
    refuse("grace=0", "grace");
    static const char *const wrong[] = {"timeout=0", "timeout=-1", "timeout=nan", "timeout=inf", "timeout=1e300",
                                        "timeout=", "timeout=5s"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "timeout");
}

static void numbers_are_decimal_and_modes_octal(void **state) {
    (void)state;
    accept("uid=0,gid=4294967294,umask=077");
    assert_int_equal(options.uid, 0);
    assert_int_equal(options.gid, 4294967294);
    assert_int_equal(options.umask, 077);
    static const char *const wrong[] = {"uid=4294967295", "uid=-1", "uid=x", "uid=", "uid=1x", "umask=1000",
                                        "umask=8", "umask=-1", "uid=\t1"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "not a valid");
}

static void consistency_has_four_modes(void **state) {
    (void)state;
    accept("consistency=strict");
    assert_int_equal(options.consistency.mode, CONSISTENCY_STRICT);
    assert_int_equal(options.consistency.trust_ms, 0);
    accept("consistency=ttl:2.5");
    assert_int_equal(options.consistency.mode, CONSISTENCY_TTL);
    assert_int_equal(options.consistency.trust_ms, 2500);
    accept("consistency=immutable");
    assert_int_equal(options.consistency.mode, CONSISTENCY_IMMUTABLE);
    assert_true(options.consistency.trust_ms > 3600000);
    accept("consistency=open");
    assert_int_equal(options.consistency.mode, CONSISTENCY_OPEN);
    static const char *const wrong[] = {"consistency=", "consistency=ttl", "consistency=ttl:", "consistency=ttl:-1",
                                        "consistency=ttl:x", "consistency=Open", "consistency=opened"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "consistency");
    assert_int_equal(options.consistency.mode, CONSISTENCY_OPEN);
}

static void the_log_has_four_levels(void **state) {
    (void)state;
    accept("log_level=debug");
    assert_int_equal(options.log_level, LOG_LEVEL_DEBUG);
    accept("log_level=error");
    assert_int_equal(options.log_level, LOG_LEVEL_ERROR);
    refuse("log_level=loud", "log_level");
}

static void what_is_unknown_or_loosens_the_mount_is_refused(void **state) {
    (void)state;
    refuse("cachesize=64M", "unknown option 'cachesize'");
    refuse("Bucket=x", "unknown option");
    refuse("suid", "suid");
    refuse("dev", "dev");
}

static void the_last_of_ro_and_rw_holds(void **state) {
    (void)state;
    accept("rw"); /* mount(8) says it */
    assert_false(options.read_only);
    accept("ro");
    assert_true(options.read_only);
    accept("ro,rw");
    assert_false(options.read_only);
    refuse("rwx", "unknown option 'rwx'");
    refuse("ro=1", "takes no value");
}

static void what_is_kept_on_disk_has_options_of_its_own(void **state) {
    (void)state;
    accept("cache_dir=/var/cache/gridmount,cache_disk=2G,cache_free=64M");
    assert_string_equal(options.cache_dir, "/var/cache/gridmount");
    assert_int_equal(options.cache_disk, (int64_t)2 << 30);
    assert_int_equal(options.cache_free, 64 << 20);
    refuse("cache_dir=", "cache_dir");
    refuse("cache_disk=0", "cache_disk");
    refuse("cache_free=x", "cache_free");
}

static void what_is_written_has_options_of_its_own(void **state) {
    (void)state;
    accept("staging_dir=/var/tmp/staging,max_file_size=1G,trash_max=2T");
    assert_string_equal(options.staging_dir, "/var/tmp/staging");
    assert_int_equal(options.max_file_size, 1 << 30);
    assert_int_equal(options.trash_max, (int64_t)2 << 40);
    refuse("staging_dir=", "staging_dir");
    refuse("max_file_size=1K", "max_file_size");
    refuse("trash_max=-1", "trash_max");
}

static void revisions_are_retired_in_three_ways(void **state) {
    (void)state;
    accept("revisions=replace");
    assert_int_equal(options.revisions, REVISIONS_REPLACE);
    accept("revisions=keep");
    assert_int_equal(options.revisions, REVISIONS_KEEP);
    accept("revisions=own");
    assert_int_equal(options.revisions, REVISIONS_OWN);
    static const char *const wrong[] = {"revisions=", "revisions=all", "revisions=Own", "revisions"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "revisions");
    assert_int_equal(options.revisions, REVISIONS_OWN);
}

static void locks_are_of_the_mount_or_of_all(void **state) {
    (void)state;
    accept("locks=cluster");
    assert_int_equal(options.locks, LOCKS_CLUSTER);
    static const char *const wrong[] = {"locks=", "locks=all", "locks=Local", "locks"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "locks");
    assert_int_equal(options.locks, LOCKS_CLUSTER);
    accept("locks=local");
    assert_int_equal(options.locks, LOCKS_LOCAL);
}

static void a_switch_is_on_or_off(void **state) {
    (void)state;
    accept("checksum=on");
    assert_true(options.checksum);
    static const char *const wrong[] = {"checksum=", "checksum=yes", "checksum=1", "checksum"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "checksum");
    assert_true(options.checksum);
    accept("checksum=off");
    assert_false(options.checksum);
    assert_true(options.push);
    accept("push=off");
    assert_false(options.push);
}

static void what_is_to_be_warmed_is_a_list(void **state) {
    (void)state;
    assert_null(options.warm);
    accept("warm=models/*.pt,ro,warm=/data/");
    accept("warm=././x");
    static const char *const globs[] = {"models/*.pt", "data", "x"};
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(options.warm[i], globs[i]);
    assert_null(options.warm[3]);
    static const char *const wrong[] = {"warm", "warm=", "warm=/", "warm=./"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "warm");
    assert_null(options.warm[3]);
}

static void accept_words(const char *text, int locks, int revisions, int level, bool switched) {
    accept(text);
    assert_int_equal(options.locks, locks);
    assert_int_equal(options.revisions, revisions);
    assert_int_equal(options.log_level, level);
    assert_int_equal(options.checksum, switched);
    assert_int_equal(options.push, switched);
}

/* What the argument of a row lists is taken, in the order of the enum; no part of it is. */
static void words_are_those_of_the_table(void **state) {
    (void)state;
    accept_words("locks=cluster,revisions=keep,log_level=error,checksum=on,push=on", LOCKS_CLUSTER, REVISIONS_KEEP,
                 LOG_LEVEL_ERROR, true);
    accept_words("locks=local,revisions=own,log_level=debug,checksum=off,push=off", LOCKS_LOCAL, REVISIONS_OWN,
                 LOG_LEVEL_DEBUG, false);
    static const char *const wrong[] = {"locks=", "locks=loca", "locks=local|", "locks=local|cluster", "locks=|",
                                        "revisions=ownx", "revisions=own|replace", "push=o", "push=onoff"};
    for (unsigned i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuse(wrong[i], "not a valid");
}

/* Every row of the table: a fitting value is taken, and the help shows it. */
static void the_table_is_complete(void **state) {
    (void)state;
    static const struct {
        const char *name, *kind, *argument, *help;
    } rows[] = {
#define OPTION(name, field, kind, argument, help) {#name, #kind, argument, help},
#include "fs/options.def"
#undef OPTION
    };
    static const struct {
        const char *kind, *value;
    } samples[] = {{"TEXT", "=x"}, {"FLAG", ""},      {"SIZE", "=64M"},    {"SECONDS", "=5"},
                   {"NUMBER", "=5"}, {"OCTAL", "=27"}, {"MODE", "=strict"}, {"LEVEL", "=debug"},
                   {"REVISIONS", "=keep"}, {"SWITCH", "=on"}, {"LOCKS", "=cluster"}, {"GLOBS", "=models"}};
    cleanup_free char *help = NULL;
    size_t size;
    FILE *out = open_memstream(&help, &size);
    options_help(out);
    fclose(out);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *value = NULL;
        for (unsigned k = 0; k < sizeof samples / sizeof *samples; k++)
            if (strcmp(samples[k].kind, rows[i].kind) == 0)
                value = samples[k].value;
        assert_non_null(value);
        char text[64], left[64];
        snprintf(text, sizeof text, "%s%s", rows[i].name, value);
        accept(text);
        snprintf(left, sizeof left, "  %s%s%s", rows[i].name, *rows[i].argument ? "=" : "", rows[i].argument);
        assert_non_null(strstr(help, left));
        assert_non_null(strstr(help, rows[i].help));
    }
}

/* ---- environment and credentials ---- */

static char credentials[] = "/tmp/gridmount-credentials-XXXXXX";

static void write_credentials(const char *text, mode_t mode) {
    int fd = open(credentials, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
    free(options.credentials);
    options.credentials = strdup(credentials);
}

static int complete(char **ret_error) {
    *ret_error = NULL;
    return options_complete(&options, ret_error);
}

static void expect_complete(void) {
    char *error;
    if (complete(&error))
        fail_msg("%s", error);
}

static void expect_incomplete(const char *because) {
    char *error;
    assert_int_equal(complete(&error), -EINVAL);
    assert_non_null(error);
    if (!strstr(error, because) || strchr(error, '\n'))
        fail_msg("%s", error);
    free(error);
}

static void without_a_connection_string_it_is_incomplete(void **state) {
    (void)state;
    expect_incomplete("MONGODB_URL");
    setenv("MONGODB_URL", "", 1); /* empty is as good as unset */
    expect_incomplete("MONGODB_URL");
}

static void locks_of_all_mounts_are_written(void **state) {
    (void)state;
    setenv("MONGODB_URL", "mongodb://host", 1);
    accept("ro,locks=cluster");
    expect_incomplete("locks=cluster");
    accept("rw");
    expect_complete();
}

static void who_unlocks_for_all_mounts_has_stored_before(void **state) {
    (void)state;
    setenv("MONGODB_URL", "mongodb://host", 1);
    accept("writeback,locks=cluster");
    expect_incomplete("writeback");
    accept("locks=local");
    expect_complete();
}

static void the_environment_fills_in_what_is_missing(void **state) {
    (void)state;
    setenv("MONGODB_URI", "mongodb://second", 1);
    setenv("DBNAME", "second", 1);
    expect_complete();
    assert_string_equal(options.uri, "mongodb://second");
    assert_string_equal(options.database, "second");
}

static void the_first_name_wins_and_what_was_given_stays(void **state) {
    (void)state;
    setenv("MONGODB_URL", "mongodb://first", 1);
    setenv("MONGODB_URI", "mongodb://second", 1);
    setenv("DB_NAME", "first", 1);
    setenv("DBNAME", "second", 1);
    options.uri = strdup("mongodb://given");
    expect_complete();
    assert_string_equal(options.uri, "mongodb://given");
    assert_string_equal(options.database, "first");
}

static void the_credentials_file_comes_before_the_environment(void **state) {
    (void)state;
    setenv("MONGODB_URL", "mongodb://environment", 1);
    write_credentials("# comment\n\nexport MONGODB_URL=\"mongodb://u:p=w@file/?a=b\"\r\n"
                      "DB_NAME='data'\nOTHER=x\n", 0600);
    expect_complete();
    assert_string_equal(options.uri, "mongodb://u:p=w@file/?a=b");
    assert_string_equal(options.database, "data");
}

static void hostile_lines_of_credentials_are_left_out(void **state) {
    (void)state;
    write_credentials("=\n\"\nMONGODB_URL\nMONGODB_URL=\nMONGODB_URLX=a\nDB_NAME=\"\nMONGODB_URL=mongodb://x", 0600);
    expect_complete();
    assert_string_equal(options.uri, "mongodb://x");
    assert_string_equal(options.database, "\"");
}

static void credentials_that_others_can_read_are_refused(void **state) {
    (void)state;
    write_credentials("MONGODB_URL=mongodb://secret\n", 0640);
    expect_incomplete("chmod 600");
    assert_null(options.uri);
}

static void credentials_that_are_not_there_are_an_error(void **state) {
    (void)state;
    options.credentials = strdup("/nonexistent/file");
    expect_incomplete("/nonexistent/file");
    free(options.credentials);
    options.credentials = strdup("/tmp");
    expect_incomplete("no regular file");
}

static int make_credentials(void **state) {
    (void)state;
    int fd = mkstemp(credentials);
    return fd < 0 ? -1 : close(fd);
}

static int remove_credentials(void **state) {
    (void)state;
    return unlink(credentials);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(defaults_are_those_of_the_help),
        TEST(several_options_are_separated_by_commas),
        TEST(a_text_may_hold_an_equals_sign_but_not_be_empty),
        TEST(a_flag_takes_no_value),
        TEST(sizes_have_units_of_1024),
        TEST(seconds_may_be_fractions),
        TEST(numbers_are_decimal_and_modes_octal),
        TEST(consistency_has_four_modes),
        TEST(the_log_has_four_levels),
        TEST(what_is_unknown_or_loosens_the_mount_is_refused),
        TEST(the_last_of_ro_and_rw_holds),
        TEST(what_is_kept_on_disk_has_options_of_its_own),
        TEST(what_is_written_has_options_of_its_own),
        TEST(revisions_are_retired_in_three_ways),
        TEST(locks_are_of_the_mount_or_of_all),
        TEST(a_switch_is_on_or_off),
        TEST(what_is_to_be_warmed_is_a_list),
        TEST(words_are_those_of_the_table),
        TEST(the_table_is_complete),
        TEST(without_a_connection_string_it_is_incomplete),
        TEST(locks_of_all_mounts_are_written),
        TEST(who_unlocks_for_all_mounts_has_stored_before),
        TEST(the_environment_fills_in_what_is_missing),
        TEST(the_first_name_wins_and_what_was_given_stays),
        TEST(the_credentials_file_comes_before_the_environment),
        TEST(hostile_lines_of_credentials_are_left_out),
        TEST(credentials_that_others_can_read_are_refused),
        TEST(credentials_that_are_not_there_are_an_error),
    };
    return cmocka_run_group_tests_name("options", tests, make_credentials, remove_credentials);
}

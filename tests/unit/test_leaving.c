// SPDX-License-Identifier: Apache-2.0
/* Each mount of these tests is a process, since ending it is what is tested. */
#include "fs/leaving.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "tests/unit/unit.h"

enum { SHORT_MS = 1, SILENT_MS = 700, KEPT_MS = 3 * SILENT_MS, LONG_MS = 600000, LEFT = 40, IN_TIME = 50 };

static bool unmounted; /* in the process of one test */

static void unmount(void *context) {
    (void)context;
    unmounted = true;
}

static void note_unmounted(void *context) {
    (void)context;
    _exit(LEFT);
}

static atomic_uint kept; /* likewise: how often content was */

static bool keep(void *context) {
    (void)context;
    atomic_fetch_add(&kept, 1);
    return true;
}

static bool keep_not(void *context) {
    (void)context;
    return false;
}

/* As when the disk is full by then. */
static bool keep_once(void *context) {
    return keep(context) && atomic_load(&kept) == 1;
}

static int64_t stop_ms = LONG_MS; /* of the processes that are started */

static void pause_ms(int milliseconds) {
    usleep((useconds_t)milliseconds * 1000);
}

static pid_t start_keeping(void (*leave)(struct leaving *), int64_t timeout_ms, void (*unmounting)(void *context),
                           bool (*keeping)(void *context)) {
    pid_t pid = fork();
    if (pid)
        return pid;
    log_open(LOG_TO_STDERR, LOG_LEVEL_ERROR);
    struct leaving_config config = {.silent_ms = SILENT_MS,
                                    .kept_ms = KEPT_MS,
                                    .stop_ms = stop_ms,
                                    .timeout_ms = timeout_ms,
                                    .unmount = unmounting,
                                    .keep = keeping,
                                    .kept_in = "/where"};
    struct leaving *leaving = leaving_new(&config);
    leave(leaving);
    leaving_free(leaving);
    _exit(unmounted ? 1 : IN_TIME);
}

/* Starts a process; `leave` gets what watches its end. */
static pid_t start(void (*leave)(struct leaving *), int64_t timeout_ms, void (*unmounting)(void *context)) {
    return start_keeping(leave, timeout_ms, unmounting, keep);
}

static void expect(pid_t pid, int wanted) {
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), wanted);
}

static void hang(struct leaving *leaving) {
    leaving_begin(leaving);
    pause_ms(LONG_MS);
}

static void hang_with_content(struct leaving *leaving) {
    stats_add(STAT_staged_bytes, 1);
    hang(leaving);
}

static void hang_with_a_file(struct leaving *leaving) {
    stats_add(STAT_unsaved_files, 1);
    hang(leaving);
}

static void hang_with_a_file_that_waits(struct leaving *leaving) {
    stats_add(STAT_waiting_files, 1);
    hang(leaving);
}

static void hang_with_a_file_of_an_earlier_mount(struct leaving *leaving) {
    stats_add(STAT_left_files, 1);
    hang_with_a_file(leaving);
}

static void wait_until_it_is_kept(struct leaving *leaving) {
    stats_add(STAT_staged_bytes, 1);
    leaving_begin(leaving);
    while (!atomic_load(&kept))
        pause_ms(1);
    stats_subtract(STAT_staged_bytes, 1);
}

static void note_whether_it_was_kept(void *context) {
    (void)context;
    _exit(atomic_load(&kept) ? LEFT : 1);
}

static void answer_for(int milliseconds) {
    for (int i = 0; i < milliseconds / 10; i++) {
        stats_add(STAT_answers, 1);
        pause_ms(10);
    }
}

/* For twice as long as a silent server is waited for. */
static void end_slowly(struct leaving *leaving) {
    leaving_begin(leaving);
    answer_for(2 * SILENT_MS);
}

static void end_slowly_with_content(struct leaving *leaving) {
    stats_add(STAT_staged_bytes, 1);
    leaving_begin(leaving);
    while (!atomic_load(&kept)) /* it was silent for a moment */
        pause_ms(1);
    answer_for(KEPT_MS + SILENT_MS);
    stats_subtract(STAT_staged_bytes, 1);
}

static void never_end(struct leaving *leaving) {
    leaving_begin(leaving);
    for (;;) {
        stats_add(STAT_answers, 1);
        pause_ms(10);
    }
}

static void never_end_with_content(struct leaving *leaving) {
    stats_add(STAT_staged_bytes, 1);
    never_end(leaving);
}

static void end_slowly_with_content_that_cannot_be_kept(struct leaving *leaving) {
    stats_add(STAT_staged_bytes, 1);
    end_slowly(leaving);
}

static void end_at_once(struct leaving *leaving) {
    leaving_begin(leaving);
    leaving_last(leaving, 7);
}

static void never_begin(struct leaving *leaving) {
    (void)leaving;
}

static void a_silent_server_is_not_waited_for(void **state) {
    (void)state;
    pid_t mounted = start(hang, LONG_MS, note_unmounted), other = start(hang, LONG_MS, unmount);
    expect(mounted, LEFT);
    expect(other, EXIT_SUCCESS);
}

static void a_server_that_answers_is_waited_for_until_the_timeout(void **state) {
    (void)state;
    pid_t slow = start(end_slowly, LONG_MS, unmount), endless = start(never_end, SHORT_MS, unmount);
    expect(slow, IN_TIME);
    expect(endless, EXIT_SUCCESS);
}

static void content_that_cannot_be_kept_is_worth_the_timeout(void **state) {
    (void)state;
    int64_t began = clock_now_ms();
    pid_t content = start_keeping(hang_with_content, KEPT_MS, unmount, keep_not);
    pid_t file = start_keeping(hang_with_a_file, KEPT_MS, unmount, NULL);
    pid_t no_more = start_keeping(hang_with_content, KEPT_MS, unmount, keep_once);
    expect(content, EXIT_SUCCESS);
    assert_true(clock_now_ms() - began >= SILENT_MS + KEPT_MS);
    expect(file, EXIT_SUCCESS);
    expect(no_more, EXIT_SUCCESS);
}

static void content_is_kept_before_the_server_is_given_up(void **state) {
    (void)state;
    expect(start(wait_until_it_is_kept, LONG_MS, unmount), IN_TIME);
    expect(start(hang_with_content, 2 * SILENT_MS, note_whether_it_was_kept), LEFT);
}

static void kept_content_is_not_worth_the_timeout(void **state) {
    (void)state;
    pid_t content = start(hang_with_content, LONG_MS, unmount), file = start(hang_with_a_file, LONG_MS, unmount);
    pid_t waiting = start(hang_with_a_file_that_waits, LONG_MS, unmount);
    expect(content, EXIT_SUCCESS);
    expect(file, EXIT_SUCCESS);
    expect(waiting, EXIT_SUCCESS);
}

static void a_slow_server_gets_what_is_kept_until_it_is_time_to_stop(void **state) {
    (void)state;
    stop_ms = SHORT_MS;
    pid_t content = start(never_end_with_content, LONG_MS, note_whether_it_was_kept);
    stop_ms = LONG_MS;
    expect(content, LEFT);
}

static void a_slow_server_gets_what_cannot_be_kept_for_longer(void **state) {
    (void)state;
    stop_ms = SHORT_MS;
    pid_t content = start_keeping(end_slowly_with_content_that_cannot_be_kept, LONG_MS, unmount, keep_not);
    stop_ms = LONG_MS;
    expect(content, IN_TIME);
}

static void kept_content_is_stored_all_the_same_when_the_server_answers(void **state) {
    (void)state;
    expect(start(end_slowly_with_content, KEPT_MS, unmount), IN_TIME);
}

static void what_stays_for_the_next_mount_is_not_worth_waiting(void **state) {
    (void)state;
    expect(start(hang_with_a_file_of_an_earlier_mount, LONG_MS, unmount), EXIT_SUCCESS);
}

static void what_ends_in_time_ends_by_itself(void **state) {
    (void)state;
    expect(start(end_at_once, LONG_MS, unmount), IN_TIME);
    expect(start(never_begin, LONG_MS, unmount), IN_TIME);
}

#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
static void last_things_take_long(struct leaving *leaving) {
    leaving_begin(leaving);
    leaving_last(leaving, 7);
    pause_ms(LONG_MS);
}

static void the_last_things_are_hardly_waited_for(void **state) {
    (void)state;
    expect(start(last_things_take_long, LONG_MS, note_unmounted), 7);
}
#endif

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_silent_server_is_not_waited_for),
        cmocka_unit_test(a_server_that_answers_is_waited_for_until_the_timeout),
        cmocka_unit_test(content_that_cannot_be_kept_is_worth_the_timeout),
        cmocka_unit_test(content_is_kept_before_the_server_is_given_up),
        cmocka_unit_test(kept_content_is_not_worth_the_timeout),
        cmocka_unit_test(kept_content_is_stored_all_the_same_when_the_server_answers),
        cmocka_unit_test(a_slow_server_gets_what_is_kept_until_it_is_time_to_stop),
        cmocka_unit_test(a_slow_server_gets_what_cannot_be_kept_for_longer),
        cmocka_unit_test(what_stays_for_the_next_mount_is_not_worth_waiting),
        cmocka_unit_test(what_ends_in_time_ends_by_itself),
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
        cmocka_unit_test(the_last_things_are_hardly_waited_for),
#endif
    };
    return cmocka_run_group_tests_name("leaving", tests, NULL, NULL);
}

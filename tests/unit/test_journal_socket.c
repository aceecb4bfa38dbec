// SPDX-License-Identifier: Apache-2.0
/* What systemd's journal and syslog are told, both played by sockets in a mount namespace of this program's own. */
#include "cache/base/journal_socket.h"

#include <endian.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cache/base/log.h"
#include "tests/unit/unit.h"

#define SYSLOG_PATH "/dev/log"

static bool entered; /* the namespace */
static int journal = -1, syslog_end = -1;

static int listen_at(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    strcpy(address.sun_path, path);
    unlink(path);
    return fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0 ? fd : -1;
}

static int set_up(void **state) {
    (void)state;
    if (unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS))
        return 0;
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount("tmpfs", "/run", "tmpfs", 0, NULL) ||
        mount("tmpfs", "/dev", "tmpfs", 0, NULL) || mkdir("/run/systemd", 0755) || mkdir("/run/systemd/journal", 0755))
        return 0;
    entered = true;
    journal = listen_at(JOURNAL_SOCKET_PATH);
    syslog_end = listen_at(SYSLOG_PATH);
    log_add_field("GRIDMOUNT_BUCKET", "fs");
    log_add_field("GRIDMOUNT_MOUNTPOINT", "/srv/a\nb");
    log_open(LOG_TO_SYSLOG, LOG_LEVEL_INFO);
    return journal < 0 || syslog_end < 0 ? -1 : 0;
}

struct datagram {
    char bytes[4096];
    ssize_t size; /* -1: none came */
};

static struct datagram next(int fd) {
    struct datagram got;
    got.size = recv(fd, got.bytes, sizeof got.bytes - 1, 0);
    got.bytes[got.size > 0 ? got.size : 0] = '\0';
    return got;
}

static bool has(const struct datagram *got, const char *bytes, size_t size) {
    return got->size > 0 && memmem(got->bytes, (size_t)got->size, bytes, size);
}

#define assert_has(got, text) assert_true(has((got), (text), sizeof(text) - 1))

static void a_line_goes_to_the_journal_with_its_level_and_fields(void **state) {
    (void)state;
    if (!entered)
        skip();
    log_warning("disk %d is full", 3);
    struct datagram got = next(journal);
    assert_has(&got, "MESSAGE=disk 3 is full\n");
    assert_has(&got, "PRIORITY=4\n");
    assert_has(&got, "SYSLOG_IDENTIFIER=gridmount\n");
    assert_has(&got, "SYSLOG_FACILITY=3\n");
    assert_has(&got, "GRIDMOUNT_BUCKET=fs\n");
    assert_int_equal(next(syslog_end).size, -1);
}

static void a_value_of_two_lines_is_one_value(void **state) {
    (void)state;
    if (!entered)
        skip();
    char wanted[] = "\nGRIDMOUNT_MOUNTPOINT\n12345678/srv/a\nb\n";
    uint64_t size = htole64(8);
    memcpy(strstr(wanted, "12345678"), &size, sizeof size);
    log_error("two lines");
    struct datagram got = next(journal);
    assert_true(has(&got, wanted, sizeof wanted - 1));
    assert_has(&got, "PRIORITY=3\n");
}

static void without_a_journal_it_goes_to_syslog(void **state) {
    (void)state;
    if (!entered)
        skip();
    close(journal);
    log_info("nobody there");
    unlink(JOURNAL_SOCKET_PATH);
    log_info("and no socket");
    struct datagram first = next(syslog_end), second = next(syslog_end);
    assert_has(&first, "nobody there");
    assert_has(&first, "<30>");
    assert_has(&second, "and no socket");
    journal = listen_at(JOURNAL_SOCKET_PATH);
    log_info("it is back");
    struct datagram third = next(journal);
    assert_has(&third, "MESSAGE=it is back\n");
}

static void a_journal_that_stands_still_is_not_waited_for(void **state) {
    (void)state;
    if (!entered)
        skip();
    struct datagram got = {.size = -1};
    for (int i = 0; i < 100000 && got.size < 0; i++) {
        log_info("line %d", i);
        got = next(syslog_end);
    }
    assert_has(&got, "gridmount");
    while (next(journal).size > 0)
        ;
}

static void the_stderr_of_a_service_is_the_journal(void **state) {
    (void)state;
    if (!entered)
        skip();
    struct stat here;
    char stream[64];
    assert_int_equal(fstat(STDERR_FILENO, &here), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)here.st_dev, (unsigned long long)here.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_open(LOG_TO_STDERR, LOG_LEVEL_INFO);
    log_info("as a service");
    struct datagram got = next(journal);
    assert_has(&got, "MESSAGE=as a service\n");
    for (const char *const *other = (const char *const[]){"", "1", "8:", "0:0", "x:y", NULL}; *other; other++) {
        setenv("JOURNAL_STREAM", *other, 1);
        assert_false(journal_socket_reads(STDERR_FILENO));
    }
    unsetenv("JOURNAL_STREAM");
    assert_false(journal_socket_reads(STDERR_FILENO));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_goes_to_the_journal_with_its_level_and_fields),
        cmocka_unit_test(a_value_of_two_lines_is_one_value),
        cmocka_unit_test(without_a_journal_it_goes_to_syslog),
        cmocka_unit_test(a_journal_that_stands_still_is_not_waited_for),
        cmocka_unit_test(the_stderr_of_a_service_is_the_journal),
    };
    return cmocka_run_group_tests_name("journal_socket", tests, set_up, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/fuse/reading.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "tests/unit/unit.h"

enum { SIZE = 256 << 10, PAGE = 4096, DEADLINE_MS = 30000 };

static int device[2], idle[2];
static char *buffer;

static int set_up(void **state) {
    (void)state;
    buffer = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return buffer == MAP_FAILED || pipe(device) || pipe(idle) ? -1 : 0;
}

static int tear_down(void **state) {
    (void)state;
    close(device[0]), close(device[1]), close(idle[0]);
    if (idle[1] >= 0)
        close(idle[1]);
    return munmap(buffer, SIZE);
}

static size_t resident(void) {
    unsigned char pages[SIZE / PAGE];
    size_t count = 0;
    assert_int_equal(mincore(buffer, SIZE, pages), 0);
    for (unsigned i = 0; i < SIZE / PAGE; i++)
        count += pages[i] & 1;
    return count;
}

static void *send_large(void *argument) {
    static const char bytes[SIZE];
    (void)argument;
    assert_int_equal(write(device[1], bytes, SIZE), SIZE);
    return NULL;
}

/* A pipe gives what is there; a large request comes whole from the kernel. */
static void read_large(void) {
    fcntl(device[1], F_SETPIPE_SZ, SIZE);
    pthread_t sender;
    assert_int_equal(pthread_create(&sender, NULL, send_large, NULL), 0);
    pthread_join(sender, NULL);
    assert_int_equal(reading_read(device[0], buffer, SIZE), SIZE);
}

static void read_small(void) {
    assert_int_equal(write(device[1], "x", 1), 1);
    assert_int_equal(reading_read(device[0], buffer, SIZE), 1);
}

static void *wait_idle(void *argument) {
    char byte;
    (void)argument;
    (void)reading_read(idle[0], &byte, 1);
    return NULL;
}

static void a_thread_alone_keeps_its_buffer(void **state) {
    (void)state;
    read_large();
    read_small();
    assert_int_equal(resident(), SIZE / PAGE);
}

static void where_many_have_nothing_to_do_a_buffer_is_given_back(void **state) {
    (void)state;
    pthread_t threads[READING_KEPT];
    for (unsigned i = 0; i < READING_KEPT; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, wait_idle, NULL), 0);
    int64_t until = clock_now_ms() + DEADLINE_MS;
    do {
        read_large();
        read_small();
    } while (resident() > 1 && clock_now_ms() < until);
    assert_int_equal(resident(), 1);
    close(idle[1]);
    idle[1] = -1;
    for (unsigned i = 0; i < READING_KEPT; i++)
        pthread_join(threads[i], NULL);
}

static void *wait_until_woken(void *argument) {
    char byte;
    ssize_t got = reading_read(idle[0], &byte, 1);
    *(int *)argument = got < 0 ? errno : 0;
    return NULL;
}

/* However early it is woken. */
static void a_thread_that_waits_can_be_woken(void **state) {
    (void)state;
    reading_prepare();
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        int error = 0;
        assert_int_equal(pthread_create(&thread, NULL, wait_until_woken, &error), 0);
        while (pthread_tryjoin_np(thread, NULL) == EBUSY)
            reading_wake(thread);
        assert_int_equal(error, EINTR);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_thread_alone_keeps_its_buffer, set_up, tear_down),
        cmocka_unit_test_setup_teardown(where_many_have_nothing_to_do_a_buffer_is_given_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_thread_that_waits_can_be_woken, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("reading", tests, NULL, NULL);
}

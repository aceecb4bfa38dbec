// SPDX-License-Identifier: Apache-2.0
#include "fs/guests.h"

#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/unit.h"

/* The end of a connection that a client has; the other is *ret_fd. */
static int connect_to(int *ret_fd) {
    int ends[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    *ret_fd = ends[0];
    return ends[1];
}

static bool is_dropped(int client) {
    char byte;
    return recv(client, &byte, 1, MSG_DONTWAIT) == 0;
}

static void who_goes_on_without_asking_is_dropped(void **state) {
    (void)state;
    struct guests *guests = guests_new(3);
    int fds[4], clients[4];
    struct guest *each[4];
    for (int i = 0; i < 4; i++) {
        clients[i] = connect_to(&fds[i]);
        each[i] = guests_come(guests, fds[i], 1000);
    }
    assert_null(each[3]);
    guests_ask(guests, each[1], 2000);
    guests_wait(guests, each[2]);
    guests_ask(guests, each[3], 2000);
    assert_int_equal(write(clients[0], "x", 1), 1);
    guests_drop(guests, 1000);
    assert_false(is_dropped(clients[0]));
    guests_drop(guests, 1001);
    assert_true(is_dropped(clients[0]));
    assert_false(is_dropped(clients[1]) || is_dropped(clients[2]) || is_dropped(clients[3]));
    guests_drop(guests, 1000000);
    assert_true(is_dropped(clients[1]));
    assert_false(is_dropped(clients[2]) || is_dropped(clients[3]));
    for (int i = 0; i < 4; i++) {
        guests_go(guests, each[i]);
        close(fds[i]);
        close(clients[i]);
    }
    guests_free(guests);
}

static void who_has_gone_makes_room(void **state) {
    (void)state;
    struct guests *guests = guests_new(1);
    int fd, client = connect_to(&fd);
    struct guest *guest = guests_come(guests, fd, 0);
    guests_go(guests, guest);
    guests_drop(guests, 1000);
    assert_false(is_dropped(client));
    assert_non_null(guests_come(guests, fd, 1000));
    close(fd);
    close(client);
    guests_free(guests);
}

int main(void) {
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_goes_on_without_asking_is_dropped),
        cmocka_unit_test(who_has_gone_makes_room),
    };
    return cmocka_run_group_tests_name("guests", tests, NULL, NULL);
}

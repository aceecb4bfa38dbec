// SPDX-License-Identifier: Apache-2.0
#include "fs/guests.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "cache/base/lock.h"

struct guest {
    int fd; /* -1: the place is free */
    int64_t asked_ms; /* when it last asked, or came */
};

struct guests {
    struct lock lock; /* guards what follows */
    unsigned most;
    struct guest places[];
};

struct guests *guests_new(unsigned most) {
    struct guests *guests = calloc(1, sizeof *guests + most * sizeof *guests->places);
    if (!guests)
        return NULL;
    lock_init(&guests->lock, LOCK_MONITOR);
    guests->most = most;
    for (unsigned i = 0; i < most; i++)
        guests->places[i].fd = -1;
    return guests;
}

struct guests *guests_free(struct guests *guests) {
    if (guests)
        lock_done(&guests->lock);
    free(guests);
    return NULL;
}

struct guest *guests_come(struct guests *guests, int fd, int64_t now_ms) {
    struct guest *found = NULL;
    lock_acquire(&guests->lock);
    for (unsigned i = 0; !found && i < guests->most; i++)
        if (guests->places[i].fd < 0)
            found = &guests->places[i];
    if (found)
        *found = (struct guest){fd, now_ms};
    lock_release(&guests->lock);
    return found;
}

void guests_go(struct guests *guests, struct guest *guest) {
    lock_acquire(&guests->lock);
    if (guest)
        guest->fd = -1;
    lock_release(&guests->lock);
}

void guests_ask(struct guests *guests, struct guest *guest, int64_t now_ms) {
    lock_acquire(&guests->lock);
    if (guest)
        guest->asked_ms = now_ms;
    lock_release(&guests->lock);
}

void guests_wait(struct guests *guests, struct guest *guest) {
    guests_ask(guests, guest, INT64_MAX);
}

void guests_drop(struct guests *guests, int64_t since_ms) {
    lock_acquire(&guests->lock);
    for (unsigned i = 0; i < guests->most; i++)
        if (guests->places[i].fd >= 0 && guests->places[i].asked_ms < since_ms)
            shutdown(guests->places[i].fd, SHUT_RDWR);
    lock_release(&guests->lock);
}

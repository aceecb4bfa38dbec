// SPDX-License-Identifier: Apache-2.0
/* Who is connected to a server (monitor.h), and since when without having asked for anything: who sends or takes a byte now
 * and then is idle for no moment, and would keep its place for good.
 *
 * Threads: any; it has a lock of its own. Descriptors are lent, and are open between guests_come() and guests_go(). */
#ifndef FS_GUESTS_H
#define FS_GUESTS_H

#include <stdint.h>

struct guests;
struct guest;

/* For so many at once. NULL without memory. */
struct guests *guests_new(unsigned most);
/* Takes NULL, returns NULL. */
struct guests *guests_free(struct guests *guests);
/* NULL: there are more, and this one is not followed. */
struct guest *guests_come(struct guests *guests, int fd, int64_t now_ms);
/* The three take NULL for the guest. */
void guests_go(struct guests *guests, struct guest *guest);
void guests_ask(struct guests *guests, struct guest *guest, int64_t now_ms);
/* It waits for us, until it asks again. */
void guests_wait(struct guests *guests, struct guest *guest);
/* Ends the connections of those who have not asked since then: who reads them sees that. */
void guests_drop(struct guests *guests, int64_t since_ms);

#endif

// SPDX-License-Identifier: Apache-2.0
/* The end of a mount, within bounds: a server that does not answer, and what serves nobody any more, is not waited for.
 *
 *     serving --leaving_begin()--> leaving --leaving_last()--> last --leaving_free()--> gone
 *                                     |                          |
 *                                     '---- it takes too long: the process ends, at once ----'
 *
 * Too long is, while leaving with content that is not stored,
 *     when all of it is kept for the next mount, which is tried after `silent_ms` and `stop_ms`: no answer of the server for
 *     `kept_ms`, or `stop_ms` in all;
 *     when it cannot be kept: no answer for `silent_ms + timeout_ms`;
 * and with none: no answer for `silent_ms`, or `timeout_ms` in all. So a server that is slow but answers gets what cannot be
 * kept for as long as that takes. Then the mountpoint is left, the log says what was lost, or kept and where, and requests still under
 * way end with the connection to the kernel. Of a put among them nobody knows whether it arrived: its content stays kept,
 * and the next mount stores it over itself.
 * At last, when all that counts is done: a moment (with sanitizers, which look for leaks then, some seconds).
 * What it is not: a way to stop work. Nothing is undone; what is on the server may be half of a change, as after a crash.
 *
 * Threads: one of its own, which sleeps while the mount serves. leaving_begin() may be called by a signal handler. */
#ifndef FS_LEAVING_H
#define FS_LEAVING_H

#include <stdbool.h>
#include <stdint.h>

struct leaving;

struct leaving_config {
    int64_t silent_ms, kept_ms, stop_ms, timeout_ms;
    /* These are called in the own thread, while the others may do anything. */
    void (*unmount)(void *context);
    /* Puts content that would be lost in a safe place; whether all of it is there. More than once. */
    bool (*keep)(void *context);
    void *context;
    const char *kept_in; /* that place, for the log; copied. NULL: there is none */
};

/* NULL without memory or threads. */
struct leaving *leaving_new(const struct leaving_config *config);
void leaving_begin(struct leaving *leaving);
/* What is left to do is for order only. `status`: what the process would exit with. */
void leaving_last(struct leaving *leaving, int status);
/* Takes NULL, returns NULL. */
struct leaving *leaving_free(struct leaving *leaving);

#endif

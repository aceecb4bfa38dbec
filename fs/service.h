// SPDX-License-Identifier: Apache-2.0
/* What the service manager is told (sd_notify(3), without its library): that the mount is usable, how it is, that it still
 * answers, and that what is not stored yet takes longer.
 *
 * "Still answers" is asked by a process of its own, which reads the status through the kernel as any program would: when the
 * loop that serves requests stands still, that process is stuck, not this one, and the watchdog hears nothing. Only where nobody
 * tells where the mount is (handed_over.h) nothing is asked: the watchdog hears that this process runs.
 *
 * Threads: service_new() before there are any. The others in one thread at a time; a thread of its own looks at the mount once a
 * second between service_ready() and service_stopping(), and then tells how the storing goes on, until service_free().
 * All take NULL: nobody wants to know. */
#ifndef FS_SERVICE_H
#define FS_SERVICE_H

#include <stdbool.h>
#include <time.h>

struct service;

/* Whether the server answers; if not, since when, as far as that is known (else 0). */
typedef bool service_look(void *context, time_t *ret_away_since);

/* NULL: no manager asks ($NOTIFY_SOCKET), or there is no memory. */
struct service *service_new(const char *mountpoint);
void service_ready(struct service *service, service_look *look, void *context);
/* What was given to service_ready() is not asked any more. */
void service_stopping(struct service *service);
/* `why`: one line. */
void service_failed(struct service *service, const char *why);
/* Returns NULL. */
struct service *service_free(struct service *service);

#endif

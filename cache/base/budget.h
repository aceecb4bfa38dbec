// SPDX-License-Identifier: Apache-2.0
/* One memory budget for everything that holds file content.
 *
 * It is a count of bytes with a limit, not an allocator. Who wants to keep bytes takes them first; who cannot get them
 * makes room or does without. Bytes that a request needs in order to end at all are taken by force: they are bounded
 * by the number of requests under way, and who can do without some of his makes room for them at once.
 *
 * Threads: safe from any thread; blocks for no longer than making room does.
 * Facts (budget_check): 0 <= used; used == 0 when everything was given back. */
#ifndef CACHE_BASE_BUDGET_H
#define CACHE_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    size_t limit; /* bytes */
    atomic_size_t used;
    void (*make_room)(void *context); /* or NULL */
    void *context;
};

void budget_init(struct budget *budget, size_t limit);
/* Who is asked to make room when more than the limit was taken by force, until the end of the budget; by a thread that
 * may hold the locks of who took it. Before the budget is used by several threads. */
void budget_ask_for_room(struct budget *budget, void (*make_room)(void *context), void *context);
/* Takes `bytes` when they fit below the limit; returns whether it did. */
bool budget_take(struct budget *budget, size_t bytes);
/* Takes `bytes` whatever the limit says. */
void budget_force(struct budget *budget, size_t bytes);
void budget_give(struct budget *budget, size_t bytes);
size_t budget_used(const struct budget *budget);
/* Whether more is taken than the limit allows, so that someone must make room. */
bool budget_exceeded(const struct budget *budget);

#endif

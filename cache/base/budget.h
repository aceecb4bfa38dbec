/* One memory budget for everything that holds file content.
 *
 * It is a count of bytes with a limit, not an allocator. Who wants to keep bytes takes them first; who cannot get them
 * makes room or does without. Bytes that a request needs in order to end at all are taken by force: they are bounded
 * by the number of requests under way, and whoever comes next makes room for them.
 *
 * Threads: safe from any thread; never blocks.
 * Facts (budget_check): 0 <= used; used == 0 when everything was given back. */
#ifndef CACHE_BASE_BUDGET_H
#define CACHE_BASE_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

struct budget {
    size_t limit; /* bytes */
    atomic_size_t used;
};

void budget_init(struct budget *budget, size_t limit);
/* Takes `bytes` when they fit below the limit; returns whether it did. */
bool budget_take(struct budget *budget, size_t bytes);
/* Takes `bytes` whatever the limit says. */
void budget_force(struct budget *budget, size_t bytes);
void budget_give(struct budget *budget, size_t bytes);
size_t budget_used(const struct budget *budget);
/* Whether more is taken than the limit allows, so that someone must make room. */
bool budget_exceeded(const struct budget *budget);

#endif

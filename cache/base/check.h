// SPDX-License-Identifier: Apache-2.0
/* Facts that must hold, asserted. A failed CHECK() is a bug of ours, never the effect of bad input: it prints the
 * fact and aborts, because a filesystem that goes on with a broken invariant hands out wrong bytes. */
#ifndef CACHE_BASE_CHECK_H
#define CACHE_BASE_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(fact) ((fact) ? (void)0 : check_failed(#fact, __FILE__, __LINE__))

__attribute__((noreturn)) static inline void check_failed(const char *fact, const char *file, int line) {
    fprintf(stderr, "gridmount: invariant broken: %s (%s:%d)\n", fact, file, line);
    abort();
}

#endif

// SPDX-License-Identifier: Apache-2.0
/* Counters of the process, one table (stats.def) for counting and for showing.
 *
 * They are the one global state: every layer counts, and only status reads.
 * Threads: safe from any thread, relaxed: figures shown together may be a moment apart. */
#ifndef CACHE_BASE_STATS_H
#define CACHE_BASE_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum statistic {
#define STAT(name, text) STAT_##name,
#define GAUGE STAT
#include "cache/base/stats.def"
#undef GAUGE
#undef STAT
    STATS
};

/* -DMETERING=0: what is only told is not counted. Nobody wants that; tests/bench/metering.py sees by it what telling costs. */
#ifndef METERING
#define METERING 1
#endif

extern atomic_uint_least64_t stats[STATS];

/* What something goes by, and so is always counted: what there is now, and what shows that the server or a program is there. */
static inline bool stats_decides(enum statistic stat) {
    switch (stat) {
#define STAT(name, text)
#define GAUGE(name, text) case STAT_##name:
#include "cache/base/stats.def"
#undef GAUGE
#undef STAT
    case STAT_answers:
    case STAT_reads:
        return true;
    default:
        return false;
    }
}

static inline void stats_add(enum statistic stat, uint64_t amount) {
    if (METERING || stats_decides(stat))
        atomic_fetch_add_explicit(&stats[stat], amount, memory_order_relaxed);
}

static inline void stats_subtract(enum statistic stat, uint64_t amount) {
    atomic_fetch_sub_explicit(&stats[stat], amount, memory_order_relaxed);
}

static inline uint64_t stats_get(enum statistic stat) {
    return atomic_load_explicit(&stats[stat], memory_order_relaxed);
}

const char *stats_name(enum statistic stat);
const char *stats_text(enum statistic stat);
/* Whether it may fall as well. */
bool stats_is_gauge(enum statistic stat);

#endif

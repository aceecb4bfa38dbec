// SPDX-License-Identifier: Apache-2.0
#include "cache/base/stats.h"

atomic_uint_least64_t stats[STATS];

static const struct {
    const char *name, *text;
    bool gauge;
} table[] = {
#define STAT(name, text) {#name, text, false},
#define GAUGE(name, text) {#name, text, true},
#include "cache/base/stats.def"
#undef GAUGE
#undef STAT
};

const char *stats_name(enum statistic stat) {
    return table[stat].name;
}

const char *stats_text(enum statistic stat) {
    return table[stat].text;
}

bool stats_is_gauge(enum statistic stat) {
    return table[stat].gauge;
}

#include "cache/base/stats.h"

atomic_uint_least64_t stats[STATS];

static const struct {
    const char *name, *text;
} table[] = {
#define STAT(name, text) {#name, text},
#include "cache/base/stats.def"
#undef STAT
};

const char *stats_name(enum statistic stat) {
    return table[stat].name;
}

const char *stats_text(enum statistic stat) {
    return table[stat].text;
}

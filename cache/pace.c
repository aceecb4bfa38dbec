// SPDX-License-Identifier: Apache-2.0
#include "cache/pace.h"

enum { ENOUGH = 32, WINDOW = 256, PROBE_TURNS = 16 };

void pace_note(struct pace_way *way, int64_t bytes, int64_t ns) {
    if (bytes <= 0)
        return;
    if (way->times == WINDOW) { /* what is long ago counts for less */
        way->bytes /= 2;
        way->ns /= 2;
        way->times /= 2;
    }
    way->bytes += bytes;
    way->ns += ns;
    way->times++;
}

static bool is_slower(const struct pace_way *one, const struct pace_way *other) {
    return (double)one->ns / (double)one->bytes > 1.25 * (double)other->ns / (double)other->bytes;
}

bool pace_is_far(const struct pace *pace) {
    return pace->near.times >= ENOUGH && pace->far.times >= ENOUGH && is_slower(&pace->near, &pace->far);
}

bool pace_goes_far(struct pace *pace) {
    return pace_is_far(pace) && ++pace->turns % PROBE_TURNS != 0;
}

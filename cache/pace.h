// SPDX-License-Identifier: Apache-2.0
/* Which of two ways is quicker, by what was measured of both of late.
 *
 * It judges once both were taken often enough, and by a margin; the slower one is taken now and then, to be measured again.
 *
 * Threads: plain values; the caller holds one lock around all calls. */
#ifndef CACHE_PACE_H
#define CACHE_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace_way {
    int64_t bytes, ns; /* of the last so many */
    unsigned times;
};

/* Zeros are a new one. */
struct pace {
    struct pace_way near, far;
    unsigned turns;
};

void pace_note(struct pace_way *way, int64_t bytes, int64_t ns);
/* Whether the far way is the quicker one. */
bool pace_is_far(const struct pace *pace);
/* Whether to take the far way this time. */
bool pace_goes_far(struct pace *pace);

#endif

// SPDX-License-Identifier: Apache-2.0
/* How many fetches are worth having under way at once, found out while it runs.
 *
 * One connection over a long link carries less than the link; on a small server near by the third one only costs. So the
 * width climbs while each step carries clearly more, falls back when it does not, and is tried again now and then, a step
 * wider or a step narrower. Something is learned only while fetches wait for their turn: else the readers are what is slow.
 *
 *     [so many end that were begun before] -> [so many are timed] -> judged: the step stays, or is taken back
 *
 * Where a round trip, or the first answer, takes as long as over a long link, it begins with more.
 * It also knows how long a fetch takes as a rule, so that one that does not come can be told from a slow link.
 * What it is not: it fetches nothing and queues nothing. It is pure but for its own state.
 *
 * Threads: none of its own; the caller holds one lock around all calls.
 * Units: bytes; nanoseconds of the monotonic clock.
 * Facts (flow_check): 1 <= width <= most. */
#ifndef CACHE_FLOW_H
#define CACHE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

enum {
    FLOW_FIRST = 2, /* the width at first */
    FLOW_FAR = 8,   /* that on a long link */
    FLOW_MOST = 16, /* the largest */
    FLOW_HOLD = 16, /* so often it is measured before it is tried again */
};

struct flow {
    unsigned width, most;
    unsigned best;    /* the width that is left to try another one */
    double best_rate; /* bytes per nanosecond; 0: not known yet */
    bool climbing;    /* each step so far has paid: the next one doubles */
    bool settled;     /* it was tried both ways */
    bool narrower;    /* the way to try next */
    unsigned hold;
    /* what is being measured */
    unsigned ended;
    int64_t since, bytes;
    int64_t usual_ns; /* that a fetch takes; 0: not known */
};

/* 1 <= most. `round_trip_ms`: 0 where it is not known. */
void flow_init(struct flow *flow, unsigned most, int64_t round_trip_ms);
/* A fetch of so many bytes, begun at `began`, has ended at `now`. `waiting`: another one waits for its turn. */
void flow_ended(struct flow *flow, int64_t began, int64_t now, int64_t bytes, bool waiting);
/* A fetch takes so long that what a change of threads costs is nothing to it. */
bool flow_is_slow(const struct flow *flow);
/* How long to wait for a fetch before it counts as stuck. */
int64_t flow_patience_ms(const struct flow *flow);
void flow_check(const struct flow *flow);

#endif

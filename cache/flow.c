// SPDX-License-Identifier: Apache-2.0
#include "cache/flow.h"

#include "cache/base/check.h"

/* Of what a step adds in width, so much must come of it. */
static const double worth = 0.3;
/* A narrower width stays if it carries as much but for this. */
static const double as_much = 0.97;
/* A fetch is stuck when it takes so many times what it does as a rule, and so long. */
enum { STUCK_TIMES = 6, STUCK_MS = 1000, STUCK_UNKNOWN_MS = 3000, STUCK_MOST_MS = 10000 };
enum { SAMPLE = 4, SLOW_MS = 1, FAR_MS = 5, NS_PER_MS = 1000000 };

void flow_init(struct flow *flow, unsigned most, int64_t round_trip_ms) {
    CHECK(most >= 1);
    unsigned wanted = round_trip_ms >= FAR_MS ? FLOW_FAR : FLOW_FIRST, first = most < wanted ? most : wanted;
    *flow = (struct flow){.width = first, .best = first, .most = most, .climbing = true};
}

static void measure_anew(struct flow *flow) {
    flow->ended = 0;
    flow->bytes = 0;
}

static unsigned wider(const struct flow *flow) {
    unsigned step = flow->climbing ? flow->best : (flow->best + 1) / 2;
    return flow->best + step < flow->most ? flow->best + step : flow->most;
}

static unsigned narrower(const struct flow *flow) {
    unsigned step = (flow->best + 3) / 4;
    return flow->best > step ? flow->best - step : 1;
}

static void try_another(struct flow *flow) {
    flow->width = flow->narrower ? narrower(flow) : wider(flow);
    if (flow->width == flow->best) { /* there is none */
        flow->narrower = !flow->narrower;
        flow->climbing = false;
        flow->settled = true;
        flow->hold = FLOW_HOLD;
    }
}

static bool has_paid(const struct flow *flow, double rate) {
    double share = (double)flow->width / flow->best;
    return rate >= flow->best_rate * (share > 1 ? 1 + worth * (share - 1) : as_much);
}

static void judge(struct flow *flow, double rate) {
    if (flow->width == flow->best) {
        flow->best_rate = rate;
        if (flow->hold == 0 || --flow->hold == 0)
            try_another(flow);
    } else if (has_paid(flow, rate)) {
        flow->best = flow->width;
        flow->best_rate = rate;
        try_another(flow);
    } else if (flow->climbing) { /* perhaps by less */
        flow->climbing = false;
        try_another(flow);
    } else {
        flow->width = flow->best;
        flow->narrower = !flow->narrower;
        flow->hold = flow->settled ? FLOW_HOLD : 1;
        flow->settled = true;
    }
}

static void note_duration(struct flow *flow, int64_t ns) {
    if (!flow->usual_ns && ns >= FAR_MS * (int64_t)NS_PER_MS)
        flow->width = flow->best = flow->most < FLOW_FAR ? flow->most : FLOW_FAR;
    flow->usual_ns = flow->usual_ns ? flow->usual_ns + (ns - flow->usual_ns) / 8 : ns;
}

void flow_ended(struct flow *flow, int64_t began, int64_t now, int64_t bytes, bool waiting) {
    note_duration(flow, now - began);
    if (!waiting) {
        measure_anew(flow);
        return;
    }
    unsigned before = flow->width, sample = flow->width < SAMPLE ? SAMPLE : flow->width;
    flow->ended++;
    if (flow->ended <= before) { /* it was begun before there were so many */
        flow->since = now;
        return;
    }
    flow->bytes += bytes;
    if (flow->ended < before + sample || now <= flow->since)
        return;
    judge(flow, (double)flow->bytes / (double)(now - flow->since));
    measure_anew(flow);
}

bool flow_is_slow(const struct flow *flow) {
    return flow->usual_ns >= SLOW_MS * (int64_t)NS_PER_MS;
}

int64_t flow_patience_ms(const struct flow *flow) {
    if (!flow->usual_ns)
        return STUCK_UNKNOWN_MS;
    int64_t patience = STUCK_TIMES * flow->usual_ns / NS_PER_MS;
    return patience < STUCK_MS ? STUCK_MS : patience < STUCK_MOST_MS ? patience : STUCK_MOST_MS;
}

void flow_check(const struct flow *flow) {
    CHECK(flow->width >= 1 && flow->width <= flow->most);
    CHECK(flow->best >= 1 && flow->best <= flow->most);
}

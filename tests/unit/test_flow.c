// SPDX-License-Identifier: Apache-2.0
#include "cache/flow.h"

#include "tests/unit/unit.h"

enum { UNIT = 2 << 20, MB = 1000000 };

/* A link with a server at its end: what all fetches get together when so many are under way. */
struct link {
    double each, all; /* bytes per second of a connection, and of all */
    unsigned most;    /* more connections than these cost */
    double cost;      /* a part of the speed, for each of them */
    double noise;     /* a part of it, up or down */
};

struct drive {
    struct flow flow;
    struct dice dice;
    double now;     /* seconds */
    double carried; /* what was carried, of what could have been */
    double possible;
};

static double speed_with(const struct link *link, unsigned width) {
    double speed = width * link->each < link->all ? width * link->each : link->all;
    for (unsigned n = link->most; n < width; n++)
        speed *= 1 - link->cost;
    return speed;
}

static double best_speed(const struct link *link) {
    double best = 0;
    for (unsigned width = 1; width <= FLOW_MOST; width++)
        best = speed_with(link, width) > best ? speed_with(link, width) : best;
    return best;
}

static struct drive drive_new(const char *name, unsigned most) {
    struct drive drive = {.dice = dice_new(name)};
    flow_init(&drive.flow, most, 0);
    return drive;
}

/* So many fetches end; what part was carried of what the link would have. */
static double drive_over(struct drive *drive, const struct link *link, unsigned fetches, bool waiting) {
    double began = drive->now;
    for (unsigned i = 0; i < fetches; i++) {
        double jitter = 1 + link->noise * ((double)dice_below(&drive->dice, 2001) / 1000 - 1);
        double took = UNIT / speed_with(link, drive->flow.width) * jitter;
        drive->now += took;
        flow_ended(&drive->flow, (int64_t)((drive->now - took * drive->flow.width) * 1e9), (int64_t)(drive->now * 1e9),
                   UNIT, waiting);
        flow_check(&drive->flow);
    }
    return UNIT * (double)fetches / (drive->now - began) / best_speed(link);
}

static const struct link near = {.each = 600.0 * MB, .all = 1000.0 * MB, .most = 2, .cost = 0.06};
static const struct link far = {.each = 10.0 * MB, .all = 80.0 * MB, .most = FLOW_MOST};
static const struct link thin = {.each = 10.0 * MB, .all = 10.0 * MB, .most = FLOW_MOST};

static void a_long_link_is_filled_within_a_quarter_of_a_gigabyte(void **state) {
    (void)state;
    struct drive drive = drive_new("far", FLOW_MOST);
    double first = drive_over(&drive, &far, 128, true);
    assert_true(first >= 0.7);
    assert_true(drive.flow.width >= 8);
    assert_true(drive_over(&drive, &far, 4000, true) >= 0.95);
}

static void a_near_server_is_not_asked_by_more_than_it_can_bear(void **state) {
    (void)state;
    struct drive drive = drive_new("near", FLOW_MOST);
    assert_true(drive_over(&drive, &near, 128, true) >= 0.95);
    assert_true(drive_over(&drive, &near, 4000, true) >= 0.97);
    assert_in_range(drive.flow.best, 2, 3);
}

static void a_thin_link_needs_few(void **state) {
    (void)state;
    struct drive drive = drive_new("thin", FLOW_MOST);
    drive_over(&drive, &thin, 4000, true);
    assert_in_range(drive.flow.best, 1, 2);
}

static void it_follows_a_link_that_changes(void **state) {
    (void)state;
    struct drive drive = drive_new("changes", FLOW_MOST);
    drive_over(&drive, &near, 1000, true);
    drive_over(&drive, &far, 400, true);
    assert_true(drive_over(&drive, &far, 2000, true) >= 0.9);
    drive_over(&drive, &near, 2000, true);
    assert_true(drive_over(&drive, &near, 2000, true) >= 0.9);
}

static void it_bears_noise(void **state) {
    (void)state;
    struct link noisy_far = far, noisy_near = near;
    struct drive drive = drive_new("noise", FLOW_MOST);
    noisy_far.noise = noisy_near.noise = 0.5;
    drive_over(&drive, &noisy_far, 200, true);
    assert_true(drive_over(&drive, &noisy_far, 10000, true) >= 0.85);
    struct drive other = drive_new("noise near", FLOW_MOST);
    assert_true(drive_over(&other, &noisy_near, 10000, true) >= 0.9);
}

static void nothing_is_learned_while_the_readers_are_slow(void **state) {
    (void)state;
    struct drive drive = drive_new("slow readers", FLOW_MOST);
    drive_over(&drive, &near, 1000, false);
    assert_int_equal(drive.flow.width, FLOW_FIRST);
    drive = drive_new("slow readers, far", FLOW_MOST);
    drive_over(&drive, &far, 1000, false);
    assert_int_equal(drive.flow.width, FLOW_FAR);
}

static void where_a_round_trip_is_long_it_begins_with_more(void **state) {
    (void)state;
    struct flow flow;
    flow_init(&flow, FLOW_MOST, 4);
    assert_int_equal(flow.width, FLOW_FIRST);
    flow_init(&flow, FLOW_MOST, 5);
    assert_int_equal(flow.width, FLOW_FAR);
    flow_init(&flow, 3, 1000);
    assert_int_equal(flow.width, 3);
}

static void it_stays_within_its_limit(void **state) {
    (void)state;
    for (unsigned most = 1; most <= FLOW_MOST; most++) {
        struct drive drive = drive_new("limit", most);
        struct link wide = {.each = 1.0 * MB, .all = 1000.0 * MB, .most = FLOW_MOST};
        drive_over(&drive, &wide, 2000, true);
        assert_int_equal(drive.flow.best, most);
    }
}

static void patience_is_many_times_what_a_fetch_takes(void **state) {
    (void)state;
    struct drive drive = drive_new("patience", FLOW_MOST);
    assert_true(flow_patience_ms(&drive.flow) >= 1000);
    drive_over(&drive, &near, 100, true);
    assert_in_range(flow_patience_ms(&drive.flow), 100, 1000);
    drive_over(&drive, &thin, 100, true);
    assert_in_range(flow_patience_ms(&drive.flow), 1000, 10000);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_long_link_is_filled_within_a_quarter_of_a_gigabyte),
        cmocka_unit_test(a_near_server_is_not_asked_by_more_than_it_can_bear),
        cmocka_unit_test(a_thin_link_needs_few),
        cmocka_unit_test(it_follows_a_link_that_changes),
        cmocka_unit_test(it_bears_noise),
        cmocka_unit_test(nothing_is_learned_while_the_readers_are_slow),
        cmocka_unit_test(where_a_round_trip_is_long_it_begins_with_more),
        cmocka_unit_test(it_stays_within_its_limit),
        cmocka_unit_test(patience_is_many_times_what_a_fetch_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Locks of files across mounts against a real server: each mount is a bucket of its own over one connection. */
#include <errno.h>
#include <pthread.h>

#include "cache/base/clock.h"
#include "fs/store/mongo/change.h"
#include "tests/store/real_store.h"

/* Two mounts of a bucket. */
struct pair {
    struct real_store real;
    struct bucket *second;
    struct store *one, *other;
};

static struct pair pair_open(const char *name) {
    struct pair pair = {.real = real_store_open(name)};
    const struct bucket *first = pair.real.bucket;
    assert_int_equal(bucket_new(first->connection, first->uploaders, name, &first->policy, &pair.second), 0);
    pair.one = pair.real.store;
    pair.other = &pair.second->store;
    return pair;
}

static void pair_close(struct pair *pair) {
    bucket_free(pair->second);
    real_store_close(&pair->real);
}

static struct store_hold *hold(struct store *store, const char *path) {
    struct store_hold *hold = NULL;
    assert_int_equal(store->ops->hold_open(store, path, 'r', &hold), 0);
    return hold;
}

static int set(struct store *store, struct store_hold *hold, int64_t start, int64_t end, bool exclusive) {
    struct store_range range = {.start = start, .end = end, .exclusive = exclusive};
    return store->ops->hold_set(store, hold, &range, 1);
}

static int let_go(struct store *store, struct store_hold *hold) {
    return store->ops->hold_set(store, hold, NULL, 0);
}

static int64_t documents(struct pair *pair, const char *filter) {
    return real_store_count(&pair->real, "gridmount.locks", real_store_json("%s", filter));
}

static void what_one_mount_holds_excludes_the_other(void **state) {
    (void)state;
    struct pair pair = pair_open("exclude");
    struct store_hold *one = hold(pair.one, "f"), *other = hold(pair.other, "f"), *apart = hold(pair.other, "g");
    assert_int_equal(set(pair.one, one, 0, 9, false), 0);
    assert_int_equal(set(pair.other, other, 5, INT64_MAX, false), 0);
    assert_int_equal(set(pair.one, one, 0, 9, true), -EAGAIN);
    assert_int_equal(set(pair.other, other, 10, INT64_MAX, true), 0);
    assert_int_equal(set(pair.one, one, 0, 9, true), 0);
    assert_int_equal(set(pair.one, one, 0, 10, true), -EAGAIN);
    assert_int_equal(set(pair.other, apart, 0, INT64_MAX, true), 0);
    assert_int_equal(let_go(pair.other, other), 0);
    assert_int_equal(set(pair.one, one, 0, INT64_MAX, true), 0);
    assert_int_equal(let_go(pair.one, one), 0);
    assert_int_equal(let_go(pair.other, apart), 0);
    assert_int_equal(documents(&pair, "{'held': {'$exists': true}}"), 0);
    pair.one->ops->hold_close(pair.one, one);
    pair.other->ops->hold_close(pair.other, other);
    pair.other->ops->hold_close(pair.other, apart);
    pair_close(&pair);
}

static void who_is_in_the_way_is_told(void **state) {
    (void)state;
    struct pair pair = pair_open("told");
    struct store_hold *one = hold(pair.one, "f"), *other = hold(pair.other, "f");
    struct store_range all = {.end = INT64_MAX}, found = {0};
    assert_int_equal(pair.other->ops->hold_find(pair.other, other, &all, &found), 0);
    assert_int_equal(set(pair.one, one, 3, 7, true), 0);
    assert_int_equal(pair.other->ops->hold_find(pair.other, other, &all, &found), 1);
    assert_true(found.start == 3 && found.end == 7 && found.exclusive);
    assert_int_equal(pair.one->ops->hold_find(pair.one, one, &all, &found), 0);
    pair.one->ops->hold_close(pair.one, one);
    pair.other->ops->hold_close(pair.other, other);
    pair_close(&pair);
}

static void a_name_of_a_lease_is_no_lock(void **state) {
    (void)state;
    struct pair pair = pair_open("lease");
    struct store_lease *lease = NULL;
    struct store_hold *other = hold(pair.other, "f");
    assert_int_equal(pair.one->ops->reserve(pair.one, "f", &lease), 0);
    assert_int_equal(set(pair.other, other, 0, INT64_MAX, true), 0);
    pair.one->ops->release(pair.one, lease);
    pair.other->ops->hold_close(pair.other, other);
    pair_close(&pair);
}

/* As if the server had not heard of anybody for long. */
static void let_time_pass(struct pair *pair) {
    real_store_update(&pair->real, "gridmount.locks", real_store_json("{'until': {'$exists': true}}"),
                      real_store_json("{'$set': {'until': {'$date': 1}}}"));
}

/* The mount has not been renewed, since its thread sleeps. */
static void fall_asleep(struct store *store) {
    struct holder *holder = &((struct bucket *)store)->holder;
    lock_acquire(&holder->lock);
    holder->renewed_ms -= 10 * HOLD_LIFE_MS;
    lock_release(&holder->lock);
}

static void what_a_dead_mount_holds_is_passed_over(void **state) {
    (void)state;
    struct pair pair = pair_open("dead");
    struct store_hold *one = hold(pair.one, "f"), *other = hold(pair.other, "f");
    assert_int_equal(set(pair.one, one, 0, 9, true), 0);
    assert_int_equal(set(pair.other, other, 0, 9, true), -EAGAIN);
    let_time_pass(&pair);
    assert_int_equal(set(pair.other, other, 0, 9, true), 0);
    assert_int_equal(documents(&pair, "{}"), 2); /* one mount is left, and what it holds */
    /* It wakes up: what it held is lost, and it is told so before it publishes. */
    fall_asleep(pair.one);
    assert_int_equal(pair.one->ops->hold_check(pair.one, one), -ENOLCK);
    assert_int_equal(set(pair.one, one, 0, 9, false), -ENOLCK);
    assert_int_equal(set(pair.one, one, 0, 9, true), -EAGAIN);
    assert_int_equal(set(pair.one, one, 10, 19, true), 0);
    assert_int_equal(pair.one->ops->hold_check(pair.one, one), 0);
    pair.one->ops->hold_close(pair.one, one);
    pair.other->ops->hold_close(pair.other, other);
    pair_close(&pair);
}

static void who_was_renewed_lives(void **state) {
    (void)state;
    struct pair pair = pair_open("lives");
    struct store_hold *one = hold(pair.one, "f"), *other = hold(pair.other, "f");
    assert_int_equal(set(pair.one, one, 0, 9, true), 0);
    let_time_pass(&pair);
    fall_asleep(pair.one);
    assert_int_equal(pair.one->ops->hold_check(pair.one, one), 0); /* nobody came meanwhile */
    assert_int_equal(set(pair.other, other, 0, 9, true), -EAGAIN);
    assert_int_equal(let_go(pair.one, one), 0);
    assert_int_equal(set(pair.other, other, 0, 9, true), 0);
    pair.one->ops->hold_close(pair.one, one);
    pair.other->ops->hold_close(pair.other, other);
    pair_close(&pair);
}

static void strange_documents_do_no_harm(void **state) {
    (void)state;
    struct pair pair = pair_open("strange");
    static const char *const documents[] = {
        "{'_id': '/r/f//'}",
        "{'_id': '/r/f//a', 'mount': 1, 'held': 'x'}",
        "{'_id': '/r/f//b', 'mount': {'$oid': '507f1f77bcf86cd799439011'}, 'until': {'$date': 9999999999999},"
        " 'held': [1, {'start': 9, 'end': 1, 'exclusive': true}, {'start': 'x'}, {'start': -1, 'end': 5}]}",
        "{'_id': '/r/f//c', 'mount': {'$oid': '507f1f77bcf86cd799439011'}, 'until': 1,"
        " 'held': [{'start': 0, 'end': 5, 'exclusive': true}]}",
    };
    for (unsigned i = 0; i < sizeof documents / sizeof *documents; i++)
        real_store_insert(&pair.real, "gridmount.locks", real_store_json("%s", documents[i]));
    struct store_hold *one = hold(pair.one, "f");
    assert_int_equal(set(pair.one, one, 0, 9, true), 0);
    assert_int_equal(let_go(pair.one, one), 0);
    pair.one->ops->hold_close(pair.one, one);
    pair_close(&pair);
}

/* ---- races ---- */

enum { RACERS = 4, ROUNDS = 25 };

struct racer {
    struct store *store;
    pthread_barrier_t *start;
    int *inside, *count;
    int failed;
};

/* Each tries once in a round, with all others; who gets it lets go when all have tried. */
static void *try_once(void *argument) {
    struct racer *racer = argument;
    struct store_hold *hold = NULL;
    racer->failed = racer->store->ops->hold_open(racer->store, "f", 'r', &hold);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(racer->start);
        int result = set(racer->store, hold, 0, INT64_MAX, true);
        if (result == 0)
            __atomic_add_fetch(&racer->count[round], 1, __ATOMIC_SEQ_CST);
        else if (result != -EAGAIN)
            racer->failed = 1;
        pthread_barrier_wait(racer->start);
        if (result == 0 && let_go(racer->store, hold))
            racer->failed = 1;
    }
    racer->store->ops->hold_close(racer->store, hold);
    return NULL;
}

static void *race(void *argument) {
    struct racer *racer = argument;
    struct store_hold *hold = NULL;
    racer->failed = racer->store->ops->hold_open(racer->store, "f", 'r', &hold);
    for (int round = 0; round < ROUNDS && !racer->failed;) {
        int result = set(racer->store, hold, 0, INT64_MAX, true);
        if (result == -EAGAIN)
            continue;
        if (result || __atomic_add_fetch(racer->inside, 1, __ATOMIC_SEQ_CST) != 1)
            racer->failed = 1;
        ++*racer->count; /* nobody else is here */
        __atomic_sub_fetch(racer->inside, 1, __ATOMIC_SEQ_CST);
        if (let_go(racer->store, hold))
            racer->failed = 1;
        round++;
    }
    racer->store->ops->hold_close(racer->store, hold);
    return NULL;
}

/* Each in a mount of its own. */
static void run(struct pair *pair, void *what(void *), int *inside, int *count) {
    struct racer racers[RACERS];
    struct bucket *buckets[RACERS];
    pthread_t threads[RACERS];
    pthread_barrier_t start;
    const struct bucket *first = pair->real.bucket;
    pthread_barrier_init(&start, NULL, RACERS);
    for (int i = 0; i < RACERS; i++) {
        assert_int_equal(bucket_new(first->connection, first->uploaders, pair->real.name, &first->policy, &buckets[i]), 0);
        racers[i] = (struct racer){.store = &buckets[i]->store, .start = &start, .inside = inside, .count = count};
        assert_int_equal(pthread_create(&threads[i], NULL, what, &racers[i]), 0);
    }
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(racers[i].failed, 0);
        bucket_free(buckets[i]);
    }
    pthread_barrier_destroy(&start);
    assert_int_equal(documents(pair, "{}"), 0);
}

static void of_all_who_hold_it_in_turn_one_is_inside(void **state) {
    (void)state;
    struct pair pair = pair_open("race");
    int inside = 0, count = 0;
    run(&pair, race, &inside, &count);
    assert_int_equal(count, RACERS * ROUNDS);
    pair_close(&pair);
}

/* One, unless threads were kept from running for long; never two. */
static void of_all_who_come_at_once_one_gets_it(void **state) {
    (void)state;
    struct pair pair = pair_open("once");
    int count[ROUNDS] = {0}, all = 0;
    run(&pair, try_once, NULL, count);
    for (int round = 0; round < ROUNDS; round++) {
        assert_in_range(count[round], 0, 1);
        all += count[round];
    }
    assert_in_range(all, ROUNDS / 5, ROUNDS);
    pair_close(&pair);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_one_mount_holds_excludes_the_other),
        cmocka_unit_test(who_is_in_the_way_is_told),
        cmocka_unit_test(a_name_of_a_lease_is_no_lock),
        cmocka_unit_test(what_a_dead_mount_holds_is_passed_over),
        cmocka_unit_test(who_was_renewed_lives),
        cmocka_unit_test(strange_documents_do_no_harm),
        cmocka_unit_test(of_all_who_hold_it_in_turn_one_is_inside),
        cmocka_unit_test(of_all_who_come_at_once_one_gets_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

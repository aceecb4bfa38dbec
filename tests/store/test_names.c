// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <pthread.h>
#include <time.h>

#include "fs/store/mongo/lease.h"
#include "tests/store/named.h"

static int reserve(struct store *store, const char *path, struct store_lease **ret_lease) {
    return store->ops->reserve(store, path, ret_lease);
}

static void release(struct store *store, struct store_lease *lease) {
    assert_null(store->ops->release(store, lease));
}

static int64_t locks(struct real_store *real, const char *path) {
    return real_store_count(real, "gridmount.locks", real_store_json("{'_id': '%s'}", path));
}

static void wait_until_released(struct real_store *real, const char *path) {
    struct timespec moment = {.tv_nsec = 10000000};
    for (int i = 0; i < 500 && locks(real, path); i++)
        nanosleep(&moment, NULL);
    assert_int_equal(locks(real, path), 0);
}

/* ---- claims ---- */

static void a_name_is_claimed_by_one(void **state) {
    (void)state;
    struct real_store real = real_store_open("claims");
    struct bucket *bucket;
    struct store *other = named_other(&real, &bucket);
    struct store_lease *lease, *second;
    assert_int_equal(reserve(real.store, "d/new", &lease), 0);
    assert_int_equal(lease_check(real.bucket, lease), 0);
    assert_int_equal(reserve(other, "d/new", &second), -EEXIST);
    assert_int_equal(reserve(real.store, "d/new", &second), -EEXIST);
    assert_int_equal(named_make(other, "d/new", STORE_DIRECTORY), -EEXIST);
    assert_int_equal(named_nodes(&real, "d/new"), 0);
    release(real.store, lease);
    assert_int_equal(reserve(real.store, "d/new", &lease), 0); /* what is on its way out is no obstacle here */
    release(real.store, lease);
    assert_int_equal(reserve(other, "d/new", &lease), 0); /* nor, a moment later, elsewhere */
    release(other, lease);
    release(other, NULL);
    wait_until_released(&real, "d/new");
    bucket_free(bucket);
    real_store_close(&real);
}

static void a_claim_that_expired_is_taken_over(void **state) {
    (void)state;
    struct real_store real = real_store_open("expired");
    struct bucket *bucket;
    struct store *other = named_other(&real, &bucket);
    struct store_lease *lease, *second;
    assert_int_equal(reserve(real.store, "new", &lease), 0);
    real_store_update(&real, "gridmount.locks", real_store_json("{'_id': 'new'}"),
                      real_store_json("{'$set': {'until': {'$date': {'$numberLong': '1000'}}}}"));
    lease->asked_ms -= LEASE_LIFE_MS; /* a fresh one is not asked for */
    assert_int_equal(lease_check(real.bucket, lease), -EEXIST);
    assert_int_equal(reserve(other, "new", &second), 0);
    assert_int_equal(lease_check(real.bucket, lease), -EEXIST);
    assert_int_equal(lease_check(bucket, second), 0);
    release(real.store, lease); /* which is not that of the other */
    struct store_lease *third;
    assert_int_equal(reserve(real.store, "elsewhere", &third), 0);
    release(real.store, third);
    wait_until_released(&real, "elsewhere");
    assert_int_equal(lease_check(bucket, second), 0);
    release(other, second);
    bucket_free(bucket);
    assert_int_equal(locks(&real, "new"), 0); /* freeing waits for it */
    real_store_close(&real);
}

static void only_a_free_name_is_reserved(void **state) {
    (void)state;
    struct real_store real = real_store_open("taken");
    struct store_lease *lease;
    named_put(&real, "plain", 1, 1000, false);
    named_put(&real, "/slashed", 2, 1000, false);
    named_put(&real, "./dotted", 3, 1000, false);
    named_put(&real, "implied/file", 4, 1000, false);
    for (unsigned i = 0; i < 6; i++) {
        char name[32];
        snprintf(name, sizeof name, "crowd-%u", i);
        named_put(&real, name, 10 + i, 1000, false);
    }
    named_put(&real, "crowd", 20, 1000, false);
    named_node(&real, "node", "symlink");
    static const char *const taken[] = {"plain", "slashed", "dotted", "implied", "crowd", "node"};
    for (size_t i = 0; i < sizeof taken / sizeof *taken; i++) {
        assert_int_equal(reserve(real.store, taken[i], &lease), -EEXIST);
        assert_int_equal(named_make(real.store, taken[i], STORE_DIRECTORY), -EEXIST);
        wait_until_released(&real, taken[i]);
    }
    assert_int_equal(named_nodes(&real, "plain"), 0);
    assert_int_equal(reserve(real.store, "crow", &lease), 0);
    release(real.store, lease);
    assert_int_equal(reserve(real.store, "a//b", &lease), -EINVAL);
    assert_int_equal(named_make(real.store, "../b", STORE_DIRECTORY), -EINVAL);
    real_store_close(&real);
}

struct racer {
    struct store *store;
    bool directory;
    unsigned won;
};

enum { RACES = 30 };

static void *race(void *argument) {
    struct racer *racer = argument;
    for (unsigned i = 0; i < RACES; i++) {
        char name[32];
        struct store_lease *lease;
        snprintf(name, sizeof name, "race-%u", i);
        int result = racer->directory ? named_make(racer->store, name, STORE_DIRECTORY)
                                      : reserve(racer->store, name, &lease);
        assert_true(result == 0 || result == -EEXIST);
        racer->won |= result == 0 ? 1u << i : 0; /* what is won is kept */
    }
    return NULL;
}

static void race_two(const char *name, bool directory_one, bool directory_other) {
    struct real_store real = real_store_open(name);
    struct bucket *bucket;
    struct racer racers[2] = {{real.store, directory_one, 0}, {named_other(&real, &bucket), directory_other, 0}};
    pthread_t threads[2];
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, race, &racers[i]), 0);
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(racers[0].won & racers[1].won, 0);
    if (directory_one == directory_other)
        assert_int_equal(racers[0].won | racers[1].won, (1u << RACES) - 1);
    bucket_free(bucket);
    real_store_close(&real);
}

static void of_two_mounts_one_wins(void **state) {
    (void)state;
    race_two("race1", false, false);
    race_two("race2", true, true);
    race_two("race3", true, false);
}

/* ---- nodes ---- */

static void nodes_are_made(void **state) {
    (void)state;
    struct real_store real = real_store_open("make");
    static const enum store_kind kinds[] = {STORE_DIRECTORY, STORE_SYMLINK, STORE_FIFO, STORE_SOCKET,
                                            STORE_CHARACTER_DEVICE, STORE_BLOCK_DEVICE};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char name[8] = {'n', (char)('0' + i), '\0'};
        struct store_entry entry;
        assert_int_equal(named_make(real.store, name, kinds[i]), 0);
        assert_int_equal(named_make(real.store, name, kinds[i]), -EEXIST);
        assert_int_equal(real.store->ops->lookup(real.store, name, NULL, &entry), 0);
        assert_int_equal(entry.kind, kinds[i]);
        assert_int_equal(entry.attributes.mode, 0750);
        assert_true(entry.attributes.has & ATTRIBUTES_FILE);
        if (kinds[i] == STORE_SYMLINK)
            assert_string_equal(entry.target, "t");
        store_entry_done(&entry);
    }
    real_store_close(&real);
}

static void a_directory_is_kept_with_its_parents(void **state) {
    (void)state;
    struct real_store real = real_store_open("keep");
    named_put(&real, "a/b/c/file", 1, 1000, false);
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': 'a', 'kind': 'directory', 'mode': 448}"));
    for (int i = 0; i < 2; i++)
        assert_int_equal(real.store->ops->keep_directory(real.store, "a/b/c"), 0);
    assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'kind': 'directory'}")), 3);
    assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'_id': 'a', 'mode': 448}")), 1);
    struct store_object file = named_object("a/b/c/file", STORE_FILE);
    assert_int_equal(real.store->ops->remove(real.store, &file), 0);
    struct store_entry entry;
    assert_int_equal(real.store->ops->lookup(real.store, "a/b/c", NULL, &entry), 0);
    assert_int_equal(entry.kind, STORE_DIRECTORY);
    store_entry_done(&entry);
    real_store_close(&real);
}

/* ---- removing ---- */

static int remove_name(struct real_store *real, const char *path, enum store_kind kind) {
    struct store_object object = named_object(path, kind);
    return real->store->ops->remove(real->store, &object);
}

static void every_revision_goes_in_all_spellings(void **state) {
    (void)state;
    struct real_store real = real_store_open("remove");
    named_put(&real, "f", 1, 3000, false);
    named_put(&real, "f", 2, 1000, true);
    named_put(&real, "/f", 3, 2000, false);
    named_put(&real, "./f", 4, 4000, false);
    named_put(&real, "f.txt", 5, 4000, false);
    real_store_insert(&real, "files", real_store_json("{'_id': 'mine', 'filename': 'f', 'length': 1, 'chunkSize': 1,"
                                                      " 'uploadDate': {'$date': 1}}"));
    real_store_insert(&real, "chunks", real_store_json("{'files_id': 'mine', 'n': 0}"));
    assert_int_equal(remove_name(&real, "f", STORE_FILE), 0);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(real_store_count(&real, "files", bson_new()), 1);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), 4); /* the custom _id went at once */
    assert_int_equal(real_store_count(&real, "chunks", bson_new()), 0);
    assert_int_equal(remove_name(&real, "f", STORE_FILE), -ENOENT);
    real_store_close(&real);
}

static void any_number_of_revisions_goes(void **state) {
    (void)state;
    enum { MANY = 300 };
    struct real_store real = real_store_open("many");
    for (unsigned i = 0; i < MANY; i++)
        named_put(&real, "f", i, 1000 + i, false);
    assert_int_equal(remove_name(&real, "f", STORE_FILE), 0);
    assert_int_equal(real_store_count(&real, "files", bson_new()), 0);
    assert_int_equal(real_store_count(&real, "gridmount.trash", bson_new()), MANY);
    real_store_close(&real);
}

static void nodes_are_removed(void **state) {
    (void)state;
    struct real_store real = real_store_open("unlink");
    named_node(&real, "link", "symlink");
    named_node(&real, "dir", "directory");
    assert_int_equal(remove_name(&real, "link", STORE_SYMLINK), 0);
    assert_int_equal(remove_name(&real, "link", STORE_SYMLINK), -ENOENT);
    assert_int_equal(remove_name(&real, "dir", STORE_SYMLINK), -ENOENT);
    assert_int_equal(named_nodes(&real, "dir"), 1);
    real_store_close(&real);
}

static void one_of_several_names_is_removed(void **state) {
    (void)state;
    struct real_store real = real_store_open("links");
    struct revision *revision, *linked;
    named_put(&real, "f", 1, 1000, true);
    assert_int_equal(real.store->ops->newest(real.store, "f", &revision), 0);
    struct store_object file = {.path = "f", .kind = STORE_FILE, .revision = revision};
    assert_int_equal(real.store->ops->link(real.store, &file, "g", &linked), 0);
    assert_int_equal(remove_name(&real, "f", STORE_FILE), 0);
    assert_int_equal(named_newest(&real, "f"), -ENOENT);
    assert_int_equal(named_newest(&real, "g"), 1);
    assert_int_equal(named_files(&real, "g"), 1);
    file.path = "g";
    struct revision *again;
    assert_int_equal(real.store->ops->link(real.store, &file, "h", &again), 0);
    assert_int_equal(remove_name(&real, "h", STORE_FILE), 0);
    assert_int_equal(named_newest(&real, "g"), 1);
    assert_int_equal(remove_name(&real, "g", STORE_FILE), 0);
    assert_int_equal(real_store_count(&real, "files", bson_new()), 0);
    revision_unref(revision);
    revision_unref(linked);
    revision_unref(again);
    real_store_close(&real);
}

static int remove_directory(struct real_store *real, const char *path) {
    return real->store->ops->remove_directory(real->store, path);
}

static void only_an_empty_directory_is_removed(void **state) {
    (void)state;
    static const char *const below[] = {"plain/x", "/slashed/x", "./dotted/x"};
    struct real_store real = real_store_open("rmdir");
    static const char *const paths[] = {"plain", "slashed", "dotted", "noded", "empty"};
    for (unsigned i = 0; i < 5; i++)
        named_node(&real, paths[i], "directory");
    for (unsigned i = 0; i < 3; i++)
        named_put(&real, below[i], i, 1000, false);
    named_node(&real, "noded/x", "symlink");
    named_put(&real, "empty.txt", 9, 1000, false);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(remove_directory(&real, paths[i]), -ENOTEMPTY);
    assert_int_equal(remove_directory(&real, "empty"), 0);
    assert_int_equal(remove_directory(&real, "empty"), -ENOENT);
    assert_int_equal(remove_directory(&real, "noded/x"), -ENOENT);
    assert_int_equal(named_nodes(&real, "noded/x"), 1);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_claimed_by_one),
        cmocka_unit_test(a_claim_that_expired_is_taken_over),
        cmocka_unit_test(only_a_free_name_is_reserved),
        cmocka_unit_test(of_two_mounts_one_wins),
        cmocka_unit_test(nodes_are_made),
        cmocka_unit_test(a_directory_is_kept_with_its_parents),
        cmocka_unit_test(every_revision_goes_in_all_spellings),
        cmocka_unit_test(any_number_of_revisions_goes),
        cmocka_unit_test(nodes_are_removed),
        cmocka_unit_test(one_of_several_names_is_removed),
        cmocka_unit_test(only_an_empty_directory_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/busiest.h"

#include <pthread.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "tests/unit/unit.h"

static struct store bucket = {.bucket = "fs"};
static struct inodes *inodes;
static struct busiest *busiest;

static int set_up(void **state) {
    (void)state;
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket};
    inodes = inodes_new(&found);
    busiest = busiest_new();
    return inodes && busiest ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    busiest_free(busiest);
    inodes_free(inodes);
    return 0;
}

static struct inode *file(const char *name) {
    struct store_entry entry = {.kind = STORE_DIRECTORY};
    struct inode_found found = {.kind = INODE_STORED, .store = &bucket, .entry = &entry};
    struct inode *inode;
    assert_int_equal(inode_adopt(inodes, inodes_root(inodes), name, &found, &inode), 0);
    return inode;
}

static void expect(unsigned i, const char *path, uint64_t bytes) {
    uint64_t found = 0;
    cleanup_free char *is = busiest_get(busiest, i, &found);
    if (path) {
        assert_non_null(is);
        assert_string_equal(is, path);
        assert_int_equal(found, bytes);
    } else {
        assert_null(is);
    }
}

static void the_most_read_come_first(void **state) {
    (void)state;
    struct inode *a = file("a"), *b = file("b"), *c = file("c");
    expect(0, NULL, 0);
    busiest_add(busiest, inodes, a, 100);
    busiest_add(busiest, inodes, b, 300);
    busiest_add(busiest, inodes, c, 200);
    busiest_add(busiest, inodes, a, 150);
    expect(0, "b", 300);
    expect(1, "a", 250);
    expect(2, "c", 200);
    expect(3, NULL, 0);
}

/* However many others are read in between. */
static void what_is_read_more_than_a_sixteenth_is_there(void **state) {
    (void)state;
    struct inode *much = file("much");
    for (int i = 0; i < 1000; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        busiest_add(busiest, inodes, file(name), 10);
        busiest_add(busiest, inodes, much, 2);
    }
    uint64_t bytes = 0;
    bool there = false;
    for (unsigned i = 0; i < BUSIEST; i++) {
        cleanup_free char *path = busiest_get(busiest, i, &bytes);
        assert_non_null(path);
        there |= strcmp(path, "much") == 0 && bytes >= 2000;
    }
    assert_true(there);
    expect(BUSIEST, NULL, 0);
}

static void *read_much(void *argument) {
    for (int i = 0; i < 20000; i++)
        busiest_add(busiest, inodes, ((struct inode **)argument)[i % 40], 1);
    return NULL;
}

static void many_threads_may_read_at_once(void **state) {
    (void)state;
    struct inode *files[40];
    pthread_t threads[4];
    for (int i = 0; i < 40; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d", i);
        files[i] = file(name);
    }
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, read_much, files);
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    uint64_t bytes = 0, sum = 0;
    for (unsigned i = 0; i < BUSIEST; i++) {
        cleanup_free char *path = busiest_get(busiest, i, &bytes);
        sum += path ? bytes : 0;
    }
    assert_in_range(sum, 1, 4 * 20000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(the_most_read_come_first),
        TEST(what_is_read_more_than_a_sixteenth_is_there),
        TEST(many_threads_may_read_at_once),
    };
    return cmocka_run_group_tests_name("busiest", tests, NULL, NULL);
}

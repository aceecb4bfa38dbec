// SPDX-License-Identifier: Apache-2.0
/* Reads and writes that fail, in any way and in great number, leave nothing behind: GRIDMOUNT_TEST_GIB=100 for as many GiB
 * of them, a quarter of one else. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>

#include "cache/base/stats.h"
#include "tests/unit/vfs_bench.h"

enum { THREADS = 3, PIECE = 1 << 20, FILE_SIZE = 24 << 20, NAME_SIZE = 16, LEAK_MOST = 256 << 10, TICKS = 32 };

static char bytes[FILE_SIZE];

struct failures {
    _Atomic int64_t read, written; /* bytes that were asked for in vain */
    int64_t wanted;
    atomic_uint done;
};

static bool is_enough(struct failures *failures) {
    return atomic_load(&failures->read) + atomic_load(&failures->written) >= failures->wanted;
}

/* What a program does of which each step may fail: its file is opened, read, changed and closed. */
static void read_or_write(struct failures *failures, const char *name, unsigned turn) {
    struct vfs_entry entry;
    struct handle *handle;
    bool live, writes = turn % 4;
    if (vfs_lookup(mount->vfs, root, writes ? name : "large", &entry))
        return;
    if (vfs_open(mount->vfs, entry.inode, writes ? O_RDWR : O_RDONLY, &memory_mount_caller, &handle, &live) == 0) {
        for (unsigned i = 0; !writes && i < FILE_SIZE / PIECE; i++) {
            struct reader_view views[READER_VIEWS];
            unsigned count;
            if (vfs_read(mount->vfs, handle, (int64_t)i * PIECE, PIECE, views, &count))
                atomic_fetch_add(&failures->read, PIECE);
            else
                reader_release(views, count);
        }
        if (writes) {
            int result = vfs_write(mount->vfs, handle, 0, bytes, PIECE, &memory_mount_caller);
            if (result || flush(handle))
                atomic_fetch_add(&failures->written, PIECE);
        }
        vfs_close(mount->vfs, handle);
    }
    atomic_fetch_add(&failures->done, 1);
    vfs_forget(mount->vfs, entry.inode, 1);
}

/* What was stored under another name, since the fake cannot tell that an earlier try had arrived. */
static void take_away_recovered(struct store *store) {
    struct store_list *list;
    struct store_item item;
    assert_int_equal(store->ops->list_open(store, "", NULL, &list), 0);
    while (store->ops->list_next(list, &item) > 0) {
        if (strstr(item.key, ".recovered-"))
            memory_store_remove(mount->memory, item.key);
        store_item_done(&item);
    }
    store->ops->list_close(list);
}

/* What was retired goes, else the fake grows; and what could not be stored is tried again, else that grows. */
static void keep_house(void) {
    take_away_recovered(memory_store_store(mount->memory));
    vfs_tidy(mount->vfs);
    for (unsigned i = 0; i < TICKS; i++)
        vfs_tick(mount->vfs);
}

struct worker {
    pthread_t thread;
    unsigned number;
    struct failures *failures;
};

static void *work(void *argument) {
    struct worker *worker = argument;
    char name[NAME_SIZE];
    snprintf(name, sizeof name, "file%u", worker->number);
    for (unsigned turn = 0; !is_enough(worker->failures); turn++) {
        read_or_write(worker->failures, name, turn);
        if (worker->number == 0 && turn % 16 == 0)
            keep_house();
    }
    return NULL;
}

static unsigned descriptors(void) {
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    assert_non_null(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void set_weather(unsigned before, unsigned others) {
    static const enum faulty_fault all[] = {FAULTY_DELAYED, FAULTY_AFTER, FAULTY_CUT, FAULTY_TWICE};
    faulty_store_set_odds(&mount->faulty, FAULTY_BEFORE, before);
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        faulty_store_set_odds(&mount->faulty, all[i], others);
}

/* Everything that could not be stored is, in the end. */
static void settle(void) {
    set_weather(0, 0);
    for (unsigned i = 0; i < 1000 && stats_get(STAT_unsaved_files); i++)
        vfs_tick(mount->vfs);
    vfs_tidy(mount->vfs);
    assert_int_equal(stats_get(STAT_unsaved_files), 0);
    assert_int_equal(stats_get(STAT_staged_bytes), 0);
    memory_mount_settle(mount);
    assert_true(budget_used(&mount->budget) <= mount->budget.limit);
}

/* A mount whose life is full of failures. */
static void live_with_failures(int64_t wanted) {
    struct failures failures = {.wanted = wanted};
    struct worker workers[THREADS];
    assert_int_equal(set_up(NULL), 0);
    memory_store_end_grace(mount->memory);
    memory_store_put(mount->memory, "large", bytes, sizeof bytes, 261120);
    for (unsigned i = 0; i < THREADS; i++) {
        char name[NAME_SIZE];
        snprintf(name, sizeof name, "file%u", i);
        memory_store_put(mount->memory, name, bytes, PIECE, 261120);
    }
    uint64_t inodes = stats_get(STAT_inodes);
    unsigned files = descriptors();
    set_weather(300, 100);
    for (unsigned i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.number = i, .failures = &failures};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(workers[i].thread, NULL);
    settle();
    assert_int_equal(stats_get(STAT_inodes), inodes);
    assert_int_equal(descriptors(), files);
    print_message("%u files, %" PRId64 " MiB read and %" PRId64 " MiB written in vain\n", atomic_load(&failures.done),
                  atomic_load(&failures.read) >> 20, atomic_load(&failures.written) >> 20);
    tear_down(NULL); /* of the budget nothing is taken then */
}

static void calls_that_fail_leave_nothing_behind(void **state) {
    (void)state;
    const char *gib = getenv("GRIDMOUNT_TEST_GIB");
    live_with_failures(16 << 20); /* what is made once is made now */
    unsigned files = descriptors();
    size_t heap = mallinfo2().uordblks + mallinfo2().hblkhd;
    live_with_failures(gib ? atoll(gib) << 30 : 256 << 20);
    assert_int_equal(descriptors(), files);
    size_t left = mallinfo2().uordblks + mallinfo2().hblkhd;
    print_message("%zu KiB in use before, %zu KiB after\n", heap >> 10, left >> 10);
    assert_true(left <= heap + LEAK_MOST);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls_that_fail_leave_nothing_behind)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

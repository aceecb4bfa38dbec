// SPDX-License-Identifier: Apache-2.0
/* The caches are filled by globs, through a vfs over a server in memory. */
#include "fs/warming.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "cache/base/clock.h"
#include "tests/fake/memory_mount.h"
#include "tests/unit/unit.h"

enum { SLOW = 30000, ROOM = 1 << 20 };

static void await(struct warming *warming, const char *state) {
    for (int64_t begun = clock_now_ms(); strcmp(warming_state(warming).state, state) != 0;) {
        if (clock_now_ms() - begun > SLOW)
            fail_msg("it is %s, not %s", warming_state(warming).state, state);
        usleep(1000);
    }
}

static struct warming *begun(struct memory_mount *mount, char *const *globs, int64_t room) {
    const struct warming_config config = {.vfs = mount->vfs, .globs = globs, .memory = room, .room = room};
    struct warming *warming = warming_new(&config);
    assert_non_null(warming);
    assert_string_equal(warming_state(warming).state, "idle");
    warming_begin(warming);
    return warming;
}

static unsigned fetches(struct memory_mount *mount) {
    return atomic_load(&mount->faulty.calls[FAULTY_FETCH]) + atomic_load(&mount->faulty.calls[FAULTY_FETCH_HEADS]);
}

static void expect_warm(struct memory_mount *mount, const char *path, const char *content) {
    unsigned before = fetches(mount);
    memory_mount_expect_file(mount, path, content);
    assert_int_equal(fetches(mount), before);
}

static void what_a_glob_names_is_read_without_being_asked_for(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"models/*.pt", "data", NULL};
    memory_mount_put(mount, "models/a/one.pt", "hello world");
    memory_mount_put(mount, "models/two.pt", "");
    memory_mount_put(mount, "models/readme", "not this one");
    memory_mount_put(mount, "data/new\nline", "twelve bytes");
    memory_mount_put(mount, "other/data", "nor this one");
    memory_store_node(mount->memory, "data/link", STORE_SYMLINK, "../other");
    struct warming *warming = begun(mount, globs, ROOM);
    await(warming, "done");
    assert_int_equal(warming_state(warming).files, 3);
    assert_int_equal(warming_state(warming).bytes, 23);
    assert_int_equal(warming_state(warming).failed, 0);
    warming_free(warming);
    expect_warm(mount, "models/a/one.pt", "hello world");
    expect_warm(mount, "data/new\nline", "twelve bytes");
    unsigned before = fetches(mount);
    memory_mount_expect_file(mount, "other/data", "nor this one");
    assert_true(fetches(mount) > before);
    memory_mount_done(mount);
}

static void a_bucket_is_a_directory_where_all_are_shown(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("*", 1000, false);
    char *const globs[] = {"fs/d/*", NULL};
    memory_mount_put(mount, "d/file", "content");
    memory_mount_put(mount, "file", "no");
    struct warming *warming = begun(mount, globs, ROOM);
    await(warming, "done");
    assert_int_equal(warming_state(warming).files, 1);
    warming_free(warming);
    expect_warm(mount, "fs/d/file", "content");
    memory_mount_done(mount);
}

static void all_entries_of_a_large_directory_are_met(void **state) {
    (void)state;
    enum { FILES = 1000 };
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"*", NULL};
    for (unsigned i = 0; i < FILES; i++) {
        char path[32];
        snprintf(path, sizeof path, "d/%u", i);
        memory_mount_put(mount, path, path);
    }
    struct warming *warming = begun(mount, globs, ROOM);
    await(warming, "done");
    assert_int_equal(warming_state(warming).files, FILES);
    warming_free(warming);
    expect_warm(mount, "d/999", "d/999");
    memory_mount_done(mount);
}

static void what_cannot_be_read_is_counted_and_the_others_are_read(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"*", NULL};
    memory_mount_put(mount, "bad", "0123456789");
    memory_mount_put(mount, "good", "content");
    memory_store_damage_chunk(mount->memory, "bad", 1, -EIO);
    struct warming *warming = begun(mount, globs, ROOM);
    await(warming, "done");
    assert_int_equal(warming_state(warming).files, 1);
    assert_int_equal(warming_state(warming).failed, 1);
    warming_free(warming);
    expect_warm(mount, "good", "content");
    memory_mount_done(mount);
}

static void a_server_that_is_away_is_waited_for(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"*", NULL};
    memory_mount_put(mount, "d/file", "content");
    atomic_store(&mount->faulty.away, true);
    struct warming *warming = begun(mount, globs, ROOM);
    await(warming, "waiting");
    atomic_store(&mount->faulty.away, false);
    await(warming, "done");
    assert_int_equal(warming_state(warming).files, 1);
    warming_free(warming);
    memory_mount_done(mount);
}

static void it_ends_before_it_pushes_out_what_it_brought_in(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"*", NULL};
    memory_mount_put(mount, "a", "0123456789");
    memory_mount_put(mount, "b", "0123456789");
    struct warming *warming = begun(mount, globs, 15);
    await(warming, "full");
    assert_int_equal(warming_state(warming).files, 1);
    assert_int_equal(warming_state(warming).bytes, 10);
    assert_int_equal(warming_state(warming).failed, 0);
    warming_free(warming);
    memory_mount_done(mount);
}

static void what_is_replaced_meanwhile_is_read_as_it_is_now(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"*", NULL};
    memory_mount_put(mount, "a", "old");
    memory_mount_put(mount, "b", "old");
    gate_shut(&mount->faulty.gates[FAULTY_NEWEST]); /* it has listed, and opens */
    struct warming *warming = begun(mount, globs, ROOM);
    gate_await(&mount->faulty.gates[FAULTY_NEWEST], 1);
    memory_mount_put(mount, "a", "newer");
    assert_true(memory_store_remove(mount->memory, "b"));
    gate_open(&mount->faulty.gates[FAULTY_NEWEST]);
    await(warming, "done");
    assert_int_equal(warming_state(warming).files, 1);
    assert_int_equal(warming_state(warming).bytes, 5);
    assert_int_equal(warming_state(warming).failed, 0);
    warming_free(warming);
    expect_warm(mount, "a", "newer");
    memory_mount_done(mount);
}

static void it_ends_when_it_is_told_to(void **state) {
    (void)state;
    struct memory_mount *mount = memory_mount_new("fs", 1000, false);
    char *const globs[] = {"*", NULL};
    memory_mount_put(mount, "d/file", "content");
    const struct warming_config config = {.vfs = mount->vfs, .globs = globs, .memory = ROOM, .room = ROOM};
    warming_free(warming_new(&config)); /* before the mount is up */
    atomic_store(&mount->faulty.away, true);
    struct warming *warming = begun(mount, globs, ROOM);
    await(warming, "waiting");
    int64_t before = clock_now_ms();
    warming_free(warming);
    assert_true(clock_now_ms() - before < 1000);
    atomic_store(&mount->faulty.away, false);
    memory_mount_done(mount);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_glob_names_is_read_without_being_asked_for),
        cmocka_unit_test(a_bucket_is_a_directory_where_all_are_shown),
        cmocka_unit_test(all_entries_of_a_large_directory_are_met),
        cmocka_unit_test(what_cannot_be_read_is_counted_and_the_others_are_read),
        cmocka_unit_test(a_server_that_is_away_is_waited_for),
        cmocka_unit_test(it_ends_before_it_pushes_out_what_it_brought_in),
        cmocka_unit_test(what_is_replaced_meanwhile_is_read_as_it_is_now),
        cmocka_unit_test(it_ends_when_it_is_told_to),
    };
    return cmocka_run_group_tests_name("warming", tests, NULL, NULL);
}

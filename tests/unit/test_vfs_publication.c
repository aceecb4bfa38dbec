// SPDX-License-Identifier: Apache-2.0
/* Who publishes what is written, and what goes on meanwhile. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cache/base/log.h"
#include "tests/unit/vfs_bench.h"

static struct handle *created(const char *name, int flags, struct vfs_entry *ret_entry) {
    return memory_mount_created(mount, root, name, flags, ret_entry);
}

static struct handle *opened(const char *path, int flags, struct vfs_entry *ret_entry) {
    *ret_entry = memory_mount_found(mount, path);
    return memory_mount_opened_as(mount, ret_entry->inode, flags);
}

static off_t size_of(struct inode *inode) {
    struct stat attributes;
    assert_int_equal(vfs_attributes(mount->vfs, inode, &attributes), 0);
    return attributes.st_size;
}

/* ---- who flushes ---- */

/* A process that waits until it is told to go. */
static pid_t sleeper(void) {
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    return pid;
}

static void end(pid_t pid) {
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static struct vfs_caller process(pid_t pid) {
    struct vfs_caller caller = memory_mount_caller;
    caller.pid = pid;
    return caller;
}

static void a_stranger_publishes_nothing(void **state) {
    (void)state;
    pid_t child = sleeper();
    struct vfs_caller self = process(getpid()), stranger = process(child), kernel = process(0);
    struct vfs_entry entry;
    struct handle *handle;
    assert_int_equal(vfs_create(mount->vfs, root, "file", 0644, 0, &self, &entry, &handle), 0);
    assert_int_equal(vfs_write(mount->vfs, handle, 0, "half", 4, &self), 0);
    assert_int_equal(vfs_flush(mount->vfs, handle, &stranger), 0);
    memory_mount_expect_stored(mount, "file", NULL);
    assert_int_equal(vfs_flush(mount->vfs, handle, &self), 0);
    memory_mount_expect_stored(mount, "file", "half");
    assert_int_equal(vfs_write(mount->vfs, handle, 4, "-whole", 6, &kernel), 0);
    assert_int_equal(vfs_flush(mount->vfs, handle, &stranger), 0);
    memory_mount_expect_stored(mount, "file", "half");
    assert_int_equal(vfs_write(mount->vfs, handle, 10, "!", 1, &stranger), 0); /* from now on it is none */
    assert_int_equal(vfs_flush(mount->vfs, handle, &stranger), 0);
    memory_mount_expect_stored(mount, "file", "half-whole!");
    end(child);
    close_and_forget(handle, entry.inode);
}

static void who_is_unknown_is_no_stranger(void **state) {
    (void)state;
    struct vfs_caller self = process(getpid()), kernel = process(0);
    struct vfs_entry entry;
    struct handle *handle;
    assert_int_equal(vfs_create(mount->vfs, root, "file", 0644, 0, &self, &entry, &handle), 0);
    assert_int_equal(vfs_flush(mount->vfs, handle, &kernel), 0);
    memory_mount_expect_stored(mount, "file", "");
    close_and_forget(handle, entry.inode);
}

static void when_no_writer_is_left_anyone_publishes(void **state) {
    (void)state;
    pid_t writer = sleeper(), closer = sleeper();
    struct vfs_caller first = process(writer), last = process(closer);
    struct vfs_entry entry;
    struct handle *handle;
    assert_int_equal(vfs_create(mount->vfs, root, "file", 0644, 0, &first, &entry, &handle), 0);
    assert_int_equal(vfs_write(mount->vfs, handle, 0, "inherited", 9, &first), 0);
    end(writer);
    assert_int_equal(vfs_flush(mount->vfs, handle, &last), 0);
    memory_mount_expect_stored(mount, "file", "inherited");
    end(closer);
    close_and_forget(handle, entry.inode);
}

static void more_writers_than_are_counted_are_all_believed(void **state) {
    (void)state;
    enum { MANY = 9 };
    pid_t writers[MANY], stranger = sleeper();
    struct vfs_entry entry;
    struct handle *handle = created("file", 0, &entry);
    vfs_close(mount->vfs, handle);
    struct vfs_caller self = process(getpid()), last = process(stranger);
    bool live;
    assert_int_equal(vfs_open(mount->vfs, entry.inode, O_RDWR, &self, &handle, &live), 0);
    for (int i = 0; i < MANY; i++) {
        writers[i] = sleeper();
        struct vfs_caller caller = process(writers[i]);
        assert_int_equal(vfs_write(mount->vfs, handle, i, "x", 1, &caller), 0);
        assert_int_equal(vfs_write(mount->vfs, handle, i, "x", 1, &caller), 0); /* counted once */
    }
    assert_int_equal(vfs_flush(mount->vfs, handle, &last), 0);
    memory_mount_expect_stored(mount, "file", "xxxxxxxxx");
    for (int i = 0; i < MANY; i++)
        end(writers[i]);
    end(stranger);
    close_and_forget(handle, entry.inode);
}

static void *flush_from_a_thread(void *argument) {
    struct vfs_caller caller = process(gettid());
    return (void *)(intptr_t)vfs_flush(mount->vfs, argument, &caller);
}

static void a_thread_of_the_writer_is_no_stranger(void **state) {
    (void)state;
    struct vfs_caller self = process(getpid());
    struct vfs_entry entry;
    struct handle *handle;
    pthread_t thread;
    void *result;
    assert_int_equal(vfs_create(mount->vfs, root, "file", 0644, 0, &self, &entry, &handle), 0);
    assert_int_equal(vfs_write(mount->vfs, handle, 0, "text", 4, &self), 0);
    assert_int_equal(pthread_create(&thread, NULL, flush_from_a_thread, handle), 0);
    pthread_join(thread, &result);
    assert_null(result);
    memory_mount_expect_stored(mount, "file", "text");
    close_and_forget(handle, entry.inode);
}

/* ---- while it is published ---- */

/* A call that another thread makes. */
struct deed {
    pthread_t thread;
    struct handle *handle;
    struct inode *inode;
    const char *text;
    atomic_bool done;
    int result;
};

static void *do_flush(void *argument) {
    struct deed *deed = argument;
    deed->result = flush(deed->handle);
    deed->done = true;
    return NULL;
}

static void *do_write(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_write(mount->vfs, deed->handle, 0, deed->text, strlen(deed->text), &memory_mount_caller);
    deed->done = true;
    return NULL;
}

static void *do_chmod(void *argument) {
    struct deed *deed = argument;
    struct vfs_change change = {.set = VFS_MODE, .mode = 0600};
    struct stat attributes;
    deed->result = vfs_change(mount->vfs, deed->inode, NULL, &change, &attributes);
    deed->done = true;
    return NULL;
}

static void *do_set_xattr(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_set_xattr(mount->vfs, deed->inode, "user.late", "x", 1, 0);
    deed->done = true;
    return NULL;
}

static void start(struct deed *deed, void *(*what)(void *)) {
    assert_int_equal(pthread_create(&deed->thread, NULL, what, deed), 0);
}

static void expect_done(struct deed *deed) {
    pthread_join(deed->thread, NULL);
    assert_int_equal(deed->result, 0);
}

static void let_it_try(void) {
    nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

/* Begins a flush that waits in front of the database. */
static void hold_flush(struct deed *deed) {
    gate_shut(&mount->faulty.gates[FAULTY_PUT]);
    start(deed, do_flush);
    gate_await(&mount->faulty.gates[FAULTY_PUT], 1);
}

static void let_go(struct deed *deed) {
    gate_open(&mount->faulty.gates[FAULTY_PUT]);
    expect_done(deed);
}

static void a_publication_holds_writers_up_but_no_readers(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry), *reader = memory_mount_opened(mount, entry.inode);
    memory_mount_write(mount, handle, 0, "new");
    struct deed flushing = {.handle = handle}, writing = {.handle = handle, .text = "LATER"};
    hold_flush(&flushing);
    memory_mount_expect_text(mount, reader, "new");
    assert_int_equal(size_of(entry.inode), 3);
    start(&writing, do_write);
    let_it_try();
    assert_false(writing.done);
    let_go(&flushing);
    expect_done(&writing);
    memory_mount_expect_stored(mount, "file", "new"); /* one moment's content */
    memory_mount_expect_text(mount, reader, "LATER");
    close_and_forget(handle, entry.inode);
    memory_mount_expect_stored(mount, "file", "LATER");
    memory_mount_expect_text(mount, reader, "LATER");
    vfs_close(mount->vfs, reader);
}

static void attributes_changed_during_a_publication_are_not_lost(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "new");
    struct deed flushing = {.handle = handle}, chmod = {.inode = entry.inode}, xattr = {.inode = entry.inode};
    hold_flush(&flushing);
    start(&chmod, do_chmod);
    start(&xattr, do_set_xattr);
    let_it_try();
    assert_false(chmod.done || xattr.done); /* on the old revision they would be lost */
    let_go(&flushing);
    expect_done(&chmod);
    expect_done(&xattr);
    close_and_forget(handle, entry.inode);
    entry = memory_mount_found(mount, "file");
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0600);
    assert_int_equal(vfs_get_xattr(mount->vfs, entry.inode, "user.late", NULL, 0), 1);
    vfs_forget(mount->vfs, entry.inode, 1);
    memory_mount_expect_stored(mount, "file", "new");
}

static void *do_get_xattr(void *argument) {
    struct deed *deed = argument;
    deed->result = vfs_get_xattr(mount->vfs, deed->inode, "user.kept", NULL, 0) == 1 ? 0 : -1;
    return NULL;
}

/* Holds the deed where it asks the database about the revision it knows, publishes another, and lets it go on. */
static void replace_during(void *(*what)(void *), enum faulty_call call) {
    struct gate *gate = &mount->faulty.gates[call];
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry = memory_mount_found(mount, "file");
    assert_int_equal(vfs_set_xattr(mount->vfs, entry.inode, "user.kept", "x", 1, 0), 0);
    struct deed deed = {.inode = entry.inode};
    gate_shut(gate);
    start(&deed, what);
    gate_await(gate, 1);
    struct handle *handle = memory_mount_opened_as(mount, entry.inode, O_RDWR);
    memory_mount_write(mount, handle, 0, "new");
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "file", "new");
    gate_open(gate);
    expect_done(&deed);
    close_and_forget(handle, entry.inode);
}

static void what_was_replaced_meanwhile_is_asked_for_again(void **state) {
    (void)state;
    replace_during(do_get_xattr, FAULTY_XATTRS);
    replace_during(do_set_xattr, FAULTY_SET_XATTR);
    struct vfs_entry entry = memory_mount_found(mount, "file");
    assert_int_equal(vfs_get_xattr(mount->vfs, entry.inode, "user.late", NULL, 0), 1);
    vfs_forget(mount->vfs, entry.inode, 1);
    replace_during(do_chmod, FAULTY_SET_ATTRIBUTES);
    entry = memory_mount_found(mount, "file");
    assert_int_equal(entry.attributes.st_mode, S_IFREG | 0600);
    vfs_forget(mount->vfs, entry.inode, 1);
}

static void a_lookup_that_crosses_a_publication_keeps_the_inode(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "old");
    struct vfs_entry entry, crossing;
    struct handle *handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 0, "ours");
    struct deed flushing = {.handle = handle};
    hold_flush(&flushing);
    memory_mount_put(mount, "file", "theirs"); /* found now, but the last close wins */
    crossing = memory_mount_found(mount, "file");
    assert_ptr_equal(crossing.inode, entry.inode);
    assert_int_equal(crossing.attributes.st_size, 4);
    memory_store_remove(mount->memory, "file"); /* nor does a name that is gone for a moment */
    struct vfs_entry none;
    assert_int_equal(memory_mount_look_up(mount, "file", &none), -ENOENT);
    let_go(&flushing);
    memory_mount_expect_stored(mount, "file", "ours");
    crossing = memory_mount_found(mount, "file");
    assert_ptr_equal(crossing.inode, entry.inode);
    close_and_forget(handle, entry.inode);
    vfs_forget(mount->vfs, entry.inode, 2);
}

static void the_last_close_wins_and_takes_its_name_again(void **state) {
    (void)state;
    memory_mount_put(mount, "file", "0123456789");
    struct vfs_entry mine, theirs;
    struct handle *handle = opened("file", O_RDWR, &mine);
    memory_mount_write(mount, handle, 0, "mine");
    memory_mount_put(mount, "file", "theirs");
    theirs = memory_mount_found(mount, "file");
    assert_ptr_not_equal(theirs.inode, mine.inode);
    struct handle *other = memory_mount_opened(mount, theirs.inode);
    assert_int_equal(flush(handle), 0);
    memory_mount_expect_stored(mount, "file", "mine456789"); /* over what it was opened with */
    memory_mount_expect_text(mount, other, "theirs");        /* an open handle keeps its revision */
    struct vfs_entry again = memory_mount_found(mount, "file");
    assert_ptr_equal(again.inode, mine.inode);
    close_and_forget(other, theirs.inode);
    close_and_forget(handle, mine.inode);
    vfs_forget(mount->vfs, again.inode, 1);
}

static void what_is_small_is_not_fetched_after_it_was_written(void **state) {
    (void)state;
    struct vfs_entry entry;
    struct handle *handle = created("file", O_WRONLY, &entry);
    memory_mount_write(mount, handle, 0, "abc");
    assert_int_equal(flush(handle), 0);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_file(mount, "file", "abc");
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_FETCH]), 0);
    handle = opened("file", O_RDWR, &entry);
    memory_mount_write(mount, handle, 1, "B");
    assert_int_equal(flush(handle), 0);
    close_and_forget(handle, entry.inode);
    memory_mount_expect_file(mount, "file", "aBc");
    assert_int_equal(atomic_load(&mount->faulty.calls[FAULTY_FETCH]), 0);
    memory_mount_expect_stored(mount, "file", "aBc");
}

enum { WRITERS = 4, ROUNDS = 400 };

static atomic_uint failures;

/* As the kernel opens: what is stale is looked up once more. */
static int look_up_and_open(struct vfs_entry *ret_entry, struct handle **ret_handle) {
    bool live;
    int result = -ESTALE;
    for (int i = 0; result == -ESTALE && i < 2; i++) {
        if (vfs_lookup(mount->vfs, root, "file", ret_entry))
            return -ENOENT;
        result = vfs_open(mount->vfs, ret_entry->inode, O_RDWR, &memory_mount_caller, ret_handle, &live);
        if (result)
            vfs_forget(mount->vfs, ret_entry->inode, 1);
    }
    return result;
}

/* Opens, writes its own byte, closes: as several processes do with one file. */
static void *write_again_and_again(void *argument) {
    int64_t place = (intptr_t)argument;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct vfs_entry entry;
        struct handle *handle;
        char byte = (char)('0' + round % 10);
        if (look_up_and_open(&entry, &handle)) {
            failures++;
            continue;
        }
        failures += vfs_write(mount->vfs, handle, place, &byte, 1, &memory_mount_caller) != 0;
        failures += vfs_flush(mount->vfs, handle, &memory_mount_caller) != 0;
        const char *stored = memory_store_content(mount->memory, "file", NULL);
        failures += stored[place] != byte; /* what was closed is stored */
        close_and_forget(handle, entry.inode);
    }
    return NULL;
}

static void nothing_is_lost_between_opens_and_closes(void **state) {
    (void)state;
    pthread_t threads[WRITERS];
    memory_mount_put(mount, "file", "----");
    atomic_store(&failures, 0);
    for (intptr_t i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_again_and_again, (void *)i), 0);
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(failures, 0);
    memory_mount_expect_stored(mount, "file", "9999");
}

static int be_quiet(void **state) {
    (void)state;
    return log_open_file("/dev/null", LOG_LEVEL_INFO);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(a_stranger_publishes_nothing),
        TEST(who_is_unknown_is_no_stranger),
        TEST(when_no_writer_is_left_anyone_publishes),
        TEST(more_writers_than_are_counted_are_all_believed),
        TEST(a_thread_of_the_writer_is_no_stranger),
        TEST(a_publication_holds_writers_up_but_no_readers),
        TEST(attributes_changed_during_a_publication_are_not_lost),
        TEST(what_was_replaced_meanwhile_is_asked_for_again),
        TEST(a_lookup_that_crosses_a_publication_keeps_the_inode),
        TEST(what_is_small_is_not_fetched_after_it_was_written),
        TEST(the_last_close_wins_and_takes_its_name_again),
        TEST(nothing_is_lost_between_opens_and_closes),
    };
    return cmocka_run_group_tests_name("vfs_publication", tests, be_quiet, NULL);
}

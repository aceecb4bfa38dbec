// SPDX-License-Identifier: Apache-2.0
/* What a vfs believes because it is told of changes, and what it does when it is. */
#include "fs/vfs/vfs.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>

#include "tests/unit/vfs_bench.h"

enum { OUTDATED_MOST = 64 };

/* What the kernel was told of. */
static struct {
    const struct inode *inode;
    bool listing;
} told[OUTDATED_MOST];
static unsigned told_count;
static struct store_listener listener;

static void outdated(void *context, const struct inode *inode, bool listing) {
    assert_ptr_equal(context, &told);
    assert_true(told_count < OUTDATED_MOST);
    told[told_count].inode = inode;
    told[told_count++].listing = listing;
}

static char told_name[64];

static void outdated_name(void *context, const struct inode *directory, const char *name) {
    assert_ptr_equal(context, &told);
    assert_ptr_equal(directory, root);
    snprintf(told_name, sizeof told_name, "%s", name);
}

/* The mount in memory once more, with a stream that is healthy. */
static int set_up_told(void **state) {
    set_up(state);
    memory_mount_unmount(mount);
    mount->config.told = true;
    mount->config.outdated = outdated;
    mount->config.outdated_name = outdated_name;
    mount->config.outdated_context = &told;
    if (vfs_new(&mount->config, &mount->vfs))
        return -1;
    root = vfs_root(mount->vfs);
    told_count = 0;
    listener = vfs_listener(mount->vfs);
    listener.watching(listener.context);
    return 0;
}

static unsigned lookups(void) {
    return atomic_load(&mount->faulty.calls[FAULTY_LOOKUP]);
}

static void tell(enum store_change_kind kind, const char *path, const struct revision *revision) {
    struct store_change change = {.kind = kind, .path = path};
    if (revision) {
        change.id = revision->id;
        change.id_size = revision->id_size;
    }
    told_count = 0;
    listener.changed(listener.context, &change);
}

static struct revision *revision_at(const char *path) {
    struct revision *revision;
    struct store *store = &mount->faulty.store;
    assert_int_equal(store->ops->newest(store, path, &revision), 0);
    return revision;
}

/* Another client puts, and that is told. */
static void put_and_tell(const char *path, const char *content) {
    memory_mount_put(mount, path, content);
    cleanup_with(revision_unref) struct revision *revision = revision_at(path);
    tell(STORE_CHANGE_CAME, path, revision);
}

static void remove_and_tell(const char *path) {
    cleanup_with(revision_unref) struct revision *revision = revision_at(path);
    assert_true(memory_store_remove(mount->memory, path));
    tell(STORE_CHANGE_WENT, NULL, revision);
}

static bool was_told(const struct inode *inode, bool listing) {
    for (unsigned i = 0; i < told_count; i++)
        if (told[i].inode == inode && told[i].listing == listing)
            return true;
    return false;
}

/* What a stat by name does; whether it may be believed again. */
static int confirm(const struct vfs_entry *entry, bool *ret_believed) {
    *ret_believed = false;
    return vfs_confirm(mount->vfs, entry->inode, ret_believed);
}

static void expect_believed_unasked(const struct vfs_entry *entry) {
    unsigned before = lookups();
    bool believed;
    assert_int_equal(confirm(entry, &believed), 0);
    assert_true(believed);
    assert_int_equal(lookups(), before);
}

static void forget(const struct vfs_entry *entry) {
    vfs_forget(mount->vfs, entry->inode, 1);
}

static struct handle *opened_directory(struct inode *inode) {
    struct handle *handle;
    assert_int_equal(vfs_open_directory(mount->vfs, inode, &handle), 0);
    return handle;
}

static bool fits_always(void *context, const char *name) {
    (void)context;
    (void)name;
    return true;
}

static void note_last(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    (void)name;
    (void)entry;
    *(uint64_t *)context = next;
}

static void read_to_the_end(struct handle *handle) {
    uint64_t next = 0, offset;
    struct vfs_taker taker = {.context = &next, .fits = fits_always, .take = note_last};
    do {
        offset = next;
        assert_int_equal(vfs_read_directory(mount->vfs, handle, offset, false, &taker), 0);
    } while (next != offset);
}

/* What is read to the end, as ls does. */
static enum vfs_listing listing_of(struct inode *inode) {
    struct handle *handle = opened_directory(inode);
    enum vfs_listing listing = vfs_open_listing(mount->vfs, handle);
    read_to_the_end(handle);
    vfs_close(mount->vfs, handle);
    return listing;
}

/* ---- names and attributes ---- */

static void what_is_looked_up_is_believed_until_it_changes(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "old");
    struct vfs_entry file = memory_mount_found(mount, "d/f"), directory = memory_mount_found(mount, "d");
    assert_true(file.believed && directory.believed);
    expect_believed_unasked(&file);
    put_and_tell("d/f", "newer");
    assert_int_equal(told_count, 1);
    assert_true(was_told(file.inode, false));
    bool believed;
    assert_int_equal(confirm(&file, &believed), -ESTALE);
    expect_believed_unasked(&directory);
    struct vfs_entry newer = memory_mount_found(mount, "d/f");
    assert_true(newer.believed && newer.inode != file.inode);
    forget(&newer);
    forget(&file);
    forget(&directory);
}

static void an_open_file_keeps_its_attributes_and_loses_its_name(void **state) {
    (void)state;
    memory_mount_put(mount, "caf\xEE\xBF\xA9", "old");
    struct vfs_entry file = memory_mount_found(mount, "caf\xE9");
    struct handle *handle = memory_mount_opened(mount, file.inode);
    put_and_tell("caf\xEE\xBF\xA9", "newer");
    bool believed;
    assert_int_equal(confirm(&file, &believed), 0);
    assert_false(believed);
    assert_string_equal(told_name, "caf\xE9");
    unsigned before = lookups();
    struct stat attributes;
    assert_int_equal(confirm(&file, &believed), 0);
    assert_int_equal(vfs_attributes(mount->vfs, file.inode, &attributes), 0);
    assert_int_equal(attributes.st_size, 3);
    assert_int_equal(lookups(), before);
    close_and_forget(handle, file.inode);
    memory_mount_expect_file(mount, "caf\xE9", "newer");
}

static void what_others_only_changed_about_it_is_taken_over(void **state) {
    (void)state;
    memory_mount_put(mount, "f", "old");
    struct vfs_entry file = memory_mount_found(mount, "f");
    struct attributes own = {.has = ATTRIBUTES_MODE, .mode = 0600};
    memory_store_set_attributes(mount->memory, "f", &own);
    cleanup_with(revision_unref) struct revision *revision = revision_at("f");
    tell(STORE_CHANGE_CHANGED, NULL, revision);
    assert_true(was_told(file.inode, false));
    bool believed;
    assert_int_equal(confirm(&file, &believed), 0);
    assert_true(believed);
    struct stat attributes;
    assert_int_equal(vfs_attributes(mount->vfs, file.inode, &attributes), 0);
    assert_int_equal(attributes.st_mode & 0777, 0600);
    forget(&file);
}

static void a_removal_is_found_by_the_id_and_may_take_directories_along(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    memory_mount_put(mount, "e/f", "1");
    struct vfs_entry file = memory_mount_found(mount, "d/f"), directory = memory_mount_found(mount, "d");
    struct vfs_entry other = memory_mount_found(mount, "e");
    remove_and_tell("d/f");
    assert_true(was_told(file.inode, false) && was_told(directory.inode, false));
    assert_false(was_told(other.inode, false));
    bool believed;
    assert_int_equal(confirm(&file, &believed), -ESTALE);
    assert_int_equal(confirm(&directory, &believed), -ESTALE);
    forget(&file);
    forget(&directory);
    forget(&other);
}

static void a_removal_of_what_is_not_known_makes_every_directory_doubtful(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    memory_mount_put(mount, "d/g", "1");
    struct vfs_entry file = memory_mount_found(mount, "d/g"), directory = memory_mount_found(mount, "d");
    remove_and_tell("d/f");
    assert_true(was_told(directory.inode, false));
    assert_false(was_told(file.inode, false));
    bool believed;
    assert_int_equal(confirm(&directory, &believed), 0);
    assert_true(believed);
    forget(&file);
    forget(&directory);
}

static void a_directory_where_a_file_was_is_seen(void **state) {
    (void)state;
    memory_mount_put(mount, "f", "1");
    struct vfs_entry file = memory_mount_found(mount, "f");
    put_and_tell("f/g", "1");
    assert_true(was_told(file.inode, false));
    bool believed;
    assert_int_equal(confirm(&file, &believed), -ESTALE);
    forget(&file);
}

static void what_is_no_file_is_found_by_its_path(void **state) {
    (void)state;
    memory_store_node(mount->memory, "d", STORE_DIRECTORY, NULL);
    memory_store_node(mount->memory, "d/link", STORE_SYMLINK, "old");
    struct vfs_entry link = memory_mount_found(mount, "d/link");
    assert_true(link.believed);
    memory_store_remove(mount->memory, "d/link");
    tell(STORE_CHANGE_WENT, "d/link", NULL);
    assert_true(was_told(link.inode, false));
    bool believed;
    assert_int_equal(confirm(&link, &believed), -ESTALE);
    forget(&link);
}

static void when_the_stream_is_lost_nothing_is_believed(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    struct vfs_entry file = memory_mount_found(mount, "d/f"), directory = memory_mount_found(mount, "d");
    assert_true(vfs_is_told(mount->vfs));
    told_count = 0;
    listener.lost(listener.context);
    assert_false(vfs_is_told(mount->vfs));
    assert_true(was_told(file.inode, false) && was_told(directory.inode, false));
    bool believed;
    unsigned before = lookups();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(confirm(&file, &believed), 0);
        assert_false(believed);
    }
    assert_int_equal(lookups(), before + 2);
    listener.watching(listener.context);
    assert_int_equal(confirm(&file, &believed), 0);
    assert_true(believed);
    expect_believed_unasked(&file);
    forget(&file);
    forget(&directory);
}

/* Also once the stream is lost: it goes on growing then. */
static void how_late_changes_are_told_is_known_from_the_first_answer_on(void **state) {
    (void)state;
    assert_int_equal(vfs_told_lag_ms(mount->vfs), -1);
    listener.heard(listener.context);
    assert_in_range(vfs_told_lag_ms(mount->vfs), 0, 60 * 1000);
    listener.lost(listener.context);
    assert_in_range(vfs_told_lag_ms(mount->vfs), 0, 60 * 1000);
}

/* ---- questions and changes that cross ---- */

static struct vfs_entry crossing;

static void *look_f_up(void *argument) {
    (void)argument;
    crossing = memory_mount_found(mount, "f");
    return NULL;
}

static void an_answer_that_a_change_crossed_is_not_believed(void **state) {
    (void)state;
    memory_mount_put(mount, "f", "1");
    struct gate *gate = &mount->faulty.gates[FAULTY_LOOKUP];
    pthread_t thread;
    gate_shut(gate);
    pthread_create(&thread, NULL, look_f_up, NULL);
    gate_await(gate, 1);
    tell(STORE_CHANGE_CAME, "f", NULL); /* of a file that is not known here: there is nothing to tell the kernel */
    assert_int_equal(told_count, 0);
    gate_open(gate);
    pthread_join(thread, NULL);
    assert_false(crossing.believed);
    struct vfs_entry again = memory_mount_found(mount, "f");
    assert_true(again.believed);
    forget(&again);
    forget(&crossing);
}

static void an_answer_that_a_change_of_unknown_place_crossed_is_not_believed(void **state) {
    (void)state;
    memory_mount_put(mount, "f", "1");
    memory_mount_put(mount, "g", "1");
    cleanup_with(revision_unref) struct revision *other = revision_at("g");
    struct gate *gate = &mount->faulty.gates[FAULTY_LOOKUP];
    pthread_t thread;
    gate_shut(gate);
    pthread_create(&thread, NULL, look_f_up, NULL);
    gate_await(gate, 1);
    tell(STORE_CHANGE_CHANGED, NULL, other);
    gate_open(gate);
    pthread_join(thread, NULL);
    assert_false(crossing.believed);
    forget(&crossing);
}

static void an_older_answer_takes_back_what_a_newer_one_said(void **state) {
    (void)state;
    memory_mount_put(mount, "f", "1");
    struct gate *gate = &mount->faulty.gates[FAULTY_LOOKUP];
    pthread_t thread;
    gate_shut(gate);
    pthread_create(&thread, NULL, look_f_up, NULL);
    gate_await(gate, 1);
    tell(STORE_CHANGE_CAME, "f", NULL);
    gate_open(gate);
    struct vfs_entry fresh = memory_mount_found(mount, "f"); /* before or after the older one */
    pthread_join(thread, NULL);
    assert_false(crossing.believed);
    bool believed;
    assert_int_equal(confirm(&fresh, &believed), 0);
    forget(&fresh);
    forget(&crossing);
}

/* ---- this mount's own changes ---- */

static void an_own_put_that_is_told_costs_nothing(void **state) {
    (void)state;
    memory_mount_put(mount, "d/g", "1");
    struct vfs_entry directory = memory_mount_found(mount, "d"), file;
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_FRESH);
    struct handle *handle = memory_mount_created(mount, directory.inode, "f", O_EXCL, &file);
    memory_mount_write(mount, handle, 0, "mine");
    assert_int_equal(flush(handle), 0);
    cleanup_with(revision_unref) struct revision *first = revision_at("d/f");
    tell(STORE_CHANGE_CAME, "d/f", first);
    assert_int_equal(told_count, 0);
    memory_mount_write(mount, handle, 0, "more");
    assert_int_equal(flush(handle), 0);
    cleanup_with(revision_unref) struct revision *second = revision_at("d/f");
    tell(STORE_CHANGE_CAME, "d/f", second);
    assert_int_equal(told_count, 0);
    tell(STORE_CHANGE_WENT, NULL, first); /* what it replaced */
    assert_int_equal(told_count, 0);
    close_and_forget(handle, file.inode);
    assert_int_equal(vfs_unlink(mount->vfs, directory.inode, "f"), 0);
    tell(STORE_CHANGE_WENT, NULL, second);
    assert_int_equal(told_count, 0);
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_FRESH); /* the kernel knows of the change, too */
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_KEPT);
    forget(&directory);
}

static void what_others_put_over_an_own_file_is_news(void **state) {
    (void)state;
    struct vfs_entry file;
    struct handle *handle = memory_mount_created(mount, root, "f", O_EXCL, &file);
    memory_mount_write(mount, handle, 0, "mine");
    assert_int_equal(flush(handle), 0);
    close_and_forget(handle, file.inode);
    struct vfs_entry found = memory_mount_found(mount, "f");
    assert_true(found.believed);
    put_and_tell("f", "theirs");
    assert_true(was_told(found.inode, false));
    forget(&found);
}

static void the_later_change_of_a_renamed_file_stays(void **state) {
    (void)state;
    memory_mount_put(mount, "f", "1");
    struct vfs_entry file = memory_mount_found(mount, "f");
    assert_int_equal(vfs_rename(mount->vfs, root, "f", root, "g", 0), 0);
    struct stat renamed, later;
    assert_int_equal(vfs_attributes(mount->vfs, file.inode, &renamed), 0);
    cleanup_with(revision_unref) struct revision *revision = revision_at("g");
    tell(STORE_CHANGE_MOVED, "g", revision);
    bool believed;
    assert_int_equal(confirm(&file, &believed), 0);
    struct vfs_entry again = memory_mount_found(mount, "g");
    assert_ptr_equal(again.inode, file.inode);
    assert_int_equal(vfs_attributes(mount->vfs, file.inode, &later), 0);
    assert_memory_equal(&later.st_ctim, &renamed.st_ctim, sizeof later.st_ctim);
    forget(&again);
    forget(&file);
}

/* ---- listings ---- */

static void a_listing_is_kept_until_its_names_may_have_changed(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    memory_mount_put(mount, "e/f", "1");
    struct vfs_entry one = memory_mount_found(mount, "d"), other = memory_mount_found(mount, "e");
    struct inode *const all[] = {root, one.inode, other.inode};
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(listing_of(all[i]), VFS_LISTING_FRESH);
        assert_int_equal(listing_of(all[i]), VFS_LISTING_KEPT);
    }
    put_and_tell("d/new", "1");
    assert_true(was_told(one.inode, true));
    assert_false(was_told(root, true) || was_told(other.inode, true)); /* it has "d" */
    put_and_tell("n/new", "1");
    assert_true(was_told(root, true));
    assert_false(was_told(other.inode, true));
    assert_int_equal(listing_of(one.inode), VFS_LISTING_FRESH);
    assert_int_equal(listing_of(other.inode), VFS_LISTING_KEPT);
    remove_and_tell("e/f"); /* which is not known */
    assert_true(was_told(one.inode, true) && was_told(other.inode, true));
    tell(STORE_CHANGE_CHANGED, "d", NULL);
    assert_int_equal(listing_of(one.inode), VFS_LISTING_FRESH);
    forget(&one);
    forget(&other);
}

/* One that is only there because of its files goes with the last; one that was made stays. */
static void what_goes_below_a_made_directory_leaves_the_listing_above_it(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    struct vfs_entry made, implied = memory_mount_found(mount, "d");
    assert_int_equal(vfs_mkdir(mount->vfs, root, "made", 0755, &memory_mount_caller, &made), 0);
    memory_mount_put(mount, "made/f", "1");
    struct vfs_entry file = memory_mount_found(mount, "made/f"), other = memory_mount_found(mount, "d/f");
    assert_int_equal(listing_of(root), VFS_LISTING_FRESH);
    assert_int_equal(listing_of(root), VFS_LISTING_KEPT);
    remove_and_tell("made/f");
    assert_false(was_told(root, true));
    assert_int_equal(listing_of(root), VFS_LISTING_KEPT);
    remove_and_tell("d/f");
    assert_true(was_told(root, true));
    forget(&file);
    forget(&other);
    forget(&made);
    forget(&implied);
}

static void a_handle_from_before_a_change_spoils_no_later_listing(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    struct handle *before = opened_directory(directory.inode);
    assert_int_equal(vfs_open_listing(mount->vfs, before), VFS_LISTING_FRESH);
    put_and_tell("d/new", "1");
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_ASKED);
    vfs_close(mount->vfs, before);
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_FRESH);
    forget(&directory);
}

/* Names of the entries from `offset` on, each with a blank behind it. */
struct names {
    unsigned room;
    char text[256];
    uint64_t next;
};

static bool has_room(void *context, const char *name) {
    (void)name;
    return ((struct names *)context)->room > 0;
}

static void add_name(void *context, const char *name, const struct vfs_entry *entry, uint64_t next) {
    struct names *names = context;
    (void)entry;
    names->room--;
    names->next = next;
    strcat(strcat(names->text, name), " ");
}

static void read_names(struct handle *handle, unsigned room, struct names *names) {
    struct vfs_taker taker = {.context = names, .fits = has_room, .take = add_name};
    names->room = room;
    assert_int_equal(vfs_read_directory(mount->vfs, handle, names->next, false, &taker), 0);
}

/* The kernel gives the first entries of a listing that it keeps, is told to drop it, and asks for the rest. */
static void what_is_dropped_while_it_is_read_goes_on_by_its_keys(void **state) {
    (void)state;
    static const char *const paths[] = {"d/b", "d/c", "d/d", "d/e"};
    for (unsigned i = 0; i < 4; i++)
        memory_mount_put(mount, paths[i], "1");
    struct vfs_entry directory = memory_mount_found(mount, "d");
    for (unsigned given = 3; given <= 6; given++) { /* . .. b c d e */
        struct handle *first = opened_directory(directory.inode);
        assert_int_equal(vfs_open_listing(mount->vfs, first), VFS_LISTING_FRESH);
        struct names names = {0};
        read_names(first, given, &names);
        read_to_the_end(first);
        vfs_close(mount->vfs, first);
        struct handle *second = opened_directory(directory.inode);
        assert_int_equal(vfs_open_listing(mount->vfs, second), VFS_LISTING_KEPT);
        put_and_tell("d/a", "1"); /* before all */
        remove_and_tell("d/b");
        read_names(second, 9, &names);
        assert_string_equal(names.text, ". .. b c d e ");
        vfs_close(mount->vfs, second);
        remove_and_tell("d/a");
        put_and_tell("d/b", "1");
    }
    forget(&directory);
}

/* Also one that a change of this mount crossed is not kept. */
static void a_listing_without_all_names_is_not_kept(void **state) {
    (void)state;
    memory_mount_put(mount, "d/f", "1");
    memory_mount_put(mount, "d/g", "1");
    struct vfs_entry directory = memory_mount_found(mount, "d"), made;
    struct handle *handle = opened_directory(directory.inode);
    struct names names = {0};
    assert_int_equal(vfs_open_listing(mount->vfs, handle), VFS_LISTING_FRESH);
    read_names(handle, 3, &names); /* not to the end */
    vfs_close(mount->vfs, handle);
    handle = opened_directory(directory.inode);
    assert_int_equal(vfs_open_listing(mount->vfs, handle), VFS_LISTING_FRESH);
    names = (struct names){0};
    read_names(handle, 3, &names);
    assert_int_equal(vfs_symlink(mount->vfs, directory.inode, "a", "target", &memory_mount_caller, &made), 0);
    read_to_the_end(handle);
    vfs_close(mount->vfs, handle);
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_FRESH);
    assert_int_equal(listing_of(directory.inode), VFS_LISTING_KEPT);
    forget(&made);
    forget(&directory);
}

static void without_a_stream_every_listing_is_asked_for(void **state) {
    (void)state;
    assert_int_equal(listing_of(root), VFS_LISTING_FRESH);
    told_count = 0;
    listener.lost(listener.context);
    assert_true(was_told(root, true));
    assert_int_equal(listing_of(root), VFS_LISTING_ASKED);
    listener.watching(listener.context);
    assert_int_equal(listing_of(root), VFS_LISTING_FRESH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up_told, tear_down)

int main(void) {
    static const struct CMUnitTest tests[] = {
        TEST(what_is_looked_up_is_believed_until_it_changes),
        TEST(an_open_file_keeps_its_attributes_and_loses_its_name),
        TEST(what_others_only_changed_about_it_is_taken_over),
        TEST(a_removal_is_found_by_the_id_and_may_take_directories_along),
        TEST(a_removal_of_what_is_not_known_makes_every_directory_doubtful),
        TEST(a_directory_where_a_file_was_is_seen),
        TEST(what_is_no_file_is_found_by_its_path),
        TEST(when_the_stream_is_lost_nothing_is_believed),
        TEST(how_late_changes_are_told_is_known_from_the_first_answer_on),
        TEST(an_answer_that_a_change_crossed_is_not_believed),
        TEST(an_answer_that_a_change_of_unknown_place_crossed_is_not_believed),
        TEST(an_older_answer_takes_back_what_a_newer_one_said),
        TEST(an_own_put_that_is_told_costs_nothing),
        TEST(what_others_put_over_an_own_file_is_news),
        TEST(the_later_change_of_a_renamed_file_stays),
        TEST(a_listing_is_kept_until_its_names_may_have_changed),
        TEST(what_goes_below_a_made_directory_leaves_the_listing_above_it),
        TEST(a_handle_from_before_a_change_spoils_no_later_listing),
        TEST(what_is_dropped_while_it_is_read_goes_on_by_its_keys),
        TEST(a_listing_without_all_names_is_not_kept),
        TEST(without_a_stream_every_listing_is_asked_for),
    };
    return cmocka_run_group_tests_name("vfs, told", tests, NULL, NULL);
}

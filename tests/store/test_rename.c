// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <inttypes.h>

#include "cache/base/clock.h"
#include "fs/store/mongo/ordered.h"
#include "fs/store/mongo/rename.h"
#include "fs/store/names.h"
#include "tests/store/named.h"

static int rename_seen(struct real_store *real, const char *from, enum store_kind kind, const char *to,
                       const struct store_object *target) {
    struct store_rename rename = {.from = named_object(from, kind), .to = to, .target = target};
    return real->store->ops->rename(real->store, &rename);
}

static int rename_kind(struct real_store *real, const char *from, enum store_kind kind, const char *to) {
    return rename_seen(real, from, kind, to, NULL);
}

static int rename_onto(struct real_store *real, const char *from, enum store_kind kind, const char *to,
                       enum store_kind target_kind) {
    struct store_object target = named_object(to, target_kind);
    return rename_seen(real, from, kind, to, &target);
}

static enum store_kind kind_at(struct real_store *real, const char *path) {
    struct store_entry entry;
    assert_int_equal(real->store->ops->lookup(real->store, path, NULL, &entry), 0);
    enum store_kind kind = entry.kind;
    store_entry_done(&entry);
    return kind;
}

static bool is_gone(struct real_store *real, const char *path) {
    struct store_entry entry;
    int result = real->store->ops->lookup(real->store, path, NULL, &entry);
    if (result == 0)
        store_entry_done(&entry);
    return result == -ENOENT;
}

static int64_t trashed(struct real_store *real) {
    return real_store_count(real, "gridmount.trash", bson_new());
}

/* ---- files ---- */

static void all_revisions_move_without_spelling(void **state) {
    (void)state;
    struct real_store real = real_store_open("move");
    named_put(&real, "/f", 1, 3000, false);
    named_put(&real, "f", 2, 1000, false);
    named_put(&real, "./f", 3, 2000, false);
    assert_int_equal(rename_kind(&real, "f", STORE_FILE, "d/g"), 0);
    assert_int_equal(named_files(&real, "d/g"), 3);
    assert_int_equal(named_newest(&real, "d/g"), 1);
    assert_true(is_gone(&real, "f"));
    assert_int_equal(rename_kind(&real, "f", STORE_FILE, "d/h"), -ENOENT);
    assert_int_equal(rename_kind(&real, "d/g", STORE_FILE, "a//b"), -EINVAL);
    assert_int_equal(rename_kind(&real, "d/g", STORE_FILE, "d/g"), 0);
    real_store_close(&real);
}

static void a_replaced_file_of_a_later_date_is_won_over(void **state) {
    (void)state;
    struct real_store real = real_store_open("lift");
    struct revision *before, *after;
    named_put(&real, "new", 1, 1000, true);
    named_put(&real, "old", 2, 5000, true);
    assert_int_equal(real.store->ops->newest(real.store, "new", &before), 0);
    assert_int_equal(rename_onto(&real, "new", STORE_FILE, "old", STORE_FILE), 0);
    assert_int_equal(named_newest(&real, "old"), 1);
    assert_int_equal(named_files(&real, "old"), 1);
    assert_int_equal(trashed(&real), 1);
    assert_int_equal(real.store->ops->newest(real.store, "old", &after), 0);
    assert_true(revision_same_content(before, after));
    assert_int_equal(after->date_ms, 5001);
    assert_int_equal(after->content_date_ms, 1000);
    named_put(&real, "third", 3, 9000, true);
    assert_int_equal(rename_onto(&real, "old", STORE_FILE, "third", STORE_FILE), 0); /* lifted once more */
    revision_unref(after);
    assert_int_equal(real.store->ops->newest(real.store, "third", &after), 0);
    assert_true(revision_same_content(before, after));
    assert_int_equal(after->content_date_ms, 1000);
    revision_unref(before);
    revision_unref(after);
    real_store_close(&real);
}

/* Drivers sort by the date alone, and who reads while both are there gets either. */
static void what_is_as_old_as_what_it_replaces_keeps_the_name(void **state) {
    (void)state;
    struct real_store real = real_store_open("as old");
    struct revision *after;
    named_put(&real, "old", 1, 5000, true);
    named_put(&real, "new", 2, 5000, true);
    assert_int_equal(rename_onto(&real, "new", STORE_FILE, "old", STORE_FILE), 0);
    assert_int_equal(named_newest(&real, "old"), 2);
    assert_int_equal(real.store->ops->newest(real.store, "old", &after), 0);
    assert_int_equal(after->date_ms, 5001);
    assert_int_equal(after->content_date_ms, 5000);
    revision_unref(after);
    real_store_close(&real);
}

/* A revision of one and the same file. */
static void put_same(struct real_store *real, const char *filename, unsigned number, int64_t date_ms) {
    real_store_insert(real, "files",
                      real_store_json("{'_id': {'$oid': '%024x'}, 'filename': '%s', 'length': 0, 'chunkSize': 261120,"
                                      " 'uploadDate': {'$date': {'$numberLong': '%" PRId64 "'}}, 'metadata': {'posix': {"
                                      "'rev': {'$oid': '%024x'}, 'file': {'$oid': '0123456789abcdef01234567'}}}}",
                                      number, filename, date_ms, number));
}

/* As another mount publishes it, which had it open: before it could see the new name, or after. */
static void what_is_written_to_a_file_while_it_is_renamed_follows_and_stays(void **state) {
    (void)state;
    static const char *const published[] = {"f", "g"};
    for (unsigned i = 0; i < 2; i++) {
        struct real_store real = real_store_open(i ? "overtaken_after" : "overtaken_before");
        if (i && !ordered_possible((struct bucket *)real.store)) { /* it looks before it moves, and not after */
            real_store_close(&real);
            continue;
        }
        struct revision *seen;
        put_same(&real, "f", 1, 1000);
        assert_int_equal(real.store->ops->newest(real.store, "f", &seen), 0);
        put_same(&real, published[i], 2, 2000);
        struct store_rename rename = {.from = named_object("f", STORE_FILE), .to = "g"};
        rename.from.revision = seen;
        assert_int_equal(real.store->ops->rename(real.store, &rename), 0);
        assert_int_equal(named_newest(&real, "g"), 2);
        assert_true(is_gone(&real, "f")); /* who put it retires what it finds */
        revision_unref(seen);
        real_store_close(&real);
    }
}

static void replace_with(const char *name, enum server_revisions policy, int64_t stay) {
    struct real_store real = real_store_open(name);
    enum server_revisions before = real.bucket->policy.revisions;
    real.bucket->policy.revisions = policy;
    named_put(&real, "new", 1, 9000, true);
    named_put(&real, "old", 2, 1000, true);
    named_put(&real, "/old", 3, 2000, false);
    named_put(&real, "old", 4, 3000, false);
    named_put(&real, "old", 5, 2500, true);
    assert_int_equal(rename_onto(&real, "new", STORE_FILE, "old", STORE_FILE), 0);
    real.bucket->policy.revisions = before;
    assert_int_equal(named_newest(&real, "old"), 1);
    assert_int_equal(real_store_count(&real, "files", bson_new()), 1 + stay);
    assert_int_equal(trashed(&real), 4 - stay);
    real_store_close(&real);
}

static void what_is_replaced_is_retired_as_configured(void **state) {
    (void)state;
    replace_with("own", SERVER_REVISIONS_OWN, 2);
    replace_with("replace", SERVER_REVISIONS_REPLACE, 1);
    replace_with("keeping", SERVER_REVISIONS_KEEP, 4);
}

static void a_metadata_that_is_no_document_is_left_alone(void **state) {
    (void)state;
    struct real_store real = real_store_open("metadata");
    real_store_insert(&real, "files", real_store_json("{'_id': 'a', 'filename': 'new', 'length': 0, 'chunkSize': 1,"
                                                      " 'uploadDate': {'$date': 1}, 'metadata': 'text'}"));
    real_store_insert(&real, "files", real_store_json("{'_id': 'b', 'filename': 'null', 'length': 0, 'chunkSize': 1,"
                                                      " 'uploadDate': {'$date': 1}, 'metadata': null}"));
    named_put(&real, "later", 1, 5000, true);
    named_put(&real, "latest", 2, 6000, true);
    assert_int_equal(rename_kind(&real, "new", STORE_FILE, "moved"), 0);
    assert_int_equal(rename_onto(&real, "moved", STORE_FILE, "later", STORE_FILE), -EPERM);
    assert_int_equal(named_files(&real, "moved"), 1);
    assert_int_equal(named_newest(&real, "later"), 1);
    assert_int_equal(rename_onto(&real, "null", STORE_FILE, "latest", STORE_FILE), 0);
    assert_int_equal(real_store_count(&real, "files", real_store_json("{'_id': 'b', 'filename': 'latest'}")), 1);
    real_store_close(&real);
}

static void a_target_is_kept(void **state) {
    (void)state;
    struct real_store real = real_store_open("noreplace");
    named_put(&real, "f", 1, 1000, true);
    named_put(&real, "./g", 2, 1000, true);
    named_node(&real, "s", "symlink");
    struct store_rename rename = {.from = named_object("f", STORE_FILE), .to = "g", .keep_target = true};
    assert_int_equal(real.store->ops->rename(real.store, &rename), -EEXIST);
    rename.to = "s";
    assert_int_equal(real.store->ops->rename(real.store, &rename), -EEXIST);
    rename.to = "h";
    assert_int_equal(real.store->ops->rename(real.store, &rename), 0);
    assert_int_equal(named_newest(&real, "h"), 1);
    rename.to = "i";
    assert_int_equal(real.store->ops->rename(real.store, &rename), -ENOENT);
    rename = (struct store_rename){.from = named_object("s", STORE_SYMLINK), .to = "t", .keep_target = true};
    assert_int_equal(real.store->ops->rename(real.store, &rename), 0);
    real_store_close(&real);
}

/* ---- files and nodes ---- */

static void nodes_move_with_all_they_have(void **state) {
    (void)state;
    struct real_store real = real_store_open("nodes");
    assert_int_equal(named_make(real.store, "s", STORE_SYMLINK), 0);
    bson_t *before = real_store_first(&real, "gridmount.nodes", real_store_json("{'_id': 's'}"));
    assert_int_equal(rename_kind(&real, "s", STORE_SYMLINK, "t"), 0);
    bson_t *after = real_store_first(&real, "gridmount.nodes", real_store_json("{'_id': 't'}"));
    assert_int_equal(bson_count_keys(before), bson_count_keys(after));
    assert_true(is_gone(&real, "s"));
    assert_int_equal(rename_kind(&real, "s", STORE_SYMLINK, "t"), -ENOENT);
    assert_int_equal(named_make(real.store, "p", STORE_FIFO), 0);
    assert_int_equal(rename_onto(&real, "p", STORE_FIFO, "t", STORE_SYMLINK), 0);
    assert_int_equal(kind_at(&real, "t"), STORE_FIFO);
    assert_int_equal(named_make(real.store, "d", STORE_DIRECTORY), 0);
    assert_int_equal(rename_onto(&real, "t", STORE_FIFO, "d", STORE_SYMLINK), -EEXIST);
    assert_int_equal(kind_at(&real, "d"), STORE_DIRECTORY);
    bson_destroy(before);
    bson_destroy(after);
    real_store_close(&real);
}

static void files_and_nodes_replace_each_other(void **state) {
    (void)state;
    struct real_store real = real_store_open("mixed");
    named_put(&real, "f", 1, 1000, true);
    named_node(&real, "s", "symlink");
    assert_int_equal(rename_onto(&real, "f", STORE_FILE, "s", STORE_SYMLINK), 0);
    assert_int_equal(named_newest(&real, "s"), 1);
    assert_int_equal(named_nodes(&real, "s"), 0);
    named_node(&real, "t", "symlink");
    named_put(&real, "/s", 2, 500, false);
    assert_int_equal(rename_onto(&real, "t", STORE_SYMLINK, "s", STORE_FILE), 0);
    assert_int_equal(kind_at(&real, "s"), STORE_SYMLINK);
    assert_int_equal(real_store_count(&real, "files", bson_new()), 0);
    assert_int_equal(named_nodes(&real, "t"), 0);
    real_store_close(&real);
}

static void link_to(struct real_store *real, const char *path, const char *further) {
    struct revision *revision, *linked;
    assert_int_equal(real->store->ops->newest(real->store, path, &revision), 0);
    struct store_object file = {.path = path, .kind = STORE_FILE, .revision = revision};
    assert_int_equal(real->store->ops->link(real->store, &file, further, &linked), 0);
    revision_unref(revision);
    revision_unref(linked);
}

static void names_of_one_file_go_their_ways(void **state) {
    (void)state;
    struct real_store real = real_store_open("linked");
    named_put(&real, "f", 1, 1000, true);
    link_to(&real, "f", "g");
    assert_int_equal(rename_onto(&real, "f", STORE_FILE, "g", STORE_FILE), 0); /* the same file: nothing is done */
    assert_int_equal(named_newest(&real, "f"), 1);
    assert_int_equal(rename_onto(&real, "g", STORE_FILE, "f", STORE_FILE), 0);
    assert_int_equal(named_newest(&real, "g"), 1);
    assert_int_equal(rename_kind(&real, "f", STORE_FILE, "f2"), 0); /* its own name */
    assert_int_equal(named_newest(&real, "g"), 1);
    assert_int_equal(rename_kind(&real, "g", STORE_FILE, "g2"), 0); /* the further one */
    assert_true(is_gone(&real, "g"));
    assert_int_equal(named_newest(&real, "g2"), 1);
    named_put(&real, "new", 2, 500, true);
    assert_int_equal(rename_onto(&real, "new", STORE_FILE, "f2", STORE_FILE), 0); /* the file lives on as g2 */
    assert_int_equal(named_newest(&real, "f2"), 2);
    assert_int_equal(named_newest(&real, "g2"), 1);
    assert_int_equal(named_files(&real, "g2"), 1);
    link_to(&real, "g2", "g3");
    named_put(&real, "newer", 3, 500, true);
    assert_int_equal(rename_onto(&real, "newer", STORE_FILE, "g3", STORE_FILE), 0); /* over a further name */
    assert_int_equal(named_newest(&real, "g3"), 3);
    assert_int_equal(named_nodes(&real, "g3"), 0);
    assert_int_equal(named_newest(&real, "g2"), 1);
    link_to(&real, "g2", "g4");
    assert_int_equal(rename_onto(&real, "g4", STORE_FILE, "g3", STORE_FILE), 0); /* a further name over a file */
    assert_int_equal(named_newest(&real, "g3"), 1);
    assert_true(is_gone(&real, "g4"));
    real_store_close(&real);
}

/* ---- directories ---- */

static int64_t in_range(struct real_store *real, const char *collection, const char *field, const char *directory) {
    return real_store_count(real, collection, real_store_json("{'%s': {'$gte': '%s/', '$lt': '%s0'}}", field, directory,
                                                              directory));
}

enum { FILES = 3000, FILES_ONE_BY_ONE = 300, NODES = 700 };

static void fill(struct real_store *real, const char *directory, int count) {
    mongoc_collection_t *files = real_store_collection(real, "files"),
                        *nodes = real_store_collection(real, "gridmount.nodes");
    mongoc_bulk_operation_t *put = mongoc_collection_create_bulk_operation_with_opts(files, NULL),
                            *make = mongoc_collection_create_bulk_operation_with_opts(nodes, NULL);
    bson_error_t error;
    for (int i = 0; i < count; i++) {
        bson_t *file = real_store_json("{'filename': '%s%s/s%d/ä%d', 'length': 0, 'chunkSize': 1, 'uploadDate':"
                                       " {'$date': 1}}", names_spellings[i % 3], directory, i % 7, i);
        mongoc_bulk_operation_insert(put, file);
        bson_destroy(file);
    }
    for (int i = 0; i < NODES; i++) {
        bson_t *node = real_store_json("{'_id': '%s/n%d', 'kind': 'symlink', 'target': 't'}", directory, i);
        mongoc_bulk_operation_insert(make, node);
        bson_destroy(node);
    }
    assert_true(mongoc_bulk_operation_execute(put, NULL, &error) && mongoc_bulk_operation_execute(make, NULL, &error));
    mongoc_bulk_operation_destroy(put);
    mongoc_bulk_operation_destroy(make);
    mongoc_collection_destroy(files);
    mongoc_collection_destroy(nodes);
}

static void a_directory_moves_with_all_below(void **state) {
    (void)state;
    struct real_store real = real_store_open("tree");
    named_put(&real, "small/f", 3, 1000, false);
    assert_int_equal(rename_kind(&real, "small", STORE_DIRECTORY, "other"), 0); /* says what the server can */
    int count = real.bucket->computes > 0 ? FILES : FILES_ONE_BY_ONE;
    fill(&real, "dir", count);
    named_put(&real, "dir.txt", 1, 1000, false);
    named_put(&real, "dir", 2, 1000, false); /* in its shadow */
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': 'dir', 'kind': 'directory', 'mode': 448}"));
    int64_t began = clock_now_ms();
    assert_int_equal(rename_kind(&real, "dir", STORE_DIRECTORY, "up/$new.d"), 0);
    print_message("%d files and %d nodes took %" PRId64 " ms\n", count, NODES, clock_now_ms() - began);
    assert_int_equal(in_range(&real, "files", "filename", "up/$new.d"), count);
    assert_int_equal(named_files(&real, "up/$new.d/s0/ä0"), 1);
    assert_int_equal(named_files(&real, "up/$new.d/s1/ä1"), 1);
    assert_int_equal(in_range(&real, "gridmount.nodes", "_id", "up/$new.d"), NODES);
    assert_int_equal(real_store_count(&real, "gridmount.nodes",
                                      real_store_json("{'_id': 'up/$new.d', 'mode': 448}")), 1);
    assert_int_equal(named_nodes(&real, "dir"), 0);
    assert_int_equal(named_files(&real, "dir.txt"), 1);
    assert_int_equal(named_newest(&real, "dir"), 2);
    assert_int_equal(real_store_count(&real, "gridmount.intents", real_store_json("{'kind': 'rename'}")), 0);
    real_store_close(&real);
}

static void only_an_empty_directory_is_replaced(void **state) {
    (void)state;
    struct real_store real = real_store_open("dirs");
    named_put(&real, "a/f", 1, 1000, false);
    named_put(&real, "b/f", 2, 1000, false);
    named_node(&real, "empty", "directory");
    assert_int_equal(rename_onto(&real, "a", STORE_DIRECTORY, "b", STORE_DIRECTORY), -ENOTEMPTY);
    assert_int_equal(rename_onto(&real, "a", STORE_DIRECTORY, "empty", STORE_DIRECTORY), 0);
    assert_int_equal(named_newest(&real, "empty/f"), 1);
    assert_true(is_gone(&real, "a"));
    assert_int_equal(rename_kind(&real, "a", STORE_DIRECTORY, "c"), -ENOENT);
    assert_int_equal(rename_kind(&real, "b", STORE_DIRECTORY, "b/c"), -EINVAL);
    struct store_rename rename = {.from = named_object("b", STORE_DIRECTORY), .to = "empty", .keep_target = true};
    assert_int_equal(real.store->ops->rename(real.store, &rename), -EEXIST);
    rename.to = "c";
    assert_int_equal(real.store->ops->rename(real.store, &rename), 0);
    assert_int_equal(named_newest(&real, "c/f"), 2);
    real_store_close(&real);
}

static void names_that_are_no_strings_stay(void **state) {
    (void)state;
    struct real_store real = real_store_open("arrays");
    named_put(&real, "a/f", 1, 1000, false);
    named_put(&real, "a/g", 2, 1000, false);
    real_store_insert(&real, "files", real_store_json("{'_id': 'x', 'filename': ['a/h'], 'length': 0}"));
    assert_int_equal(rename_kind(&real, "a", STORE_DIRECTORY, "b"), 0);
    assert_int_equal(named_newest(&real, "b/f"), 1);
    assert_int_equal(named_newest(&real, "b/g"), 2);
    assert_int_equal(real_store_count(&real, "files", real_store_json("{'_id': 'x', 'filename': 'a/h'}")), 1);
    real_store_close(&real);
}

static void further_names_follow_a_directory(void **state) {
    (void)state;
    struct real_store real = real_store_open("dirlinks");
    named_put(&real, "a/f", 1, 1000, true);
    link_to(&real, "a/f", "outside");
    link_to(&real, "a/f", "a/inside");
    assert_int_equal(rename_kind(&real, "a", STORE_DIRECTORY, "b"), 0);
    assert_int_equal(named_newest(&real, "outside"), 1);
    assert_int_equal(named_newest(&real, "b/inside"), 1);
    assert_true(is_gone(&real, "a/inside"));
    real_store_close(&real);
}

static void exchange(struct real_store *real, const char *from, enum store_kind kind, const char *to,
                     enum store_kind target_kind) {
    struct store_object target = named_object(to, target_kind);
    struct store_rename rename = {.from = named_object(from, kind), .to = to, .target = &target, .exchange = true};
    assert_int_equal(real->store->ops->rename(real->store, &rename), 0);
    assert_int_equal(real_store_count(real, "gridmount.intents", bson_new()), 0);
}

static void anything_is_exchanged(void **state) {
    (void)state;
    struct real_store real = real_store_open("exchange");
    named_put(&real, "f", 1, 1000, true);
    named_put(&real, "/g", 2, 5000, true);
    named_put(&real, "d/x", 3, 1000, false);
    named_node(&real, "d", "directory");
    named_node(&real, "d/n", "symlink");
    named_node(&real, "s", "symlink");
    exchange(&real, "f", STORE_FILE, "g", STORE_FILE);
    assert_int_equal(named_newest(&real, "f"), 2);
    assert_int_equal(named_newest(&real, "g"), 1);
    exchange(&real, "f", STORE_FILE, "d", STORE_DIRECTORY);
    assert_int_equal(kind_at(&real, "d"), STORE_FILE);
    assert_int_equal(named_newest(&real, "f/x"), 3);
    assert_int_equal(kind_at(&real, "f/n"), STORE_SYMLINK);
    exchange(&real, "s", STORE_SYMLINK, "f", STORE_DIRECTORY);
    assert_int_equal(kind_at(&real, "f"), STORE_SYMLINK);
    assert_int_equal(named_newest(&real, "s/x"), 3);
    link_to(&real, "d", "further");
    exchange(&real, "further", STORE_FILE, "g", STORE_FILE);
    assert_int_equal(named_newest(&real, "further"), 1);
    assert_int_equal(named_newest(&real, "g"), 2);
    assert_int_equal(named_newest(&real, "d"), 2);
    struct store_rename rename = {.from = named_object("d", STORE_FILE), .to = "none", .exchange = true};
    assert_int_equal(real.store->ops->rename(real.store, &rename), -ENOENT);
    real_store_close(&real);
}

/* ---- after a crash ---- */

static void record(struct real_store *real, const char *kind, const char *rest) {
    real_store_insert(real, "gridmount.intents",
                      real_store_json("{'_id': {'$oid': '00000000000000000000000%d'}, 'kind': '%s', 'until':"
                                      " {'$date': 1}, %s}", *kind == 'r', kind, rest));
}

static void what_a_dead_mount_began_is_finished(void **state) {
    (void)state;
    struct real_store real = real_store_open("recover");
    named_put(&real, "a/f", 1, 1000, false); /* half of them */
    named_put(&real, "b/g", 2, 1000, false);
    named_node(&real, "a", "directory");
    named_node(&real, "a/n", "symlink");
    named_node(&real, "b/n", "symlink");
    named_node(&real, "", "");
    record(&real, "rename", "'from': 'a', 'to': 'b'");
    named_put(&real, ".exchange-1", 3, 1000, false); /* before the second step */
    named_put(&real, "y", 4, 1000, false);
    record(&real, "exchange", "'from': 'x', 'to': 'y', 'by': '.exchange-1', 'step': 1");
    real_store_update(&real, "gridmount.nodes", real_store_json("{'_id': ''}"),
                      real_store_json("{'$set': {'format': 1}}"));
    assert_int_equal(rename_recover(real.bucket, clock_now_ms() + 20000), 0);
    assert_int_equal(real_store_count(&real, "gridmount.intents", bson_new()), 0);
    assert_true(is_gone(&real, "a"));
    assert_int_equal(named_newest(&real, "b/f"), 1);
    assert_int_equal(named_newest(&real, "b/g"), 2);
    assert_int_equal(kind_at(&real, "b/n"), STORE_SYMLINK);
    assert_int_equal(named_newest(&real, "x"), 4);
    assert_int_equal(named_newest(&real, "y"), 3);
    assert_true(is_gone(&real, ".exchange-1"));
    record(&real, "exchange", "'from': '../x', 'to': 7, 'step': -4");
    assert_int_equal(rename_recover(real.bucket, clock_now_ms() + 20000), 0);
    assert_int_equal(real_store_count(&real, "gridmount.intents", bson_new()), 0);
    real_store_close(&real);
}

static void a_record_of_what_no_mount_begins_moves_nothing(void **state) {
    (void)state;
    struct real_store real = real_store_open("unsound");
    static const char *const records[] = {
        "'from': 'd', 'to': 'd'", "'from': 'd', 'to': 'd/e'", "'from': 'd/e', 'to': 'd'",
        "'from': 'd', 'to': 'x', 'by': 'd/y', 'step': 0", "'from': 'd', 'to': 'x', 'by': 'y', 'step': 1.5"};
    named_put(&real, "d/f", 1, 1000, false);
    named_node(&real, "d", "directory");
    named_node(&real, "d/n", "symlink");
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        record(&real, i < 3 ? "rename" : "exchange", records[i]);
        assert_int_equal(rename_recover(real.bucket, clock_now_ms() + 20000), 0);
        assert_int_equal(real_store_count(&real, "gridmount.intents", bson_new()), 0);
        assert_int_equal(named_newest(&real, "d/f"), 1);
        assert_int_equal(kind_at(&real, "d/n"), STORE_SYMLINK);
        assert_true(is_gone(&real, "d/e") && is_gone(&real, "x") && is_gone(&real, "y"));
    }
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_revisions_move_without_spelling),
        cmocka_unit_test(a_replaced_file_of_a_later_date_is_won_over),
        cmocka_unit_test(what_is_as_old_as_what_it_replaces_keeps_the_name),
        cmocka_unit_test(what_is_written_to_a_file_while_it_is_renamed_follows_and_stays),
        cmocka_unit_test(what_is_replaced_is_retired_as_configured),
        cmocka_unit_test(a_metadata_that_is_no_document_is_left_alone),
        cmocka_unit_test(a_target_is_kept),
        cmocka_unit_test(nodes_move_with_all_they_have),
        cmocka_unit_test(files_and_nodes_replace_each_other),
        cmocka_unit_test(names_of_one_file_go_their_ways),
        cmocka_unit_test(a_directory_moves_with_all_below),
        cmocka_unit_test(only_an_empty_directory_is_replaced),
        cmocka_unit_test(names_that_are_no_strings_stay),
        cmocka_unit_test(further_names_follow_a_directory),
        cmocka_unit_test(anything_is_exchanged),
        cmocka_unit_test(what_a_dead_mount_began_is_finished),
        cmocka_unit_test(a_record_of_what_no_mount_begins_moves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* Hard links: one file with several names, of which other clients see one. */
#include "fs/store/mongo/links.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "tests/store/sample.h"

static void put(struct real_store *real, int id, const char *name) {
    real_store_insert(real, "files",
                      real_store_json("{'_id': %d, 'filename': '%s', 'length': 0, 'chunkSize': 1,"
                                      " 'uploadDate': {'$date': %d}}",
                                      id, name, id * 1000));
}

/* What is at a path, as an _id; 0 when nothing is. */
static int at(struct real_store *real, const char *path, uint32_t *ret_links) {
    struct store_entry entry;
    struct revision *newest = NULL;
    int result = real->store->ops->lookup(real->store, path, NULL, &entry);
    if (result == -ENOENT) {
        assert_int_equal(real->store->ops->newest(real->store, path, &newest), -ENOENT);
        return 0;
    }
    assert_int_equal(result, 0);
    if (entry.kind != STORE_FILE) {
        int kind = -(int)entry.kind;
        *ret_links = entry.attributes.links;
        store_entry_done(&entry);
        return kind;
    }
    assert_int_equal(real->store->ops->newest(real->store, path, &newest), 0);
    assert_true(revision_same_content(newest, entry.revision));
    bson_t id;
    bson_iter_t value;
    assert_true(bson_init_static(&id, newest->id, newest->id_size) && bson_iter_init_find(&value, &id, "_id"));
    *ret_links = newest->attributes.links;
    int number = bson_iter_int32(&value);
    revision_unref(newest);
    store_entry_done(&entry);
    return number;
}

static void assert_at(struct real_store *real, const char *path, int id, unsigned links) {
    uint32_t count = 0;
    int found = at(real, path, &count);
    if (found != id)
        fail_msg("%s is %d, not %d", path, found, id);
    if (id && count != links)
        fail_msg("%s has %u links, not %u", path, count, links);
}

static struct store_object object_of(struct real_store *real, const char *path) {
    struct store_entry entry;
    assert_int_equal(real->store->ops->lookup(real->store, path, NULL, &entry), 0);
    struct store_object object = {.path = path, .kind = entry.kind, .revision = steal_ptr(&entry.revision)};
    store_entry_done(&entry);
    return object;
}

static void done(struct store_object *object) {
    revision_unref((struct revision *)object->revision);
}

static int link_to(struct real_store *real, const char *from, const char *to) {
    struct store_object object = object_of(real, from);
    struct revision *linked = NULL;
    int result = real->store->ops->link(real->store, &object, to, &linked);
    if (result == 0 && object.revision) {
        assert_true(linked->attributes.links >= 2);
        assert_true(linked->attributes.identity != 0);
    }
    revision_unref(linked);
    done(&object);
    return result;
}

/* As the operation does it: 1 when links.h did all of it. */
static int unlink_of(struct real_store *real, const char *path) {
    struct store_object object = object_of(real, path);
    int result = links_remove(real->bucket, &object);
    done(&object);
    return result;
}

static int64_t count(struct real_store *real, const char *collection, const char *filter) {
    return real_store_count(real, collection, real_store_json("%s", filter));
}

static void a_file_gets_further_names(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_make");
    put(&real, 1, "d/a");
    assert_int_equal(link_to(&real, "d/a", "b"), 0);
    assert_int_equal(link_to(&real, "b", "e/c"), 0);
    assert_at(&real, "d/a", 1, 3);
    assert_at(&real, "b", 1, 3);
    assert_at(&real, "e/c", 1, 3);
    assert_int_equal(count(&real, "files", "{}"), 1);
    assert_int_equal(count(&real, "files", "{'filename': 'd/a', 'metadata.posix.links': 3}"), 1);
    assert_int_equal(count(&real, "gridmount.nodes", "{'kind': 'link', 'at': 'd/a'}"), 2);
    real_store_close(&real);
}

static void a_name_that_is_taken_is_refused(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_taken");
    put(&real, 1, "a");
    put(&real, 2, "b");
    put(&real, 3, "/c");
    put(&real, 4, "d/e");
    real_store_insert(&real, "gridmount.nodes", real_store_json("{'_id': 'f', 'kind': 'fifo'}"));
    static const char *const taken[] = {"b", "c", "d", "f", "a"};
    for (unsigned i = 0; i < sizeof taken / sizeof *taken; i++)
        assert_int_equal(link_to(&real, "a", taken[i]), -EEXIST);
    assert_int_equal(link_to(&real, "a", "g"), 0);
    assert_int_equal(link_to(&real, "a", "g"), -EEXIST);
    assert_int_equal(link_to(&real, "d", "h"), -EPERM);
    real_store_insert(&real, "gridmount.locks",
                      real_store_json("{'_id': 'i', 'owner': {'$oid': '0123456789abcdef01234567'},"
                                      " 'until': {'$date': {'$numberLong': '4000000000000'}}}"));
    assert_int_equal(link_to(&real, "a", "i"), -EEXIST);
    assert_at(&real, "a", 1, 2);
    real_store_close(&real);
}

static void what_is_put_is_seen_by_all_names(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_put");
    put(&real, 1, "a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    bson_t *document = real_store_first(&real, "files", bson_new()), *copy = bson_new();
    bson_copy_to_excluding_noinit(document, copy, "_id", "uploadDate", NULL);
    BSON_APPEND_INT32(copy, "_id", 2);
    BSON_APPEND_DATE_TIME(copy, "uploadDate", 2000);
    real_store_insert(&real, "files", copy);
    bson_destroy(document);
    assert_at(&real, "a", 2, 2);
    assert_at(&real, "b", 2, 2);
    real_store_close(&real);
}

/* ---- what an application puts over it, which knows of no identity ---- */

/* "a" with the further name "b", of one revision 1; then 2 is put over it. */
static struct real_store linked_and_put_over(const char *name) {
    struct real_store real = real_store_open(name);
    put(&real, 1, "a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    put(&real, 2, "a");
    return real;
}

static void what_an_application_puts_is_seen_by_all_names(void **state) {
    (void)state;
    struct real_store real = linked_and_put_over("links_application");
    assert_int_equal(link_to(&real, "b", "d/c"), 0);
    put(&real, 3, "a");
    assert_at(&real, "a", 3, 0);
    assert_at(&real, "b", 3, 0);
    assert_at(&real, "d/c", 3, 0);
    put(&real, 4, "/a");
    assert_at(&real, "a", 4, 0);
    assert_at(&real, "b", 4, 0);
    real_store_close(&real);
}

static void what_is_deleted_and_put_again_is_another_file(void **state) {
    (void)state;
    struct real_store real = linked_and_put_over("links_again");
    bson_t *all = bson_new();
    assert_int_equal(bucket_delete(real.bucket, real.bucket->files, all, true, NULL), 0);
    bson_destroy(all);
    put(&real, 3, "a");
    assert_at(&real, "a", 3, 0);
    assert_at(&real, "b", 0, 0);
    real_store_close(&real);
}

static void names_outlive_the_removal_of_what_was_put_over(void **state) {
    (void)state;
    struct real_store real = linked_and_put_over("links_put_remove");
    struct store_object object = object_of(&real, "a");
    assert_int_equal(real.store->ops->remove(real.store, &object), 0);
    assert_at(&real, "a", 0, 0);
    assert_at(&real, "b", 2, 1);
    done(&object);
    real_store_close(&real);
    real = linked_and_put_over("links_put_remove_further");
    object = object_of(&real, "b");
    assert_int_equal(real.store->ops->remove(real.store, &object), 0);
    assert_at(&real, "a", 2, 1);
    assert_at(&real, "b", 0, 0);
    done(&object);
    real_store_close(&real);
}

static void rename_of(struct real_store *real, const char *from, const char *to) {
    struct store_entry entry;
    struct store_object target = {.path = to};
    int found = real->store->ops->lookup(real->store, to, NULL, &entry);
    if (found == 0) {
        target.kind = entry.kind;
        target.revision = entry.revision;
    }
    struct store_rename rename = {.from = object_of(real, from), .to = to, .target = found == 0 ? &target : NULL};
    assert_int_equal(real->store->ops->rename(real->store, &rename), 0);
    done(&rename.from);
    if (found == 0)
        store_entry_done(&entry);
}

static void names_follow_renames_of_what_was_put_over(void **state) {
    (void)state;
    struct real_store real = linked_and_put_over("links_put_rename");
    rename_of(&real, "a", "z");
    assert_at(&real, "z", 2, 2);
    assert_at(&real, "b", 2, 2);
    put(&real, 3, "z");
    rename_of(&real, "b", "y");
    assert_at(&real, "z", 3, 2);
    assert_at(&real, "y", 3, 2);
    assert_at(&real, "b", 0, 0);
    put(&real, 4, "z");
    put(&real, 9, "other"); /* of no identity either */
    rename_of(&real, "other", "z");
    assert_at(&real, "z", 9, 0);
    assert_at(&real, "y", 4, 1);
    real_store_close(&real);
}

static void a_name_more_is_one_of_what_was_put_over(void **state) {
    (void)state;
    struct real_store real = linked_and_put_over("links_put_link");
    assert_int_equal(link_to(&real, "a", "c"), 0);
    assert_at(&real, "a", 2, 3);
    assert_at(&real, "b", 2, 3);
    assert_at(&real, "c", 2, 3);
    real_store_close(&real);
}

static void a_put_over_what_was_put_over_keeps_the_names(void **state) {
    (void)state;
    struct real_store real = linked_and_put_over("links_put_put");
    struct store_object object = object_of(&real, "a");
    struct attributes attributes = {.has = 0};
    struct content content;
    struct revision *published = NULL, *linked = NULL;
    attributes_new_file(&attributes);
    sample_make(&content, 10, 1);
    struct store_put asked = {
        .path = "a", .base = object.revision, .attributes = &attributes, .content = &content.content};
    assert_int_equal(real.store->ops->put(real.store, &asked, &published), 0);
    assert_int_equal(published->attributes.links, 2);
    assert_int_equal(real.store->ops->newest(real.store, "b", &linked), 0);
    assert_true(revision_same_content(linked, published));
    sample_done(&content);
    revision_unref(linked);
    revision_unref(published);
    done(&object);
    real_store_close(&real);
}

/* Another mount overwrites the file, and has not seen that it was linked. */
static void a_put_that_knows_of_no_link_keeps_it(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_unseen");
    put(&real, 1, "a");
    struct store_object unseen = object_of(&real, "a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    struct attributes attributes = {.has = 0};
    struct content content;
    struct revision *published = NULL, *linked = NULL;
    attributes_new_file(&attributes);
    sample_make(&content, 10, 1);
    struct store_put asked = {
        .path = "a", .base = unseen.revision, .attributes = &attributes, .content = &content.content};
    assert_int_equal(real.store->ops->put(real.store, &asked, &published), 0);
    assert_int_equal(published->attributes.links, 2);
    assert_int_equal(real.store->ops->newest(real.store, "b", &linked), 0);
    assert_true(revision_same_content(linked, published));
    asked.path = "b"; /* by the further name: it stays under its own */
    asked.base = published;
    asked.follow = true;
    struct revision *again = NULL;
    assert_int_equal(real.store->ops->put(real.store, &asked, &again), 0);
    assert_int_equal(count(&real, "files", "{'filename': 'b'}"), 0);
    revision_unref(linked);
    assert_int_equal(real.store->ops->newest(real.store, "b", &linked), 0);
    assert_true(revision_same_content(linked, again));
    sample_done(&content);
    revision_unref(linked);
    revision_unref(published);
    revision_unref(again);
    done(&unseen);
    real_store_close(&real);
}

static void a_further_name_goes_without_the_file(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_unlink");
    put(&real, 1, "a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    assert_int_equal(unlink_of(&real, "b"), 1);
    assert_at(&real, "a", 1, 1);
    assert_at(&real, "b", 0, 0);
    assert_int_equal(unlink_of(&real, "a"), 0); /* its only name: the caller's */
    assert_int_equal(count(&real, "files", "{}"), 1);
    real_store_close(&real);
}

static void a_further_name_becomes_its_own(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_heir");
    put(&real, 1, "a"); /* an older revision of it */
    put(&real, 3, "a");
    put(&real, 2, "/a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    assert_int_equal(link_to(&real, "a", "c"), 0);
    assert_int_equal(unlink_of(&real, "a"), 1);
    assert_at(&real, "a", 0, 0);
    assert_at(&real, "b", 3, 2);
    assert_at(&real, "c", 3, 2);
    assert_int_equal(count(&real, "files", "{'filename': {'$in': ['b', 'c']}}"), 3);
    assert_int_equal(count(&real, "gridmount.nodes", "{'kind': 'link'}"), 1);
    const char *own = count(&real, "files", "{'filename': 'b'}") ? "b" : "c", *other = *own == 'b' ? "c" : "b";
    assert_int_equal(unlink_of(&real, own), 1);
    assert_at(&real, other, 3, 1);
    assert_int_equal(unlink_of(&real, other), 0);
    real_store_close(&real);
}

static void a_name_under_which_another_put_a_file_inherits_nothing(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_shadowed");
    put(&real, 1, "a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    put(&real, 5, "b");
    assert_at(&real, "b", 5, 0);
    assert_int_equal(unlink_of(&real, "a"), 0);
    assert_at(&real, "b", 5, 0);
    assert_at(&real, "a", 1, 2);
    assert_int_equal(count(&real, "gridmount.nodes", "{'kind': 'link'}"), 0);
    real_store_close(&real);
}

static void a_file_that_others_delete_takes_its_names_along(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_dead");
    put(&real, 1, "a");
    assert_int_equal(link_to(&real, "a", "d/b"), 0);
    assert_int_equal(link_to(&real, "a", "d/c"), 0);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'filename': 'gone'}}"));
    assert_at(&real, "d/b", 0, 0);
    assert_int_equal(links_bury(real.bucket, "d/b"), 1);
    assert_int_equal(links_bury(real.bucket, "d/b"), 0);
    put(&real, 2, "new");
    assert_int_equal(link_to(&real, "new", "d/c"), 0); /* in place of the dead one */
    assert_at(&real, "d/c", 2, 2);
    assert_int_equal(links_bury_below(real.bucket, "d"), 0);
    assert_at(&real, "d/c", 2, 2);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$set': {'filename': 'gone'}}"));
    assert_int_equal(links_bury_below(real.bucket, "d"), 0);
    assert_int_equal(count(&real, "gridmount.nodes", "{'kind': 'link'}"), 0);
    real_store_close(&real);
}

static void rename_file(struct real_store *real, const char *from, const char *to) {
    real_store_update(real, "files", real_store_json("{'filename': '%s'}", from),
                      real_store_json("{'$set': {'filename': '%s'}}", to));
}

static void further_names_follow_a_rename(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_rename");
    put(&real, 1, "/a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    struct store_object object = object_of(&real, "a");
    assert_int_equal(links_rename(real.bucket, &object, "x/y"), 0);
    assert_at(&real, "b", 1, 2); /* at no moment it is away */
    assert_int_equal(links_rename(real.bucket, &object, "z"), 0); /* the first was given up */
    assert_at(&real, "b", 1, 2);
    rename_file(&real, "/a", "z");
    assert_at(&real, "b", 1, 2);
    assert_at(&real, "z", 1, 2);
    done(&object);
    object = object_of(&real, "b");
    assert_int_equal(links_rename(real.bucket, &object, "c"), 1);
    assert_at(&real, "b", 0, 0);
    assert_at(&real, "c", 1, 2);
    done(&object);
    real_store_close(&real);
}

static void further_names_follow_a_directory(void **state) {
    (void)state;
    enum { FILES = 105 }; /* more than a page */
    struct real_store real = real_store_open("links_below");
    char name[32], link[32];
    for (int i = 1; i <= FILES; i++) {
        snprintf(name, sizeof name, "%sdir/f%03d", i % 3 ? "" : "/", i);
        snprintf(link, sizeof link, "l%03d", i);
        put(&real, i, name);
        assert_int_equal(link_to(&real, name + !(i % 3), link), 0);
    }
    put(&real, 500, "dire");
    assert_int_equal(link_to(&real, "dire", "other"), 0);
    assert_int_equal(links_rename_below(real.bucket, "dir", "e/f"), 0);
    assert_at(&real, "l001", 1, 2);
    for (int i = 1; i <= FILES; i++) {
        snprintf(name, sizeof name, "%sdir/f%03d", i % 3 ? "" : "/", i);
        snprintf(link, sizeof link, "e/f/f%03d", i);
        rename_file(&real, name, link);
    }
    for (int i = 1; i <= FILES; i += 52) {
        snprintf(link, sizeof link, "l%03d", i);
        assert_at(&real, link, i, 2);
    }
    assert_at(&real, "other", 500, 2);
    real_store_close(&real);
}

/* FerretDB reads and writes one by one in an update: others come in between. */
static bool has_atomic_updates(struct real_store *real) {
    bson_t *command = BCON_NEW("buildInfo", BCON_INT32(1)), reply;
    bson_iter_t field;
    bool ferretdb = false;
    assert_true(mongoc_database_command_simple(real->database, command, NULL, &reply, NULL));
    for (bool more = bson_iter_init(&field, &reply); more && bson_iter_next(&field);)
        ferretdb |= strncmp(bson_iter_key(&field), "ferretdb", strlen("ferretdb")) == 0;
    bson_destroy(&reply);
    bson_destroy(command);
    return !ferretdb;
}

struct linker {
    struct real_store *real;
    int number;
};

static void *link_some(void *argument) {
    struct linker *linker = argument;
    char name[32];
    for (int i = 0; i < 5; i++) {
        struct revision *linked = NULL;
        struct store_object object = {.path = "a", .kind = STORE_FILE};
        snprintf(name, sizeof name, "t%d/%d", linker->number, i);
        struct revision *newest = NULL;
        struct store *store = linker->real->store;
        int result = store->ops->newest(store, "a", &newest);
        object.revision = newest;
        if (result == 0)
            result = store->ops->link(store, &object, name, &linked);
        if (result == 0 && i % 2) {
            object.path = name;
            object.revision = linked;
            result = links_remove(linker->real->bucket, &object) == 1 ? 0 : -EIO;
        }
        revision_unref(linked);
        revision_unref(newest);
        if (result)
            return (void *)(intptr_t)result;
    }
    return NULL;
}

static void names_made_at_the_same_time_are_all_counted(void **state) {
    (void)state;
    enum { THREADS = 6 };
    struct real_store real = real_store_open("links_parallel");
    struct linker linkers[THREADS];
    pthread_t threads[THREADS];
    if (!has_atomic_updates(&real)) {
        real_store_close(&real);
        skip();
    }
    put(&real, 1, "a");
    for (int i = 0; i < THREADS; i++) {
        linkers[i] = (struct linker){.real = &real, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, link_some, &linkers[i]), 0);
    }
    void *results[THREADS];
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], &results[i]);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal((intptr_t)results[i], 0);
    assert_int_equal(count(&real, "gridmount.nodes", "{'kind': 'link'}"), THREADS * 3);
    assert_at(&real, "a", 1, THREADS * 3 + 1);
    real_store_close(&real);
}

static void a_count_that_is_too_low_loses_no_name(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_low");
    put(&real, 1, "a");
    assert_int_equal(link_to(&real, "a", "b"), 0);
    assert_int_equal(link_to(&real, "a", "c"), 0);
    real_store_update(&real, "files", bson_new(), real_store_json("{'$unset': {'metadata.posix.links': 1}}"));
    struct store_object object = object_of(&real, "a");
    assert_int_equal(links_rename(real.bucket, &object, "d"), 0);
    rename_file(&real, "a", "d");
    assert_at(&real, "b", 1, 0);
    done(&object);
    assert_int_equal(unlink_of(&real, "d"), 1);
    assert_at(&real, "b", 1, 1);
    assert_at(&real, "c", 1, 1);
    assert_int_equal(unlink_of(&real, "b"), 1);
    assert_at(&real, "c", 1, 1);
    assert_int_equal(unlink_of(&real, "c"), 0);
    real_store_close(&real);
}

/* Nobody who has no hard links pays for them. */
static void a_bucket_without_links_is_not_asked_for_them(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_none");
    put(&real, 1, "a");
    struct attributes changes = {.has = 0};
    attributes_new_file(&changes);
    struct revision *changed = NULL;
    struct store_object object = object_of(&real, "a");
    assert_int_equal(real.store->ops->set_attributes(real.store, &object, &changes, &changed), 0);
    done(&object);
    object.revision = changed;
    uint64_t asked = stats_get(STAT_round_trips);
    assert_int_equal(links_remove(real.bucket, &object), 0);
    assert_int_equal(links_rename(real.bucket, &object, "b"), 0);
    assert_int_equal(links_rename_below(real.bucket, "d", "e"), 0);
    assert_int_equal(links_bury_below(real.bucket, "d"), 0);
    assert_int_equal(stats_get(STAT_round_trips), asked);
    done(&object);
    real_store_close(&real);
}

static void a_listing_shows_all_names(void **state) {
    (void)state;
    enum { LINKS = 110 }; /* more than are resolved at once */
    struct real_store real = real_store_open("links_list");
    char name[32];
    put(&real, 1, "a");
    put(&real, 2, "z");
    for (int i = 0; i < LINKS; i++) {
        snprintf(name, sizeof name, "d/l%03d", i);
        assert_int_equal(link_to(&real, "a", name), 0);
    }
    assert_int_equal(link_to(&real, "z", "d/dead"), 0);
    assert_int_equal(link_to(&real, "a", "d/m"), 0);
    put(&real, 3, "d/m"); /* of another */
    rename_file(&real, "z", "y");
    struct store_list *list;
    struct store_item item;
    int found = 0, result;
    uint64_t asked = stats_get(STAT_round_trips);
    assert_int_equal(real.store->ops->list_open(real.store, "d", NULL, &list), 0);
    while ((result = real.store->ops->list_next(list, &item)) > 0) {
        snprintf(name, sizeof name, "l%03d", found);
        assert_string_equal(item.key, found < LINKS ? name : "m");
        assert_int_equal(item.entry.kind, STORE_FILE);
        assert_int_equal(item.entry.revision->attributes.links, found < LINKS ? LINKS + 2 : 0);
        store_item_done(&item);
        found++;
    }
    assert_int_equal(result, 0);
    assert_int_equal(found, LINKS + 1);
    assert_true(stats_get(STAT_round_trips) - asked < 20);
    real.store->ops->list_close(list);
    real_store_close(&real);
}

static void a_node_renamed_onto_a_name_of_a_file_takes_it(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_replaced");
    put(&real, 1, "f");
    assert_int_equal(link_to(&real, "f", "further"), 0);
    assert_at(&real, "f", 1, 2);
    real_store_insert(&real, "gridmount.nodes",
                      real_store_json("{'_id': 'symlink', 'kind': 'symlink', 'target': 't'}"));
    struct store_object target = object_of(&real, "further");
    struct store_rename rename = {.from = {.path = "symlink", .kind = STORE_SYMLINK}, .to = "further", .target = &target};
    assert_int_equal(real.store->ops->rename(real.store, &rename), 0);
    assert_at(&real, "further", -STORE_SYMLINK, 0);
    assert_at(&real, "f", 1, 1);
    done(&target);
    real_store_close(&real);
}

static void what_is_no_file_has_several_names_too(void **state) {
    (void)state;
    struct real_store real = real_store_open("links_nodes");
    static const struct {
        const char *kind;
        int expected;
    } kinds[] = {{"symlink", -STORE_SYMLINK}, {"fifo", -STORE_FIFO}, {"socket", -STORE_SOCKET},
                 {"character", -STORE_CHARACTER_DEVICE}, {"block", -STORE_BLOCK_DEVICE}};
    for (unsigned i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        char a[16], b[16], c[16];
        snprintf(a, sizeof a, "%s", kinds[i].kind);
        snprintf(b, sizeof b, "d/%u", i);
        snprintf(c, sizeof c, "%u", i);
        real_store_insert(&real, "gridmount.nodes",
                          real_store_json("{'_id': '%s', 'kind': '%s', 'target': 't', 'mode': 5, 'x': 1}", a, a));
        assert_int_equal(link_to(&real, a, b), 0);
        assert_int_equal(link_to(&real, b, c), 0);
        assert_at(&real, a, kinds[i].expected, 3);
        assert_at(&real, b, kinds[i].expected, 3);
        assert_at(&real, c, kinds[i].expected, 3);
        struct attributes changes = {.has = ATTRIBUTES_MODE, .mode = 7};
        struct store_object object = object_of(&real, b);
        assert_int_equal(real.store->ops->set_attributes(real.store, &object, &changes, NULL), 0);
        assert_int_equal(real_store_count(&real, "gridmount.nodes", real_store_json("{'_id': '%s', 'mode': 7}", a)), 1);
        assert_int_equal(links_rename(real.bucket, &object, "x"), 1);
        assert_int_equal(unlink_of(&real, "x"), 1);
        assert_at(&real, a, kinds[i].expected, 2);
        assert_int_equal(unlink_of(&real, a), 1);
        assert_at(&real, a, 0, 0);
        assert_at(&real, c, kinds[i].expected, 1);
        assert_int_equal(real_store_count(&real, "gridmount.nodes",
                                          real_store_json("{'_id': '%s', 'kind': '%s', 'target': 't', 'mode': 7,"
                                                          " 'x': 1, 'at': {'$exists': false}}",
                                                          c, a)),
                         1);
        assert_int_equal(unlink_of(&real, c), 0);
    }
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_gets_further_names),
        cmocka_unit_test(a_name_that_is_taken_is_refused),
        cmocka_unit_test(what_is_put_is_seen_by_all_names),
        cmocka_unit_test(what_an_application_puts_is_seen_by_all_names),
        cmocka_unit_test(what_is_deleted_and_put_again_is_another_file),
        cmocka_unit_test(names_outlive_the_removal_of_what_was_put_over),
        cmocka_unit_test(names_follow_renames_of_what_was_put_over),
        cmocka_unit_test(a_name_more_is_one_of_what_was_put_over),
        cmocka_unit_test(a_put_over_what_was_put_over_keeps_the_names),
        cmocka_unit_test(a_put_that_knows_of_no_link_keeps_it),
        cmocka_unit_test(a_further_name_goes_without_the_file),
        cmocka_unit_test(a_further_name_becomes_its_own),
        cmocka_unit_test(a_name_under_which_another_put_a_file_inherits_nothing),
        cmocka_unit_test(a_file_that_others_delete_takes_its_names_along),
        cmocka_unit_test(further_names_follow_a_rename),
        cmocka_unit_test(further_names_follow_a_directory),
        cmocka_unit_test(names_made_at_the_same_time_are_all_counted),
        cmocka_unit_test(a_count_that_is_too_low_loses_no_name),
        cmocka_unit_test(a_bucket_without_links_is_not_asked_for_them),
        cmocka_unit_test(a_listing_shows_all_names),
        cmocka_unit_test(a_node_renamed_onto_a_name_of_a_file_takes_it),
        cmocka_unit_test(what_is_no_file_has_several_names_too),
    };
    return cmocka_run_group_tests_name("links", tests, NULL, NULL);
}

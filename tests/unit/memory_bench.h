// SPDX-License-Identifier: Apache-2.0
/* A store in memory under test, and its operations as one line each. */
#ifndef TESTS_UNIT_MEMORY_BENCH_H
#define TESTS_UNIT_MEMORY_BENCH_H

#include <errno.h>
#include <string.h>

#include "tests/fake/memory_store.h"
#include "tests/unit/unit.h"

struct bench {
    struct memory_store *memory;
    struct store *store;
    const struct store_ops *ops;
};

static inline int set_up(void **state) {
    struct bench *bench = malloc(sizeof *bench);
    bench->memory = memory_store_new("fs");
    bench->store = memory_store_store(bench->memory);
    bench->ops = bench->store->ops;
    *state = bench;
    return 0;
}

static inline int tear_down(void **state) {
    struct bench *bench = *state;
    memory_store_free(bench->memory);
    free(bench);
    return 0;
}

/* ---- a content of text, whose dots are clean ---- */

struct text {
    const char *text;
    int failure;
    unsigned reads;
};

static inline int read_text(void *context, int64_t offset, size_t size, void *into) {
    struct text *text = context;
    text->reads++;
    assert_true(offset >= 0 && (size_t)offset + size <= strlen(text->text));
    memcpy(into, text->text + offset, size);
    return text->failure;
}

static inline bool is_clean(void *context, int64_t offset, size_t size) {
    const struct text *text = context;
    while (size-- > 0)
        if (text->text[offset++] != '.')
            return false;
    return true;
}

static inline struct store_content content_of(struct text *text) {
    return (struct store_content){
        .context = text, .length = (int64_t)strlen(text->text), .read = read_text, .is_clean = is_clean};
}

static inline struct attributes a_file(unsigned char last) {
    unsigned char file[ATTRIBUTES_FILE_SIZE] = {[ATTRIBUTES_FILE_SIZE - 1] = last};
    struct attributes attributes = {.has = ATTRIBUTES_MODE, .mode = 0640};
    attributes_set_file(&attributes, file);
    return attributes;
}

static inline int put_as(struct bench *bench, const char *path, const char *written, struct store_put put,
                         struct revision **ret_revision) {
    struct text text = {.text = written};
    struct store_content content = content_of(&text);
    put.path = path;
    put.content = &content;
    return bench->ops->put(bench->store, &put, ret_revision);
}

static inline struct revision *put(struct bench *bench, const char *path, const char *written,
                                   const struct revision *base) {
    struct revision *revision = NULL;
    struct attributes attributes = base ? base->attributes : a_file((unsigned char)*written);
    struct store_put put = {.base = base, .follow = base != NULL, .attributes = &attributes};
    assert_int_equal(put_as(bench, path, written, put, &revision), 0);
    assert_int_equal(revision->length, strlen(written));
    return revision;
}

static inline void create(struct bench *bench, const char *path, const char *written) {
    revision_unref(put(bench, path, written, NULL));
}

/* NULL: nothing is stored there. */
static inline void expect_content(struct bench *bench, const char *path, const char *expected) {
    size_t size = 0;
    const char *found = memory_store_content(bench->memory, path, &size);
    if (!found || !expected) {
        assert_ptr_equal(found, expected);
        return;
    }
    assert_string_equal(found, expected);
    assert_int_equal(size, strlen(expected));
}

static inline struct revision *newest(struct bench *bench, const char *path) {
    struct revision *revision = NULL;
    assert_int_equal(bench->ops->newest(bench->store, path, &revision), 0);
    return revision;
}

/* What fetch() says of a revision's first chunk: 0 when it is as expected. */
static inline int first_chunk(struct bench *bench, const struct revision *revision, const char *expected) {
    struct budget budget;
    struct blob *blob = NULL;
    int error = 0;
    budget_init(&budget, 1 << 20);
    int result = bench->ops->fetch(bench->store, revision, 0, 1, &budget, &blob, &error);
    if (result == 0) {
        assert_int_equal(blob->size, strlen(expected));
        assert_memory_equal(blob->bytes, expected, blob->size);
        blob_unref(blob);
    }
    return result;
}

/* What is at a path: a letter for the kind, "-" for nothing. */
static inline char kind_at(struct bench *bench, const char *path) {
    struct store_entry entry;
    int result = bench->ops->lookup(bench->store, path, NULL, &entry);
    if (result) {
        assert_int_equal(result, -ENOENT);
        return '-';
    }
    char kind = "fdlpscb"[entry.kind];
    store_entry_done(&entry);
    return kind;
}

/* All below a directory, by listing: "d/e f g". */
static inline void expect_listing(struct bench *bench, const char *path, const char *expected) {
    struct store_list *list;
    struct store_item item;
    char found[512] = "";
    assert_int_equal(bench->ops->list_open(bench->store, path, NULL, &list), 0);
    while (bench->ops->list_next(list, &item) > 0) {
        strcat(strcat(found, *found ? " " : ""), item.key);
        store_item_done(&item);
    }
    bench->ops->list_close(list);
    assert_string_equal(found, expected);
}

static inline int make(struct bench *bench, const char *path, enum store_kind kind) {
    struct store_entry node = {.kind = kind, .attributes = {.has = ATTRIBUTES_MODE, .mode = 0700}};
    node.target = kind == STORE_SYMLINK ? (char[]){"target"} : NULL;
    return bench->ops->make(bench->store, path, &node);
}

static inline int rename_to(struct bench *bench, const char *from, enum store_kind kind, const char *to) {
    struct store_rename rename = {.from = {.path = from, .kind = kind}, .to = to};
    return bench->ops->rename(bench->store, &rename);
}

static inline int exchange(struct bench *bench, struct store_object from, struct store_object target) {
    struct store_rename rename = {.from = from, .to = target.path, .target = &target, .exchange = true};
    return bench->ops->rename(bench->store, &rename);
}

static inline int link_file(struct bench *bench, const char *from, const char *to) {
    cleanup_with(revision_unref) struct revision *revision = newest(bench, from);
    cleanup_with(revision_unref) struct revision *linked = NULL;
    struct store_object object = {.path = from, .kind = STORE_FILE, .revision = revision};
    int result = bench->ops->link(bench->store, &object, to, &linked);
    assert_true((result == 0) == (linked != NULL));
    if (linked)
        assert_true(revision_same_content(revision, linked));
    return result;
}

static inline int remove_file(struct bench *bench, const char *path) {
    return bench->ops->remove(bench->store, &(struct store_object){.path = path, .kind = STORE_FILE});
}

static inline unsigned links_of(struct bench *bench, const char *path) {
    cleanup_with(revision_unref) struct revision *revision = newest(bench, path);
    assert_true(!!(revision->attributes.has & ATTRIBUTES_LINKS) == (revision->attributes.links > 1));
    return revision->attributes.links;
}

#define MEMORY_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif

// SPDX-License-Identifier: Apache-2.0
/* Further names when what they stand for, or they themselves, get another name; and the end of dead ones. */
#include <errno.h>
#include <string.h>

#include "fs/store/mongo/change.h"
#include "fs/store/mongo/links_private.h"
#include "fs/store/mongo/nodes.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/names.h"

enum { PAGE = 100 };

/* ---- one name ---- */

/* For a moment there is one name more, which is counted: else the last of them could seem to be the only one. */
static int rename_further(struct bucket *bucket, const struct store_object *object, const struct document_link *link,
                          const char *to) {
    links_count_behind(bucket, link, 1, 0);
    int result = links_insert(bucket, to, link);
    if (result == 0)
        result = links_delete(bucket, object->path, link);
    if (result == -ETIMEDOUT)
        return result;
    links_count_behind(bucket, link, -1, object->ctime_ns);
    return result < 0 ? result : 1;
}

int links_place(struct bucket *bucket, const bson_t *node, const struct store_object *replaced) {
    struct document_link link;
    int further = links_at(bucket, replaced->path, &link);
    if (further < 0)
        return further;
    int result = further ? 0 : links_remove(bucket, replaced);
    if (result >= 0)
        result = nodes_replace(bucket, node);
    if (further && result == 0)
        links_count_behind(bucket, &link, -1, replaced->ctime_ns);
    if (further)
        document_link_done(&link);
    return result;
}

int links_double(struct bucket *bucket, const struct store_object *object, const char *to) {
    struct document_link link;
    const struct store_object replaced = {.path = to, .kind = STORE_SYMLINK, .ctime_ns = object->ctime_ns};
    int result = links_at(bucket, object->path, &link);
    if (result <= 0)
        return result ? result : -ENOENT;
    bson_t *node = links_document(to, &link);
    links_count_behind(bucket, &link, 1, 0);
    result = links_place(bucket, node, &replaced);
    if (result && result != -ETIMEDOUT)
        links_count_behind(bucket, &link, -1, 0);
    bson_destroy(node);
    document_link_done(&link);
    return result;
}

static int rename_file(struct bucket *bucket, const struct store_object *object, const struct revision *revision,
                       const char *to) {
    cleanup_with(revision_unref) struct revision *now = NULL;
    cleanup_free char *filename = NULL;
    struct document_link link = {0};
    int result = links_any(bucket, &revision->attributes);
    if (result <= 0)
        return result;
    result = links_at(bucket, object->path, &link);
    bool further = result > 0 && links_is_of(&link, revision);
    if (further)
        result = rename_further(bucket, object, &link, to);
    document_link_done(&link);
    if (further || result < 0)
        return result;
    result = posix_read(bucket, revision, &now, &filename);
    if (result == 0 && filename)
        result = links_point(bucket, now->attributes.file, to, filename);
    return result;
}

static int rename_node(struct bucket *bucket, const struct store_object *object, const char *to) {
    bson_t *node;
    struct document_link link;
    struct attributes attributes = {0};
    int result = nodes_read(bucket, object->path, &node);
    if (result)
        return result == -ENOENT ? 0 : result;
    document_attributes(node, &attributes);
    int is_link = document_link(node, &link);
    bson_destroy(node);
    if (is_link == 0) {
        result = rename_further(bucket, object, &link, to);
        document_link_done(&link);
        return result;
    }
    if (is_link == -EINVAL && links_possible(bucket, &attributes))
        return links_point(bucket, attributes.file, to, object->path);
    return is_link == -EINVAL ? 0 : is_link;
}

int links_rename(struct bucket *bucket, const struct store_object *object, const char *to) {
    if (!object->revision)
        return object->kind == STORE_DIRECTORY ? 0 : rename_node(bucket, object, to);
    cleanup_with(revision_unref) struct revision *adopted = NULL;
    int result = links_adopt(bucket, object->revision, &adopted);
    return result < 0 ? result : rename_file(bucket, object, adopted ? adopted : object->revision, to);
}

/* ---- some of them, read in pages ---- */

struct page {
    char *paths[PAGE];
    struct document_link links[PAGE];
    unsigned count;
};

static void page_done(struct page *page) {
    for (unsigned i = 0; i < page->count; i++) {
        free(page->paths[i]);
        document_link_done(&page->links[i]);
    }
    page->count = 0;
}

static int take_link(void *context, const bson_t *document) {
    struct page *page = context;
    bson_iter_t id;
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return 0;
    int result = document_link(document, &page->links[page->count]);
    if (result)
        return result == -EINVAL ? 0 : result;
    page->paths[page->count] = strdup(bson_iter_utf8(&id, NULL));
    if (!page->paths[page->count]) {
        document_link_done(&page->links[page->count]);
        return -ENOMEM;
    }
    page->count++;
    return 0;
}

/* Those with `field` in [from, until), or behind `from` itself when it is not `inclusive`. */
static int read_page(struct bucket *bucket, const char *field, const char *from, bool inclusive, const char *until,
                     struct page *page) {
    bson_t *filter = BCON_NEW(field, "{", inclusive ? "$gte" : "$gt", BCON_UTF8(from), "$lt", BCON_UTF8(until), "}",
                              "kind", "link");
    bson_t *options = BCON_NEW("sort", "{", field, BCON_INT32(1), "}", "limit", BCON_INT64(PAGE));
    page->count = 0;
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_link, page);
    bson_destroy(options);
    bson_destroy(filter);
    if (result)
        page_done(page);
    return result;
}

/* ---- below a directory ---- */

static int point_one(struct bucket *bucket, const char *path, const char *was, const char *at) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path), "kind", "link", "at", BCON_UTF8(was));
    bson_t *update = BCON_NEW("$set", "{", "at", BCON_UTF8(at), "was", BCON_UTF8(was), "}");
    int result = bucket_update(bucket, bucket->nodes, filter, update, false, false, NULL);
    bson_destroy(update);
    bson_destroy(filter);
    return result;
}

/* What they point to leaves the range, so each page begins at its start. */
static int point_below(struct bucket *bucket, const char *from, const char *until, const char *to) {
    for (;;) {
        struct page page;
        int result = read_page(bucket, "at", from, true, until, &page);
        bool last = result || page.count < PAGE;
        for (unsigned i = 0; result == 0 && i < page.count; i++) {
            const char *was = page.links[i].at;
            cleanup_free char *at = NULL;
            if (asprintf(&at, "%s/%s", to, was + strlen(from)) < 0)
                result = -ENOMEM;
            else
                result = point_one(bucket, page.paths[i], was, at);
        }
        page_done(&page);
        if (result || last)
            return result;
    }
}

int links_rename_below(struct bucket *bucket, const char *from, const char *to) {
    int result = bucket_begin_changing(bucket);
    if (result || !atomic_load(&bucket->changing.hard_links))
        return result;
    for (unsigned i = 0; result == 0 && i < NAMES_SPELLINGS; i++) {
        cleanup_free char *start = NULL, *until = NULL;
        if (asprintf(&start, "%s%s/", names_spellings[i], from) < 0 ||
            asprintf(&until, "%s%s0", names_spellings[i], from) < 0)
            return -ENOMEM;
        result = point_below(bucket, start, until, to);
    }
    return result;
}

/* ---- dead ones ---- */

int links_bury(struct bucket *bucket, const char *path) {
    struct document_link link;
    struct store_entry entry = {0};
    int result = links_at(bucket, path, &link);
    if (result <= 0)
        return result;
    result = links_follow(bucket, &link, &entry);
    store_entry_done(&entry);
    result = result == 0 ? links_delete(bucket, path, &link) : result < 0 ? result : 0;
    document_link_done(&link);
    return result;
}

static int bury_page(struct bucket *bucket, const struct page *page) {
    const struct document_link *links[PAGE];
    struct store_entry entries[PAGE];
    for (unsigned i = 0; i < page->count; i++)
        links[i] = &page->links[i];
    int result = links_resolve(bucket, links, page->count, entries);
    if (result)
        return result;
    for (unsigned i = 0; i < page->count; i++) {
        bool dead = entries[i].kind == STORE_FILE && !entries[i].revision;
        if (dead && result >= 0)
            result = links_delete(bucket, page->paths[i], &page->links[i]);
        store_entry_done(&entries[i]);
    }
    return result < 0 ? result : 0;
}

int links_bury_below(struct bucket *bucket, const char *path) {
    cleanup_free char *from = NULL, *until = NULL;
    int result = bucket_begin_changing(bucket);
    if (result || !atomic_load(&bucket->changing.hard_links))
        return result;
    if (asprintf(&from, "%s/", path) < 0 || asprintf(&until, "%s0", path) < 0)
        return -ENOMEM;
    for (;;) {
        struct page page;
        result = read_page(bucket, "_id", from, false, until, &page);
        bool last = result || page.count < PAGE;
        if (result == 0 && page.count) {
            free(from);
            from = strdup(page.paths[page.count - 1]);
            result = from ? bury_page(bucket, &page) : -ENOMEM;
            page_done(&page);
        }
        if (result || last)
            return result;
    }
}

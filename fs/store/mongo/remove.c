// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/remove.h"

#include <errno.h>
#include <string.h>

#include "fs/store/mongo/change.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/nodes.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/mongo/revisions.h"

/* ---- files ---- */

/* The oldest of them up to the one that was the newest at the start. 1: there may be more. */
static int retire_page(struct bucket *bucket, const struct revisions *page, const struct revision *last) {
    for (uint32_t i = 0; i < page->count; i++) {
        if (document_is_newer(page->list[i].revision, last))
            return 0;
        int result = retire_document(bucket, page->list[i].document, NULL);
        if (result)
            return result;
    }
    return page->more;
}

/* The newest of a name, when what was found may lack it. */
static int find_newest(struct bucket *bucket, const char *path, const struct revisions *found,
                       struct revision **ret_newest) {
    if (found->more)
        return bucket_newest(&bucket->store, path, ret_newest);
    *ret_newest = revision_ref(revisions_newest(found, false)->revision);
    return 0;
}

/* Those among them go away that have other names, which are not those of the newest. 1: there were some. */
static int rescue(struct bucket *bucket, const char *path, const struct revisions *page, const struct revision *newest) {
    const struct revision *list[REVISIONS_MOST];
    for (uint32_t i = 0; i < page->count; i++)
        list[i] = page->list[i].revision;
    return links_rescue(bucket, path, list, page->count, newest);
}

int remove_rescue(struct bucket *bucket, const char *path) {
    cleanup_with(revisions_free) struct revisions *page = NULL;
    cleanup_with(revision_unref) struct revision *newest = NULL;
    int result = revisions_find(bucket, path, NULL, REVISIONS_OLDEST, &page);
    if (result || page->count < 2)
        return result;
    result = find_newest(bucket, path, page, &newest);
    return result ? result : rescue(bucket, path, page, newest);
}

/* What a lookup saw a moment ago, as the only revision. 1: that was all. 0: as if nothing had been done; but nothing
 * found then is no failure where *ret_gone. */
static int remove_seen(struct bucket *bucket, const char *path, const bson_t *document, bool *ret_gone) {
    bson_t *others = presence_spellings(path);
    int result = others ? bucket_begin_changing(bucket) : -ENOMEM; /* which also asks for hard links */
    if (result == 0)
        result = retire_only(bucket, document, others, ret_gone);
    bson_destroy(others);
    return result;
}

static int read_page(struct bucket *bucket, const char *path, const struct revision *newest, struct revisions **page) {
    int result;
    do {
        *page = revisions_free(*page);
        result = revisions_find(bucket, path, NULL, REVISIONS_OLDEST, page);
    } while (result == 0 && (result = rescue(bucket, path, *page, newest)) > 0);
    return result;
}

static int remove_all(struct bucket *bucket, const struct store_object *object, bool hiding) {
    const char *path = object->path;
    cleanup_with(revisions_free) struct revisions *page = NULL;
    cleanup_with(revision_unref) struct revision *newest = NULL;
    int result = revisions_find(bucket, path, NULL, REVISIONS_OLDEST, &page);
    if (result || page->count == 0)
        return result;
    result = find_newest(bucket, path, page, &newest);
    if (result == 0 && hiding)
        result = remove_hidden(bucket, path);
    if (result == 0 && (result = rescue(bucket, path, page, newest)) > 0)
        result = read_page(bucket, path, newest, &page);
    if (result)
        return result;
    const struct store_object now = {
        .path = path, .kind = STORE_FILE, .revision = newest, .ctime_ns = object->ctime_ns};
    result = links_remove(bucket, &now);
    if (result)
        return result;
    while ((result = retire_page(bucket, page, newest)) > 0) {
        result = read_page(bucket, path, newest, &page);
        if (result)
            break;
    }
    return result < 0 ? result : 1;
}

static int remove_revisions(struct bucket *bucket, const struct store_object *object, bool hiding) {
    bool gone = false;
    bson_t *seen = recents_take(&bucket->recents, object->path);
    int result = seen ? remove_seen(bucket, object->path, seen, &gone) : 0;
    if (result == 0)
        result = remove_all(bucket, object, hiding && !seen);
    bson_destroy(seen);
    return result < 0 ? result : result || gone;
}

int remove_file(struct bucket *bucket, const struct store_object *object) {
    return remove_revisions(bucket, object, false);
}

/* ---- nodes ---- */

/* One question for the most common, which have one name and are none themselves. */
static int delete_simple(struct bucket *bucket, const char *path) {
    int64_t deleted = 0;
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(path), "kind", "{", "$nin", "[", document_kind_word(STORE_DIRECTORY),
                              "link", "]", "}", "links", "{", "$not", "{", "$gt", BCON_INT32(1), "}", "}");
    int result = bucket_delete(bucket, bucket->nodes, filter, false, &deleted);
    bson_destroy(filter);
    return result ? result : deleted > 0;
}

int remove_node(struct bucket *bucket, const struct store_object *object) {
    const struct store_object node = { /* or any that is no directory */
        .path = object->path, .kind = STORE_SYMLINK, .ctime_ns = object->ctime_ns};
    int result = delete_simple(bucket, node.path);
    if (result == 0)
        result = links_remove(bucket, &node);
    if (result == 0)
        result = nodes_delete(bucket, node.path, false); /* the last name of several */
    return result;
}

int remove_may_hide(struct bucket *bucket, const char *path) {
    bson_t *node;
    if (!bucket_may_have_nodes(bucket, path))
        return 0;
    int result = nodes_read(bucket, path, &node);
    if (result)
        return result == -ENOENT ? 0 : result;
    bool directory = nodes_is_directory(node);
    bson_destroy(node);
    return !directory;
}

int remove_hidden(struct bucket *bucket, const char *path) {
    const struct store_object object = {.path = path};
    int result = remove_may_hide(bucket, path);
    if (result > 0)
        result = remove_node(bucket, &object);
    return result < 0 ? result : 0;
}

/* ---- the operations ---- */

static int remove_file_alone(struct bucket *bucket, const struct store_object *object) {
    return remove_revisions(bucket, object, true);
}

int bucket_remove(struct store *store, const struct store_object *object) {
    struct bucket *bucket = (struct bucket *)store;
    bool file = object->kind == STORE_FILE;
    int result = file ? remove_file_alone(bucket, object) : remove_node(bucket, object);
    if (result == 0) /* a further name of a file, or another thing by now */
        result = file ? remove_node(bucket, object) : remove_file_alone(bucket, object);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

/* What is put below it between question and deletion is not lost: the directory then exists by that. */
int bucket_remove_directory(struct store *store, const char *path) {
    struct bucket *bucket = (struct bucket *)store;
    int result = presence_below(bucket, path);
    if (result)
        return result < 0 ? result : -ENOTEMPTY;
    result = nodes_delete(bucket, path, true);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

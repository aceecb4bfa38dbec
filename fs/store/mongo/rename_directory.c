// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bulk.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/nodes.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/mongo/rename.h"

/* ---- nodes below: as an _id cannot change, they are copied, then deleted ---- */

enum { NODES_AT_ONCE = 500 };

struct page {
    const char *from, *to;
    bson_t *copies[NODES_AT_ONCE];
    bson_t paths; /* an array */
    uint32_t count;
};

static int take_node(void *context, const bson_t *document) {
    struct page *page = context;
    bson_iter_t iter;
    stats_add(STAT_documents_fetched, 1);
    if (!bson_iter_init_find(&iter, document, "_id") || !BSON_ITER_HOLDS_UTF8(&iter))
        return 0;
    char text[16];
    const char *index, *path = bson_iter_utf8(&iter, NULL);
    cleanup_free char *renamed = NULL;
    if (asprintf(&renamed, "%s%s", page->to, path + strlen(page->from)) < 0)
        return -ENOMEM;
    size_t size = bson_uint32_to_string(page->count, &index, text, sizeof text);
    bson_append_utf8(&page->paths, index, (int)size, path, -1);
    page->copies[page->count++] = nodes_renamed(document, renamed);
    return 0;
}

static int read_page(struct bucket *bucket, struct page *page) {
    cleanup_free char *from = NULL, *until = NULL;
    if (asprintf(&from, "%s/", page->from) < 0 || asprintf(&until, "%s0", page->from) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(until), "}");
    bson_t *options = BCON_NEW("limit", BCON_INT64(NODES_AT_ONCE));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_node, page);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

static int move_page(struct bucket *bucket, struct page *page) {
    struct bulk bulk;
    int result = bulk_begin(bucket, bucket->nodes, &bulk);
    if (result)
        return result;
    for (uint32_t i = 0; i < page->count; i++)
        bulk_insert(&bulk, page->copies[i]);
    result = bulk_end(&bulk);
    if (result)
        return result;
    bson_t *filter = BCON_NEW("_id", "{", "$in", BCON_ARRAY(&page->paths), "}");
    result = bucket_delete(bucket, bucket->nodes, filter, true, NULL);
    bson_destroy(filter);
    return result;
}

int rename_nodes_below(struct rename_intent *intent, const char *from, const char *to) {
    int result = 0;
    for (bool last = false; result == 0 && !last;) {
        struct page page = {.from = from, .to = to, .paths = BSON_INITIALIZER};
        result = read_page(intent->bucket, &page);
        last = page.count < NODES_AT_ONCE;
        if (result == 0 && page.count)
            result = move_page(intent->bucket, &page);
        while (page.count)
            bson_destroy(page.copies[--page.count]);
        bson_destroy(&page.paths);
        if (result == 0)
            result = rename_intent_keep(intent);
    }
    return result;
}

/* ---- the whole ---- */

/* The directory itself comes first under its new name, where it keeps others from making anything, and goes last under
 * the old. */
static int place_node(struct bucket *bucket, const char *from, const char *to) {
    bson_t *document;
    int result = nodes_read(bucket, from, &document);
    if (result == -ENOENT) {
        result = presence_below(bucket, from);
        return result > 0 ? bucket_keep_directory(&bucket->store, to) : result;
    }
    if (result)
        return result;
    bson_t *renamed = nodes_renamed(document, to);
    result = nodes_replace(bucket, renamed);
    bson_destroy(renamed);
    bson_destroy(document);
    return result;
}

int rename_tree(struct rename_intent *intent, const char *from, const char *to) {
    struct bucket *bucket = intent->bucket;
    int result = place_node(bucket, from, to);
    if (result == 0)
        result = links_rename_below(bucket, from, to);
    if (result == 0)
        result = rename_nodes_below(intent, from, to);
    if (result == 0)
        result = rename_files_below(intent, from, to);
    if (result == 0) {
        bson_t *filter = BCON_NEW("_id", BCON_UTF8(from));
        result = bucket_delete(bucket, bucket->nodes, filter, false, NULL);
        bson_destroy(filter);
    }
    return result;
}

static int check_source(struct bucket *bucket, const char *from) {
    bson_t *document;
    int result = nodes_read(bucket, from, &document);
    if (result == 0) {
        bool directory = nodes_is_directory(document);
        bson_destroy(document);
        if (directory)
            return 0;
    } else if (result != -ENOENT) {
        return result;
    }
    result = presence_below(bucket, from);
    return result < 0 ? result : result ? 0 : -ENOENT;
}

int rename_directory(struct bucket *bucket, const char *from, const char *to) {
    struct rename_intent intent;
    int result = check_source(bucket, from);
    if (result == 0) {
        result = presence_below(bucket, to);
        result = result > 0 ? -ENOTEMPTY : result;
    }
    if (result == 0)
        result = rename_intent_begin(bucket, from, to, NULL, &intent);
    if (result)
        return result;
    result = rename_tree(&intent, from, to);
    if (result == 0)
        rename_intent_end(&intent);
    return result;
}

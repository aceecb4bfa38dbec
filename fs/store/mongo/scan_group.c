// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/scan_page.h"

enum { GROUPS = 500 }; /* a page; also the names of one $in */

/* Groups names by the component behind the prefix: {_id: component, first: the least name, last: the greatest name}. A
 * name without a "/" there is all component, since a negative length means the rest. The greatest name tells the two
 * apart, orders the groups as their keys are ordered, and is a witness; the least one shows a file of a directory's
 * name. */
static bson_t *pipeline_of(const struct scan *scan, bool bounded) {
    bson_t pipeline, *range = scan_range(scan), *whole;
    int32_t start = (int32_t)scan->prefix_size;
    cleanup_free char *field = NULL;
    if (asprintf(&field, "$%s", scan->field) < 0)
        return NULL;
    bson_t *match = BCON_NEW("$match", BCON_DOCUMENT(range));
    bson_t *group = BCON_NEW(
        "$group", "{", "_id", "{", "$substrBytes", "[", BCON_UTF8(field), BCON_INT32(start), "{", "$subtract", "[", "{",
        "$indexOfBytes", "[", BCON_UTF8(field), "/", BCON_INT32(start), "]", "}", BCON_INT32(start), "]", "}", "]", "}",
        "first", "{", "$min", BCON_UTF8(field), "}", "last", "{", "$max", BCON_UTF8(field), "}", "}");
    bson_t *group_all = BCON_NEW("$group", "{", "_id", "{", "$substrBytes", "[", BCON_UTF8(field), BCON_INT32(0), "{",
                                 "$indexOfBytes", "[", BCON_UTF8(field), "/", "]", "}", "]", "}", "first", "{", "$min",
                                 BCON_UTF8(field), "}", "last", "{", "$max", BCON_UTF8(field), "}", "}");
    bson_t *sort = BCON_NEW("$sort", "{", "last", BCON_INT32(1), "}");
    bson_init(&pipeline);
    if (bounded)
        bson_append_document(&pipeline, "0", 1, match);
    bson_append_document(&pipeline, bounded ? "1" : "0", 1, start ? group : group_all);
    bson_append_document(&pipeline, bounded ? "2" : "1", 1, sort);
    whole = BCON_NEW("pipeline", BCON_ARRAY(&pipeline));
    bson_destroy(&pipeline);
    bson_destroy(range);
    bson_destroy(match);
    bson_destroy(group);
    bson_destroy(group_all);
    bson_destroy(sort);
    return whole;
}

static int begin(struct scan *scan, bool bounded) {
    int result = scan_open_client(scan);
    if (result)
        return result;
    bson_t *pipeline = pipeline_of(scan, bounded);
    if (!pipeline)
        return -ENOMEM;
    bson_t *options = BCON_NEW("allowDiskUse", BCON_BOOL(true), "batchSize", BCON_INT32(GROUPS));
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    scan->cursor = mongoc_collection_aggregate(scan->handle, MONGOC_QUERY_NONE, pipeline, options, primary);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(options);
    bson_destroy(pipeline);
    return 0;
}

/* A whole bucket is grouped without a range: servers do that faster. Documents without a string for a name may make
 * them refuse, so then with the range. */
static int begin_fastest(struct scan *scan, const bson_t **ret_first, bool *ret_any) {
    bool whole = !scan->until && !*scan->from;
    for (int bounded = !whole; bounded < 2; bounded++) {
        int result = begin(scan, bounded);
        if (result)
            return result;
        *ret_any = mongoc_cursor_next(scan->cursor, ret_first);
        bson_error_t error;
        if (*ret_any || !mongoc_cursor_error(scan->cursor, &error))
            return 0;
        if (error.domain == MONGOC_ERROR_STREAM || error.domain == MONGOC_ERROR_SERVER_SELECTION)
            return connection_errno(&error, scan->place.collection);
        log_debug("%s cannot be grouped: %s", scan->place.collection, error.message);
        scan_close_cursor(scan);
    }
    return -ENOTSUP;
}

/* What a page still has to ask for: the documents of its files, and of those that are no entries. */
struct wanted {
    struct scan *scan;
    size_t first; /* items from here on are of this page */
    bson_t names;
    uint32_t count;
};

static void want(struct wanted *wanted, const char *name, size_t size) {
    char index[16];
    snprintf(index, sizeof index, "%u", wanted->count++);
    bson_append_utf8(&wanted->names, index, -1, name, (int)size);
}

static const char *text_of(const bson_t *group, const char *field, uint32_t *ret_size) {
    bson_iter_t iter;
    bool found = bson_iter_init_find(&iter, group, field) && BSON_ITER_HOLDS_UTF8(&iter);
    return found ? bson_iter_utf8(&iter, ret_size) : NULL;
}

/* One group becomes an item; files are still without their document. */
static int take(struct wanted *wanted, const bson_t *group) {
    struct scan *scan = wanted->scan;
    uint32_t size, least_size, last_size;
    stats_add(STAT_documents_fetched, 1);
    const char *name = text_of(group, "_id", &size), *least = text_of(group, "first", &least_size),
               *greatest = text_of(group, "last", &last_size);
    if (!name || !least || !greatest)
        return 0;
    if (memchr(name, '\0', size))
        return want(wanted, greatest, last_size), 0;
    last_size = (uint32_t)strnlen(greatest, last_size); /* a NUL further below hides nothing */
    bool below = last_size > scan->prefix_size + size, fresh;
    if (below && least_size == scan->prefix_size + size)
        want(wanted, least, least_size); /* a file with the name of this directory */
    struct scan_item *item = scan_add(scan, name, size, below, &fresh);
    if (!item || (below && fresh && !(item->entry.witness = strndup(greatest, last_size))))
        return -ENOMEM;
    return scan_move(scan, greatest, last_size, false);
}

static struct scan_item *find_item(const struct wanted *wanted, const char *key) {
    size_t low = wanted->first, high = wanted->scan->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(wanted->scan->items[middle].key, key);
        if (order == 0)
            return &wanted->scan->items[middle];
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* The node of a directory that also has something below it. */
static int describe(struct scan_item *directory, const bson_t *document) {
    struct store_entry node;
    int result = document_node(document, &node);
    if (result)
        return result == -EINVAL ? 0 : result;
    if (node.kind == STORE_DIRECTORY)
        directory->entry.attributes = node.attributes;
    store_entry_done(&node);
    return 0;
}

/* A document of a file, or of one that is no entry. */
static int take_document(void *context, const bson_t *document) {
    struct wanted *wanted = context;
    struct scan *scan = wanted->scan;
    size_t size;
    const char *name = scan_name(scan, document, &size);
    stats_add(STAT_documents_fetched, 1);
    if (!name)
        return 0;
    bool whole = strlen(name) == size;
    struct scan_item *item = whole ? find_item(wanted, name + scan->prefix_size) : NULL;
    if (item)
        return scan_absorb(scan, item, document);
    cleanup_free char *key = NULL;
    if (asprintf(&key, "%s/", name + scan->prefix_size) < 0)
        return -ENOMEM;
    item = whole ? find_item(wanted, key) : NULL;
    if (item && scan->place.nodes)
        return describe(item, document);
    int result = scan_note(scan, document, item ? SCAN_SHADOWED : SCAN_NO_PATH);
    return result < 0 ? result : 0;
}

/* The documents of the files of the page, and what else it wants, by one question. */
static int fetch_documents(struct wanted *wanted) {
    struct scan *scan = wanted->scan;
    for (size_t i = wanted->first; i < scan->count; i++) {
        const struct scan_item *item = &scan->items[i];
        if (item->below && (!item->hidden || scan_is_spelling(scan, item)))
            continue;
        cleanup_free char *name = NULL;
        if (item->below)
            name = strdup(item->entry.witness);
        else if (asprintf(&name, "%s%s", scan->place.prefix, item->key) < 0)
            name = NULL;
        if (!name)
            return -ENOMEM;
        want(wanted, name, strlen(name));
    }
    if (!wanted->count)
        return 0;
    bson_t *filter = BCON_NEW(scan->field, "{", "$in", BCON_ARRAY(&wanted->names), "}");
    bson_t *options = scan->place.nodes ? bson_new() : BCON_NEW(DOCUMENT_FILE_FIELDS);
    BSON_APPEND_INT32(options, "batchSize", SCAN_PAGE_MOST);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = connection_find(scan->place.connection, scan->place.collection, filter, options, primary,
                                 take_document, wanted);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

/* A directory of files: their documents are wanted one by one, which reading them in order does in fewer questions. */
static int walk_instead(struct scan *scan, size_t held, const char *from, bool inclusive) {
    scan_close_cursor(scan);
    scan->grouping = scan->can_group = scan->finished = false;
    while (scan->count - scan->first > held)
        scan_drop_last(scan);
    return from ? scan_move(scan, from, strlen(from), inclusive) : -ENOMEM;
}

static int read_page(struct scan *scan, struct wanted *wanted) {
    const bson_t *group = NULL;
    bool any = false;
    int result = 0;
    if (scan->cursor)
        any = mongoc_cursor_next(scan->cursor, &group);
    else
        result = begin_fastest(scan, &group, &any);
    if (result == -ENOTSUP) {
        scan->grouping = scan->can_group = false;
        return 0;
    }
    size_t held = scan->count - scan->first;
    cleanup_free char *before = strdup(scan->from);
    bool inclusive = scan->inclusive;
    unsigned files = 0;
    for (unsigned taken = 1; result == 0 && any; taken++) {
        result = take(wanted, group);
        if (result > 0)
            result = 0;
        files += scan->count && !scan->items[scan->count - 1].below;
        if (taken >= GROUPS)
            break;
        any = mongoc_cursor_next(scan->cursor, &group);
    }
    bson_error_t error;
    if (result == 0 && !any && mongoc_cursor_error(scan->cursor, &error))
        result = connection_errno(&error, scan->place.collection);
    if (result == -ESTALE) {
        scan_close_cursor(scan);
        result = 0;
    } else if (!any) {
        scan->finished = true;
    }
    if (result == 0 && files > GROUPS / 2)
        return walk_instead(scan, held, before, inclusive);
    /* The last item of before may be a name whose revisions go on here. */
    wanted->first = scan->first + (held ? held - 1 : 0);
    return result ? result : fetch_documents(wanted);
}

int scan_group_page(struct scan *scan) {
    struct wanted wanted = {.scan = scan};
    bson_init(&wanted.names);
    int result = read_page(scan, &wanted);
    bson_destroy(&wanted.names);
    return result;
}

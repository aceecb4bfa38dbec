#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/scan_page.h"

enum { GROUPS = 500 }; /* a page; also the names of one $in */

/* Groups names by the component behind the prefix: {_id: component, last: the greatest name}. A name without a "/"
 * there is all component, since a negative length means the rest. The greatest name tells the two apart, orders the
 * groups as their keys are ordered, and is a witness. */
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
        "last", "{", "$max", BCON_UTF8(field), "}", "}");
    bson_t *group_all = BCON_NEW("$group", "{", "_id", "{", "$substrBytes", "[", BCON_UTF8(field), BCON_INT32(0), "{",
                                 "$indexOfBytes", "[", BCON_UTF8(field), "/", "]", "}", "]", "}", "last", "{", "$max",
                                 BCON_UTF8(field), "}", "}");
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

/* One group becomes an item; files are still without their document. */
static int take(struct scan *scan, const bson_t *group) {
    bson_iter_t component, last;
    uint32_t size, last_size;
    stats_add(STAT_documents_fetched, 1);
    if (!bson_iter_init_find(&component, group, "_id") || !BSON_ITER_HOLDS_UTF8(&component) ||
        !bson_iter_init_find(&last, group, "last") || !BSON_ITER_HOLDS_UTF8(&last))
        return 0;
    const char *name = bson_iter_utf8(&component, &size), *greatest = bson_iter_utf8(&last, &last_size);
    if (memchr(name, '\0', size))
        return 0;
    last_size = (uint32_t)strnlen(greatest, last_size); /* a NUL further below hides nothing */
    bool below = last_size > scan->prefix_size + size, fresh;
    struct scan_item *item = scan_add(scan, name, size, below, &fresh);
    if (!item || (below && fresh && !(item->entry.witness = strndup(greatest, last_size))))
        return -ENOMEM;
    return scan_move(scan, greatest, last_size, false);
}

struct wanted {
    struct scan *scan;
    size_t first; /* items from here on are of this page */
};

/* A document of a file, or of one that stands for a directory which cannot be shown. */
static int take_document(void *context, const bson_t *document) {
    struct wanted *wanted = context;
    struct scan *scan = wanted->scan;
    size_t size, low = wanted->first, high = scan->count;
    const char *name = scan_name(scan, document, &size);
    stats_add(STAT_documents_fetched, 1);
    while (name && low < high) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(scan->items[middle].key, name + scan->prefix_size);
        if (order == 0)
            return scan_absorb(scan, &scan->items[middle], document);
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    scan_note(scan, document);
    return 0;
}

/* The documents of the files among the items from `first` on, by one question. */
static int fetch_documents(struct scan *scan, size_t first) {
    bson_t filter = BSON_INITIALIZER, in, names;
    char index[16];
    uint32_t count = 0;
    struct wanted wanted = {.scan = scan, .first = first};
    bson_append_document_begin(&filter, scan->field, -1, &in);
    bson_append_array_begin(&in, "$in", -1, &names);
    for (size_t i = first; i < scan->count; i++) {
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
        snprintf(index, sizeof index, "%u", count++);
        bson_append_utf8(&names, index, -1, name, -1);
    }
    bson_append_array_end(&in, &names);
    bson_append_document_end(&filter, &in);
    bson_t *options = scan->place.nodes ? bson_new() : BCON_NEW(DOCUMENT_FILE_FIELDS);
    BSON_APPEND_INT32(options, "batchSize", SCAN_PAGE_MOST);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = count ? connection_find(scan->place.connection, scan->place.collection, &filter, options, primary,
                                         take_document, &wanted)
                       : 0;
    mongoc_read_prefs_destroy(primary);
    bson_destroy(options);
    bson_destroy(&filter);
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

int scan_group_page(struct scan *scan) {
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
        result = take(scan, group);
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
    return result ? result : fetch_documents(scan, scan->first + (held ? held - 1 : 0));
}

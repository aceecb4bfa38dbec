// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/scan_page.h"
#include "fs/store/names.h"

enum { ROUNDED_MS = 2 }; /* by the clock, and by the round trip */

/* How long a cursor may take where there is another way. */
static int64_t patience_ms(const struct scan *scan) {
    return SCAN_PATIENCE_MS + 3 * connection_round_trip_ms(scan->place.connection);
}

static bson_t *options_of(const struct scan *scan) {
    bson_t *options = BCON_NEW("sort", "{", scan->field, BCON_INT32(1), "}");
    if (scan->lean)
        BCON_APPEND(options, DOCUMENT_FILE_FIELDS);
    BSON_APPEND_INT64(options, "batchSize", scan->page); /* of the type that later pages overwrite */
    if (scan->can_group)
        BSON_APPEND_INT64(options, "maxTimeMS", patience_ms(scan));
    return options;
}

static int begin(struct scan *scan) {
    int result = scan_open_client(scan);
    if (result)
        return result;
    bson_t *filter = scan_range(scan), *options = options_of(scan);
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    scan->began_ms = clock_now_ms();
    scan->cursor = mongoc_collection_find_with_opts(scan->handle, filter, options, primary);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(options);
    bson_destroy(filter);
    return 0;
}

/* Behind a subdirectory whose first documents were enough. */
static int skip(struct scan *scan, const struct scan_item *subdirectory) {
    cleanup_free char *behind = NULL;
    int size = asprintf(&behind, "%s%s", scan->place.prefix, subdirectory->key);
    if (size < 0)
        return -ENOMEM;
    behind[size - 1] = '0'; /* the character after "/" */
    scan_close_cursor(scan);
    scan->page = SCAN_PAGE_FIRST + scan_worth_a_question(scan);
    scan->idle = 0;
    scan->grouping =
        scan->can_group && scan->opening_ms > SCAN_SKIP_MS + 3 * connection_round_trip_ms(scan->place.connection);
    return scan_move(scan, behind, (size_t)size, true);
}

/* One document becomes an item, or part of the last one. 1: go on; 0: the cursor is not needed any more; -errno. */
static int take(struct scan *scan, const bson_t *document) {
    size_t size;
    const char *name = scan_name(scan, document, &size);
    stats_add(STAT_documents_fetched, 1);
    if (!name || memchr(name, '\0', size))
        return name ? scan_note(scan, document, SCAN_NO_PATH) : 1;
    const char *rest = name + scan->prefix_size;
    size_t rest_size = size - scan->prefix_size, component = names_first_component(rest, rest_size);
    bool below = component < rest_size, fresh;
    struct scan_item *item = scan_add(scan, rest, component, below, &fresh);
    if (!item)
        return -ENOMEM;
    int result = scan_move(scan, name, size, true);
    if (result == 0 && below && fresh && !(item->entry.witness = strndup(name, size)))
        result = -ENOMEM;
    if (result == 0 && below && item->hidden && !scan_is_spelling(scan, item))
        result = scan_note(scan, document, SCAN_NO_PATH) < 0 ? -ENOMEM : 0;
    if (result == 0 && !below)
        result = scan_absorb(scan, item, document);
    if (result)
        return result;
    scan->idle = fresh || !below ? 0 : scan->idle + 1;
    if (document->len > SCAN_BIG && !scan->lean && !scan->place.nodes) {
        scan->lean = true; /* from here on: this document comes again, as part of its item */
        scan_close_cursor(scan);
        return 0;
    }
    if (scan->idle >= SCAN_IDLE_MOST + scan_worth_a_question(scan)) {
        result = skip(scan, item);
        return result ? result : 0;
    }
    return 1;
}

/* What a broken cursor means: another way, a new beginning, or an error. */
static int recover(struct scan *scan, int error) {
    scan_close_cursor(scan);
    if (error == -ETIME && scan->can_group) {
        scan->grouping = true;
        return 0;
    }
    if (error == -EACCES && scan->place.nodes) {
        scan->finished = true; /* nodes one may not read count as none */
        return 0;
    }
    if (error == -ESTALE) /* the cursor is lost: begin again, unless that leads nowhere */
        return ++scan->lost > SCAN_LOST_MOST ? -EIO : 0;
    return error;
}

/* FerretDB 1.24 says that this was all when the time is over, in the midst of it: then what lies behind is asked for. Its
 * time begins when it is asked, and a word of it takes its way. */
static bool may_be_cut(const struct scan *scan) {
    int64_t took = clock_now_ms() - scan->began_ms + ROUNDED_MS;
    return scan->can_group && took >= patience_ms(scan) + connection_round_trip_ms(scan->place.connection);
}

int scan_walk_page(struct scan *scan) {
    int64_t began = clock_now_ms();
    cleanup_free char *before = strdup(scan->from);
    if (!before)
        return -ENOMEM;
    bool opening = !scan->cursor;
    int result = opening ? begin(scan) : 0;
    if (result)
        return result;
    const bson_t *document;
    bool skips = false; /* documents that give nothing new: there may be many more of them */
    for (unsigned taken = 0; taken < scan->page; taken++) {
        bool more = mongoc_cursor_next(scan->cursor, &document);
        if (opening)
            scan->opening_ms = clock_now_ms() - began;
        opening = false;
        bson_error_t error;
        if (!more && mongoc_cursor_error(scan->cursor, &error))
            return recover(scan, connection_errno(&error, scan->place.collection));
        if (!more && may_be_cut(scan))
            return recover(scan, -ETIME);
        if (!more) {
            scan->finished = true;
            return 0;
        }
        result = take(scan, document);
        if (result <= 0)
            return result;
        skips |= scan->idle > 0;
    }
    /* A name may have more revisions than a page holds: without a cursor to go on with, only a larger one gets by. */
    bool stuck = strcmp(before, scan->from) == 0;
    unsigned most = stuck ? INT32_MAX / 50 : SCAN_PAGE_MOST, times = skips ? 10 : 50;
    scan->page = scan->page < most / times ? scan->page * times : most;
    scan->lost = stuck ? scan->lost : 0;
    mongoc_cursor_set_batch_size(scan->cursor, scan->page);
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/scan.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/identity.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/scan_page.h"
#include "fs/store/mongo/watch.h"
#include "fs/store/names.h"

unsigned scan_worth_a_question(const struct scan *scan) {
    int64_t documents = SCAN_PER_MS * connection_round_trip_ms(scan->place.connection);
    return documents < SCAN_PAGE_MOST ? (unsigned)documents : SCAN_PAGE_MOST;
}

static int set_start(struct scan *scan, const char *after) {
    cleanup_free char *from = NULL;
    size_t size = after ? strlen(after) : 0;
    if (asprintf(&from, "%s%s", scan->place.prefix, after ? after : "") < 0)
        return -ENOMEM;
    bool behind_directory = size && after[size - 1] == '/';
    if (behind_directory)
        from[strlen(from) - 1] = '0'; /* the character after "/": behind all that lies below */
    return scan_move(scan, from, strlen(from), !after || behind_directory);
}

int scan_new(const struct scan_place *place, const char *after, struct scan **ret_scan) {
    struct scan *scan = calloc(1, sizeof *scan);
    if (!scan)
        return -ENOMEM;
    scan->place = *place;
    scan->field = place->nodes ? "_id" : "filename";
    scan->prefix_size = strlen(place->prefix);
    scan->page = SCAN_PAGE_FIRST + scan_worth_a_question(scan);
    scan->can_group = true;
    int result = set_start(scan, after);
    if (result == 0 && scan->prefix_size) {
        scan->until = strdup(place->prefix);
        if (scan->until)
            scan->until[scan->prefix_size - 1] = '0';
        else
            result = -ENOMEM;
    }
    if (result)
        scan_free(scan);
    else
        *ret_scan = scan;
    return result;
}

static void drop_link(struct scan_item *item) {
    if (item->link)
        document_link_done(item->link);
    free(item->link);
    item->link = NULL;
}

static void item_done(struct scan_item *item) {
    drop_link(item);
    store_entry_done(&item->entry);
    free(item->key);
}

struct scan *scan_free(struct scan *scan) {
    if (!scan)
        return NULL;
    scan_close_cursor(scan);
    for (size_t i = scan->first; i < scan->count; i++)
        item_done(&scan->items[i]);
    free(scan->items);
    free(scan->from);
    free(scan->until);
    free(scan);
    return NULL;
}

void scan_close_cursor(struct scan *scan) {
    if (scan->cursor)
        mongoc_cursor_destroy(scan->cursor);
    if (scan->handle)
        mongoc_collection_destroy(scan->handle);
    if (scan->client && scan->pinned)
        connection_unpin(scan->place.connection, scan->client);
    else if (scan->client)
        connection_push(scan->place.connection, scan->client);
    scan->cursor = NULL;
    scan->handle = NULL;
    scan->client = NULL;
}

int scan_open_client(struct scan *scan) {
    scan->client = connection_pin(scan->place.connection);
    scan->pinned = scan->client != NULL;
    if (!scan->client)
        scan->client = connection_pop(scan->place.connection);
    if (!scan->client)
        return -ETIMEDOUT;
    scan->handle = mongoc_client_get_collection(scan->client, connection_database(scan->place.connection),
                                                scan->place.collection);
    return 0;
}

int scan_move(struct scan *scan, const char *name, size_t size, bool inclusive) {
    char *from = strndup(name, size);
    if (!from)
        return -ENOMEM;
    free(scan->from);
    scan->from = from;
    scan->inclusive = inclusive;
    return 0;
}

bson_t *scan_range(const struct scan *scan) {
    const char *operator= scan->inclusive ? "$gte" : "$gt";
    if (scan->until)
        return BCON_NEW(scan->field, "{", operator, BCON_UTF8(scan->from), "$lt", BCON_UTF8(scan->until), "}");
    return BCON_NEW(scan->field, "{", operator, BCON_UTF8(scan->from), "}");
}

const char *scan_name(const struct scan *scan, const bson_t *document, size_t *ret_size) {
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, scan->field) || !BSON_ITER_HOLDS_UTF8(&iter))
        return NULL;
    uint32_t size;
    const char *name = bson_iter_utf8(&iter, &size);
    *ret_size = size;
    return size >= scan->prefix_size && memcmp(name, scan->place.prefix, scan->prefix_size) == 0 ? name : NULL;
}

static bool make_space(struct scan *scan) {
    if (scan->first > scan->count / 2) {
        memmove(scan->items, scan->items + scan->first, (scan->count - scan->first) * sizeof *scan->items);
        scan->count -= scan->first;
        scan->first = 0;
    }
    if (scan->count < scan->capacity)
        return true;
    size_t capacity = scan->capacity ? 2 * scan->capacity : 128;
    struct scan_item *items = realloc(scan->items, capacity * sizeof *items);
    if (!items)
        return false;
    scan->items = items;
    scan->capacity = capacity;
    return true;
}

/* In the unspelled scan of the root, "" and "." are what the scans of the other spellings show. */
/* `.gridfs` at the root is the mount's own. */
static bool is_control(const struct scan *scan, const char *component, size_t size) {
    return names_skip_spelling(scan->place.prefix, scan->prefix_size) == scan->prefix_size &&
           size == strlen(NAMES_CONTROL) && memcmp(component, NAMES_CONTROL, size) == 0;
}

bool scan_is_spelling(const struct scan *scan, const struct scan_item *item) {
    return scan->prefix_size == 0 && (strcmp(item->key, "/") == 0 || strcmp(item->key, "./") == 0);
}

struct scan_item *scan_add(struct scan *scan, const char *component, size_t size, bool below, bool *ret_fresh) {
    struct scan_item *last = scan->count > scan->first ? &scan->items[scan->count - 1] : NULL;
    if (last && last->below == below && strlen(last->key) == size + below && memcmp(last->key, component, size) == 0) {
        *ret_fresh = false;
        return last;
    }
    char name[NAMES_COMPONENT_MOST + 1];
    struct scan_item item = {
        .below = below, .entry.kind = below ? STORE_DIRECTORY : STORE_FILE, .read_ms = clock_now_ms()};
    item.hidden = names_decode(component, size, name) != 0 || is_control(scan, component, size);
    item.key = calloc(1, size + 2);
    if (!item.key || !make_space(scan)) {
        free(item.key);
        return NULL;
    }
    memcpy(item.key, component, size);
    if (below)
        item.key[size] = '/';
    scan->items[scan->count] = item;
    *ret_fresh = true;
    return &scan->items[scan->count++];
}

/* The newer of two revisions of a name: by uploadDate, then _id. Keeps one reference. */
static void keep_newer(struct store_entry *entry, struct revision *revision) {
    struct revision *rival = entry->revision;
    bool newer = !rival || revision->date_ms > rival->date_ms ||
                 (revision->date_ms == rival->date_ms && document_compare_ids(revision, rival) >= 0);
    if (newer) {
        entry->revision = revision;
        revision_unref(rival);
    } else {
        revision_unref(revision);
    }
}

int scan_note(struct scan *scan, const bson_t *document, const char *why) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    size_t size;
    const char *name = scan_name(scan, document, &size);
    if (scan->place.nodes || !name || document_revision(document, scan->place.store, &revision))
        return 1;
    cleanup_free char *id = identity_text(revision);
    if (!id)
        return -ENOMEM;
    oddities_note(scan->place.store->oddities, id, name, why);
    return 1;
}

static int absorb_node(struct scan_item *item, const bson_t *document) {
    struct document_link link;
    store_entry_done(&item->entry);
    drop_link(item);
    int result = document_node(document, &item->entry);
    if (result == -EINVAL && (result = document_link(document, &link)) == 0) {
        item->link = malloc(sizeof link);
        if (!item->link)
            return document_link_done(&link), -ENOMEM;
        *item->link = link;
    }
    item->hidden |= result == -EINVAL;
    return result == -EINVAL ? 0 : result;
}

int scan_absorb(struct scan *scan, struct scan_item *item, const bson_t *document) {
    if (scan->place.nodes)
        return absorb_node(item, document);
    struct revision *revision;
    int result = document_revision(document, scan->place.store, &revision);
    if (result)
        return result == -EINVAL ? 0 : result;
    if (item->hidden)
        scan_note(scan, document, SCAN_NO_PATH);
    keep_newer(&item->entry, revision);
    return 0;
}

/* Its file may come back. */
static void tell_dead(const struct scan *scan, const struct scan_item *item) {
    cleanup_free char *path = NULL;
    if (asprintf(&path, "%s%s", scan->place.prefix, item->key) >= 0)
        watch_tell_unsure((struct bucket *)scan->place.store, path);
}

/* Finds what the further names among the items stand for; the dead ones stay without revision. */
static int resolve_links(struct scan *scan) {
    size_t count = 0, most = 0;
    for (size_t i = scan->first; i < scan->count; i++)
        most += scan->items[i].link != NULL;
    if (!most)
        return 0;
    cleanup_free struct scan_item **items = calloc(most, sizeof *items);
    cleanup_free const struct document_link **links = calloc(most, sizeof *links);
    cleanup_free struct store_entry *entries = calloc(most, sizeof *entries);
    if (!items || !links || !entries)
        return -ENOMEM;
    for (size_t i = scan->first; i < scan->count; i++)
        if (scan->items[i].link) {
            links[count] = scan->items[i].link;
            items[count++] = &scan->items[i];
        }
    int result = links_resolve((struct bucket *)scan->place.store, links, count, entries);
    for (size_t i = 0; result == 0 && i < count; i++) {
        if (entries[i].kind == STORE_FILE && !entries[i].revision)
            tell_dead(scan, items[i]);
        items[i]->entry = entries[i];
        drop_link(items[i]);
    }
    return result;
}

/* An item can be given when another follows, or nothing more of its name can. */
bool scan_must_ask(const struct scan *scan) {
    return !scan->finished && scan->count - scan->first < 2;
}

/* Reads pages until an item can be given. */
static int fill(struct scan *scan) {
    while (scan_must_ask(scan)) {
        int result = scan->grouping ? scan_group_page(scan) : scan_walk_page(scan);
        if (result)
            return result;
        if (scan->client && (!scan->pinned || scan->finished))
            scan_close_cursor(scan);
        result = scan->place.nodes ? resolve_links(scan) : 0;
        if (result)
            return result;
    }
    return 0;
}

int scan_peek(struct scan *scan, struct scan_item **ret_item) {
    for (;;) {
        int result = fill(scan);
        if (result)
            return result;
        if (scan->first == scan->count)
            return 0;
        struct scan_item *item = &scan->items[scan->first];
        bool gone = item->entry.kind == STORE_FILE && !item->entry.revision;
        if (!item->hidden && !gone) {
            *ret_item = item;
            return 1;
        }
        scan_advance(scan);
    }
}

void scan_drop_last(struct scan *scan) {
    CHECK(scan->first < scan->count);
    item_done(&scan->items[--scan->count]);
}

void scan_advance(struct scan *scan) {
    CHECK(scan->first < scan->count);
    item_done(&scan->items[scan->first++]);
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

int scan_range_exists(const struct scan *scan) {
    bson_t *filter = scan_range(scan);
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = connection_find(scan->place.connection, scan->place.collection, filter, options, primary, found_one,
                                 NULL);
    mongoc_read_prefs_destroy(primary);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

/* Asks for one name below a component that the items at hand do not reach. */
static int ask_below(struct scan *scan, const char *component) {
    struct scan probe = *scan;
    cleanup_free char *from = NULL, *until = NULL;
    if (asprintf(&from, "%s%s/", scan->place.prefix, component) < 0 ||
        asprintf(&until, "%s%s0", scan->place.prefix, component) < 0)
        return -ENOMEM;
    probe.from = from;
    probe.until = until;
    probe.inclusive = true;
    return scan_range_exists(&probe);
}

int scan_has_below(struct scan *scan, const char *component) {
    size_t low = scan->first, high = scan->count;
    /* Keys that begin with the component follow it directly: nearly always the next one already does not. */
    if (low < high && strncmp(scan->items[low].key, component, strlen(component)) > 0)
        return 0;
    if (low == high && scan->finished)
        return 0;
    cleanup_free char *key = NULL;
    if (asprintf(&key, "%s/", component) < 0)
        return -ENOMEM;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(scan->items[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < scan->count)
        return strcmp(scan->items[low].key, key) == 0;
    return scan->finished ? 0 : ask_below(scan, component);
}

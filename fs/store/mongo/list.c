// SPDX-License-Identifier: Apache-2.0
/* A directory as one ordered run of entries: the scans of its files in each spelling and of its nodes, merged. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/identity.h"
#include "fs/store/mongo/scan.h"
#include "fs/store/names.h"

enum { NODES = NAMES_SPELLINGS, SCANS };

struct store_list {
    struct bucket *bucket;
    char *prefixes[SCANS];
    struct scan *scans[SCANS];
};

static int open_scan(struct store_list *list, unsigned i, const char *path, const char *after) {
    const char *spelling = i == NODES ? "" : names_spellings[i], *end = *path ? "/" : "";
    if (asprintf(&list->prefixes[i], "%s%s%s", spelling, path, end) < 0)
        return -ENOMEM;
    const struct bucket *bucket = list->bucket;
    struct scan_place place = {.connection = bucket->connection,
                               .store = &list->bucket->store,
                               .collection = i == NODES ? bucket->nodes : bucket->files,
                               .nodes = i == NODES,
                               .prefix = list->prefixes[i]};
    return scan_new(&place, after, &list->scans[i]);
}

int bucket_list_open(struct store *store, const char *path, const char *after, struct store_list **ret_list) {
    struct store_list *list = calloc(1, sizeof *list);
    if (!list)
        return -ENOMEM;
    list->bucket = (struct bucket *)store;
    int result = 0;
    for (unsigned i = 0; result == 0 && i < SCANS; i++)
        result = open_scan(list, i, path, after);
    if (result)
        bucket_list_close(list);
    else
        *ret_list = list;
    return result;
}

void bucket_list_close(struct store_list *list) {
    for (unsigned i = 0; i < SCANS; i++) {
        scan_free(list->scans[i]);
        free(list->prefixes[i]);
    }
    free(list);
}

/* Scans that have to ask, each for itself. */
struct asking {
    struct scan *scans[SCANS];
    unsigned count;
    atomic_int result; /* of one that failed */
};

/* Where one failed the others are not begun: each may wait for the server until the time is up. */
static void ask(void *context, unsigned number) {
    struct asking *asking = context;
    struct scan_item *item;
    int result = atomic_load(&asking->result);
    if (result == 0 && (result = scan_peek(asking->scans[number], &item)) < 0)
        atomic_store(&asking->result, result);
}

/* Has the scans that must do so ask, side by side. */
static int ask_all(struct store_list *list) {
    struct asking asking = {0};
    for (unsigned i = 0; i < SCANS; i++)
        if (scan_must_ask(list->scans[i]))
            asking.scans[asking.count++] = list->scans[i];
    if (asking.count)
        connection_share(list->bucket->connection, asking.count, ask, &asking);
    return atomic_load(&asking.result);
}

/* The next items of all scans; *ret_key the least key among them, or NULL at the end. */
static int peek_all(struct store_list *list, struct scan_item *items[SCANS], const char **ret_key) {
    const char *key = NULL;
    int result = ask_all(list);
    for (unsigned i = 0; result >= 0 && i < SCANS; i++) {
        items[i] = NULL;
        result = scan_peek(list->scans[i], &items[i]);
        if (items[i] && (!key || strcmp(items[i]->key, key) < 0))
            key = items[i]->key;
    }
    if (result >= 0)
        *ret_key = key;
    return result < 0 ? result : 0;
}

/* Directories win, then the newest file, then what else nodes hold. The loser's parts are freed. */
static void merge(struct store_entry *winner, struct store_entry *other) {
    bool wins = false;
    if (other->kind == STORE_DIRECTORY)
        wins = winner->kind != STORE_DIRECTORY;
    else if (other->kind == STORE_FILE && winner->kind != STORE_DIRECTORY)
        wins = winner->kind != STORE_FILE || document_is_newer(other->revision, winner->revision);
    if (winner->kind == STORE_DIRECTORY && other->kind == STORE_DIRECTORY && other->attributes.has)
        winner->attributes = other->attributes;
    if (wins) {
        struct store_entry loser = *winner;
        *winner = *other;
        *other = loser;
    }
    store_entry_done(other);
}

static int something_below(struct store_list *list, const char *component) {
    int below = 0;
    for (unsigned i = 0; below == 0 && i < SCANS; i++)
        below = scan_has_below(list->scans[i], component);
    return below;
}

static void note_oddity(struct store_list *list, const struct store_entry *entry, const char *key, const char *why) {
    cleanup_free char *id = entry->revision ? identity_text(entry->revision) : NULL;
    cleanup_free char *name = NULL;
    if (id && asprintf(&name, "%s%s", list->prefixes[0], key) >= 0)
        oddities_note(list->bucket->store.oddities, id, name, why);
}

/* Merges all items of the least key into one entry. *ret_further: it is a file by a further name of it. */
static int take_least(struct store_list *list, struct store_item *ret_item, bool *ret_further) {
    struct scan_item *items[SCANS];
    const char *least;
    int result = peek_all(list, items, &least);
    if (result || !least)
        return result;
    struct store_item item = {.key = strdup(least)};
    if (!item.key)
        return -ENOMEM;
    bool any = false, further = false;
    for (unsigned i = 0; i < SCANS; i++) {
        if (!items[i] || strcmp(items[i]->key, item.key) != 0)
            continue;
        struct store_entry entry = items[i]->entry;
        if (!any || items[i]->read_ms < item.read_ms)
            item.read_ms = items[i]->read_ms;
        memset(&items[i]->entry, 0, sizeof entry); /* taken over */
        further = i == NODES && entry.kind == STORE_FILE;
        if (any && item.entry.kind == STORE_FILE && entry.kind == STORE_DIRECTORY)
            note_oddity(list, &item.entry, item.key, SCAN_SHADOWED);
        if (any && item.entry.kind == STORE_DIRECTORY && entry.kind == STORE_FILE && !further)
            note_oddity(list, &entry, item.key, SCAN_SHADOWED);
        if (any && further)
            store_entry_done(&entry); /* what has this name itself wins */
        else if (any)
            merge(&item.entry, &entry);
        else
            item.entry = entry;
        further &= !any;
        any = true;
        scan_advance(list->scans[i]);
    }
    *ret_item = item;
    *ret_further = further;
    return 1;
}

/* A file that has something below its name is a directory. */
static int give_way_to_directory(struct store_list *list, struct store_item *item, bool further) {
    size_t size = strlen(item->key);
    if (item->key[size - 1] == '/')
        return 0;
    int below = something_below(list, item->key);
    if (below <= 0)
        return below;
    if (item->entry.kind == STORE_DIRECTORY)
        return 0;
    if (!further)
        note_oddity(list, &item->entry, item->key, SCAN_SHADOWED);
    store_entry_done(&item->entry);
    item->entry.kind = STORE_DIRECTORY;
    return 0;
}

int bucket_list_next(struct store_list *list, struct store_item *ret_item) {
    struct store_item item;
    bool further;
    int result = take_least(list, &item, &further);
    if (result <= 0)
        return result;
    result = give_way_to_directory(list, &item, further);
    if (result < 0) {
        store_item_done(&item);
        return result;
    }
    *ret_item = item;
    return 1;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/directory.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "fs/vfs/list_ahead.h"

enum { WINDOW = 2048 }; /* entries; the kernel asks again for what did not fit into its buffer */

struct directory {
    struct store *store; /* NULL: of fixed names */
    bool recalled;       /* as if they were */
    struct workers *workers;
    char *path;
    struct list_ahead *list; /* running, or NULL */
    uint64_t next;           /* the position of what the list gives next */
    bool ended;              /* the list ended at `next` */

    struct keys *keys; /* given out: of the entry at each position */

    uint64_t base; /* the window: positions [base, base + held); an item without key was deleted */
    unsigned held;
    struct store_item window[WINDOW];
};

struct directory *directory_new(struct store *store, const char *path, struct workers *workers) {
    struct directory *directory = calloc(1, sizeof *directory);
    if (!directory)
        return NULL;
    directory->store = store;
    directory->workers = workers;
    directory->path = strdup(path);
    directory->keys = keys_new();
    return directory->path && directory->keys ? directory : directory_free(directory);
}

static void clear_window(struct directory *directory, unsigned keep) {
    unsigned dropped = directory->held - keep;
    for (unsigned i = 0; i < dropped; i++)
        store_item_done(&directory->window[i]);
    memmove(directory->window, directory->window + dropped, keep * sizeof *directory->window);
    directory->base += dropped;
    directory->held = keep;
}

static void close_list(struct directory *directory) {
    directory->list = list_ahead_free(directory->list);
}

struct directory *directory_free(struct directory *directory) {
    if (!directory)
        return NULL;
    close_list(directory);
    clear_window(directory, 0);
    free(directory->path);
    keys_unref(directory->keys);
    free(directory);
    return NULL;
}

static void push(struct directory *directory, struct store_item *item) {
    if (directory->held == WINDOW)
        clear_window(directory, WINDOW / 2);
    directory->window[directory->held++] = *item;
    directory->next++;
}

struct directory *directory_of_names(char **keys) {
    struct directory *directory = calloc(1, sizeof *directory);
    int result = directory && (directory->keys = keys_new()) ? 0 : -ENOMEM;
    for (char **key = keys; result == 0 && *key; key++)
        result = keys_add(directory->keys, *key);
    server_free_names(keys);
    if (result)
        return directory_free(directory);
    directory->ended = true;
    directory->next = keys_count(directory->keys);
    return directory;
}

bool directory_gave(const struct directory *directory, const char *key) {
    return keys_have(directory->keys, key, strlen(key));
}

/* What the list gave takes its place in the numbering. Takes the item over. */
static int place(struct directory *directory, struct store_item *item) {
    while (directory->next < keys_count(directory->keys)) {
        int order = strcmp(item->key, keys_at(directory->keys, directory->next));
        if (order == 0) {
            push(directory, item);
            return 0;
        }
        if (order < 0) { /* new among those given out: not shown */
            store_item_done(item);
            return 0;
        }
        push(directory, &(struct store_item){0}); /* deleted meanwhile */
    }
    size_t size = strlen(item->key);
    bool shown = item->key[size - 1] == '/' && keys_have(directory->keys, item->key, size - 1);
    bool late = keys_are_shared(directory->keys); /* all positions have been given out */
    int result = shown || late ? 0 : keys_add(directory->keys, item->key);
    if (shown || late || result)
        store_item_done(item);
    else
        push(directory, item);
    return result;
}

/* Reads one entry of the list into the window. */
static int advance(struct directory *directory) {
    if (!directory->list) {
        const char *after = directory->next ? keys_at(directory->keys, directory->next - 1) : NULL;
        directory->list = list_ahead_new(directory->workers, directory->store, directory->path, after);
        if (!directory->list)
            return -ENOMEM;
    }
    struct store_item item;
    int result = list_ahead_next(directory->list, &item);
    if (result > 0)
        return place(directory, &item);
    close_list(directory);
    if (result == 0) {
        directory->ended = true;
        while (directory->next < keys_count(directory->keys))
            push(directory, &(struct store_item){0});
    }
    return result;
}

/* Goes to a position before the window, or behind what was read: the list is read from there. */
static void seek(struct directory *directory, uint64_t position) {
    close_list(directory);
    clear_window(directory, 0);
    directory->ended = false;
    directory->base = directory->next = position;
}

static int get_fixed(struct directory *directory, uint64_t position, struct store_item **ret_item) {
    if (position >= keys_count(directory->keys))
        return 0;
    struct store_item *item = &directory->window[0];
    item->key = (char *)keys_at(directory->keys, position);
    item->entry.kind = item->key[strlen(item->key) - 1] == '/' ? STORE_DIRECTORY : STORE_FILE;
    *ret_item = item;
    return 1;
}

int directory_get(struct directory *directory, uint64_t position, uint64_t *ret_position, struct store_item **ret_item) {
    *ret_position = position;
    if (!directory->store || directory->recalled)
        return get_fixed(directory, position, ret_item);
    if (position > keys_count(directory->keys))
        return 0; /* a position that was never given out */
    bool unread = !directory->list && !directory->ended && position > directory->next;
    if (position < directory->base || unread)
        seek(directory, position);
    for (;; position++) {
        while (position >= directory->base + directory->held) {
            if (directory->ended)
                return 0;
            int result = advance(directory);
            if (result < 0)
                return result;
            if (position < directory->base) /* more deleted entries than the window holds */
                position = directory->base;
        }
        struct store_item *item = &directory->window[position - directory->base];
        if (item->key) {
            *ret_position = position;
            *ret_item = item;
            return 1;
        }
    }
}

int directory_begin(struct directory *directory, struct keys *keys) {
    struct keys *own = !directory->store ? NULL : keys ? keys_ref(keys) : keys_new();
    if (!own)
        return directory->store ? -ENOMEM : 0;
    directory->recalled = false;
    seek(directory, 0);
    keys_unref(directory->keys);
    directory->keys = own;
    return 0;
}

int directory_recall(struct directory *directory, struct keys *keys) {
    int result = directory_begin(directory, keys);
    directory->recalled = result == 0;
    return result;
}

struct keys *directory_keys(struct directory *directory) {
    return directory->store && !directory->recalled && directory->ended ? keys_ref(directory->keys) : NULL;
}

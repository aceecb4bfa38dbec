#include "fs/vfs/directory.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "fs/vfs/list_ahead.h"

enum { WINDOW = 2048 }; /* entries; the kernel asks again for what did not fit into its buffer */

struct directory {
    struct store *store; /* NULL: of fixed names */
    struct workers *workers;
    char *path;
    struct list_ahead *list; /* running, or NULL */
    uint64_t next;           /* the position of what the list gives next */
    bool ended;              /* the list ended at `next` */

    char *text; /* keys given out, NUL-terminated one behind the other */
    size_t text_size, text_capacity;
    size_t *starts; /* of the key at each position */
    uint64_t known, starts_capacity;

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
    return directory->path ? directory : directory_free(directory);
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
    free(directory->text);
    free(directory->starts);
    free(directory);
    return NULL;
}

static void push(struct directory *directory, struct store_item *item) {
    if (directory->held == WINDOW)
        clear_window(directory, WINDOW / 2);
    directory->window[directory->held++] = *item;
    directory->next++;
}

static const char *key_at(const struct directory *directory, uint64_t position) {
    return directory->text + directory->starts[position];
}

static int remember(struct directory *directory, const char *key) {
    size_t size = strlen(key) + 1;
    if (directory->text_size + size > directory->text_capacity) {
        size_t capacity = 2 * directory->text_capacity + size + 256;
        char *text = realloc(directory->text, capacity);
        if (!text)
            return -ENOMEM;
        directory->text = text;
        directory->text_capacity = capacity;
    }
    if (directory->known == directory->starts_capacity) {
        uint64_t capacity = 2 * directory->starts_capacity + 16;
        size_t *starts = realloc(directory->starts, capacity * sizeof *starts);
        if (!starts)
            return -ENOMEM;
        directory->starts = starts;
        directory->starts_capacity = capacity;
    }
    directory->starts[directory->known++] = directory->text_size;
    memcpy(directory->text + directory->text_size, key, size);
    directory->text_size += size;
    return 0;
}

struct directory *directory_of_names(char **keys) {
    struct directory *directory = calloc(1, sizeof *directory);
    int result = directory ? 0 : -ENOMEM;
    for (char **key = keys; result == 0 && *key; key++)
        result = remember(directory, *key);
    server_free_names(keys);
    if (result)
        return directory_free(directory);
    directory->ended = true;
    directory->next = directory->known;
    return directory;
}

/* Whether a key was given out: they rise, so halve. */
static bool is_known(const struct directory *directory, const char *key, size_t size) {
    uint64_t low = 0, high = directory->known;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const char *known = key_at(directory, middle);
        int order = strncmp(known, key, size);
        if (order == 0 && known[size] == '\0')
            return true;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

bool directory_gave(const struct directory *directory, const char *key) {
    return is_known(directory, key, strlen(key));
}

/* What the list gave takes its place in the numbering. Takes the item over. */
static int place(struct directory *directory, struct store_item *item) {
    while (directory->next < directory->known) {
        int order = strcmp(item->key, key_at(directory, directory->next));
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
    bool shown = item->key[size - 1] == '/' && is_known(directory, item->key, size - 1);
    int result = shown ? 0 : remember(directory, item->key);
    if (shown || result)
        store_item_done(item);
    else
        push(directory, item);
    return result;
}

/* Reads one entry of the list into the window. */
static int advance(struct directory *directory) {
    if (!directory->list) {
        const char *after = directory->next ? key_at(directory, directory->next - 1) : NULL;
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
        while (directory->next < directory->known)
            push(directory, &(struct store_item){0});
    }
    return result;
}

/* Goes to a position before the window, or behind it after a seek: the list is read again from there. */
static void seek(struct directory *directory, uint64_t position) {
    close_list(directory);
    clear_window(directory, 0);
    directory->ended = false;
    directory->base = directory->next = position;
}

static int get_fixed(struct directory *directory, uint64_t position, struct store_item **ret_item) {
    if (position >= directory->known)
        return 0;
    struct store_item *item = &directory->window[0];
    item->key = (char *)key_at(directory, position);
    item->entry.kind = item->key[strlen(item->key) - 1] == '/' ? STORE_DIRECTORY : STORE_FILE;
    *ret_item = item;
    return 1;
}

int directory_get(struct directory *directory, uint64_t position, uint64_t *ret_position, struct store_item **ret_item) {
    *ret_position = position;
    if (!directory->store)
        return get_fixed(directory, position, ret_item);
    if (position > directory->known)
        return 0; /* a position that was never given out */
    if (position < directory->base)
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

void directory_rewind(struct directory *directory) {
    if (!directory->store)
        return;
    seek(directory, 0);
    directory->known = 0;
    directory->text_size = 0;
}

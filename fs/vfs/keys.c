// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/keys.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct keys {
    atomic_uint references;
    char *text; /* NUL-terminated, one behind the other */
    size_t text_size, text_capacity;
    size_t *starts; /* of each in the text */
    uint64_t count, capacity;
};

struct keys *keys_new(void) {
    struct keys *keys = calloc(1, sizeof *keys);
    if (keys)
        atomic_init(&keys->references, 1);
    return keys;
}

struct keys *keys_ref(struct keys *keys) {
    atomic_fetch_add_explicit(&keys->references, 1, memory_order_relaxed);
    return keys;
}

struct keys *keys_unref(struct keys *keys) {
    if (keys && atomic_fetch_sub_explicit(&keys->references, 1, memory_order_acq_rel) == 1) {
        free(keys->text);
        free(keys->starts);
        free(keys);
    }
    return NULL;
}

bool keys_are_shared(const struct keys *keys) {
    return atomic_load_explicit(&keys->references, memory_order_acquire) > 1;
}

int keys_add(struct keys *keys, const char *key) {
    size_t size = strlen(key) + 1;
    if (keys->text_size + size > keys->text_capacity) {
        size_t capacity = 2 * keys->text_capacity + size + 256;
        char *text = realloc(keys->text, capacity);
        if (!text)
            return -ENOMEM;
        keys->text = text;
        keys->text_capacity = capacity;
    }
    if (keys->count == keys->capacity) {
        uint64_t capacity = 2 * keys->capacity + 16;
        size_t *starts = realloc(keys->starts, capacity * sizeof *starts);
        if (!starts)
            return -ENOMEM;
        keys->starts = starts;
        keys->capacity = capacity;
    }
    keys->starts[keys->count++] = keys->text_size;
    memcpy(keys->text + keys->text_size, key, size);
    keys->text_size += size;
    return 0;
}

uint64_t keys_count(const struct keys *keys) {
    return keys->count;
}

const char *keys_at(const struct keys *keys, uint64_t number) {
    return keys->text + keys->starts[number];
}

/* They rise, so halve. */
bool keys_have(const struct keys *keys, const char *key, size_t size) {
    uint64_t low = 0, high = keys->count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        const char *known = keys_at(keys, middle);
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

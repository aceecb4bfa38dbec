// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/memory_changes.h"
#include "tests/fake/memory_records.h"

static bool was_at(const struct object *object, const char *path) {
    return object->kind == STORE_FILE && object->bytes && !object->names && object->path &&
           strcmp(object->path, path) == 0;
}

static void add(struct memory_store *memory, const struct object *object, bool retired, struct store_past *list,
                uint32_t *count) {
    struct store_past *past = &list[(*count)++];
    *past = (struct store_past){
        .revision = memory_revision(memory, object), .retired = retired, .due_ms = INT64_MIN};
    CHECK(asprintf(&past->id, "id-%u", object->id) > 0);
}

int memory_history(struct store *store, const char *path, const char *id, uint32_t most, struct store_past **ret_list,
                   uint32_t *ret_count) {
    struct memory_store *memory = memory_of(store);
    unsigned number = 0;
    if (id && sscanf(id, "id-%u", &number) != 1)
        return -EINVAL;
    pthread_mutex_lock(&memory->mutex);
    struct store_past *list = calloc((size_t)memory->last_id + 1, sizeof *list);
    const struct object *newest = memory_find(memory, path);
    CHECK(list);
    *ret_count = 0;
    if (newest && newest->kind == STORE_FILE && (!id || newest->id == number))
        add(memory, newest, false, list, ret_count);
    uint32_t files = *ret_count;
    for (const struct object *object = memory->objects; object && *ret_count - files < most; object = object->next)
        if (was_at(object, path) && (!id || object->id == number))
            add(memory, object, true, list, ret_count);
    pthread_mutex_unlock(&memory->mutex);
    *ret_list = list;
    return 0;
}

int memory_is_retired(struct store *store, const char *path) {
    struct memory_store *memory = memory_of(store);
    char directory[MEMORY_PATH_MOST];
    bool found = false;
    memory_directory_path(path, directory);
    pthread_mutex_lock(&memory->mutex);
    for (const struct object *object = memory->objects; object && !found; object = object->next)
        found = object->path && was_at(object, object->path) &&
                (strcmp(object->path, path) == 0 || strncmp(object->path, directory, strlen(directory)) == 0);
    pthread_mutex_unlock(&memory->mutex);
    return found;
}

// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_records.h"

#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"

struct memory_store *memory_of(struct store *store) {
    return (struct memory_store *)store;
}

/* ---- objects ---- */

struct object *memory_object_new(struct memory_store *memory, enum store_kind kind) {
    struct object *object = calloc(1, sizeof *object);
    CHECK(object);
    object->kind = kind;
    object->next = memory->objects;
    return memory->objects = object;
}

struct object *memory_file_new(struct memory_store *memory, unsigned char *bytes, size_t size, uint32_t chunk_size) {
    struct object *object = memory_object_new(memory, STORE_FILE);
    object->id = ++memory->last_id;
    object->date_ms = object->content_date_ms = ++memory->last_date_ms;
    object->chunk_size = chunk_size;
    object->bytes = bytes;
    object->bytes[size] = '\0';
    object->size = size;
    return object;
}

struct object *memory_object_of(struct memory_store *memory, const struct revision *revision) {
    struct object *object = memory->objects;
    while (object && (!object->id || memcmp(&object->id, revision->id, sizeof object->id) != 0))
        object = object->next;
    return object;
}

void memory_delete_chunks(struct object *object) {
    free(object->bytes);
    object->bytes = NULL;
}

struct attributes memory_attributes(const struct object *object) {
    struct attributes attributes = object->attributes;
    attributes.links = object->names > 1 ? object->names : 0;
    attributes.has = (attributes.has & ~ATTRIBUTES_LINKS) | (attributes.links ? ATTRIBUTES_LINKS : 0);
    return attributes;
}

struct revision *memory_revision(struct memory_store *memory, const struct object *object) {
    struct revision *revision = revision_new(&object->id, sizeof object->id);
    CHECK(revision);
    revision->store = &memory->store;
    memcpy(revision->key, &object->id, sizeof object->id);
    revision->key[REVISION_KEY - 1] = (unsigned char)memory->store.bucket[0];
    revision->length = object->damage ? 0 : (int64_t)object->size;
    revision->chunk_size = object->damage ? 0 : object->chunk_size;
    revision->damage = object->damage;
    revision->date_ms = object->date_ms;
    revision->content_date_ms = object->content_date_ms;
    revision->attributes = memory_attributes(object);
    if (object->hole_count && !object->damage) {
        revision->hole_count = object->hole_count;
        revision->holes = malloc(object->hole_count * sizeof *object->holes);
        CHECK(revision->holes);
        memcpy(revision->holes, object->holes, object->hole_count * sizeof *object->holes);
    }
    return revision;
}

/* ---- records ---- */

size_t memory_lower_bound(const struct memory_store *memory, const char *path) {
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(memory->records[middle].path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct record *record_at(struct memory_store *memory, const char *path) {
    size_t i = memory_lower_bound(memory, path);
    bool found = i < memory->count && strcmp(memory->records[i].path, path) == 0;
    return found ? &memory->records[i] : NULL;
}

struct object *memory_find(struct memory_store *memory, const char *path) {
    struct record *record = record_at(memory, path);
    return record ? record->object : NULL;
}

struct record *memory_below(struct memory_store *memory, const char *directory) {
    size_t i = memory_lower_bound(memory, directory);
    bool found = i < memory->count && strncmp(directory, memory->records[i].path, strlen(directory)) == 0;
    return found ? &memory->records[i] : NULL;
}

void memory_directory_path(const char *path, char ret_directory[MEMORY_PATH_MOST]) {
    int size = snprintf(ret_directory, MEMORY_PATH_MOST, "%s%s", path, *path ? "/" : "");
    CHECK(size < MEMORY_PATH_MOST);
}

bool memory_is_directory(struct memory_store *memory, const char *path) {
    char directory[MEMORY_PATH_MOST];
    memory_directory_path(path, directory);
    return !*path || memory_below(memory, directory);
}

bool memory_is_taken(struct memory_store *memory, const char *path) {
    return memory_is_directory(memory, path) || memory_find(memory, path);
}

bool memory_has_entries(struct memory_store *memory, const char *directory) {
    const struct record *record = memory_below(memory, directory), *end = memory->records + memory->count;
    if (record && strcmp(record->path, directory) == 0)
        record++;
    return record && record < end && strncmp(record->path, directory, strlen(directory)) == 0;
}

struct object *memory_resolve(struct memory_store *memory, const struct store_object *object) {
    char directory[MEMORY_PATH_MOST];
    if (object->revision) {
        struct object *file = memory_object_of(memory, object->revision);
        return file && file->names ? file : NULL;
    }
    memory_directory_path(object->path, directory);
    struct object *found = memory_find(memory, object->kind == STORE_DIRECTORY ? directory : object->path);
    return found && found->kind == object->kind ? found : NULL;
}

bool memory_is_claimed(const struct memory_store *memory, const char *path) {
    const struct store_lease *lease = memory->leases;
    while (lease && (lease->lost || strcmp(lease->path, path) != 0))
        lease = lease->next;
    return lease != NULL;
}

static void insert(struct memory_store *memory, const char *path, struct object *object) {
    if (memory->count == memory->capacity) {
        memory->capacity = 2 * memory->capacity + 64;
        memory->records = realloc(memory->records, memory->capacity * sizeof *memory->records);
        CHECK(memory->records);
    }
    struct record *at = memory->records + memory_lower_bound(memory, path);
    memmove(at + 1, at, (size_t)(memory->records + memory->count++ - at) * sizeof *at);
    *at = (struct record){.path = strdup(path), .object = object};
}

void memory_place(struct memory_store *memory, const char *path, struct object *object) {
    struct record *record = record_at(memory, path);
    object->names++;
    free(object->path);
    object->path = strdup(path);
    if (record) {
        record->object->names--;
        record->object = object;
    } else {
        insert(memory, path, object);
    }
}

bool memory_unplace(struct memory_store *memory, const char *path) {
    struct record *record = record_at(memory, path);
    if (!record)
        return false;
    record->object->names--;
    free(record->path);
    memmove(record, record + 1, (size_t)(memory->records + --memory->count - record) * sizeof *record);
    return true;
}

static void make_directory(struct memory_store *memory, const char *directory) {
    if (!memory_find(memory, directory))
        memory_place(memory, directory, memory_object_new(memory, STORE_DIRECTORY));
}

void memory_make_directories(struct memory_store *memory, const char *path) {
    char directory[MEMORY_PATH_MOST];
    memory_directory_path(path, directory);
    if (!*path)
        make_directory(memory, directory);
    for (char *slash = strchr(directory, '/'); slash; slash = strchr(slash + 1, '/')) {
        char behind = slash[1];
        slash[1] = '\0';
        make_directory(memory, directory);
        slash[1] = behind;
    }
}

void memory_free_records(struct memory_store *memory) {
    while (memory->count)
        free(memory->records[--memory->count].path);
    free(memory->records);
    for (struct object *object = memory->objects, *next; object; object = next) {
        next = object->next;
        store_xattrs_free(object->xattrs);
        free(object->target);
        free(object->path);
        free(object->bytes);
        free(object->holes);
        free(object);
    }
}

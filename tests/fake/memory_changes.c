// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_changes.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/memory_records.h"

/* ---- put ---- */

uint32_t memory_chunk_size(const struct revision *base) {
    return base && base->chunk_size ? base->chunk_size : MEMORY_CHUNK_SIZE;
}

/* As a copy on the server: what is clean is not read, but taken from the source while its chunks are there. */
static bool copy_clean(struct memory_store *memory, const struct store_put *put, int64_t offset, size_t size,
                       unsigned char *into) {
    const struct store_content *content = put->content;
    const struct revision *source = content->source;
    if (!source || strcmp(source->store->bucket, memory->store.bucket) != 0 ||
        offset + (int64_t)size > source->length || !content->is_clean(content->context, offset, size))
        return false;
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = memory_object_of(memory, source);
    bool there = object && object->bytes;
    if (there)
        memcpy(into, object->bytes + offset, size);
    pthread_mutex_unlock(&memory->mutex);
    return there;
}

/* Without the mutex: the content may come from this store. */
static int gather(struct memory_store *memory, const struct store_put *put, uint32_t chunk_size, unsigned char *into) {
    const struct store_content *content = put->content;
    int result = 0;
    for (int64_t offset = 0; result == 0 && offset < content->length; offset += chunk_size) {
        int64_t rest = content->length - offset;
        size_t size = rest < chunk_size ? (size_t)rest : chunk_size;
        if (!memory_take_sent(memory, put, offset, size, into + offset) &&
            !copy_clean(memory, put, offset, size, into + offset))
            result = content->read(content->context, offset, size, into + offset);
    }
    return result;
}

static void take_holes(struct object *object, const struct store_content *content) {
    int64_t end = -1;
    for (uint32_t i = 0; i < content->hole_count; i++) {
        const struct hole *hole = &content->holes[i];
        CHECK(hole->offset > end && hole->length > 0 && hole->length <= content->length - hole->offset);
        end = hole->offset + hole->length;
    }
    if (content->hole_count) {
        object->holes = malloc(content->hole_count * sizeof *object->holes);
        CHECK(object->holes);
        memcpy(object->holes, content->holes, content->hole_count * sizeof *object->holes);
        object->hole_count = content->hole_count;
    }
}

static bool is_same_file(const struct object *object, const struct object *base, const struct attributes *attributes) {
    return object == base || (object->kind == STORE_FILE && object->attributes.has & ATTRIBUTES_FILE &&
                              memcmp(object->attributes.file, attributes->file, ATTRIBUTES_FILE_SIZE) == 0);
}

/* All links of a file get its new content; another file of this name gives only the name. */
static void publish(struct memory_store *memory, const struct store_put *put, struct object *object) {
    struct object *base = put->base ? memory_object_of(memory, put->base) : NULL;
    struct object *replaced = put->follow && base && base->names ? base : memory_find(memory, put->path);
    object->attributes = *put->attributes;
    take_holes(object, put->content);
    if (base)
        memory_copy_xattrs(object, base);
    if (!replaced || !is_same_file(replaced, base, put->attributes)) {
        memory_place(memory, put->path, object);
        return;
    }
    for (size_t i = 0; i < memory->count; i++)
        if (memory->records[i].object == replaced)
            memory_place(memory, memory->records[i].path, object);
}

/* Not by an earlier try at this put, whose answer was lost. */
static bool is_replaced(struct memory_store *memory, const struct store_put *put) {
    const struct object *newest = memory_find(memory, put->path);
    const struct object *base = put->base ? memory_object_of(memory, put->base) : NULL;
    if (newest == base || (put->follow && base && base->names))
        return false;
    return !newest || !(newest->attributes.has & ATTRIBUTES_FILE) || (int64_t)newest->size != put->content->length ||
           newest->attributes.mtime_ns != put->attributes->mtime_ns ||
           memcmp(newest->attributes.file, put->attributes->file, ATTRIBUTES_FILE_SIZE) != 0;
}

int memory_put(struct store *store, const struct store_put *put, struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    uint32_t chunk_size = memory_chunk_size(put->base ? put->base : put->content->source);
    size_t size = (size_t)put->content->length;
    CHECK(put->attributes->has & ATTRIBUTES_FILE && put->content->length >= 0);
    cleanup_free unsigned char *bytes = malloc(size + 1);
    if (!bytes)
        return -ENOMEM;
    int result = gather(memory, put, chunk_size, bytes);
    if (result)
        return result;
    pthread_mutex_lock(&memory->mutex);
    if (put->lease && put->lease->lost) {
        result = -EEXIST;
    } else if (put->unless_replaced && is_replaced(memory, put)) {
        result = -ESTALE;
    } else {
        struct object *object = memory_file_new(memory, steal_ptr(&bytes), size, chunk_size);
        publish(memory, put, object);
        memory->puts++;
        *ret_revision = memory_revision(memory, object);
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

/* ---- names that are to be free ---- */

static int expect_free(struct memory_store *memory, const char *path) {
    return memory_is_taken(memory, path) || memory_is_claimed(memory, path) ? -EEXIST : 0;
}

int memory_reserve(struct store *store, const char *path, struct store_lease **ret_lease) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    int result = expect_free(memory, path);
    if (result == 0) {
        struct store_lease *lease = malloc(sizeof *lease);
        CHECK(lease);
        *lease = (struct store_lease){.next = memory->leases, .path = strdup(path)};
        *ret_lease = memory->leases = lease;
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

struct store_lease *memory_release(struct store *store, struct store_lease *lease) {
    struct memory_store *memory = memory_of(store);
    if (!lease)
        return NULL;
    pthread_mutex_lock(&memory->mutex);
    struct store_lease **at = &memory->leases;
    while (*at && *at != lease)
        at = &(*at)->next;
    CHECK(*at);
    *at = lease->next;
    pthread_mutex_unlock(&memory->mutex);
    free(lease->path);
    free(lease);
    return NULL;
}

int memory_make(struct store *store, const char *path, const struct store_entry *node) {
    struct memory_store *memory = memory_of(store);
    char full[MEMORY_PATH_MOST];
    CHECK(node->kind != STORE_FILE && (node->kind != STORE_SYMLINK || node->target));
    memory_directory_path(path, full);
    pthread_mutex_lock(&memory->mutex);
    int result = expect_free(memory, path);
    if (result == 0) {
        struct object *object = memory_object_new(memory, node->kind);
        object->attributes = node->attributes;
        object->target = node->target ? strdup(node->target) : NULL;
        memory_place(memory, node->kind == STORE_DIRECTORY ? full : path, object);
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

int memory_link(struct store *store, const struct store_object *object, const char *path,
                struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    CHECK(object->kind != STORE_DIRECTORY);
    pthread_mutex_lock(&memory->mutex);
    struct object *found = memory_resolve(memory, object);
    int result = found ? expect_free(memory, path) : -ENOENT;
    if (result == 0) {
        if (!(found->attributes.has & ATTRIBUTES_FILE))
            attributes_new_file(&found->attributes);
        memory_place(memory, path, found);
        if (found->kind == STORE_FILE)
            *ret_revision = memory_revision(memory, found);
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

/* ---- directories, and what goes ---- */

int memory_keep_directory(struct store *store, const char *path) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    memory_make_directories(memory, path);
    pthread_mutex_unlock(&memory->mutex);
    return 0;
}

int memory_remove(struct store *store, const struct store_object *object) {
    struct memory_store *memory = memory_of(store);
    char directory[MEMORY_PATH_MOST];
    CHECK(object->kind != STORE_DIRECTORY);
    memory_directory_path(object->path, directory);
    pthread_mutex_lock(&memory->mutex);
    bool shadowed = memory_below(memory, directory) != NULL;
    bool removed = !shadowed && memory_unplace(memory, object->path);
    pthread_mutex_unlock(&memory->mutex);
    return removed ? 0 : -ENOENT;
}

int memory_remove_directory(struct store *store, const char *path) {
    struct memory_store *memory = memory_of(store);
    char directory[MEMORY_PATH_MOST];
    CHECK(*path);
    memory_directory_path(path, directory);
    pthread_mutex_lock(&memory->mutex);
    int result = memory_has_entries(memory, directory) ? -ENOTEMPTY : 0;
    if (result == 0 && !memory_unplace(memory, directory))
        result = -ENOENT;
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

/* ---- housekeeping ---- */

static bool is_open(const struct object *object, struct revision *const *open, uint32_t count) {
    uint32_t i = 0;
    while (i < count && memcmp(open[i]->id, &object->id, sizeof object->id) != 0)
        i++;
    return i < count;
}

/* Nobody but its mount deletes anything of this store, and tidy() is told what is open. */
int memory_keep(struct store *store, struct revision *const *open, uint32_t count) {
    (void)store, (void)open, (void)count;
    return 0;
}

int memory_tidy(struct store *store, struct revision *const *open, uint32_t count) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    for (struct object *object = memory->objects; memory->grace_is_over && object; object = object->next)
        if (object->id && !object->names && !is_open(object, open, count))
            memory_delete_chunks(object);
    pthread_mutex_unlock(&memory->mutex);
    return 0;
}

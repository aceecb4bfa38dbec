// SPDX-License-Identifier: Apache-2.0
#include "tests/fake/memory_store.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/clock.h"
#include "tests/fake/memory_changes.h"
#include "tests/fake/memory_records.h"

/* ---- what others do ---- */

unsigned memory_store_put(struct memory_store *memory, const char *path, const void *bytes, size_t size,
                          uint32_t chunk_size) {
    unsigned char *copy = malloc(size + 1);
    CHECK(copy);
    memcpy(copy, bytes, size);
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_file_new(memory, copy, size, chunk_size);
    memory_place(memory, path, object);
    pthread_mutex_unlock(&memory->mutex);
    return object->id;
}

void memory_store_node(struct memory_store *memory, const char *path, enum store_kind kind, const char *target) {
    char full[MEMORY_PATH_MOST];
    snprintf(full, sizeof full, "%s%s", path, kind == STORE_DIRECTORY ? "/" : "");
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_object_new(memory, kind);
    object->target = target ? strdup(target) : NULL;
    memory_place(memory, full, object);
    pthread_mutex_unlock(&memory->mutex);
}

bool memory_store_remove(struct memory_store *memory, const char *path) {
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_find(memory, path);
    for (size_t i = memory->count; object && i-- > 0;)
        if (memory->records[i].object == object)
            memory_unplace(memory, memory->records[i].path);
    if (object)
        memory_delete_chunks(object);
    pthread_mutex_unlock(&memory->mutex);
    return object != NULL;
}

void memory_store_set_attributes(struct memory_store *memory, const char *path, const struct attributes *attributes) {
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_find(memory, path);
    CHECK(object);
    object->attributes = *attributes;
    pthread_mutex_unlock(&memory->mutex);
}

void memory_store_damage_chunk(struct memory_store *memory, const char *path, uint32_t n, int error) {
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_find(memory, path);
    CHECK(object);
    object->damaged_chunk = n;
    object->chunk_error = error;
    pthread_mutex_unlock(&memory->mutex);
}

void memory_store_damage_file(struct memory_store *memory, const char *path, const char *damage) {
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_find(memory, path);
    CHECK(object);
    object->damage = damage;
    pthread_mutex_unlock(&memory->mutex);
}

void memory_store_lose_lease(struct memory_store *memory, const char *path) {
    pthread_mutex_lock(&memory->mutex);
    CHECK(memory_is_claimed(memory, path));
    for (struct store_lease *lease = memory->leases; lease; lease = lease->next)
        lease->lost |= strcmp(lease->path, path) == 0;
    pthread_mutex_unlock(&memory->mutex);
}

void memory_store_end_grace(struct memory_store *memory) {
    pthread_mutex_lock(&memory->mutex);
    memory->grace_is_over = true;
    pthread_mutex_unlock(&memory->mutex);
}

/* ---- what a test may look at ---- */

const void *memory_store_content(struct memory_store *memory, const char *path, size_t *ret_size) {
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = memory_find(memory, path);
    const void *bytes = object && object->kind == STORE_FILE ? object->bytes : NULL;
    if (bytes && ret_size)
        *ret_size = object->size;
    pthread_mutex_unlock(&memory->mutex);
    return bytes;
}

unsigned memory_store_puts(struct memory_store *memory) {
    pthread_mutex_lock(&memory->mutex);
    unsigned puts = memory->puts;
    pthread_mutex_unlock(&memory->mutex);
    return puts;
}

struct memory_uploads memory_store_uploads(struct memory_store *memory) {
    pthread_mutex_lock(&memory->mutex);
    struct memory_uploads uploads = {memory->uploads, memory->uploads_begun, memory->sent_chunks};
    pthread_mutex_unlock(&memory->mutex);
    return uploads;
}

/* ---- the operations ---- */

static struct store_entry entry_of(struct memory_store *memory, const struct object *object) {
    struct store_entry entry = {.kind = object->kind, .attributes = memory_attributes(object)};
    if (object->kind == STORE_FILE)
        entry.revision = memory_revision(memory, object);
    if (object->target)
        entry.target = strdup(object->target);
    return entry;
}

/* A directory by its path with "/": its own record, or a file below as the witness. */
static bool directory_entry(struct memory_store *memory, const char *path, struct store_entry *ret_entry) {
    const struct record *record = memory_below(memory, path);
    if (!record && *path)
        return false;
    bool own = record && strcmp(record->path, path) == 0;
    *ret_entry = (struct store_entry){.kind = STORE_DIRECTORY};
    if (own)
        ret_entry->attributes = record->object->attributes;
    else if (record)
        ret_entry->witness = strdup(record->path);
    return true;
}

static int lookup(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry) {
    struct memory_store *memory = memory_of(store);
    char directory[MEMORY_PATH_MOST];
    (void)witness;
    memory_directory_path(path, directory);
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = memory_find(memory, path);
    int result = 0;
    if (!directory_entry(memory, directory, ret_entry)) {
        result = object ? 0 : -ENOENT;
        if (object)
            *ret_entry = entry_of(memory, object);
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

static int newest(struct store *store, const char *path, struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = memory_find(memory, path);
    bool found = object && object->kind == STORE_FILE;
    if (found)
        *ret_revision = memory_revision(memory, object);
    pthread_mutex_unlock(&memory->mutex);
    return found ? 0 : -ENOENT;
}

static int by_id(struct store *store, const char *text, struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    unsigned id;
    if (sscanf(text, "id-%u", &id) != 1)
        return -EINVAL;
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = memory->objects;
    while (object && (object->id != id || !object->names))
        object = object->next;
    if (object)
        *ret_revision = memory_revision(memory, object);
    pthread_mutex_unlock(&memory->mutex);
    return object ? 0 : -ENOENT;
}

static int survey(struct store *store) {
    (void)store;
    return 0;
}

struct store_list {
    struct memory_store *memory;
    char *prefix, *after; /* the last key, or NULL */
};

static int list_open(struct store *store, const char *path, const char *after, struct store_list **ret_list) {
    struct store_list *list = calloc(1, sizeof *list);
    if (!list || asprintf(&list->prefix, "%s%s", path, *path ? "/" : "") < 0)
        return -ENOMEM;
    list->memory = memory_of(store);
    list->after = after ? strdup(after) : NULL;
    *ret_list = list;
    return 0;
}

/* The first record behind the last key; behind all that is below it when the key is a directory's. */
static size_t position_of(const struct store_list *list) {
    char bound[MEMORY_PATH_MOST];
    size_t size = list->after ? strlen(list->after) : 0;
    snprintf(bound, sizeof bound, "%s%s\x01", list->prefix, size ? list->after : "");
    size_t end = strlen(bound) - 1;
    if (size && list->after[size - 1] == '/')
        bound[end - 1]++; /* the byte behind "/" */
    bound[end] = '\0';
    size_t i = memory_lower_bound(list->memory, bound);
    bool same = i < list->memory->count && strcmp(list->memory->records[i].path, bound) == 0;
    bool passed = !size || list->after[size - 1] != '/'; /* the directory's own record is no entry */
    return i + (same && passed);
}

static int list_next(struct store_list *list, struct store_item *ret_item) {
    struct memory_store *memory = list->memory;
    pthread_mutex_lock(&memory->mutex);
    size_t i = position_of(list);
    bool found = i < memory->count && strncmp(list->prefix, memory->records[i].path, strlen(list->prefix)) == 0;
    if (found) {
        const char *rest = memory->records[i].path + strlen(list->prefix), *slash = strchr(rest, '/');
        size_t size = slash ? (size_t)(slash - rest) + 1 : strlen(rest);
        char directory[MEMORY_PATH_MOST];
        snprintf(directory, sizeof directory, "%s%.*s%s", list->prefix, (int)size, rest, slash ? "" : "/");
        free(list->after);
        list->after = strndup(rest, size);
        *ret_item = (struct store_item){.key = strndup(rest, size), .read_ms = clock_now_ms()};
        if (!directory_entry(memory, directory, &ret_item->entry)) /* a file gives way to a directory of its name */
            ret_item->entry = entry_of(memory, memory->records[i].object);
    }
    pthread_mutex_unlock(&memory->mutex);
    return found;
}

static void list_close(struct store_list *list) {
    free(list->prefix);
    free(list->after);
    free(list);
}

static int fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    const struct object *object = memory_object_of(memory, revision);
    bool there = object && object->bytes;
    for (uint32_t i = 0; there && i < count; i++) {
        uint32_t n = first + i;
        ret_errors[i] = object->chunk_error && object->damaged_chunk == n ? object->chunk_error : 0;
        ret_blobs[i] = ret_errors[i] ? NULL : blob_new(budget, revision_chunk_length(revision, n));
        if (ret_blobs[i])
            memcpy(ret_blobs[i]->bytes, object->bytes + (size_t)n * object->chunk_size, ret_blobs[i]->size);
    }
    pthread_mutex_unlock(&memory->mutex);
    return there ? 0 : -ESTALE; /* its chunks went with it */
}

static int fetch_heads(struct store *store, struct revision *const *revisions, uint32_t count, struct budget *budget,
                       struct blob **ret_blobs, int *ret_errors) {
    for (uint32_t i = 0; i < count; i++) {
        ret_blobs[i] = NULL;
        CHECK(revision_chunks(revisions[i]) == 1);
        if (fetch(store, revisions[i], 0, 1, budget, &ret_blobs[i], &ret_errors[i]) || !ret_blobs[i])
            ret_errors[i] = -EAGAIN;
    }
    return 0;
}

static const struct store_ops operations = {
    .lookup = lookup,
    .newest = newest,
    .by_id = by_id,
    .history = memory_history,
    .is_retired = memory_is_retired,
    .survey = survey,
    .list_open = list_open,
    .list_next = list_next,
    .list_close = list_close,
    .fetch = fetch,
    .fetch_heads = fetch_heads,
    .put = memory_put,
    .upload_begin = memory_upload_begin,
    .upload_offer = memory_upload_offer,
    .upload_end = memory_upload_end,
    .reserve = memory_reserve,
    .release = memory_release,
    .make = memory_make,
    .keep_directory = memory_keep_directory,
    .remove = memory_remove,
    .remove_directory = memory_remove_directory,
    .rename = memory_rename,
    .link = memory_link,
    .set_attributes = memory_set_attributes,
    .xattrs = memory_xattrs,
    .xattrs_of = memory_xattrs_of,
    .set_xattr = memory_set_xattr,
    .keep = memory_keep,
    .tidy = memory_tidy,
};

struct memory_store *memory_store_new(const char *bucket) {
    struct memory_store *memory = calloc(1, sizeof *memory);
    CHECK(memory);
    pthread_mutex_init(&memory->mutex, NULL);
    memory->last_date_ms = INT64_C(1700000000000);
    memory->store = (struct store){.ops = &operations, .bucket = strdup(bucket), .oddities = oddities_new()};
    return memory;
}

struct memory_store *memory_store_free(struct memory_store *memory) {
    CHECK(!memory->leases && memory->uploads == 0);
    memory_free_records(memory);
    oddities_free(memory->store.oddities);
    free(memory->store.bucket);
    pthread_mutex_destroy(&memory->mutex);
    free(memory);
    return NULL;
}

struct store *memory_store_store(struct memory_store *memory) {
    return &memory->store;
}

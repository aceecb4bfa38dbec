#include "tests/fake/memory_store.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"

/* A file or node. `path` of a directory ends in "/", so that plain byte order is the order of keys. */
struct record {
    char *path;
    enum store_kind kind;
    struct attributes attributes;
    char *target;
    unsigned id;
    int64_t date_ms;
    uint32_t chunk_size, damaged_chunk;
    int chunk_error;
    const char *damage;
    unsigned char *bytes;
    size_t size;
};

struct memory_store {
    struct store store; /* first */
    pthread_mutex_t mutex;
    unsigned last_id;
    struct record **records; /* sorted by path */
    size_t count, capacity;
};

static struct memory_store *memory_of(struct store *store) {
    return (struct memory_store *)store;
}

/* ---- records ---- */

/* The first record whose path is not below `path`. */
static size_t lower_bound(const struct memory_store *memory, const char *path) {
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(memory->records[middle]->path, path) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct record *find(struct memory_store *memory, const char *path) {
    size_t i = lower_bound(memory, path);
    bool found = i < memory->count && strcmp(memory->records[i]->path, path) == 0;
    return found ? memory->records[i] : NULL;
}

static void empty(struct record *record) {
    free(record->path);
    free(record->target);
    free(record->bytes);
}

/* A zeroed record at `path`, in place of what is there. */
static struct record *place(struct memory_store *memory, const char *path) {
    struct record *record = find(memory, path);
    if (record) {
        empty(record);
    } else {
        if (memory->count == memory->capacity) {
            memory->capacity = 2 * memory->capacity + 64;
            memory->records = realloc(memory->records, memory->capacity * sizeof *memory->records);
            CHECK(memory->records);
        }
        record = malloc(sizeof *record);
        CHECK(record);
        struct record **at = memory->records + lower_bound(memory, path);
        memmove(at + 1, at, (size_t)(memory->records + memory->count++ - at) * sizeof *at);
        *at = record;
    }
    *record = (struct record){.path = strdup(path)};
    return record;
}

static bool is_prefix(const char *prefix, const char *text) {
    return strncmp(prefix, text, strlen(prefix)) == 0;
}

/* The first record below a directory's path ("a/"), or the directory's own; NULL without any. */
static struct record *below(struct memory_store *memory, const char *directory) {
    size_t i = lower_bound(memory, directory);
    return i < memory->count && is_prefix(directory, memory->records[i]->path) ? memory->records[i] : NULL;
}

unsigned memory_store_put(struct memory_store *memory, const char *path, const void *bytes, size_t size,
                          uint32_t chunk_size) {
    pthread_mutex_lock(&memory->mutex);
    struct record *record = place(memory, path);
    record->id = ++memory->last_id;
    record->date_ms = INT64_C(1700000000000) + record->id;
    record->chunk_size = chunk_size;
    record->bytes = malloc(size + 1);
    CHECK(record->bytes);
    memcpy(record->bytes, bytes, size);
    record->size = size;
    unsigned id = record->id;
    pthread_mutex_unlock(&memory->mutex);
    return id;
}

void memory_store_node(struct memory_store *memory, const char *path, enum store_kind kind, const char *target) {
    char full[4096];
    snprintf(full, sizeof full, "%s%s", path, kind == STORE_DIRECTORY ? "/" : "");
    pthread_mutex_lock(&memory->mutex);
    struct record *record = place(memory, full);
    record->kind = kind;
    record->target = target ? strdup(target) : NULL;
    pthread_mutex_unlock(&memory->mutex);
}

bool memory_store_remove(struct memory_store *memory, const char *path) {
    pthread_mutex_lock(&memory->mutex);
    struct record *record = find(memory, path);
    if (record) {
        struct record **at = memory->records + lower_bound(memory, path);
        memmove(at, at + 1, (size_t)(memory->records + --memory->count - at) * sizeof *at);
        empty(record);
        free(record);
    }
    pthread_mutex_unlock(&memory->mutex);
    return record != NULL;
}

void memory_store_set_attributes(struct memory_store *memory, const char *path, const struct attributes *attributes) {
    pthread_mutex_lock(&memory->mutex);
    struct record *record = find(memory, path);
    CHECK(record);
    record->attributes = *attributes;
    pthread_mutex_unlock(&memory->mutex);
}

void memory_store_damage_chunk(struct memory_store *memory, const char *path, uint32_t n, int error) {
    pthread_mutex_lock(&memory->mutex);
    struct record *record = find(memory, path);
    CHECK(record);
    record->damaged_chunk = n;
    record->chunk_error = error;
    pthread_mutex_unlock(&memory->mutex);
}

void memory_store_damage_file(struct memory_store *memory, const char *path, const char *damage) {
    pthread_mutex_lock(&memory->mutex);
    struct record *record = find(memory, path);
    CHECK(record);
    record->damage = damage;
    pthread_mutex_unlock(&memory->mutex);
}

/* ---- the operations ---- */

static struct revision *revision_of(struct memory_store *memory, const struct record *record) {
    struct revision *revision = revision_new(&record->id, sizeof record->id);
    CHECK(revision);
    revision->store = &memory->store;
    memcpy(revision->key, &record->id, sizeof record->id);
    revision->key[REVISION_KEY - 1] = (unsigned char)memory->store.bucket[0];
    revision->length = record->damage ? 0 : (int64_t)record->size;
    revision->chunk_size = record->damage ? 0 : record->chunk_size;
    revision->damage = record->damage;
    revision->date_ms = revision->content_date_ms = record->date_ms;
    revision->attributes = record->attributes;
    return revision;
}

static struct store_entry entry_of(struct memory_store *memory, const struct record *record) {
    struct store_entry entry = {.kind = record->kind, .attributes = record->attributes};
    if (record->kind == STORE_FILE)
        entry.revision = revision_of(memory, record);
    if (record->target)
        entry.target = strdup(record->target);
    return entry;
}

/* A directory by its path with "/": its own record, or a file below as the witness. */
static bool directory_entry(struct memory_store *memory, const char *path, struct store_entry *ret_entry) {
    const struct record *record = below(memory, path);
    if (!record && *path)
        return false;
    bool own = record && strcmp(record->path, path) == 0;
    *ret_entry = (struct store_entry){.kind = STORE_DIRECTORY};
    if (own)
        ret_entry->attributes = record->attributes;
    else if (record)
        ret_entry->witness = strdup(record->path);
    return true;
}

static int lookup(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry) {
    struct memory_store *memory = memory_of(store);
    char directory[4096];
    (void)witness;
    snprintf(directory, sizeof directory, "%s%s", path, *path ? "/" : "");
    pthread_mutex_lock(&memory->mutex);
    const struct record *record = find(memory, path);
    int result = 0;
    if (!directory_entry(memory, directory, ret_entry)) {
        result = record ? 0 : -ENOENT;
        if (record)
            *ret_entry = entry_of(memory, record);
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

static int newest(struct store *store, const char *path, struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    const struct record *record = find(memory, path);
    bool found = record && record->kind == STORE_FILE;
    if (found)
        *ret_revision = revision_of(memory, record);
    pthread_mutex_unlock(&memory->mutex);
    return found ? 0 : -ENOENT;
}

static int by_id(struct store *store, const char *text, struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    unsigned id;
    if (sscanf(text, "id-%u", &id) != 1)
        return -EINVAL;
    int result = -ENOENT;
    pthread_mutex_lock(&memory->mutex);
    for (size_t i = 0; result && i < memory->count; i++)
        if (memory->records[i]->id == id) {
            *ret_revision = revision_of(memory, memory->records[i]);
            result = 0;
        }
    pthread_mutex_unlock(&memory->mutex);
    return result;
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
    char bound[8192];
    size_t size = list->after ? strlen(list->after) : 0;
    snprintf(bound, sizeof bound, "%s%s\x01", list->prefix, size ? list->after : "");
    size_t end = strlen(bound) - 1;
    if (size && list->after[size - 1] == '/')
        bound[end - 1]++; /* the byte behind "/" */
    bound[end] = '\0';
    size_t i = lower_bound(list->memory, bound);
    bool same = i < list->memory->count && strcmp(list->memory->records[i]->path, bound) == 0;
    bool passed = size ? list->after[size - 1] != '/' : *list->prefix; /* the directory's own record is no entry */
    return i + (same && passed);
}

static int list_next(struct store_list *list, struct store_item *ret_item) {
    struct memory_store *memory = list->memory;
    pthread_mutex_lock(&memory->mutex);
    size_t i = position_of(list);
    bool found = i < memory->count && is_prefix(list->prefix, memory->records[i]->path);
    if (found) {
        const char *rest = memory->records[i]->path + strlen(list->prefix), *slash = strchr(rest, '/');
        size_t size = slash ? (size_t)(slash - rest) + 1 : strlen(rest);
        char directory[8192];
        snprintf(directory, sizeof directory, "%s%.*s%s", list->prefix, (int)size, rest, slash ? "" : "/");
        free(list->after);
        list->after = strndup(rest, size);
        *ret_item = (struct store_item){.key = strndup(rest, size)};
        if (!directory_entry(memory, directory, &ret_item->entry)) /* a file gives way to a directory of its name */
            ret_item->entry = entry_of(memory, memory->records[i]);
    }
    pthread_mutex_unlock(&memory->mutex);
    return found;
}

static void list_close(struct store_list *list) {
    free(list->prefix);
    free(list->after);
    free(list);
}

static struct record *record_of(struct memory_store *memory, const struct revision *revision) {
    for (size_t i = 0; i < memory->count; i++)
        if (memory->records[i]->id && memcmp(&memory->records[i]->id, revision->id, revision->id_size) == 0)
            return memory->records[i];
    return NULL;
}

static int fetch(struct store *store, const struct revision *revision, uint32_t first, uint32_t count,
                 struct budget *budget, struct blob **ret_blobs, int *ret_errors) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    const struct record *record = record_of(memory, revision);
    for (uint32_t i = 0; record && i < count; i++) {
        uint32_t n = first + i;
        ret_errors[i] = record->chunk_error && record->damaged_chunk == n ? record->chunk_error : 0;
        ret_blobs[i] = ret_errors[i] ? NULL : blob_new(budget, revision_chunk_length(revision, n));
        if (ret_blobs[i])
            memcpy(ret_blobs[i]->bytes, record->bytes + (size_t)n * record->chunk_size, ret_blobs[i]->size);
    }
    pthread_mutex_unlock(&memory->mutex);
    return record ? 0 : -ESTALE; /* its chunks went with it */
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
    .survey = survey,
    .list_open = list_open,
    .list_next = list_next,
    .list_close = list_close,
    .fetch = fetch,
    .fetch_heads = fetch_heads,
};

struct memory_store *memory_store_new(const char *bucket) {
    struct memory_store *memory = calloc(1, sizeof *memory);
    CHECK(memory);
    pthread_mutex_init(&memory->mutex, NULL);
    memory->store = (struct store){.ops = &operations, .bucket = strdup(bucket), .oddities = oddities_new()};
    return memory;
}

struct memory_store *memory_store_free(struct memory_store *memory) {
    for (size_t i = 0; i < memory->count; i++) {
        empty(memory->records[i]);
        free(memory->records[i]);
    }
    free(memory->records);
    oddities_free(memory->store.oddities);
    free(memory->store.bucket);
    pthread_mutex_destroy(&memory->mutex);
    free(memory);
    return NULL;
}

struct store *memory_store_store(struct memory_store *memory) {
    return &memory->store;
}

// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/memory_changes.h"
#include "tests/fake/memory_records.h"

/* One of the two names of a rename. */
struct place {
    const char *path;
    char directory[MEMORY_PATH_MOST];
    bool is_directory;
    struct object *object; /* of what is no directory; NULL: nothing */
};

static void look(struct memory_store *memory, const char *path, struct place *ret_place) {
    CHECK(*path);
    ret_place->path = path;
    memory_directory_path(path, ret_place->directory);
    ret_place->is_directory = memory_below(memory, ret_place->directory);
    ret_place->object = ret_place->is_directory ? NULL : memory_find(memory, path);
}

static bool is_there(const struct place *place) {
    return place->is_directory || place->object;
}

static bool is_inside(const struct place *outer, const char *path) {
    return outer->is_directory && strncmp(path, outer->directory, strlen(outer->directory)) == 0;
}

/* Whether a record is at this place or below it; a file shadowed by the directory is not. */
static bool holds(const struct place *place, const char *record_path) {
    return place->is_directory ? is_inside(place, record_path) : strcmp(place->path, record_path) == 0;
}

static void move_record(struct record *record, const struct place *from, const struct place *to) {
    char *path;
    CHECK(asprintf(&path, "%s%s", to->path, record->path + strlen(from->path)) >= 0);
    free(record->path);
    record->path = path;
}

static int by_path(const void *one, const void *other) {
    const struct record *first = one, *second = other;
    return strcmp(first->path, second->path);
}

/* Moves the one, and the other to where it was. */
static void exchange_records(struct memory_store *memory, const struct place *one, const struct place *other) {
    for (size_t i = 0; i < memory->count; i++) {
        struct record *record = &memory->records[i];
        if (holds(one, record->path))
            move_record(record, one, other);
        else if (holds(other, record->path))
            move_record(record, other, one);
    }
    qsort(memory->records, memory->count, sizeof *memory->records, by_path);
}

static int exchange(struct memory_store *memory, const struct place *from, const struct place *to) {
    if (!is_there(to))
        return -ENOENT;
    if (is_inside(from, to->path) || is_inside(to, from->path))
        return -EINVAL;
    bool is_shadow_in_the_way = (from->is_directory && !to->is_directory && memory_find(memory, from->path)) ||
                                (to->is_directory && !from->is_directory && memory_find(memory, to->path));
    if (is_shadow_in_the_way)
        return -EEXIST;
    exchange_records(memory, from, to);
    return 0;
}

static int expect_replaceable(struct memory_store *memory, const struct place *from, const struct place *to) {
    if (is_inside(from, to->path))
        return -EINVAL;
    if (!is_there(to))
        return 0;
    if (from->is_directory != to->is_directory)
        return to->is_directory ? -EISDIR : -ENOTDIR;
    return to->is_directory && memory_has_entries(memory, to->directory) ? -ENOTEMPTY : 0;
}

/* Dates order the revisions of a name: what is moved onto one must win over it. */
static void lift(struct memory_store *memory, struct object *object, const struct object *replaced) {
    if (object->id && replaced && object->date_ms <= replaced->date_ms)
        object->date_ms = replaced->date_ms + 1;
    if (memory->last_date_ms < object->date_ms)
        memory->last_date_ms = object->date_ms;
}

static int move(struct memory_store *memory, const struct place *from, const struct place *to) {
    int result = expect_replaceable(memory, from, to);
    if (result)
        return result;
    if (from->is_directory) {
        memory_unplace(memory, to->directory);
        exchange_records(memory, from, to);
        return 0;
    }
    lift(memory, from->object, to->object);
    memory_unplace(memory, from->path);
    memory_place(memory, to->path, from->object);
    return 0;
}

static int rename_locked(struct memory_store *memory, const struct store_rename *rename) {
    struct place from, to;
    look(memory, rename->from.path, &from);
    look(memory, rename->to, &to);
    if (!is_there(&from) || from.is_directory != (rename->from.kind == STORE_DIRECTORY))
        return -ENOENT;
    if (rename->keep_target && (is_there(&to) || memory_is_claimed(memory, to.path)))
        return -EEXIST;
    if (strcmp(from.path, to.path) == 0 || (from.object && from.object == to.object))
        return 0; /* POSIX: nothing happens between links of one file */
    return rename->exchange ? exchange(memory, &from, &to) : move(memory, &from, &to);
}

int memory_rename(struct store *store, const struct store_rename *rename) {
    struct memory_store *memory = memory_of(store);
    CHECK(!rename->exchange || (rename->target && !rename->keep_target));
    pthread_mutex_lock(&memory->mutex);
    int result = rename_locked(memory, rename);
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

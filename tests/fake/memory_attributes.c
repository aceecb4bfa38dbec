// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "tests/fake/memory_changes.h"
#include "tests/fake/memory_records.h"

#define MADE_BY_THE_STORE "user.gridfs."

/* What a change is for; a directory that exists by its files is made. NULL: it has gone. */
static struct object *made(struct memory_store *memory, const struct store_object *object) {
    if (object->kind == STORE_DIRECTORY && memory_is_directory(memory, object->path))
        memory_make_directories(memory, object->path);
    return memory_resolve(memory, object);
}

int memory_set_attributes(struct store *store, const struct store_object *object, const struct attributes *changes,
                          struct revision **ret_revision) {
    struct memory_store *memory = memory_of(store);
    pthread_mutex_lock(&memory->mutex);
    struct object *found = made(memory, object);
    if (found)
        attributes_apply(&found->attributes, changes);
    if (found && found->kind == STORE_FILE)
        *ret_revision = memory_revision(memory, found);
    pthread_mutex_unlock(&memory->mutex);
    return found ? 0 : -ENOENT;
}

/* ---- extended attributes ---- */

static struct store_xattr *xattr_new(const char *name, const void *value, size_t size) {
    size_t name_size = strlen(name) + 1;
    struct store_xattr *xattr = malloc(sizeof *xattr + size + name_size);
    CHECK(xattr);
    char *place = (char *)(xattr + 1);
    if (size)
        memcpy(place, value, size);
    memcpy(place + size, name, name_size);
    *xattr = (struct store_xattr){.size = size, .value = place, .name = place + size};
    return xattr;
}

static struct store_xattr *copies(const struct store_xattr *first) {
    struct store_xattr *copy = NULL, **end = &copy;
    for (; first; first = first->next, end = &(*end)->next)
        *end = xattr_new(first->name, first->value, first->size);
    return copy;
}

void memory_copy_xattrs(struct object *object, const struct object *from) {
    CHECK(!object->xattrs);
    object->xattrs = copies(from->xattrs);
}

void memory_store_record(struct memory_store *memory, const char *path, const char *digits) {
    pthread_mutex_lock(&memory->mutex);
    struct object *object = memory_find(memory, path);
    CHECK(object);
    struct store_xattr *record = xattr_new(MADE_BY_THE_STORE "sha256", digits, strlen(digits));
    record->next = object->xattrs;
    object->xattrs = record;
    pthread_mutex_unlock(&memory->mutex);
}

int memory_xattrs(struct store *store, const struct store_object *object, struct store_xattr **ret_first) {
    struct memory_store *memory = memory_of(store);
    char id[16];
    pthread_mutex_lock(&memory->mutex);
    const struct object *found = memory_resolve(memory, object);
    bool there = found || (object->kind == STORE_DIRECTORY && memory_is_directory(memory, object->path));
    struct store_xattr *first = found ? copies(found->xattrs) : NULL;
    if (found && found->kind == STORE_FILE) {
        int size = snprintf(id, sizeof id, "id-%u", found->id);
        struct store_xattr *made_up = xattr_new(MADE_BY_THE_STORE "id", id, (size_t)size);
        made_up->next = first;
        first = made_up;
    }
    if (there)
        *ret_first = first;
    pthread_mutex_unlock(&memory->mutex);
    return there ? 0 : -ENOENT;
}

int memory_xattrs_of(struct store *store, struct revision *const *revisions, uint32_t count, struct store_xattr **ret_firsts) {
    for (uint32_t i = 0; i < count; i++) {
        ret_firsts[i] = NULL;
        (void)memory_xattrs(store, &(struct store_object){.kind = STORE_FILE, .revision = revisions[i]}, &ret_firsts[i]);
    }
    return 0;
}

static size_t size_of_all(const struct object *object) {
    size_t size = 0;
    for (const struct store_xattr *xattr = object->xattrs; xattr; xattr = xattr->next)
        size += xattr->size + strlen(xattr->name);
    return size;
}

/* `at` is where the xattr of this name is, or the end. */
static int set(struct object *object, struct store_xattr **at, const char *name, const void *value, size_t size,
               enum store_xattr_how how) {
    if (*at && how == STORE_XATTR_CREATE)
        return -EEXIST;
    if (!*at && (how == STORE_XATTR_REPLACE || how == STORE_XATTR_REMOVE))
        return -ENODATA;
    size_t before = size_of_all(object) - (*at ? (*at)->size + strlen(name) : 0);
    if (how != STORE_XATTR_REMOVE && before + size + strlen(name) > MEMORY_XATTRS_MOST)
        return -ENOSPC;
    struct store_xattr *old = *at, *next = old ? old->next : NULL;
    *at = next;
    free(old);
    if (how != STORE_XATTR_REMOVE) {
        *at = xattr_new(name, value, size);
        (*at)->next = next;
    }
    return 0;
}

int memory_set_xattr(struct store *store, const struct store_object *object, const char *name, const void *value,
                     size_t size, enum store_xattr_how how) {
    struct memory_store *memory = memory_of(store);
    if (strncmp(name, MADE_BY_THE_STORE, strlen(MADE_BY_THE_STORE)) == 0)
        return -EPERM;
    int result = -ENOENT;
    pthread_mutex_lock(&memory->mutex);
    struct object *found = made(memory, object);
    if (found) {
        struct store_xattr **at = &found->xattrs;
        while (*at && strcmp((*at)->name, name) != 0)
            at = &(*at)->next;
        result = set(found, at, name, value, size, how);
    }
    pthread_mutex_unlock(&memory->mutex);
    return result;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/rename.h"

#include <errno.h>
#include <string.h>

#include "fs/store/mongo/lease.h"
#include "fs/store/mongo/presence.h"

enum { TRIES = 8 };

static bool is_below(const char *path, const char *directory) {
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

static int rename_once(struct bucket *bucket, const struct store_object *from, const char *to,
                       const struct store_object *target) {
    if (from->kind == STORE_DIRECTORY)
        return rename_directory(bucket, from->path, to);
    bool file = from->kind == STORE_FILE;
    int result = file ? rename_file(bucket, from, to, target) : rename_node(bucket, from, to, target);
    if (result == -ENOENT) /* a further name of a file, or another thing by now */
        result = file ? rename_node(bucket, from, to, target) : rename_file(bucket, from, to, target);
    return result;
}

static int rename_object(struct bucket *bucket, const struct store_object *from, const char *to,
                         const struct store_object *target) {
    int result = -EAGAIN;
    for (int i = 0; result == -EAGAIN && i < TRIES; i++)
        result = rename_once(bucket, from, to, target);
    return result == -EAGAIN ? -EIO : result;
}

/* The claim keeps other mounts from making anything there until this has. */
static int rename_to_free_name(struct bucket *bucket, const struct store_rename *rename) {
    struct store_lease *lease;
    int result = bucket_reserve(&bucket->store, rename->to, &lease);
    if (result)
        return result;
    result = lease_check(bucket, lease);
    if (result == 0)
        result = rename_object(bucket, &rename->from, rename->to, NULL);
    lease_end(bucket, lease);
    return result;
}

int bucket_rename(struct store *store, const struct store_rename *rename) {
    struct bucket *bucket = (struct bucket *)store;
    const char *from = rename->from.path;
    int result = presence_check_path(rename->to);
    if (result)
        return result;
    if (strcmp(from, rename->to) == 0)
        return rename->keep_target ? -EEXIST : 0;
    if (is_below(rename->to, from) || (rename->exchange && is_below(from, rename->to)))
        return -EINVAL;
    if (rename->exchange)
        return rename_exchange(bucket, from, rename->to);
    if (rename->keep_target)
        return rename_to_free_name(bucket, rename);
    return rename_object(bucket, &rename->from, rename->to, rename->target);
}

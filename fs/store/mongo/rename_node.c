// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <string.h>

#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/nodes.h"
#include "fs/store/mongo/remove.h"
#include "fs/store/mongo/rename.h"

/* The identity of what has several names, or NULL. */
static const bson_oid_t *identity_of(const bson_t *document) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, "file") && BSON_ITER_HOLDS_OID(&iter) ? bson_iter_oid(&iter) : NULL;
}

static bool is_link(const bson_t *document) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, "kind") && BSON_ITER_HOLDS_UTF8(&iter) &&
           strcmp(bson_iter_utf8(&iter, NULL), "link") == 0;
}

/* Whether both are names of one thing: then nothing is done, as POSIX has it. */
static int is_same(struct bucket *bucket, const bson_t *document, const char *from, const char *to) {
    const bson_oid_t *identity = identity_of(document), *other;
    struct store_entry entries[2] = {0};
    if (!identity)
        return 0;
    int result = bucket_lookup(&bucket->store, to, NULL, &entries[1]);
    if (result == 0 && (result = bucket_lookup(&bucket->store, from, NULL, &entries[0])) == 0) {
        const struct attributes *there =
            entries[1].revision ? &entries[1].revision->attributes : &entries[1].attributes;
        bool same_kind = !entries[0].revision == !entries[1].revision;
        bool several = there->has & ATTRIBUTES_FILE && there->has & ATTRIBUTES_LINKS && there->links > 1;
        bson_oid_t oid;
        bson_oid_init_from_data(&oid, there->file);
        other = several ? &oid : NULL;
        bool same_content = !entries[0].revision || !entries[1].revision ||
                            revision_same_content(entries[0].revision, entries[1].revision);
        result = other && same_kind && same_content && bson_oid_equal(identity, other);
    }
    store_entry_done(&entries[0]);
    store_entry_done(&entries[1]);
    return result == -ENOENT ? 0 : result;
}

/* A further name is inserted and deleted by those who know them. Where a file is, it is at both names when that goes, so
 * that each shows its old or its new content all the time: also to others, who bury what a file hides. */
static int rename_link(struct bucket *bucket, const struct store_object *object, const char *to,
                       const struct store_object *target) {
    const struct store_object replaced = {.path = to, .ctime_ns = object->ctime_ns};
    if (!target) {
        int result = links_rename(bucket, object, to);
        return result < 0 ? result : 0;
    }
    int result = links_double(bucket, object, to);
    if (result == 0)
        result = remove_file(bucket, &replaced);
    if (result > 0 && remove_may_hide(bucket, to) == 0)
        result = links_double(bucket, object, to);
    if (result >= 0)
        result = links_remove(bucket, object);
    return result < 0 ? result : 0;
}

static bson_t *renamed_now(const bson_t *document, const char *path, int64_t ctime_ns) {
    if (!ctime_ns)
        return nodes_renamed(document, path);
    bson_t *renamed = BCON_NEW("_id", BCON_UTF8(path));
    bson_copy_to_excluding_noinit(document, renamed, "_id", "ctime_ns", NULL);
    BSON_APPEND_INT64(renamed, "ctime_ns", ctime_ns);
    return renamed;
}

/* One that has several names is found by them before and after. */
static int rename_own(struct bucket *bucket, const struct store_object *object, const bson_t *document,
                      const char *to, const struct store_object *target) {
    int result = identity_of(document) ? links_rename(bucket, object, to) : 0;
    if (result < 0)
        return result;
    bson_t *renamed = renamed_now(document, to, object->ctime_ns);
    const struct store_object replaced = {.path = to, .kind = STORE_SYMLINK, .ctime_ns = object->ctime_ns};
    result = target ? links_place(bucket, renamed, &replaced) : nodes_insert(bucket, renamed);
    bson_destroy(renamed);
    if (result == 0 && target && target->kind == STORE_FILE)
        result = remove_file(bucket, &replaced); /* until then it hides the node */
    if (result >= 0)
        result = nodes_delete(bucket, object->path, false);
    return result < 0 ? result : 0;
}

int rename_node(struct bucket *bucket, const struct store_object *from, const char *to,
                const struct store_object *target) {
    const struct store_object object = { /* or any that is no directory */
        .path = from->path, .kind = STORE_SYMLINK, .ctime_ns = from->ctime_ns};
    bson_t *document;
    int result = nodes_read(bucket, object.path, &document);
    if (result)
        return result;
    if (nodes_is_directory(document))
        result = -ENOENT;
    else if (target && (result = remove_rescue(bucket, to)) > 0)
        result = -EAGAIN; /* it may be the file itself by now, and no further name */
    else if (target && result == 0)
        result = is_same(bucket, document, object.path, to);
    if (result == 0 && is_link(document))
        result = rename_link(bucket, &object, to, target);
    else if (result == 0)
        result = rename_own(bucket, &object, document, to, target);
    bson_destroy(document);
    return result < 0 ? result : 0;
}

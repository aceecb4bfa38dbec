// SPDX-License-Identifier: Apache-2.0
#include "tests/store/named.h"

#include <errno.h>
#include <inttypes.h>

void named_put(struct real_store *real, const char *filename, unsigned number, int64_t date_ms, bool own) {
    char id[64], posix[128] = "";
    snprintf(id, sizeof id, "{'$oid': '0123456789abcdef%08x'}", number);
    if (own)
        snprintf(posix, sizeof posix, ", 'metadata': {'posix': {'rev': %s}}", id);
    real_store_insert(real, "files", real_store_json("{'_id': %s, 'filename': '%s', 'length': 0, 'chunkSize': 10,"
                                                     " 'uploadDate': {'$date': {'$numberLong': '%" PRId64 "'}}%s}",
                                                     id, filename, date_ms, posix));
}

void named_node(struct real_store *real, const char *path, const char *kind) {
    real_store_insert(real, "gridmount.nodes",
                      real_store_json("{'_id': '%s', 'kind': '%s', 'target': 't'}", path, kind));
}

int64_t named_files(struct real_store *real, const char *filename) {
    return real_store_count(real, "files", real_store_json("{'filename': '%s'}", filename));
}

int64_t named_nodes(struct real_store *real, const char *path) {
    return real_store_count(real, "gridmount.nodes", real_store_json("{'_id': '%s'}", path));
}

int named_newest(struct real_store *real, const char *path) {
    struct revision *revision;
    int result = real->store->ops->newest(real->store, path, &revision);
    if (result)
        return result;
    bson_t id;
    bson_iter_t iter;
    assert_true(bson_init_static(&id, revision->id, revision->id_size) && bson_iter_init_find(&iter, &id, "_id"));
    const uint8_t *bytes = bson_iter_oid(&iter)->bytes;
    int number = bytes[9] << 16 | bytes[10] << 8 | bytes[11];
    revision_unref(revision);
    return number;
}

struct store *named_other(struct real_store *real, struct bucket **ret_bucket) {
    struct bucket *bucket = real->bucket;
    assert_int_equal(bucket_new(bucket->connection, bucket->uploaders, real->name, &bucket->policy, ret_bucket), 0);
    return &(*ret_bucket)->store;
}

struct store_object named_object(const char *path, enum store_kind kind) {
    return (struct store_object){.path = path, .kind = kind};
}

int named_make(struct store *store, const char *path, enum store_kind kind) {
    char target[] = "t";
    struct store_entry node = {.kind = kind, .target = kind == STORE_SYMLINK ? target : NULL};
    node.attributes = (struct attributes){.has = ATTRIBUTES_MODE, .mode = 0750};
    attributes_new_file(&node.attributes);
    return store->ops->make(store, path, &node);
}

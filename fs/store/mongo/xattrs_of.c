// SPDX-License-Identifier: Apache-2.0
/* The extended attributes of many files by one question. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/id_list.h"
#include "fs/store/mongo/xattr_document.h"

struct many {
    struct store *store;
    struct revision *const *revisions;
    uint32_t count;
    struct store_xattr **firsts;
};

/* All that a files document has of them. */
static int read_all(struct store *store, const bson_t *document, struct store_xattr **ret_first) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    struct xattr_list list = {0};
    bson_iter_t root, array;
    int result = document_revision(document, store, &revision);
    if (result == 0)
        result = xattr_read_file(document, revision, &list);
    if (result == 0 && bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.xattr", &array))
        result = xattr_read_array(&array, &list);
    if (result)
        store_xattrs_free(list.first);
    else
        *ret_first = list.first;
    return result;
}

static int take(void *context, const bson_t *document) {
    struct many *many = context;
    bson_iter_t id;
    stats_add(STAT_documents_fetched, 1);
    uint32_t i = bson_iter_init_find(&id, document, "_id") ? id_list_find(many->revisions, many->count, &id) : many->count;
    if (i == many->count || many->firsts[i])
        return 0;
    return read_all(many->store, document, &many->firsts[i]);
}

int bucket_xattrs_of(struct store *store, struct revision *const *revisions, uint32_t count, struct store_xattr **ret_firsts) {
    struct bucket *bucket = (struct bucket *)store;
    struct many many = {store, revisions, count, ret_firsts};
    CHECK(count > 0 && count <= STORE_XATTRS_MOST);
    memset(ret_firsts, 0, count * sizeof *ret_firsts);
    bson_t filter = BSON_INITIALIZER;
    id_list_match(&filter, "_id", revisions, count);
    bson_t *options = BCON_NEW("batchSize", BCON_INT32((int32_t)count + 1), "projection", "{", "length", BCON_INT32(1),
                               "chunkSize", BCON_INT32(1), "uploadDate", BCON_INT32(1), "contentType", BCON_INT32(1),
                               "metadata", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, &filter, options, take, &many);
    bson_destroy(options);
    bson_destroy(&filter);
    for (uint32_t i = 0; result < 0 && i < count; i++) {
        store_xattrs_free(ret_firsts[i]);
        ret_firsts[i] = NULL;
    }
    return result < 0 ? result : 0;
}

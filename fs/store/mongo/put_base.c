// SPDX-License-Identifier: Apache-2.0
/* What a put replaces: its files document as it is now, or as it was retired, and the name that it has. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/put_private.h"
#include "fs/store/mongo/remove.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/names.h"

static int take_copy(void *context, const bson_t *document) {
    bson_t **copy = context;
    stats_add(STAT_documents_fetched, 1);
    *copy = bson_copy(document);
    return 1;
}

static int find_by_id(struct bucket *bucket, const char *collection, const struct revision *revision,
                      bson_t **ret_document) {
    bson_t id, filter = BSON_INITIALIZER;
    CHECK(bson_init_static(&id, revision->id, revision->id_size));
    bucket_match_id(&filter, "_id", &id);
    bson_t *options = BCON_NEW("limit", BCON_INT64(1));
    int result = bucket_find(bucket, collection, &filter, options, take_copy, ret_document);
    bson_destroy(options);
    bson_destroy(&filter);
    return result < 0 ? result : 0;
}

/* Out of a trash record, the document in it. */
static void unwrap(bson_t **document) {
    bson_t inner, *copy = retire_unwrap(*document, &inner) ? bson_copy(&inner) : NULL;
    bson_destroy(*document);
    *document = copy;
}

/* Whether it is the base's, and not what an application put under the same _id since. */
static bool is_of(struct bucket *bucket, const bson_t *document, const struct revision *base) {
    struct revision *revision = NULL;
    if (!bucket_may_reuse_id(base))
        return true;
    bool same = document_revision(document, &bucket->store, &revision) == 0 && revision_same_content(revision, base);
    revision_unref(revision);
    return same;
}

int put_read_base(struct putting *putting, bson_t **ret_document) {
    const struct revision *base = putting->put->base;
    bson_t *document = NULL;
    int result = find_by_id(putting->bucket, putting->bucket->files, base, &document);
    if (result || (document && !is_of(putting->bucket, document, base))) {
        bson_destroy(document);
        document = NULL;
    }
    if (result == 0)
        *ret_document = document;
    return result;
}

int put_read_own(struct putting *putting, bson_t **ret_document) {
    bson_t *filter = BCON_NEW("_id", BCON_OID(&putting->id)), *options = BCON_NEW("limit", BCON_INT64(1));
    int result = bucket_find(putting->bucket, putting->bucket->files, filter, options, take_copy, ret_document);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : 0;
}

/* Its name may show another file, which came over it under that name: then what it has is one of its others. */
static int rescue_base(struct putting *putting) {
    size_t size = 0;
    const char *name = document_filename(putting->base, &size);
    const struct attributes *attributes = &putting->put->base->attributes;
    if (!name || !(attributes->has & ATTRIBUTES_LINKS) || attributes->links < 2)
        return 0;
    int result = remove_rescue(putting->bucket, name + names_skip_spelling(name, size));
    if (result <= 0)
        return result;
    bson_destroy(putting->base);
    putting->base = NULL;
    return find_by_id(putting->bucket, putting->bucket->files, putting->put->base, &putting->base);
}

static bool read_digest(const bson_t *document, unsigned char digest[32]) {
    const char *digits = document_sha256(document);
    for (int i = 0; digits && i < 32; i++)
        sscanf(digits + 2 * i, "%2hhx", &digest[i]);
    return digits;
}

/* Where nothing is, what is brought back has the fields of others that it had. */
int put_find_restored(struct putting *putting) {
    const struct revision *restored = putting->put->restored;
    bson_t *found = NULL;
    int result = find_by_id(putting->bucket, putting->bucket->files, restored, &found);
    if (result == 0 && !found) {
        result = find_by_id(putting->bucket, putting->bucket->trash, restored, &found);
        if (found)
            unwrap(&found);
    }
    putting->has_sha256 = found && restored->posix == POSIX_OWN && read_digest(found, putting->sha256);
    if (!putting->put->base)
        putting->base = steal_ptr(&found);
    bson_destroy(found);
    return result;
}

int put_find_base(struct putting *putting) {
    const struct revision *base = putting->put->base;
    cleanup_with(revision_unref) struct revision *adopted = NULL;
    if (!base)
        return 0;
    int result = links_adopt(putting->bucket, base, &adopted);
    if (result < 0)
        return result;
    result = put_read_base(putting, &putting->base);
    if (putting->base)
        result = rescue_base(putting);
    putting->base_is_there = putting->base;
    if (result || putting->base)
        return result;
    result = find_by_id(putting->bucket, putting->bucket->trash, base, &putting->base);
    if (putting->base)
        unwrap(&putting->base);
    return result;
}

int put_choose_filename(struct putting *putting) {
    const char *path = putting->put->path;
    size_t size = 0;
    const char *name = putting->base_is_there ? document_filename(putting->base, &size) : NULL;
    if (name && !names_is_path(name, size))
        name = NULL;
    size_t skip = name ? names_skip_spelling(name, size) : 0;
    bool same_path = name && size - skip == strlen(path) && memcmp(name + skip, path, size - skip) == 0;
    putting->filename = name && (putting->put->follow || same_path) ? strndup(name, size) : strdup(path);
    return putting->filename ? 0 : -ENOMEM;
}

int put_look_at_base_again(struct putting *putting) {
    bson_t *before = putting->base;
    char *filename = putting->filename;
    if (!putting->base_is_there || putting->put->content->length <= PUT_SMALL_MOST)
        return 0;
    putting->base = NULL;
    putting->filename = NULL;
    int result = put_find_base(putting);
    if (result == 0)
        result = put_choose_filename(putting);
    if (!putting->filename)
        putting->filename = steal_ptr(&filename);
    if (!putting->base)
        putting->base = steal_ptr(&before);
    free(filename);
    bson_destroy(before);
    put_tell_parts(putting);
    return result;
}

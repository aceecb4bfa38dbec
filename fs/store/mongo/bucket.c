#include "fs/store/mongo/bucket.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/clock.h"

static const struct store_ops bucket_ops = {
    .lookup = bucket_lookup,
    .newest = bucket_newest,
    .by_id = bucket_by_id,
    .survey = bucket_survey,
    .list_open = bucket_list_open,
    .list_next = bucket_list_next,
    .list_close = bucket_list_close,
    .fetch = bucket_fetch,
    .fetch_heads = bucket_fetch_heads,
};

int bucket_new(struct connection *connection, const char *name, int trust_ms, struct bucket **ret_bucket) {
    struct bucket *bucket = calloc(1, sizeof *bucket);
    if (!bucket)
        return -ENOMEM;
    bucket->store.ops = &bucket_ops;
    bucket->store.bucket = strdup(name);
    bucket->store.oddities = oddities_new();
    bucket->connection = connection;
    bucket->trust_ms = trust_ms;
    bool named = asprintf(&bucket->files, "%s.files", name) > 0 && asprintf(&bucket->chunks, "%s.chunks", name) > 0 &&
                 asprintf(&bucket->nodes, "%s.gridmount.nodes", name) > 0;
    if (!named || !bucket->store.bucket || !bucket->store.oddities) {
        bucket_free(bucket);
        return -ENOMEM;
    }
    *ret_bucket = bucket;
    return 0;
}

struct bucket *bucket_free(struct bucket *bucket) {
    if (!bucket)
        return NULL;
    oddities_free(bucket->store.oddities);
    free(bucket->store.bucket);
    free(bucket->files);
    free(bucket->chunks);
    free(bucket->nodes);
    free(bucket);
    return NULL;
}

void bucket_match_id(bson_t *filter, const char *field, const bson_t *id) {
    bson_t equal;
    bson_iter_t value;
    CHECK(bson_iter_init_find(&value, id, "_id"));
    if (!BSON_ITER_HOLDS_DOCUMENT(&value) && !BSON_ITER_HOLDS_REGEX(&value)) {
        bson_append_iter(filter, field, -1, &value); /* not every server has its index serve $eq */
        return;
    }
    bson_append_document_begin(filter, field, -1, &equal);
    bson_append_iter(&equal, "$eq", -1, &value);
    bson_append_document_end(filter, &equal);
}

bool bucket_may_reuse_id(const struct revision *revision) {
    bson_t id;
    bson_iter_t value;
    return !bson_init_static(&id, revision->id, revision->id_size) || !bson_iter_init_find(&value, &id, "_id") ||
           !BSON_ITER_HOLDS_OID(&value);
}

int bucket_find(struct bucket *bucket, const char *collection, const bson_t *filter, const bson_t *options,
                connection_visit *visit, void *context) {
    mongoc_read_prefs_t *primary = mongoc_read_prefs_new(MONGOC_READ_PRIMARY);
    int result = connection_find(bucket->connection, collection, filter, options, primary, visit, context);
    mongoc_read_prefs_destroy(primary);
    return result == -EACCES && collection == bucket->nodes ? 0 : result;
}

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* Whether a name is in [from, until); an error counts as yes, which is always safe. */
static bool has_name(struct bucket *bucket, const char *collection, const char *field, const char *from,
                     const char *until) {
    bson_t *filter = BCON_NEW(field, "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(until), "}");
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    int found = bucket_find(bucket, collection, filter, options, found_one, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return found != 0;
}

static bool believed(struct absence *absence) {
    return clock_now_ms() < atomic_load(&absence->until_ms);
}

static bool note(struct bucket *bucket, struct absence *absence, int64_t asked_ms, bool there) {
    if (!there)
        atomic_store(&absence->until_ms, asked_ms + bucket->trust_ms);
    return there;
}

bool bucket_may_have_spellings(struct bucket *bucket) {
    if (believed(&bucket->spellings))
        return false;
    int64_t now = clock_now_ms();
    return note(bucket, &bucket->spellings, now,
                has_name(bucket, bucket->files, "filename", "/", "0") ||
                    has_name(bucket, bucket->files, "filename", "./", ".0"));
}

bool bucket_may_have_nodes(struct bucket *bucket) {
    if (believed(&bucket->any_nodes))
        return false;
    int64_t now = clock_now_ms(); /* the document "" is only the format */
    return note(bucket, &bucket->any_nodes, now, has_name(bucket, bucket->nodes, "_id", "\x01", "\xF4\x8F\xBF\xBF"));
}

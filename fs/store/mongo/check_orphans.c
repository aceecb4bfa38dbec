// SPDX-License-Identifier: Apache-2.0
/* Chunks without a files document: whose they are, if that can be told. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "cache/base/cleanup.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/check_content.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/value_order.h"

struct asking {
    struct orphans *orphans;
    bool records;  /* of uploads: each stands for many ids */
    unsigned last; /* the one that was met last, which mostly comes again */
    const struct bucket_checks *checks;
};

void orphans_clear(struct orphans *orphans) {
    for (unsigned i = 0; i < orphans->count; i++)
        bson_destroy(orphans->list[i].id);
    orphans->count = 0;
}

bool orphan_is_askable(const bson_iter_t *id) {
    bson_iter_t field;
    if (BSON_ITER_HOLDS_DOCUMENT(id) && bson_iter_recurse(id, &field))
        while (bson_iter_next(&field))
            if (bson_iter_key(&field)[0] == '$')
                return false;
    return !BSON_ITER_HOLDS_REGEX(id);
}

/* The record of the upload that this id would be of. */
static bool record_of(const bson_iter_t *id, bson_oid_t *ret_first) {
    if (!BSON_ITER_HOLDS_OID(id))
        return false;
    *ret_first = *bson_iter_oid(id);
    ret_first->bytes[11] = 0;
    return true;
}

/* {field: {$in: the ids}}; NULL when there is nothing to ask for. */
static bson_t *filter_of(const struct orphans *orphans, const char *field, bool records) {
    bson_t *filter = bson_new(), in, list;
    char key[16];
    uint32_t index = 0;
    bson_append_document_begin(filter, field, -1, &in);
    array_begin(&in, "$in", &list);
    for (unsigned i = 0; i < orphans->count; i++) {
        bson_iter_t id;
        bson_oid_t first;
        if (!bson_iter_init_find(&id, orphans->list[i].id, "_id") || !orphan_is_askable(&id))
            continue;
        snprintf(key, sizeof key, "%u", index);
        if (!records)
            index += document_append(&list, key, &id);
        else if (record_of(&id, &first))
            index += bson_append_oid(&list, key, -1, &first);
    }
    bson_append_array_end(&in, &list);
    bson_append_document_end(filter, &in);
    if (index)
        return filter;
    bson_destroy(filter);
    return NULL;
}

static bool is_meant(const struct asking *asking, const struct orphan *orphan, const bson_iter_t *value) {
    bson_iter_t id;
    bson_oid_t first;
    if (!bson_iter_init_find(&id, orphan->id, "_id"))
        return false;
    if (!asking->records)
        return value_order(&id, value) == 0;
    return record_of(&id, &first) && BSON_ITER_HOLDS_OID(value) && bson_oid_equal(&first, bson_iter_oid(value));
}

static int explain(void *context, const bson_t *document) {
    struct asking *asking = context;
    bson_iter_t id;
    if (!bson_iter_init_find(&id, document, "_id"))
        return 0;
    for (unsigned i = 0; i < asking->orphans->count; i++)
        if (is_meant(asking, &asking->orphans->list[i], &id))
            asking->orphans->list[i].explained = true;
    return 0;
}

/* When it was made, as an ObjectId says. */
static int64_t made_ms(const bson_t *document) {
    bson_iter_t id;
    return bson_iter_init_find(&id, document, "_id") && BSON_ITER_HOLDS_OID(&id)
               ? (int64_t)bson_oid_get_time_t(bson_iter_oid(&id)) * 1000 : INT64_MIN;
}

static void count_chunk(struct orphan *orphan, const bson_t *document) {
    int64_t made = made_ms(document), size = chunk_read(document).size;
    orphan->there = true;
    orphan->chunks++;
    orphan->bytes += size > 0 ? size : 0;
    if (made > orphan->last_ms)
        orphan->last_ms = made;
}

static int take_chunk(void *context, const bson_t *document) {
    struct asking *asking = context;
    struct orphans *orphans = asking->orphans;
    bson_iter_t value;
    bson_t missing = BSON_INITIALIZER;
    if (!bson_iter_init_find(&value, document, "files_id")) {
        BSON_APPEND_NULL(&missing, "files_id");
        bson_iter_init_find(&value, &missing, "files_id");
    }
    for (unsigned tried = 0; tried < orphans->count; tried++) {
        unsigned i = (asking->last + tried) % orphans->count;
        if (!is_meant(asking, &orphans->list[i], &value))
            continue;
        count_chunk(&orphans->list[i], document);
        asking->last = i;
        break;
    }
    bson_destroy(&missing);
    return 0;
}

static int ask(const struct bucket_checks *checks, struct asking *asking, const char *collection, const char *field,
               connection_visit *visit) {
    bson_t *filter = filter_of(asking->orphans, field, asking->records);
    if (!filter)
        return 0;
    bool of_chunks = collection == checks->bucket->chunks;
    bson_t *options = of_chunks ? chunk_options(checks, true) : BCON_NEW("projection", "{", "_id", BCON_INT32(1), "}");
    if (asking->records)
        BCON_APPEND(filter, "kind", "put");
    int result = check_read(checks->bucket, collection, filter, options, visit, asking);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

static int report(const struct orphan *orphan, const struct check_listener *listener) {
    cleanup_free char *text = check_id_text(orphan->id), *detail = NULL;
    char when[64] = "";
    time_t last = (time_t)(orphan->last_ms / 1000);
    struct tm broken;
    if (orphan->last_ms != INT64_MIN && gmtime_r(&last, &broken))
        strftime(when, sizeof when, ", the last of %Y-%m-%d %H:%M UTC", &broken);
    if (!text || asprintf(&detail,
                          "%lld chunk%s without a files document%s: a broken upload, or one under way by another client",
                          (long long)orphan->chunks, orphan->chunks == 1 ? "" : "s", when) < 0)
        return -ENOMEM;
    const struct check_finding finding = {
        .class = CHECK_ORPHANS, .count = 1, .bytes = orphan->bytes, .id = text, .detail = detail};
    listener->found(listener->context, &finding);
    return 0;
}

/* In this order: who publishes or retires something meanwhile has it in the next place before it leaves the last; and whose
 * chunks are gone at the end was being deleted. */
int judge_orphans(const struct bucket_checks *checks, struct orphans *orphans, const struct check_listener *listener) {
    struct bucket *bucket = checks->bucket;
    struct asking asking = {.orphans = orphans, .checks = checks}, of_uploads = {.orphans = orphans, .records = true};
    bool blind = false;
    int result = ask(checks, &of_uploads, bucket->intents, "_id", explain);
    blind |= result == -EACCES;
    if (result == 0 || result == -EACCES)
        result = ask(checks, &asking, bucket->files, "_id", explain);
    if (result == 0)
        result = ask(checks, &asking, bucket->trash, "_id", explain);
    blind |= result == -EACCES;
    if (result == 0 || result == -EACCES)
        result = ask(checks, &asking, bucket->chunks, "files_id", take_chunk);
    for (unsigned i = 0; result == 0 && i < orphans->count; i++) {
        const struct orphan *orphan = &orphans->list[i];
        if (orphan->explained || !orphan->there)
            continue;
        orphans->unjudged += blind;
        orphans->unjudged_bytes += blind ? orphan->bytes : 0;
        result = blind ? 0 : report(orphan, listener);
    }
    orphans_clear(orphans);
    return result;
}

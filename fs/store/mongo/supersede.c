// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/supersede.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/names.h"

enum { RETIRED_MOST = 256 }; /* by one put; the next goes on */

struct old {
    bson_t *document;
    int64_t date_ms;
    bool is_base;
};

struct others {
    struct bucket *bucket;
    const struct revision *own, *base;
    const char *filename; /* of own */
    int64_t date_needed;
    int64_t spelling_date;
    char *spelling; /* of the newest that is spelled otherwise */
    bool same_spelling, own_seen, base_seen;
    struct old old[RETIRED_MOST];
    uint32_t count;
};

struct others *others_free(struct others *others) {
    if (!others)
        return NULL;
    for (uint32_t i = 0; i < others->count; i++)
        bson_destroy(others->old[i].document);
    free(others->spelling);
    free(others);
    return NULL;
}

static bool same_id(const struct revision *one, const struct revision *other) {
    return one->id_size == other->id_size && memcmp(one->id, other->id, one->id_size) == 0;
}

static int note_spelling(struct others *others, const bson_t *document, const struct revision *revision) {
    size_t size = 0;
    const char *name = document_filename(document, &size);
    if (!name)
        return 0;
    if (names_skip_spelling(name, size)) /* so there are spellings after all */
        bucket_note_spelling(others->bucket);
    if (strlen(others->filename) == size && memcmp(others->filename, name, size) == 0) {
        others->same_spelling = true;
    } else if (!others->spelling || revision->date_ms > others->spelling_date) {
        free(others->spelling);
        others->spelling = strndup(name, size);
        others->spelling_date = revision->date_ms;
        return others->spelling ? 0 : -ENOMEM;
    }
    return 0;
}

static bool is_older(const struct revision *revision, const struct revision *own) {
    return revision->date_ms < own->date_ms ||
           (revision->date_ms == own->date_ms && document_compare_ids(revision, own) < 0);
}

static bool is_replaced(const struct others *others, const struct revision *revision) {
    switch (others->bucket->policy.revisions) {
    case SERVER_REVISIONS_OWN:
        return revision->posix == POSIX_OWN;
    case SERVER_REVISIONS_REPLACE:
        return revision->posix == POSIX_OWN || (others->base && same_id(revision, others->base));
    case SERVER_REVISIONS_KEEP:
        break;
    }
    return false;
}

/* What has further names that are not ours stays for them: see links_rescue(). */
static bool is_lost(const struct others *others, const struct revision *revision) {
    const struct attributes *own = &others->own->attributes, *other = &revision->attributes;
    return own->has & other->has & ATTRIBUTES_FILE && other->has & ATTRIBUTES_LINKS && other->links > 1 &&
           memcmp(own->file, other->file, sizeof own->file) != 0;
}

static int take_other(void *context, const bson_t *document) {
    struct others *others = context;
    cleanup_with(revision_unref) struct revision *revision = NULL;
    stats_add(STAT_documents_fetched, 1);
    int result = document_revision(document, &others->bucket->store, &revision);
    if (result)
        return result == -EINVAL ? 0 : result;
    if (same_id(revision, others->own)) {
        others->own_seen = true;
        return 0;
    }
    bool is_base = others->base && same_id(revision, others->base);
    others->base_seen |= is_base;
    result = note_spelling(others, document, revision);
    if (revision->date_ms >= others->date_needed && revision->date_ms < INT64_MAX)
        others->date_needed = revision->date_ms + 1;
    bool retired = is_older(revision, others->own) && is_replaced(others, revision) && !is_lost(others, revision);
    if (result || !retired || others->count == RETIRED_MOST)
        return result;
    others->old[others->count++] = (struct old){bson_copy(document), revision->date_ms, is_base};
    return 0;
}

static int find_in_spellings(struct others *others, const char *path) {
    cleanup_free char *slashed = NULL, *dotted = NULL;
    if (asprintf(&slashed, "/%s", path) < 0 || asprintf(&dotted, "./%s", path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("filename", "{", "$in", "[", BCON_UTF8(path), BCON_UTF8(slashed), BCON_UTF8(dotted), "]",
                              "}");
    bool whole = others->bucket->policy.revisions != SERVER_REVISIONS_KEEP; /* what is retired is kept as it was */
    bson_t *options = whole ? bson_new() : BCON_NEW(DOCUMENT_FILE_FIELDS);
    int result = bucket_find(others->bucket, others->bucket->files, filter, options, take_other, others);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

static int compare_dates(const void *one, const void *other) {
    int64_t dates[2] = {((const struct old *)one)->date_ms, ((const struct old *)other)->date_ms};
    return dates[0] < dates[1] ? -1 : dates[0] > dates[1];
}

int others_find(struct bucket *bucket, const struct revision *own, const char *filename, const struct revision *base,
                struct others **ret_others) {
    cleanup_with(others_free) struct others *others = calloc(1, sizeof *others);
    if (!others)
        return -ENOMEM;
    others->bucket = bucket;
    others->own = own;
    others->base = base;
    others->filename = filename;
    others->date_needed = own->date_ms;
    int result = find_in_spellings(others, filename + names_skip_spelling(filename, strlen(filename)));
    if (result)
        return result;
    qsort(others->old, others->count, sizeof *others->old, compare_dates);
    *ret_others = steal_ptr(&others);
    return 0;
}

int64_t others_date_needed(const struct others *others) {
    return others->date_needed;
}

const char *others_spelling(const struct others *others) {
    return others->same_spelling ? NULL : others->spelling;
}

bool others_have_own(const struct others *others) {
    return others->own_seen;
}

bool others_have_base(const struct others *others) {
    return others->base_seen;
}

bool others_retire(struct bucket *bucket, const struct others *others, bool only_base) {
    int result = 0;
    bool all = true;
    for (uint32_t i = 0; result == 0 && i < others->count; i++) {
        bool went = true;
        if (only_base && !others->old[i].is_base)
            continue;
        result = retire_document(bucket, others->old[i].document, &went);
        all = all && went;
        if (result == 0)
            stats_add(STAT_revisions_retired, 1);
    }
    if (result)
        log_warning("an older revision of '%s' in bucket %s stays: %s", others->filename, bucket->store.bucket,
                    strerror(-result));
    return all;
}

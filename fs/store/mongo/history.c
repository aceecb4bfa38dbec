// SPDX-License-Identifier: Apache-2.0
/* All revisions of a name: those among the files, and those that were retired. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/identity.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/mongo/retire.h"
#include "fs/store/names.h"

enum { LISTED_ID_MOST = 1024 }; /* bytes */

struct history {
    struct bucket *bucket;
    bool all; /* not only one by its _id */
    bool retired; /* what is taken is */
    uint32_t most;
    struct store_past *list;
    uint32_t count, room, found; /* found: among the files */
};

/* A server may have put it back among the files meanwhile, or not have got so far as to take it out of there. */
static bool is_known(const struct history *history, const struct revision *revision) {
    for (uint32_t i = 0; i < history->found; i++) {
        const struct revision *other = history->list[i].revision;
        if (other->id_size == revision->id_size && memcmp(other->id, revision->id, other->id_size) == 0)
            return true;
    }
    return false;
}

/* `record`: of the trash, or NULL. */
static bool fill(struct store_past *past, const bson_t *document, const bson_t *record) {
    const char *digits = past->revision->posix == POSIX_OWN ? document_sha256(document) : NULL;
    bson_iter_t due;
    past->retired = record;
    past->due_ms = record && bson_iter_init_find(&due, record, "due") && BSON_ITER_HOLDS_DATE_TIME(&due)
                       ? bson_iter_date_time(&due) : INT64_MIN;
    past->id = identity_text(past->revision);
    past->sha256 = digits ? strdup(digits) : NULL;
    return past->id && (past->sha256 || !digits);
}

static int add(struct history *history, struct store_past *past) {
    if (history->count == history->room) {
        uint32_t room = history->room ? 2 * history->room : 16;
        struct store_past *list = realloc(history->list, room * sizeof *list);
        if (!list)
            return -ENOMEM;
        history->list = list;
        history->room = room;
    }
    history->list[history->count++] = *past;
    *past = (struct store_past){0};
    return 0;
}

/* Of a list, what takes much room is left out: holes, for nobody reads, and whole revisions whose _id no name can have. */
static bool trim(const struct history *history, struct revision *revision) {
    if (!history->all)
        return true;
    free(revision->holes);
    revision->holes = NULL;
    revision->hole_count = 0;
    return revision->id_size <= LISTED_ID_MOST;
}

static int take(void *context, const bson_t *found) {
    struct history *history = context;
    struct store_past past = {0};
    bson_t inner;
    size_t size;
    stats_add(STAT_documents_fetched, 1);
    if (history->retired && !retire_unwrap(found, &inner))
        return 0;
    const bson_t *document = history->retired ? &inner : found;
    const char *name = document_filename(document, &size);
    if (!name) /* an array with the name in it */
        return 0;
    if (!history->retired && names_skip_spelling(name, size)) /* so there are spellings after all */
        bucket_note_spelling(history->bucket);
    int result = document_revision(document, &history->bucket->store, &past.revision);
    if (result || !trim(history, past.revision) || (history->retired && is_known(history, past.revision)))
        result = result == -EINVAL ? 0 : result;
    else
        result = fill(&past, document, history->retired ? found : NULL) ? add(history, &past) : -ENOMEM;
    store_past_done(&past);
    return result;
}

/* Servers may order what has no date above real dates, and what has the same in any order. */
static int compare(const void *one, const void *other) {
    const struct store_past *first = one, *second = other;
    if (first->retired != second->retired)
        return first->retired ? 1 : -1;
    return document_is_newer(second->revision, first->revision) ? 1 : document_is_newer(first->revision, second->revision) ? -1 : 0;
}

/* `id`: {_id: value}, or NULL. By the date alone, so that the index of names and dates gives the newest first, however many
 * there are. */
static int find(struct history *history, const bson_t *names, const bson_t *id) {
    struct bucket *bucket = history->bucket;
    bool retired = history->retired;
    bson_t filter = BSON_INITIALIZER, *options;
    options = retired ? BCON_NEW("projection", "{", DOCUMENT_FIELDS_BELOW("document."), "document.metadata.sha256",
                                 BCON_INT32(1), "due", BCON_INT32(1), "}")
                      : BCON_NEW("projection", "{", DOCUMENT_FIELDS_BELOW(""), "metadata.sha256", BCON_INT32(1), "}");
    BSON_APPEND_INT64(options, "limit", history->most);
    BCON_APPEND(&filter, retired ? "document.filename" : "filename", "{", "$in", BCON_ARRAY(names), "}");
    if (id)
        bucket_match_id(&filter, "_id", id);
    else
        BCON_APPEND(options, "sort", "{", retired ? "document.uploadDate" : "uploadDate", BCON_INT32(-1), "}");
    int result = bucket_find(bucket, retired ? bucket->trash : bucket->files, &filter, options, take, history);
    bson_destroy(options);
    bson_destroy(&filter);
    return result;
}

/* Where no file has the name, it may be a further one of another. */
static int find_by_link(struct history *history, const char *path, bson_t *names, unsigned *index, const bson_t *id) {
    struct document_link link;
    int result = links_at(history->bucket, path, &link);
    if (result <= 0)
        return result;
    result = 0;
    if (!link.node) {
        presence_append_spellings(names, link.at + names_skip_spelling(link.at, strlen(link.at)), index);
        result = find(history, names, id);
    }
    document_link_done(&link);
    return result;
}

static int find_all(struct history *history, const char *path, const bson_t *id) {
    bson_t names = BSON_INITIALIZER;
    unsigned index = 0;
    presence_append_spellings(&names, path, &index);
    int result = find(history, &names, id);
    if (result == 0 && history->count == 0)
        result = find_by_link(history, path, &names, &index, id);
    history->found = history->count;
    history->retired = true;
    if (result == 0 && (!id || history->count == 0))
        result = find(history, &names, id);
    bson_destroy(&names);
    return result;
}

int bucket_history(struct store *store, const char *path, const char *id, uint32_t most, struct store_past **ret_list,
                   uint32_t *ret_count) {
    struct history history = {.bucket = (struct bucket *)store, .all = !id, .most = most};
    bson_t value = BSON_INITIALIZER;
    int result = id ? identity_parse(id, &value) : 0;
    if (result == 0 && bson_utf8_validate(path, strlen(path), false)) /* else no name is that */
        result = find_all(&history, path, id ? &value : NULL);
    bson_destroy(&value);
    if (result) {
        store_pasts_free(history.list, history.count);
        return result;
    }
    if (history.count)
        qsort(history.list, history.count, sizeof *history.list, compare);
    *ret_list = history.list;
    *ret_count = history.count;
    return 0;
}

/* ---- what was there ---- */

static int found_one(void *context, const bson_t *document) {
    (void)context, (void)document;
    stats_add(STAT_documents_fetched, 1);
    return 1;
}

/* Appends {"document.filename": from `first` to before `end`}, both with this spelling. */
static bool append_range(bson_t *choices, unsigned index, const char *spelling, const char *path) {
    cleanup_free char *first = NULL, *end = NULL;
    char key[16];
    if (asprintf(&first, "%s%s/", spelling, path) < 0 || asprintf(&end, "%s%s0", spelling, path) < 0)
        return false;
    snprintf(key, sizeof key, "%u", index);
    BCON_APPEND(choices, key, "{", "document.filename", "{", "$gte", BCON_UTF8(first), "$lt", BCON_UTF8(end), "}", "}");
    return true;
}

int bucket_is_retired(struct store *store, const char *path) {
    struct bucket *bucket = (struct bucket *)store;
    bson_t names = BSON_INITIALIZER, choices = BSON_INITIALIZER, filter = BSON_INITIALIZER;
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    unsigned index = 0;
    bool made = true;
    presence_append_spellings(&names, path, &index);
    BCON_APPEND(&choices, "0", "{", "document.filename", "{", "$in", BCON_ARRAY(&names), "}", "}");
    for (unsigned i = 0; made && i < NAMES_SPELLINGS; i++)
        made = append_range(&choices, i + 1, names_spellings[i], path);
    BSON_APPEND_ARRAY(&filter, "$or", &choices);
    int result = made ? bucket_find(bucket, bucket->trash, &filter, options, found_one, NULL) : -ENOMEM;
    bson_destroy(options);
    bson_destroy(&filter);
    bson_destroy(&choices);
    bson_destroy(&names);
    return result;
}

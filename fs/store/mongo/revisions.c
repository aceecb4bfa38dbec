// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/revisions.h"

#include <errno.h>
#include <string.h>

#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/names.h"

struct finding {
    struct bucket *bucket;
    const char *other;
    struct revisions *revisions;
    uint32_t seen;
};

struct revisions *revisions_free(struct revisions *revisions) {
    if (!revisions)
        return NULL;
    for (uint32_t i = 0; i < revisions->count; i++) {
        revision_unref(revisions->list[i].revision);
        bson_destroy(revisions->list[i].document);
        free(revisions->list[i].filename);
    }
    free(revisions);
    return NULL;
}

static int take(void *context, const bson_t *document) {
    struct finding *finding = context;
    struct revisions *revisions = finding->revisions;
    size_t size = 0;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    finding->seen++;
    if (!name)
        return 0; /* an array with the name in it */
    struct found_revision found = {.filename = strndup(name, size)};
    if (!found.filename)
        return -ENOMEM;
    size_t spelling = names_skip_spelling(name, size);
    if (spelling) /* so there are spellings after all */
        bucket_note_spelling(finding->bucket);
    found.of_other = finding->other && strcmp(found.filename + spelling, finding->other) == 0;
    int result = document_revision(document, &finding->bucket->store, &found.revision);
    if (result) {
        free(found.filename);
        return result == -EINVAL ? 0 : result;
    }
    found.document = bson_copy(document);
    revisions->list[revisions->count++] = found;
    return 0;
}

int revisions_find(struct bucket *bucket, const char *path, const char *other, int order,
                   struct revisions **ret_revisions) {
    cleanup_with(revisions_free) struct revisions *revisions = calloc(1, sizeof *revisions);
    if (!revisions)
        return -ENOMEM;
    struct finding finding = {.bucket = bucket, .other = other, .revisions = revisions};
    bson_t names = BSON_INITIALIZER;
    unsigned index = 0;
    presence_append_spellings(&names, path, &index);
    if (other)
        presence_append_spellings(&names, other, &index);
    bson_t *filter = BCON_NEW("filename", "{", "$in", BCON_ARRAY(&names), "}");
    bson_t *options = BCON_NEW("sort", "{", "uploadDate", BCON_INT32(order), "_id", BCON_INT32(order), "}", "limit",
                               BCON_INT64(REVISIONS_MOST));
    int result = bucket_find(bucket, bucket->files, filter, options, take, &finding);
    bson_destroy(options);
    bson_destroy(filter);
    bson_destroy(&names);
    if (result)
        return result;
    revisions->more = finding.seen == REVISIONS_MOST;
    *ret_revisions = steal_ptr(&revisions);
    return 0;
}

const struct found_revision *revisions_newest(const struct revisions *revisions, bool of_other) {
    const struct found_revision *newest = NULL;
    for (uint32_t i = 0; i < revisions->count; i++) {
        const struct found_revision *each = &revisions->list[i];
        if (each->of_other == of_other && (!newest || document_is_newer(each->revision, newest->revision)))
            newest = each;
    }
    return newest;
}

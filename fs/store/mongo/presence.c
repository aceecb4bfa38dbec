// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/presence.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/glance.h"
#include "fs/store/mongo/links.h"
#include "fs/store/names.h"

enum { PATH_MOST = 16 * 1024 }; /* bytes, past what any system call takes */

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* 1 when something matches. Takes the filter. */
static int has_any(struct bucket *bucket, const char *collection, bson_t *filter) {
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, collection, filter, options, found_one, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

bson_t *presence_spellings(const char *path) {
    cleanup_free char *slashed = NULL, *dotted = NULL;
    if (asprintf(&slashed, "/%s", path) < 0 || asprintf(&dotted, "./%s", path) < 0)
        return NULL;
    return BCON_NEW("filename", "{", "$in", "[", BCON_UTF8(path), BCON_UTF8(slashed), BCON_UTF8(dotted), "]", "}");
}

void presence_append_spellings(bson_t *names, const char *path, unsigned *index) {
    for (unsigned i = 0; i < NAMES_SPELLINGS; i++) {
        cleanup_free char *name = NULL;
        char text[16];
        const char *key;
        size_t size = bson_uint32_to_string((*index)++, &key, text, sizeof text);
        if (asprintf(&name, "%s%s", names_spellings[i], path) > 0)
            bson_append_utf8(names, key, (int)size, name, -1);
    }
}

int presence_check_path(const char *path) {
    size_t size = strlen(path);
    if (size <= PATH_MOST && bson_utf8_validate(path, size, false) && names_skip_spelling(path, size) == 0 &&
        names_is_path(path, size))
        return 0;
    log_warning("'%.100s' cannot be a name in GridFS", path);
    return -EINVAL;
}

/* ---- a file ---- */

struct files_at {
    const char *path;
    size_t size;
    unsigned seen;
};

static int take_glance(void *context, const bson_t *document) {
    struct files_at *glance = context;
    size_t size = 0;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    glance->seen++;
    return name && size >= glance->size && memcmp(name, glance->path, glance->size) == 0 &&
           (size == glance->size || name[glance->size] == '/');
}

/* Descending from below "path0": what lies below, then names like "path.txt", then the path itself. */
static int glance_at(struct bucket *bucket, struct files_at *glance) {
    cleanup_free char *until = NULL;
    if (asprintf(&until, "%s0", glance->path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("filename", "{", "$gte", BCON_UTF8(glance->path), "$lt", BCON_UTF8(until), "}");
    bson_t *options = BCON_NEW("sort", "{", "filename", BCON_INT32(-1), "}", "limit", BCON_INT64(GLANCE),
                               "singleBatch", BCON_BOOL(true), "projection", "{", "filename", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, filter, options, take_glance, glance);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

int presence_of_file(struct bucket *bucket, const char *path) {
    struct files_at glance = {.path = path, .size = strlen(path)};
    int result = glance_at(bucket, &glance);
    if (result || (glance.seen < GLANCE && !bucket_may_have_spellings(bucket)))
        return result;
    bson_t *filter = presence_spellings(path);
    return filter ? has_any(bucket, bucket->files, filter) : -ENOMEM;
}

/* ---- a node, and what lies below ---- */

static int presence_of_node(struct bucket *bucket, const char *path) {
    int result = has_any(bucket, bucket->nodes, BCON_NEW("_id", BCON_UTF8(path)));
    if (result > 0) {
        int buried = links_bury(bucket, path);
        result = buried < 0 ? buried : !buried;
    }
    return result;
}

/* Whether a file, and whether a node, by the answer about both. */
static int judge(struct bucket *bucket, const char *path, const struct glance *files,
                 const struct node_glance *nodes) {
    int result = files->revision || files->witness;
    if (result == 0 && (files->unsure || bucket_may_have_spellings(bucket))) {
        bson_t *filter = presence_spellings(path);
        result = filter ? has_any(bucket, bucket->files, filter) : -ENOMEM;
    }
    if (result == 0 && nodes->link.at) {
        int buried = links_bury(bucket, path);
        result = buried < 0 ? buried : !buried;
    }
    return result ? result : nodes->below || (nodes->here && !nodes->link.at);
}

int presence_of_any(struct bucket *bucket, const char *path) {
    struct store_entry node = {0};
    struct glance files = {0};
    struct node_glance nodes = {.path = path, .size = strlen(path), .entry = &node};
    int result = glance_both(bucket, path, &files, &nodes);
    if (result == 0) {
        result = judge(bucket, path, &files, &nodes);
    } else if (result > 0) {
        result = presence_of_file(bucket, path);
        if (result == 0)
            result = presence_of_node(bucket, path);
    }
    revision_unref(files.revision);
    free(files.witness);
    document_link_done(&nodes.link);
    store_entry_done(&node);
    return result;
}

static int has_below(struct bucket *bucket, const char *collection, const char *field, const char *spelling,
                     const char *path) {
    cleanup_free char *from = NULL, *until = NULL;
    if (asprintf(&from, "%s%s/", spelling, path) < 0 || asprintf(&until, "%s%s0", spelling, path) < 0)
        return -ENOMEM;
    return has_any(bucket, collection, BCON_NEW(field, "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(until), "}"));
}

int presence_below(struct bucket *bucket, const char *path) {
    int result = 0;
    for (unsigned i = 0; result == 0 && i < NAMES_SPELLINGS; i++) /* nothing is believed of what is to be removed */
        result = has_below(bucket, bucket->files, "filename", names_spellings[i], path);
    if (result == 0)
        result = has_below(bucket, bucket->nodes, "_id", "", path);
    else
        return result;
    if (result > 0) {
        result = links_bury_below(bucket, path);
        if (result == 0)
            result = has_below(bucket, bucket->nodes, "_id", "", path);
    }
    return result;
}

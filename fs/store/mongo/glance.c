// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/glance.h"

#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "cache/base/stats.h"

enum { TRY_AGAIN_MS = 5 * 60 * 1000 };

/* ---- files ---- */

struct looking {
    struct bucket *bucket;
    const char *path;
    size_t size;
    bool sorted; /* as the header says; else in no order */
    bool whole; /* documents were asked for as they are */
    bool ended; /* what follows says no more */
    unsigned seen;
    unsigned revisions; /* of the very name */
    bson_t *document;   /* of the first */
    struct glance found;
};

static int take_revision(struct looking *looking, const bson_t *document) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    struct glance *found = &looking->found;
    int result = document_revision(document, &looking->bucket->store, &revision);
    if (result)
        return result == -EINVAL ? 0 : result;
    if (looking->revisions++ == 0) {
        found->unsure |= looking->sorted && revision->date_ms == INT64_MIN; /* a server may order it above real dates */
        found->revision = steal_ptr(&revision);
        looking->document = looking->whole ? bson_copy(document) : NULL;
    } else if (!looking->sorted) {
        if (document_is_newer(revision, found->revision)) {
            revision_unref(found->revision);
            found->revision = steal_ptr(&revision);
        }
    } else if (revision->date_ms >= found->revision->date_ms) {
        found->unsure = true; /* a tie, which the _id decides */
    } else {
        return 1;
    }
    return 0;
}

static int take_file(void *context, const bson_t *document) {
    struct looking *looking = context;
    size_t size = 0;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    looking->seen++;
    if (looking->whole)
        recents_measure(&looking->bucket->recents, document);
    if (!name || size < looking->size || memcmp(name, looking->path, looking->size) != 0)
        return 0;
    if (size == looking->size)
        return take_revision(looking, document);
    if (name[looking->size] != '/')
        return 0;
    looking->found.witness = strndup(name, size);
    return looking->found.witness ? 1 : -ENOMEM;
}

/* `result`: of the question. */
static int end_looking(struct looking *looking, int result, struct glance *ret_glance) {
    struct glance *found = &looking->found;
    if (result < 0) {
        bson_destroy(looking->document);
        revision_unref(found->revision);
        free(found->witness);
        return result;
    }
    found->unsure |= !looking->ended && looking->seen == GLANCE; /* it may have gone on */
    bool only = looking->revisions == 1 && !found->unsure && !found->witness;
    if (!only)
        bson_destroy(looking->document);
    recents_note(&looking->bucket->recents, looking->path, only ? looking->document : NULL);
    *ret_glance = *found;
    return 0;
}

static int look_once(struct bucket *bucket, const char *path, bool sorted, struct glance *ret_glance) {
    struct looking looking = {.bucket = bucket,
                              .path = path,
                              .size = strlen(path),
                              .sorted = sorted,
                              .whole = recents_whole(&bucket->recents)};
    cleanup_free char *until = NULL;
    if (asprintf(&until, "%s0", path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("filename", "{", "$gte", BCON_UTF8(path), "$lt", BCON_UTF8(until), "}");
    bson_t *options = looking.whole ? bson_new() : BCON_NEW(DOCUMENT_FILE_FIELDS);
    BCON_APPEND(options, "limit", BCON_INT64(GLANCE));
    if (sorted)
        BCON_APPEND(options, "sort", "{", "filename", BCON_INT32(-1), "uploadDate", BCON_INT32(-1), "}");
    int result = bucket_find(bucket, bucket->files, filter, options, take_file, &looking);
    bson_destroy(options);
    bson_destroy(filter);
    looking.ended = result > 0;
    return end_looking(&looking, result, ret_glance);
}

static int look_in_order(struct bucket *bucket, const char *path, struct glance *glance) {
    glance->revision = revision_unref(glance->revision);
    return look_once(bucket, path, true, glance);
}

int glance_files(struct bucket *bucket, const char *path, struct glance *ret_glance) {
    struct glance glance;
    int result = look_once(bucket, path, false, &glance);
    if (result == 0 && glance.unsure)
        result = look_in_order(bucket, path, &glance);
    if (result == 0)
        *ret_glance = glance;
    return result;
}

/* ---- nodes ---- */

static int take_node(void *context, const bson_t *document) {
    struct node_glance *glance = context;
    bson_iter_t id;
    stats_add(STAT_documents_fetched, 1);
    glance->seen++;
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return 0;
    const char *name = bson_iter_utf8(&id, NULL);
    if (strncmp(name, glance->path, glance->size) != 0)
        return 0;
    glance->below |= name[glance->size] == '/';
    if (name[glance->size])
        return glance->below; /* now only the node itself matters, which is asked for by its name */
    int result = document_node(document, glance->entry);
    if (result == -EINVAL)
        result = document_link(document, &glance->link);
    glance->here = result == 0;
    return result == 0 ? 1 : result == -EINVAL ? 0 : result;
}

static int ask_node(struct bucket *bucket, const bson_t *filter, struct node_glance *glance) {
    bson_t *options = BCON_NEW("sort", "{", "_id", BCON_INT32(-1), "}", "limit", BCON_INT64(GLANCE));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_node, glance);
    bson_destroy(options);
    return result < 0 ? result : 0;
}

int glance_node(struct bucket *bucket, struct node_glance *glance) {
    bson_t *filter = BCON_NEW("_id", BCON_UTF8(glance->path));
    int result = ask_node(bucket, filter, glance);
    bson_destroy(filter);
    return result;
}

/* The node itself comes last, and may not have been reached. */
static int ask_for_the_last(struct bucket *bucket, struct node_glance *glance) {
    return !glance->here && (glance->below || glance->seen == GLANCE) ? glance_node(bucket, glance) : 0;
}

int glance_nodes(struct bucket *bucket, struct node_glance *glance) {
    cleanup_free char *until = NULL;
    if (asprintf(&until, "%s0", glance->path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(glance->path), "$lt", BCON_UTF8(until), "}");
    int result = ask_node(bucket, filter, glance);
    bson_destroy(filter);
    return result ? result : ask_for_the_last(bucket, glance);
}

int glance_below(struct bucket *bucket, const char *path) {
    cleanup_free char *from = NULL;
    struct node_glance glance = {0};
    if (asprintf(&from, "%s/", path) < 0)
        return -ENOMEM;
    glance.path = from;
    glance.size = strlen(path); /* so that its "/" shows that it is below */
    cleanup_free char *until = NULL;
    if (asprintf(&until, "%s0", path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("_id", "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(until), "}");
    int result = ask_node(bucket, filter, &glance);
    bson_destroy(filter);
    return result ? result : glance.below;
}

/* ---- both ---- */

struct both {
    struct looking files;
    struct node_glance *nodes;
};

/* Files come first and as they are; {node: document} is a node. */
static int take_either(void *context, const bson_t *document) {
    struct both *both = context;
    bson_iter_t iter;
    bson_t node;
    uint32_t size;
    const uint8_t *bytes;
    if (bson_iter_init_find(&iter, document, "_id")) {
        int result = both->files.ended ? 0 : take_file(&both->files, document);
        both->files.ended |= result > 0;
        return result < 0 ? result : 0;
    }
    if (!bson_iter_init_find(&iter, document, "node") || !BSON_ITER_HOLDS_DOCUMENT(&iter))
        return 0;
    bson_iter_document(&iter, &size, &bytes);
    return bson_init_static(&node, bytes, size) ? take_node(both->nodes, &node) : 0;
}

static bson_t *pipeline_of(const struct bucket *bucket, const char *path, const char *until) {
    bson_t *of_nodes = BCON_NEW(
        "0", "{", "$match", "{", "_id", "{", "$gte", BCON_UTF8(path), "$lt", BCON_UTF8(until), "}", "}", "}",
        "1", "{", "$sort", "{", "_id", BCON_INT32(-1), "}", "}", "2", "{", "$limit", BCON_INT64(GLANCE), "}",
        "3", "{", "$project", "{", "_id", BCON_INT32(0), "node", "$$ROOT", "}", "}");
    bson_t *pipeline = BCON_NEW(
        "0", "{", "$match", "{", "filename", "{", "$gte", BCON_UTF8(path), "$lt", BCON_UTF8(until), "}", "}", "}",
        "1", "{", "$limit", BCON_INT64(GLANCE), "}",
        "2", "{", "$unionWith", "{", "coll", BCON_UTF8(bucket->nodes), "pipeline", BCON_ARRAY(of_nodes), "}", "}");
    bson_destroy(of_nodes);
    return pipeline;
}

int glance_both(struct bucket *bucket, const char *path, struct glance *ret_files, struct node_glance *nodes) {
    struct both both = {.files = {.bucket = bucket, .path = path, .size = strlen(path), .whole = true}, .nodes = nodes};
    cleanup_free char *until = NULL;
    if (!recents_whole(&bucket->recents) || clock_now_ms() < atomic_load(&bucket->unions_refused_until_ms))
        return 1;
    if (asprintf(&until, "%s0", path) < 0)
        return -ENOMEM;
    bson_t *pipeline = pipeline_of(bucket, path, until);
    int result = connection_aggregate(bucket->connection, bucket->files, pipeline, take_either, &both);
    bson_destroy(pipeline);
    struct glance found;
    bool refused = result == -EOPNOTSUPP;
    result = end_looking(&both.files, result, &found);
    if (refused) {
        atomic_store(&bucket->unions_refused_until_ms, clock_now_ms() + TRY_AGAIN_MS);
        return 1;
    }
    if (result)
        return result;
    result = found.unsure ? look_in_order(bucket, path, &found) : 0;
    if (result)
        return result;
    result = ask_for_the_last(bucket, nodes);
    if (result) {
        revision_unref(found.revision);
        free(found.witness);
        return result;
    }
    *ret_files = found;
    return 0;
}

// SPDX-License-Identifier: Apache-2.0
/* What is at a path: one question for most files, and one more for each thing that could make the answer another. */
#include <errno.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "cache/base/stats.h"
#include "fs/store/mongo/bucket.h"
#include "fs/store/mongo/document.h"
#include "fs/store/mongo/glance.h"
#include "fs/store/mongo/identity.h"
#include "fs/store/mongo/links.h"
#include "fs/store/mongo/watch.h"
#include "fs/store/names.h"

/* ---- the newest revision of a name: what open() asks ---- */

struct newest {
    struct bucket *bucket;
    bool whole;
    struct revision *revision;
};

static int take_newest(void *context, const bson_t *document) {
    struct newest *newest = context;
    size_t size = 0;
    const char *name = document_filename(document, &size);
    stats_add(STAT_documents_fetched, 1);
    if (name && names_skip_spelling(name, size)) /* so there are spellings after all */
        bucket_note_spelling(newest->bucket);
    if (newest->whole)
        recents_measure(&newest->bucket->recents, document);
    return document_revision(document, &newest->bucket->store, &newest->revision);
}

static int find_newest(struct bucket *bucket, const bson_t *filter, struct revision **ret_revision) {
    struct newest newest = {.bucket = bucket, .whole = recents_whole(&bucket->recents)};
    bson_t *options = newest.whole ? bson_new() : BCON_NEW(DOCUMENT_FILE_FIELDS);
    BCON_APPEND(options, "sort", "{", "uploadDate", BCON_INT32(-1), "_id", BCON_INT32(-1), "}", "limit", BCON_INT64(1));
    int result = bucket_find(bucket, bucket->files, filter, options, take_newest, &newest);
    bson_destroy(options);
    if (result == 0 && !newest.revision)
        result = -ENOENT;
    if (result == 0)
        *ret_revision = newest.revision;
    return result == -EINVAL ? -EIO : result;
}

/* The newest by name; where it is one without a date, which servers may order above real dates, the newest with. */
static int newest_dated(struct bucket *bucket, const char *spellings[NAMES_SPELLINGS], bool dated,
                        struct revision **ret_revision) {
    bson_t *filter = BCON_NEW("filename", "{", "$in", "[", BCON_UTF8(spellings[0]), BCON_UTF8(spellings[1]),
                              BCON_UTF8(spellings[2]), "]", "}");
    if (dated)
        BCON_APPEND(filter, "uploadDate", "{", "$type", "date", "}");
    int result = find_newest(bucket, filter, ret_revision);
    bson_destroy(filter);
    return result;
}

/* Where no file has the name, it may be a further one of another. */
static int newest_by_link(struct bucket *bucket, const char *path, struct revision **ret_revision) {
    struct document_link link;
    struct store_entry entry = {0};
    int result = links_at(bucket, path, &link);
    if (result <= 0)
        return result ? result : -ENOENT;
    result = links_follow(bucket, &link, &entry);
    document_link_done(&link);
    if (result > 0 && entry.revision)
        *ret_revision = steal_ptr(&entry.revision);
    else if (result >= 0)
        result = -ENOENT;
    store_entry_done(&entry);
    return result < 0 ? result : 0;
}

static int newest_of_name(struct bucket *bucket, const char *path, struct revision **ret_revision) {
    cleanup_free char *slashed = NULL, *dotted = NULL;
    if (asprintf(&slashed, "/%s", path) < 0 || asprintf(&dotted, "./%s", path) < 0)
        return -ENOMEM;
    const char *spellings[NAMES_SPELLINGS] = {path, slashed, dotted};
    struct revision *newest, *with_date;
    int result = newest_dated(bucket, spellings, false, &newest);
    if (result)
        return result;
    if (newest->date_ms == INT64_MIN && newest_dated(bucket, spellings, true, &with_date) == 0) {
        revision_unref(newest);
        newest = with_date;
    }
    *ret_revision = newest;
    return 0;
}

int bucket_newest(struct store *store, const char *path, struct revision **ret_revision) {
    struct bucket *bucket = (struct bucket *)store;
    int result = newest_of_name(bucket, path, ret_revision);
    return result == -ENOENT ? newest_by_link(bucket, path, ret_revision) : result;
}

int bucket_by_id(struct store *store, const char *text, struct revision **ret_revision) {
    bson_t id = BSON_INITIALIZER, filter = BSON_INITIALIZER;
    int result = identity_parse(text, &id);
    if (result == 0) {
        bucket_match_id(&filter, "_id", &id);
        result = find_newest((struct bucket *)store, &filter, ret_revision);
    }
    bson_destroy(&filter);
    bson_destroy(&id);
    return result;
}

/* ---- the whole answer ---- */

/* 1 and the node at `path`, or where no files are what a further name stands for, or a directory when only nodes lie
 * below it; 0 when there is none. `glance` has seen whether. */
static int judge_node(struct bucket *bucket, struct node_glance *glance, bool no_files) {
    int result = 0;
    bool linked = glance->link.at != NULL;
    if (linked) {
        result = no_files ? links_follow(bucket, &glance->link, glance->entry) : 0;
        if (result == 0 && no_files) /* its file may come back */
            watch_tell_unsure(bucket, glance->path);
        document_link_done(&glance->link);
    }
    if (!no_files && glance->here && glance->entry->kind != STORE_DIRECTORY) /* a removal has more to do than it sees */
        recents_note(&bucket->recents, glance->path, NULL);
    if (result || !no_files)
        return result ? result : glance->here && !linked;
    if (glance->here && !linked)
        return 1;
    int below = glance->below ? 1 : glance->seen >= GLANCE ? glance_below(bucket, glance->path) : 0;
    if (below > 0)
        *glance->entry = (struct store_entry){.kind = STORE_DIRECTORY};
    return below;
}

static int take_any(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    stats_add(STAT_documents_fetched, 1);
    return 1;
}

/* Whether a file with this very name is still there. */
static int still_there(struct bucket *bucket, const char *witness) {
    bson_t *filter = BCON_NEW("filename", BCON_UTF8(witness));
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, filter, options, take_any, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

/* Adds what one spelling has. 1: it is a directory, and that is all. */
static int add_glance(struct store_entry *entry, const struct glance *glance, bool *unsure) {
    *unsure |= glance->unsure || (glance->revision && entry->revision);
    revision_unref(entry->revision ? glance->revision : NULL);
    if (!entry->revision)
        entry->revision = glance->revision;
    entry->witness = glance->witness;
    return entry->witness != NULL;
}

/* What the files say of a path: glances at it in each spelling that may exist, of which the first may have been given. */
static int look_at_files(struct bucket *bucket, const char *path, const struct glance *given,
                         struct store_entry *entry) {
    bool unsure = false;
    if (given && add_glance(entry, given, &unsure))
        return 0;
    for (unsigned i = given ? 1 : 0; i < NAMES_SPELLINGS; i++) {
        if (i == 1 && !bucket_may_have_spellings(bucket))
            break;
        cleanup_free char *spelled = NULL;
        struct glance glance;
        if (asprintf(&spelled, "%s%s", names_spellings[i], path) < 0)
            return -ENOMEM;
        int result = glance_files(bucket, spelled, &glance);
        if (result)
            return result;
        if (add_glance(entry, &glance, &unsure))
            return 0;
    }
    if (!unsure)
        return 0;
    entry->revision = revision_unref(entry->revision);
    int result = newest_of_name(bucket, path, &entry->revision);
    return result == -ENOENT ? 0 : result;
}

/* Directories win, then files, then what else nodes hold. */
static int combine(struct store_entry *files, bool has_node, struct store_entry *node, struct store_entry *ret_entry) {
    bool directory = files->witness || (has_node && node->kind == STORE_DIRECTORY);
    if (!directory && !files->revision && !has_node)
        return -ENOENT;
    if (directory && files->revision)
        files->revision = revision_unref(files->revision);
    if (files->revision) {
        files->kind = STORE_FILE;
    } else {
        files->kind = directory ? STORE_DIRECTORY : node->kind;
        if (has_node && files->kind == node->kind) {
            files->revision = steal_ptr(&node->revision); /* by a further name of it */
            files->attributes = node->attributes;
            files->target = steal_ptr(&node->target);
        }
    }
    *ret_entry = *files;
    memset(files, 0, sizeof *files);
    return 0;
}

static int take_root(void *context, const bson_t *document) {
    struct store_entry *root = context;
    stats_add(STAT_documents_fetched, 1);
    document_attributes(document, &root->attributes);
    return 1;
}

/* The root is there in any case; the document that holds the format may have attributes of it. */
static int look_up_root(struct bucket *bucket, struct store_entry *ret_entry) {
    struct store_entry root = {.kind = STORE_DIRECTORY};
    bson_t *filter = BCON_NEW("_id", ""), *options = BCON_NEW("limit", BCON_INT64(1));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_root, &root);
    bson_destroy(options);
    bson_destroy(filter);
    if (result >= 0)
        *ret_entry = root;
    return result < 0 ? result : 0;
}

/* Files and nodes, unless only the files are likely to matter. 0; 1: neither was asked. */
static int look_at_both(struct bucket *bucket, const char *path, bool was_file, struct glance *ret_first,
                        struct node_glance *nodes) {
    bool likely = was_file && !bucket_may_have_nodes(bucket, path);
    return likely ? 1 : glance_both(bucket, path, ret_first, nodes);
}

/* What files have there, and nodes as far as they matter. 1: there is a node. */
static int look(struct bucket *bucket, const char *path, const char *witness, struct store_entry *files,
                struct store_entry *node) {
    struct node_glance nodes = {.path = path, .size = strlen(path), .entry = node};
    struct glance first;
    bool was_file = witness && strcmp(witness, path) == 0, seen = true;
    int result = 0;
    if (witness && !was_file) {
        result = still_there(bucket, witness);
        if (result > 0)
            result = (files->witness = strdup(witness)) ? 1 : -ENOMEM;
    }
    if (result == 0)
        result = look_at_both(bucket, path, was_file, &first, &nodes);
    if (result > 0)
        seen = false;
    if (result >= 0 && !files->witness)
        result = look_at_files(bucket, path, seen ? &first : NULL, files);
    bool nothing = !files->revision && !files->witness;
    if (result >= 0 && !seen && nothing)
        result = glance_nodes(bucket, &nodes);
    else if (result >= 0 && !seen && bucket_may_have_nodes(bucket, path))
        result = glance_node(bucket, &nodes);
    if (result >= 0)
        return judge_node(bucket, &nodes, nothing);
    document_link_done(&nodes.link);
    return result;
}

int bucket_lookup(struct store *store, const char *path, const char *witness, struct store_entry *ret_entry) {
    struct bucket *bucket = (struct bucket *)store;
    if (!*path)
        return look_up_root(bucket, ret_entry);
    struct store_entry files = {0}, node = {0};
    int result = look(bucket, path, witness, &files, &node);
    if (result >= 0)
        result = combine(&files, result > 0, &node, ret_entry);
    store_entry_done(&files);
    store_entry_done(&node);
    return result;
}

/* ---- files without a name ---- */

static int note_nameless(void *context, const bson_t *document) {
    struct bucket *bucket = context;
    cleanup_with(revision_unref) struct revision *revision = NULL;
    stats_add(STAT_documents_fetched, 1);
    if (document_revision(document, &bucket->store, &revision))
        return 0;
    cleanup_free char *id = identity_text(revision);
    if (id)
        oddities_note(bucket->store.oddities, id, "", "no filename");
    return 0;
}

int bucket_survey(struct store *store) {
    struct bucket *bucket = (struct bucket *)store;
    (void)bucket_may_have_spellings(bucket); /* before a lookup has to wait for it */
    bson_t *filter = BCON_NEW("$or", "[", "{", "filename", "{", "$not", "{", "$type", "string", "}", "}", "}", "{",
                              "filename", "{", "$type", "array", "}", "}", "]");
    bson_t *options = BCON_NEW("limit", BCON_INT64(ODDITIES_MOST), "projection", "{", "_id", BCON_INT32(1), "}");
    int result = bucket_find(bucket, bucket->files, filter, options, note_nameless, bucket);
    bson_destroy(options);
    bson_destroy(filter);
    return result;
}

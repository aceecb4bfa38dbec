// SPDX-License-Identifier: Apache-2.0
/* All names, of files in each spelling and of nodes, side by side in the order of their bytes: so what has a name and
 * what lies below it are met one after the other, and only names that may still be directories are remembered. */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/log.h"
#include "fs/store/mongo/check.h"
#include "fs/store/mongo/document.h"
#include "fs/store/names.h"

/* Names that are not spelled with "/" or "./", names that are, and nodes. */
enum { SOURCES = NAMES_SPELLINGS + 1, NODES = NAMES_SPELLINGS };

struct source {
    struct check_stream stream;
    const bson_t *document; /* at hand; lent; NULL: there are no more */
    const char *path;       /* its name without spelling, lent by it */
    size_t size;
    char *before; /* the one before, of `before_size`; owned */
    size_t before_size;
};

/* A name that the one at hand begins with, of which no directory was met so far. */
struct above {
    size_t size;
    char *id; /* of the newest file that has it; owned; NULL: it is a node */
    int64_t nodes_below;
    struct above *next; /* shorter */
};

/* What has one name. */
struct named {
    char *path; /* owned */
    size_t size;
    int64_t files, bytes, newest_bytes, newest_ms;
    char *id; /* of the newest file */
    bool node, directory;
};

struct names {
    struct bucket *bucket;
    const struct check_listener *listener;
    struct source sources[SOURCES];
    struct above *above;
    struct named named;
    int64_t older, older_bytes;
};

static void report(const struct names *names, enum check_class class, const char *name, size_t size, const char *id,
                   const char *detail) {
    const struct check_finding finding = {
        .class = class, .count = 1, .name = name, .name_size = size, .id = id, .detail = detail};
    names->listener->found(names->listener->context, &finding);
}

static char *id_of(const bson_t *document) {
    bson_iter_t iter;
    bson_t id = BSON_INITIALIZER;
    char *text = NULL;
    if (bson_iter_init_find(&iter, document, "_id") && document_append(&id, "_id", &iter))
        text = check_id_text(&id);
    bson_destroy(&id);
    return text;
}

static void report_pathless(const struct names *names, const bson_t *document) {
    cleanup_free char *id = id_of(document);
    report(names, CHECK_UNREADABLE, NULL, 0, id, "a node whose _id is no path");
}

/* ---- the sources ---- */

static int order(const char *one, size_t one_size, const char *other, size_t other_size) {
    int first = memcmp(one, other, one_size < other_size ? one_size : other_size);
    return first ? first : one_size < other_size ? -1 : one_size > other_size;
}

/* NUL-terminated; there may be others in it. */
static char *copy_bytes(const char *bytes, size_t size) {
    char *copy = malloc(size + 1);
    if (!copy)
        return NULL;
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    return copy;
}

/* Whether the document at hand is one of this source, with a path. */
static bool take_path(struct names *names, struct source *source) {
    bool plain = source == &names->sources[0], nodes = source == &names->sources[NODES];
    bson_iter_t iter;
    uint32_t size;
    if (!bson_iter_init_find(&iter, source->document, nodes ? "_id" : "filename") || !BSON_ITER_HOLDS_UTF8(&iter)) {
        if (nodes)
            report_pathless(names, source->document);
        return false; /* files: see check_content.c */
    }
    const char *name = bson_iter_utf8(&iter, &size);
    size_t skip = nodes ? 0 : names_skip_spelling(name, size);
    if (plain && skip)
        return false; /* comes by its spelling */
    source->path = name + skip;
    source->size = size - skip;
    return true;
}

static int next(struct names *names, struct source *source) {
    int result;
    while ((result = check_stream_next(&source->stream, &source->document)) > 0)
        if (take_path(names, source))
            break;
    if (result <= 0)
        return source->document = NULL, result;
    if (source->before && order(source->before, source->before_size, source->path, source->size) > 0)
        return -EILSEQ;
    free(source->before);
    source->before = copy_bytes(source->path, source->size);
    source->before_size = source->size;
    return source->before ? 0 : -ENOMEM;
}

static int open_source(struct names *names, unsigned which) {
    struct bucket *bucket = names->bucket;
    const char *spelling = which < NODES ? names_spellings[which] : "";
    bool nodes = which == NODES;
    bson_t *options = nodes ? BCON_NEW("sort", "{", "_id", BCON_INT32(1), "}")
                            : BCON_NEW("sort", "{", "filename", BCON_INT32(1), "uploadDate", BCON_INT32(1), "}",
                                       "projection", "{", "filename", BCON_INT32(1), "uploadDate", BCON_INT32(1),
                                       "length", BCON_INT32(1), "}");
    bson_t *filter = !*spelling ? bson_new() /* of any type, which more servers have in the order of an index */
                                : BCON_NEW("filename", "{", "$gte", BCON_UTF8(spelling), "$lt",
                                           BCON_UTF8(*spelling == '/' ? "0" : ".0"), "}"); /* "0" comes behind "/" */
    BCON_APPEND(options, "batchSize", BCON_INT32(5000));
    struct source *source = &names->sources[which];
    int result = check_stream_open(bucket, nodes ? bucket->nodes : bucket->files, filter, options, &source->stream);
    source->stream.listener = which == 0 ? names->listener : NULL;
    bson_destroy(filter);
    bson_destroy(options);
    return result ? result : next(names, source);
}

/* ---- what is above ---- */

static void forget_last(struct names *names) {
    struct above *last = names->above;
    names->above = last->next;
    free(last->id);
    free(last);
}

/* Nothing more comes below it. `path` begins with its name. */
static void conclude_last(struct names *names, const char *path) {
    const struct above *last = names->above;
    cleanup_free char *detail = NULL;
    if (last->nodes_below && asprintf(&detail, "what gridmount made below it (%lld) is hidden by this %s",
                                      (long long)last->nodes_below, last->id ? "file" : "node") >= 0)
        report(names, CHECK_HIDDEN, path, last->size, last->id, detail);
    forget_last(names);
}

/* Takes out what the name at hand does not begin with; all of it is what `before` begins with, the name before. */
static void leave(struct names *names, const char *before) {
    const struct named *now = &names->named;
    while (names->above &&
           (now->size < names->above->size || memcmp(before, now->path, names->above->size) != 0))
        conclude_last(names, before);
}

static void shadow(struct names *names, const struct above *above) {
    if (above->id)
        report(names, CHECK_SHADOWED, names->named.path, above->size, above->id, "a directory has its name");
    else
        report(names, CHECK_HIDDEN, names->named.path, above->size, NULL, "files lie below this node");
}

static bool lies_below(const struct above *above, const struct named *named) {
    return named->size > above->size && named->path[above->size] == '/';
}

/* Files make directories of what is above them, nodes do not. */
static void shadow_all(struct names *names) {
    for (struct above **at = &names->above; *at;) {
        struct above *above = *at;
        bool below = lies_below(above, &names->named);
        above->nodes_below += below && names->named.node;
        if (!below || !names->named.files) {
            at = &above->next;
            continue;
        }
        shadow(names, above);
        *at = above->next;
        free(above->id);
        free(above);
    }
}

/* ---- one name ---- */

static int take_node(struct names *names, const bson_t *document) {
    struct named *named = &names->named;
    struct store_entry entry = {0};
    struct document_link link = {0};
    bson_iter_t format;
    int64_t number;
    if (named->size == 0) {
        bool known = bson_iter_init_find(&format, document, "format") && document_whole_number(&format, 1, 1, &number);
        if (!known)
            report(names, CHECK_FORMAT, NULL, 0, NULL, "mounts of this version are read-only, and nothing is repaired");
        return 0;
    }
    int result = document_node(document, &entry);
    if (result == -EINVAL)
        result = document_link(document, &link);
    if (result == -ENOMEM)
        return result;
    if (result || !names_is_path(named->path, named->size) || names_skip_spelling(named->path, named->size)) {
        report(names, CHECK_UNREADABLE, named->path, named->size, NULL, result ? "no node that is known" : "no path");
    } else {
        named->node = true;
        named->directory = entry.kind == STORE_DIRECTORY;
        if (named->files && !named->directory && !link.at) /* of further names: see links_check.c */
            report(names, CHECK_HIDDEN, named->path, named->size, NULL, "a file has its name");
    }
    store_entry_done(&entry);
    document_link_done(&link);
    return 0;
}

static int take_file(struct names *names, const bson_t *document) {
    struct named *named = &names->named;
    bson_iter_t iter;
    int64_t bytes = 0, date = INT64_MIN;
    cleanup_free char *id = id_of(document);
    if (!id)
        return -ENOMEM;
    size_t size = 0;
    const char *filename = document_filename(document, &size);
    if (!filename || !names_is_path(filename, size))
        return 0; /* see check_content.c */
    if (bson_iter_init_find(&iter, document, "length"))
        (void)document_whole_number(&iter, 0, INT64_MAX / 2, &bytes);
    if (bson_iter_init_find(&iter, document, "uploadDate") && BSON_ITER_HOLDS_DATE_TIME(&iter))
        date = bson_iter_date_time(&iter);
    named->files++;
    named->bytes = bytes < INT64_MAX - named->bytes ? named->bytes + bytes : INT64_MAX;
    if (date < named->newest_ms && named->id)
        return 0;
    free(named->id);
    named->id = steal_ptr(&id);
    named->newest_ms = date;
    named->newest_bytes = bytes;
    return 0;
}

static int remember(struct names *names) {
    struct named *named = &names->named;
    if (named->files > 1) {
        names->older += named->files - 1;
        names->older_bytes += named->bytes - named->newest_bytes;
    }
    if (named->directory && named->files)
        report(names, CHECK_SHADOWED, named->path, named->size, named->id, "a directory has its name");
    if (named->directory || (!named->files && !named->node))
        return 0;
    struct above *above = calloc(1, sizeof *above);
    if (!above)
        return -ENOMEM;
    *above = (struct above){.size = named->size, .id = steal_ptr(&named->id), .next = names->above};
    names->above = above;
    return 0;
}

static const struct source *least(const struct names *names) {
    const struct source *least = NULL;
    for (unsigned i = 0; i < SOURCES; i++) {
        const struct source *source = &names->sources[i];
        if (source->document &&
            (!least || order(source->path, source->size, least->path, least->size) < 0))
            least = source;
    }
    return least;
}

/* Everything that has the least name, files first. */
static int take_name(struct names *names) {
    const struct source *first = least(names);
    struct named *named = &names->named;
    cleanup_free char *before = steal_ptr(&named->path);
    free(named->id);
    *named = (struct named){
        .path = copy_bytes(first->path, first->size), .size = first->size, .newest_ms = INT64_MIN};
    if (!named->path)
        return -ENOMEM;
    leave(names, before);
    int result = 0;
    for (unsigned i = 0; i < SOURCES; i++) {
        struct source *source = &names->sources[i];
        while (result == 0 && source->document && order(source->path, source->size, named->path, named->size) == 0) {
            result = i == NODES ? take_node(names, source->document) : take_file(names, source->document);
            result = result ? result : next(names, source);
        }
    }
    if (result == 0)
        shadow_all(names);
    return result ? result : remember(names);
}

/* ---- all of it ---- */

static int merge(struct names *names) {
    int result = 0;
    for (unsigned i = 0; result == 0 && i < NODES; i++)
        result = open_source(names, i);
    int nodes = result ? 0 : open_source(names, NODES);
    if (result == 0 && nodes != -EACCES)
        result = nodes;
    while (result == 0 && least(names))
        result = take_name(names);
    while (result == 0 && names->above)
        conclude_last(names, names->named.path);
    if (result == -EILSEQ)
        log_error("bucket %s: the server does not sort names by their bytes", names->bucket->store.bucket);
    return result ? result : nodes;
}

static void names_done(struct names *names) {
    while (names->above)
        forget_last(names);
    for (unsigned i = 0; i < SOURCES; i++) {
        check_stream_close(&names->sources[i].stream);
        free(names->sources[i].before);
    }
    free(names->named.path);
    free(names->named.id);
}

int check_names(struct checks *checks, const struct check_listener *listener) {
    struct names names = {.bucket = ((struct bucket_checks *)checks)->bucket, .listener = listener};
    int result = merge(&names);
    check_report_count(listener, CHECK_OLDER, names.older, names.older_bytes);
    names_done(&names);
    return result;
}

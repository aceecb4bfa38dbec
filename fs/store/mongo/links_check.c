// SPDX-License-Identifier: Apache-2.0
/* Further names of which nothing is left: their file is gone, or another file has the name (links.h, fact 3). */
#include <errno.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "fs/store/mongo/array.h"
#include "fs/store/mongo/check.h"
#include "fs/store/mongo/links_private.h"
#include "fs/store/mongo/presence.h"
#include "fs/store/names.h"

enum { AT_ONCE = 100 };

/* Called for a dead one; `hidden`: its file lives. */
typedef int take_dead(void *context, struct bucket *bucket, const char *path, const struct document_link *link,
                      bool hidden);

struct batch {
    char *paths[AT_ONCE];
    struct document_link links[AT_ONCE];
    struct store_entry entries[AT_ONCE];
    bool hidden[AT_ONCE];
    unsigned count;
};

static void batch_clear(struct batch *batch) {
    for (unsigned i = 0; i < batch->count; i++) {
        free(batch->paths[i]);
        document_link_done(&batch->links[i]);
        store_entry_done(&batch->entries[i]);
        batch->hidden[i] = false;
    }
    batch->count = 0;
}

static int batch_add(struct batch *batch, const bson_t *document) {
    bson_iter_t id;
    if (!bson_iter_init_find(&id, document, "_id") || !BSON_ITER_HOLDS_UTF8(&id))
        return 0;
    int result = document_link(document, &batch->links[batch->count]);
    if (result)
        return result == -EINVAL ? 0 : result; /* no further name: for the check of names to say */
    batch->entries[batch->count] = (struct store_entry){0};
    batch->paths[batch->count++] = strdup(bson_iter_utf8(&id, NULL));
    return batch->paths[batch->count - 1] ? 0 : -ENOMEM;
}

static int take_name(void *context, const bson_t *document) {
    struct batch *batch = context;
    size_t size;
    const char *name = document_filename(document, &size);
    size_t skip = name ? names_skip_spelling(name, size) : 0;
    for (unsigned i = 0; name && i < batch->count; i++)
        if (strlen(batch->paths[i]) == size - skip && memcmp(batch->paths[i], name + skip, size - skip) == 0)
            batch->hidden[i] = true;
    return 0;
}

static int find_hidden(struct bucket *bucket, struct batch *batch) {
    bson_t filter = BSON_INITIALIZER, in, names;
    unsigned index = 0;
    bson_append_document_begin(&filter, "filename", -1, &in);
    array_begin(&in, "$in", &names);
    for (unsigned i = 0; i < batch->count; i++)
        presence_append_spellings(&names, batch->paths[i], &index);
    bson_append_array_end(&in, &names);
    bson_append_document_end(&filter, &in);
    bson_t *options = BCON_NEW("projection", "{", "filename", BCON_INT32(1), "}");
    int result = check_read(bucket, bucket->files, &filter, options, take_name, batch);
    bson_destroy(options);
    bson_destroy(&filter);
    return result;
}

static int judge(struct bucket *bucket, struct batch *batch, take_dead *take, void *context) {
    const struct document_link *links[AT_ONCE];
    for (unsigned i = 0; i < batch->count; i++)
        links[i] = &batch->links[i];
    int result = batch->count ? links_resolve(bucket, links, batch->count, batch->entries) : 0;
    if (result == 0 && batch->count)
        result = find_hidden(bucket, batch);
    for (unsigned i = 0; result == 0 && i < batch->count; i++) {
        bool gone = batch->entries[i].kind == STORE_FILE && !batch->entries[i].revision;
        if (gone || batch->hidden[i])
            result = take(context, bucket, batch->paths[i], &batch->links[i], !gone);
    }
    batch_clear(batch);
    return result;
}

static int each_dead(struct bucket *bucket, const struct check_listener *listener, take_dead *take, void *context) {
    struct check_stream stream;
    const bson_t *document;
    cleanup_free struct batch *batch = calloc(1, sizeof *batch);
    bson_t *filter = BCON_NEW("kind", "link");
    int result = batch ? check_stream_open(bucket, bucket->nodes, filter, NULL, &stream) : -ENOMEM;
    bson_destroy(filter);
    if (result)
        return result;
    stream.listener = listener;
    while (result == 0 && (result = check_stream_next(&stream, &document)) > 0) {
        result = batch_add(batch, document);
        if (result == 0 && batch->count == AT_ONCE)
            result = judge(bucket, batch, take, context);
    }
    if (result == 0)
        result = judge(bucket, batch, take, context);
    batch_clear(batch);
    check_stream_close(&stream);
    return result;
}

static int report(void *context, struct bucket *bucket, const char *path, const struct document_link *link, bool hidden) {
    const struct check_listener *listener = context;
    cleanup_free char *detail = NULL;
    (void)bucket;
    if (asprintf(&detail, hidden ? "a further name of '%.200s', but another file has it" : "its file '%.200s' is gone",
                 link->at) < 0)
        return -ENOMEM;
    const struct check_finding finding = {
        .class = CHECK_DEAD_NAME, .count = 1, .name = path, .name_size = strlen(path), .detail = detail};
    listener->found(listener->context, &finding);
    return 0;
}

static int bury(void *context, struct bucket *bucket, const char *path, const struct document_link *link, bool hidden) {
    (void)context;
    int result = hidden ? links_delete(bucket, path, link) : links_bury(bucket, path);
    if (result > 0 && hidden)
        links_count_behind(bucket, link, -1, 0);
    return result < 0 ? result : 0;
}

int check_links(struct checks *checks, const struct check_listener *listener) {
    struct check_listener context = *listener;
    return each_dead(((struct bucket_checks *)checks)->bucket, listener, report, &context);
}

int check_links_repair(struct checks *checks) {
    return each_dead(((struct bucket_checks *)checks)->bucket, NULL, bury, NULL);
}

// SPDX-License-Identifier: Apache-2.0
/* The identity of what an application put over a file with further names. */
#include <errno.h>
#include <string.h>

#include "fs/store/mongo/change.h"
#include "fs/store/mongo/links_private.h"
#include "fs/store/mongo/posix.h"
#include "fs/store/names.h"

enum { LOOKED_AT = 100 };

/* Further names that look for their file at some name. */
struct pointing {
    struct document_link links[LOOKED_AT];
    unsigned count;
};

static int take_link(void *context, const bson_t *document) {
    struct pointing *pointing = context;
    int result = document_link(document, &pointing->links[pointing->count]);
    if (result)
        return result == -EINVAL ? 0 : result;
    return ++pointing->count == LOOKED_AT;
}

static int find_pointing(struct bucket *bucket, const char *filename, struct pointing *pointing) {
    const char *path = filename + names_skip_spelling(filename, strlen(filename));
    cleanup_free char *slashed = NULL, *dotted = NULL;
    if (asprintf(&slashed, "/%s", path) < 0 || asprintf(&dotted, "./%s", path) < 0)
        return -ENOMEM;
    bson_t *filter = BCON_NEW("at", "{", "$in", "[", BCON_UTF8(path), BCON_UTF8(slashed), BCON_UTF8(dotted), "]", "}",
                              "kind", "link");
    bson_t *options = BCON_NEW("limit", BCON_INT64(LOOKED_AT));
    int result = bucket_find(bucket, bucket->nodes, filter, options, take_link, pointing);
    bson_destroy(options);
    bson_destroy(filter);
    return result < 0 ? result : 0;
}

/* 1 and what the revision is to be known by, if any of these stands for it; else 0. */
static int choose(struct bucket *bucket, const struct pointing *pointing, const struct revision *revision,
                  struct attributes *ret_changes) {
    const struct document_link *links[LOOKED_AT];
    struct store_entry entries[LOOKED_AT];
    struct attributes changes = {.links = 1};
    for (unsigned i = 0; i < pointing->count; i++)
        links[i] = &pointing->links[i];
    int result = links_resolve(bucket, links, pointing->count, entries);
    for (unsigned i = 0; result == 0 && i < pointing->count; i++) {
        bool stands = entries[i].revision && revision_same_content(entries[i].revision, revision);
        if (stands && !(changes.has & ATTRIBUTES_FILE))
            attributes_set_file(&changes, links[i]->file);
        changes.links += stands && memcmp(changes.file, links[i]->file, sizeof changes.file) == 0;
        store_entry_done(&entries[i]);
    }
    if (result || !(changes.has & ATTRIBUTES_FILE))
        return result;
    changes.has |= ATTRIBUTES_LINKS;
    *ret_changes = changes;
    return 1;
}

static int find_identity(struct bucket *bucket, const char *filename, const struct revision *revision,
                         struct attributes *ret_changes) {
    struct pointing pointing = {.count = 0};
    int result = find_pointing(bucket, filename, &pointing);
    if (result == 0 && pointing.count > 0)
        result = choose(bucket, &pointing, revision, ret_changes);
    for (unsigned i = 0; i < pointing.count; i++)
        document_link_done(&pointing.links[i]);
    return result;
}

/* 1: it has an identity now; 0: there is none for it; -EAGAIN: it was changed meanwhile. */
static int adopt_once(struct bucket *bucket, const struct revision *revision, struct revision **ret_revision) {
    cleanup_with(revision_unref) struct revision *now = NULL;
    cleanup_free char *filename = NULL;
    struct attributes changes;
    int result = posix_read(bucket, revision, &now, &filename);
    if (result || !filename)
        return result;
    if (now->attributes.has & ATTRIBUTES_FILE)
        return (*ret_revision = steal_ptr(&now)), 1;
    result = find_identity(bucket, filename, now, &changes);
    if (result <= 0)
        return result;
    result = posix_try(bucket, now, &changes);
    if (result <= 0)
        return result ? result : -EAGAIN;
    result = posix_changed(now, &changes, ret_revision);
    return result ? result : 1;
}

int links_adopt(struct bucket *bucket, const struct revision *revision, struct revision **ret_revision) {
    int result = bucket_begin_changing(bucket);
    if (result || revision->attributes.has & ATTRIBUTES_FILE || !atomic_load(&bucket->changing.hard_links))
        return result;
    result = -EAGAIN;
    for (int i = 0; result == -EAGAIN && i < POSIX_TRIES; i++)
        result = adopt_once(bucket, revision, ret_revision);
    /* It is gone, or nothing can be written into it, or it is no usable document, or others change it all the time. */
    bool has_none = result == -ENOENT || result == -EPERM || result == -EINVAL || result == -EAGAIN;
    return has_none ? 0 : result;
}

// SPDX-License-Identifier: Apache-2.0
#include "fs/vfs/published.h"

#include <errno.h>
#include <string.h>

#include "cache/base/check.h"

struct published {
    atomic_uint references;
    struct reader *reader; /* NULL: the content is empty, or cannot be read */
    struct revision *revision;
    _Atomic(struct proof *) proof; /* NULL: none is asked for */
};

struct published *published_new(struct chunks *chunks, struct revision *revision) {
    struct published *published = calloc(1, sizeof *published);
    if (!published)
        return NULL;
    atomic_init(&published->references, 1);
    published->revision = revision_ref(revision);
    if (revision->damage)
        return published;
    bool single = revision->length > 0 && revision->length < revision->chunk_size;
    struct chunk_file file = {.chunk_size = single ? (uint32_t)revision->length : revision->chunk_size,
                              .handle = revision};
    memcpy(file.revision, revision->key, sizeof file.revision);
    published->reader = reader_new(chunks, &file, revision->length);
    return published->reader ? published : published_unref(published);
}

struct published *published_ref(struct published *published) {
    CHECK(atomic_fetch_add(&published->references, 1) > 0);
    return published;
}

struct published *published_unref(struct published *published) {
    if (published && atomic_fetch_sub(&published->references, 1) == 1) {
        proof_free(atomic_load(&published->proof));
        reader_free(published->reader);
        revision_unref(published->revision);
        free(published);
    }
    return NULL;
}

int published_read(struct published *published, int64_t offset, size_t size, struct reader_view *ret_views,
                 unsigned *ret_count) {
    if (published->reader)
        return reader_read(published->reader, offset, size, ret_views, ret_count);
    *ret_count = 0;
    return 0;
}

int published_fetch(struct published *published, int64_t offset, size_t size, bool stays) {
    return published->reader ? reader_fetch(published->reader, offset, size, stays) : 0;
}

int published_whole(struct published *published) {
    return published->reader ? reader_whole(published->reader) : -ENODATA;
}

void published_provide(struct published *published, struct blob *content) {
    if (published->reader)
        reader_provide(published->reader, content);
}

static int read_again(void *context, int64_t offset, size_t size, struct reader_view *ret_view) {
    struct published *published = context;
    return reader_again(published->reader, offset, size, ret_view);
}

int published_prove(struct published *published, const char *recorded, const char *subject) {
    struct proof_source source = {.context = published, .again = read_again};
    struct proof *none = NULL;
    if (!published->reader || published->revision->length == 0)
        return 0;
    struct proof *proof = proof_new(published->revision->length, &source, recorded, subject);
    if (proof && !atomic_compare_exchange_strong(&published->proof, &none, proof))
        proof_free(proof); /* another open was faster */
    return proof ? 0 : -ENOMEM;
}

struct proof *published_proof(struct published *published) {
    return atomic_load(&published->proof);
}

static int read_base(void *context, int64_t offset, size_t size, void *into) {
    struct published *published = context;
    for (unsigned char *to = into; size > 0;) {
        struct reader_view views[READER_VIEWS];
        unsigned count;
        int result = published_read(published, offset, size, views, &count);
        if (result)
            return result;
        size_t before = size;
        for (unsigned i = 0; i < count; i++) {
            memcpy(to, views[i].bytes, views[i].size);
            to += views[i].size;
            offset += (int64_t)views[i].size;
            size -= views[i].size;
        }
        reader_release(views, count);
        if (size == before)
            return -EIO; /* the caller stays inside the length: something is wrong */
    }
    return 0;
}

static void ref_base(void *context) {
    published_ref(context);
}

static void unref_base(void *context) {
    published_unref(context);
}

struct revision *published_revision(const struct published *published) {
    return published->revision;
}

struct staged_base published_base(struct published *published) {
    if (!published)
        return (struct staged_base){0};
    return (struct staged_base){
        .context = published,
        .length = published->revision->length,
        .read = read_base,
        .ref = ref_base,
        .unref = unref_base,
    };
}

struct revision *published_under(struct staged *staged) {
    struct published *published = staged_under(staged).context;
    struct revision *revision = published ? revision_ref(published->revision) : NULL;
    published_unref(published);
    return revision;
}

// SPDX-License-Identifier: Apache-2.0
/* The chunks of one file, looked at one by one. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cache/base/check.h"
#include "cache/base/cleanup.h"
#include "fs/store/mongo/check_content.h"
#include "fs/store/mongo/document.h"

struct looking {
    const struct revision *revision;
    int64_t chunks;   /* that it should have */
    int64_t next;     /* the number that comes next */
    int64_t damaged;  /* how many are, and of them those that the text below is about */
    int64_t told;
    char first[128];  /* what is wrong with the first of them */
};

__attribute__((format(printf, 3, 4))) static void note_damage(struct looking *looking, int64_t count,
                                                              const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    if (!looking->damaged) {
        vsnprintf(looking->first, sizeof looking->first, format, arguments);
        looking->told = count;
    }
    va_end(arguments);
    looking->damaged += count;
}

static void note_missing(struct looking *looking, int64_t until) {
    long long first = looking->next, last = until - 1;
    if (last < first)
        return;
    if (first == 0 && until == looking->chunks)
        note_damage(looking, 1, "it has no chunks");
    else if (first == last)
        note_damage(looking, 1, "chunk %lld is missing", first);
    else
        note_damage(looking, until - looking->next, "chunks %lld to %lld are missing", first, last);
    looking->next = until;
}

/* As reading judges it: see fetch.c. */
static int take_chunk(void *context, const bson_t *document) {
    struct looking *looking = context;
    struct chunk chunk = chunk_read(document);
    if (chunk.n < 0)
        return 0; /* the one it should be is missing */
    if (chunk.n >= looking->chunks) {
        note_missing(looking, looking->chunks);
        if (chunk.size > 0 && looking->chunks > 0)
            note_damage(looking, 1, "there is a chunk %lld behind the last", (long long)chunk.n);
        return 0;
    }
    note_missing(looking, chunk.n);
    if (chunk.n < looking->next)
        return note_damage(looking, 1, "there are two chunks %lld", (long long)chunk.n), 0;
    int64_t length = revision_chunk_length(looking->revision, (uint32_t)chunk.n);
    looking->next = chunk.n + 1;
    if (chunk.size != length)
        note_damage(looking, 1, "chunk %lld is %s", (long long)chunk.n,
                    chunk.size < 0 ? "without data" : chunk.size < length ? "too short" : "too long");
    return 0;
}

static int look_at_chunks(const struct bucket_checks *checks, const bson_t *id, struct looking *looking) {
    bson_t filter = BSON_INITIALIZER;
    bucket_match_id(&filter, "files_id", id);
    bson_t *options = chunk_options(checks, false);
    int result = check_read(checks->bucket, checks->bucket->chunks, &filter, options, take_chunk, looking);
    bson_destroy(options);
    bson_destroy(&filter);
    if (result == 0)
        note_missing(looking, looking->chunks);
    return result;
}

struct owner {
    struct bucket *bucket;
    const struct revision *revision;
    bool there;
};

static int take_owner(void *context, const bson_t *document) {
    struct owner *owner = context;
    cleanup_with(revision_unref) struct revision *now = NULL;
    if (document_revision(document, &owner->bucket->store, &now) == 0) /* a rename may have lifted the date */
        owner->there |= now->length == owner->revision->length && now->chunk_size == owner->revision->chunk_size &&
                        (now->date_ms == owner->revision->date_ms || !bucket_may_reuse_id(now));
    return 0;
}

/* A files document goes before its chunks and comes after them: one that is there when they have been read owned them. */
static int find_owner(struct bucket *bucket, const bson_t *id, struct owner *owner) {
    bson_t filter = BSON_INITIALIZER;
    bucket_match_id(&filter, "_id", id);
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), DOCUMENT_FILE_FIELDS);
    int result = check_read(bucket, bucket->files, &filter, options, take_owner, owner);
    bson_destroy(options);
    bson_destroy(&filter);
    return result;
}

static int report(const struct check_listener *listener, const bson_t *document, const bson_t *id,
                  const struct looking *looking) {
    cleanup_free char *text = check_id_text(id), *detail = NULL;
    long long more = looking->damaged - looking->told;
    int made = more ? asprintf(&detail, "%s, and %lld more are damaged", looking->first, more)
                    : asprintf(&detail, "%s", looking->first);
    if (made < 0 || !text)
        return -ENOMEM;
    struct check_finding finding = {.class = CHECK_DAMAGED, .count = 1, .id = text, .detail = detail};
    finding.bytes = looking->revision->length;
    finding.name = document_filename(document, &finding.name_size);
    listener->found(listener->context, &finding);
    return 0;
}

int judge_file(const struct bucket_checks *checks, const bson_t *document, const struct check_listener *listener) {
    cleanup_with(revision_unref) struct revision *revision = NULL;
    struct bucket *bucket = checks->bucket;
    bson_t id;
    int result = document_revision(document, &bucket->store, &revision);
    if (result)
        return result == -EINVAL ? 0 : result;
    CHECK(bson_init_static(&id, revision->id, revision->id_size));
    struct looking looking = {.revision = revision, .chunks = revision->damage ? 0 : revision_chunks(revision)};
    struct owner owner = {.bucket = bucket, .revision = revision};
    if (revision->damage)
        note_damage(&looking, 1, "%s", revision->damage);
    else
        result = look_at_chunks(checks, &id, &looking);
    if (result == 0 && looking.damaged)
        result = find_owner(bucket, &id, &owner);
    return result == 0 && looking.damaged && owner.there ? report(listener, document, &id, &looking) : result;
}

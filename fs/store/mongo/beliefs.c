// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/beliefs.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "cache/base/cleanup.h"
#include "cache/base/clock.h"
#include "fs/store/mongo/bucket.h"

void beliefs_init(struct beliefs *beliefs) {
    lock_init(&beliefs->lock, LOCK_SURVEY);
}

void beliefs_done(struct beliefs *beliefs) {
    for (unsigned i = 0; i < BELIEFS_DIRECTORIES; i++)
        free(beliefs->directories[i].path);
    lock_done(&beliefs->lock);
}

/* ---- asking ---- */

static int found_one(void *context, const bson_t *document) {
    (void)context;
    (void)document;
    return 1;
}

/* Whether a name is in [from, until); an error counts as yes, which is always safe. */
static bool has_name(struct bucket *bucket, const char *collection, const char *field, const char *from,
                     const char *until) {
    bson_t *filter = BCON_NEW(field, "{", "$gte", BCON_UTF8(from), "$lt", BCON_UTF8(until), "}");
    bson_t *options = BCON_NEW("limit", BCON_INT64(1), "projection", "{", "_id", BCON_INT32(1), "}");
    int found = bucket_find(bucket, collection, filter, options, found_one, NULL);
    bson_destroy(options);
    bson_destroy(filter);
    return found != 0;
}

struct spellings {
    struct bucket *bucket;
    atomic_bool there; /* or it could not be asked */
};

static void ask_spelling(void *context, unsigned number) {
    static const char *const ranges[][2] = {{"/", "0"}, {"./", ".0"}};
    struct spellings *spellings = context;
    struct bucket *bucket = spellings->bucket;
    if (!atomic_load(&spellings->there) &&
        has_name(bucket, bucket->files, "filename", ranges[number][0], ranges[number][1]))
        atomic_store(&spellings->there, true);
}

/* Two questions: not every server has its index serve an $or. */
static bool has_spellings(struct bucket *bucket) {
    struct spellings spellings = {.bucket = bucket};
    connection_share(bucket->connection, 2, ask_spelling, &spellings);
    return atomic_load(&spellings.there);
}

/* In the root the document "" is only the format. */
static bool has_nodes(struct bucket *bucket, const char *directory) {
    cleanup_free char *from = NULL, *until = NULL;
    if (!*directory)
        return has_name(bucket, bucket->nodes, "_id", "\x01", "\xF4\x8F\xBF\xBF");
    if (asprintf(&from, "%s/", directory) < 0 || asprintf(&until, "%s0", directory) < 0)
        return true;
    return has_name(bucket, bucket->nodes, "_id", from, until);
}

/* ---- spellings ---- */

bool bucket_may_have_spellings(struct bucket *bucket) {
    struct beliefs *beliefs = &bucket->beliefs;
    int64_t now = clock_now_ms();
    lock_acquire(&beliefs->lock);
    struct belief known = beliefs->spellings;
    uint64_t noted = beliefs->noted;
    bool good = now < known.until_ms || (beliefs->told && known.until_ms && !known.there);
    lock_release(&beliefs->lock);
    if (good)
        return known.there;
    bool there = has_spellings(bucket);
    lock_acquire(&beliefs->lock);
    if (there || noted == beliefs->noted)
        beliefs->spellings = (struct belief){now + bucket->policy.trust_ms, there};
    lock_release(&beliefs->lock);
    return there;
}

void bucket_note_spelling(struct bucket *bucket) {
    struct beliefs *beliefs = &bucket->beliefs;
    lock_acquire(&beliefs->lock);
    beliefs->noted++;
    beliefs->spellings.there = true;
    lock_release(&beliefs->lock);
}

void bucket_doubt_spellings(struct bucket *bucket) {
    struct beliefs *beliefs = &bucket->beliefs;
    lock_acquire(&beliefs->lock);
    beliefs->noted++;
    beliefs->spellings.until_ms = 0;
    lock_release(&beliefs->lock);
}

void bucket_told_of_spellings(struct bucket *bucket, bool told) {
    struct beliefs *beliefs = &bucket->beliefs;
    bucket_doubt_spellings(bucket);
    lock_acquire(&beliefs->lock);
    beliefs->told = told;
    lock_release(&beliefs->lock);
    if (told)
        (void)bucket_may_have_spellings(bucket); /* before a lookup has to wait for it */
}

/* ---- nodes ---- */

static unsigned place_of(const char *directory) {
    uint64_t hash = 0;
    for (const char *c = directory; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return (hash ^ hash >> 32) % BELIEFS_DIRECTORIES;
}

static bool is_below(const char *path, const char *directory) {
    size_t size = strlen(directory);
    return size == 0 || (strncmp(path, directory, size) == 0 && path[size] == '/');
}

static struct belief known_of(struct beliefs *beliefs, const char *directory, uint64_t *ret_noted) {
    struct belief known = {0};
    unsigned place = place_of(directory);
    lock_acquire(&beliefs->lock);
    const char *path = beliefs->directories[place].path;
    if (path && strcmp(path, directory) == 0)
        known = beliefs->directories[place].nodes;
    *ret_noted = beliefs->noted;
    lock_release(&beliefs->lock);
    return known;
}

/* Takes the directory. */
static void believe(struct beliefs *beliefs, char *directory, struct belief belief, uint64_t noted) {
    unsigned place = place_of(directory);
    lock_acquire(&beliefs->lock);
    char *before = directory;
    if (belief.there || noted == beliefs->noted) {
        before = beliefs->directories[place].path;
        beliefs->directories[place].path = directory;
        beliefs->directories[place].nodes = belief;
    }
    lock_release(&beliefs->lock);
    free(before);
}

static char *directory_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return strndup(path, slash ? (size_t)(slash - path) : 0);
}

bool bucket_may_have_nodes(struct bucket *bucket, const char *path) {
    cleanup_free char *directory = directory_of(path);
    if (!directory || bucket->policy.trust_ms <= 0) /* then the name itself is asked for at once */
        return true;
    uint64_t noted;
    int64_t now = clock_now_ms();
    struct belief known = known_of(&bucket->beliefs, directory, &noted);
    if (now < known.until_ms)
        return known.there;
    known = (struct belief){now + bucket->policy.trust_ms, has_nodes(bucket, directory)};
    believe(&bucket->beliefs, steal_ptr(&directory), known, noted);
    return known.there;
}

void bucket_note_node(struct bucket *bucket, const char *path) {
    struct beliefs *beliefs = &bucket->beliefs;
    lock_acquire(&beliefs->lock);
    beliefs->noted++;
    for (unsigned i = 0; i < BELIEFS_DIRECTORIES; i++)
        if (beliefs->directories[i].path && is_below(path, beliefs->directories[i].path))
            beliefs->directories[i].nodes.there = true;
    lock_release(&beliefs->lock);
}

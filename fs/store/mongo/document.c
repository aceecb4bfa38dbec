// SPDX-License-Identifier: Apache-2.0
#include "fs/store/mongo/document.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

#include "fs/store/mongo/array.h"

bool document_whole_number(const bson_iter_t *iter, int64_t least, int64_t most, int64_t *ret_number) {
    int64_t number;
    if (BSON_ITER_HOLDS_INT32(iter)) {
        number = bson_iter_int32(iter);
    } else if (BSON_ITER_HOLDS_INT64(iter)) {
        number = bson_iter_int64(iter);
    } else if (BSON_ITER_HOLDS_DOUBLE(iter)) {
        double value = bson_iter_double(iter);
        if (!(value >= -9007199254740992.0 && value <= 9007199254740992.0) || value != floor(value))
            return false;
        number = (int64_t)value;
    } else {
        return false;
    }
    if (number < least || number > most)
        return false;
    *ret_number = number;
    return true;
}

static bool find_number(const bson_t *document, const char *field, int64_t least, int64_t most, int64_t *ret_number) {
    bson_iter_t iter;
    return bson_iter_init_find(&iter, document, field) && document_whole_number(&iter, least, most, ret_number);
}

const char *document_filename(const bson_t *document, size_t *ret_size) {
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, "filename") || !BSON_ITER_HOLDS_UTF8(&iter))
        return NULL;
    uint32_t size;
    const char *filename = bson_iter_utf8(&iter, &size);
    *ret_size = size;
    return filename;
}

const char *document_sha256(const bson_t *document) {
    bson_iter_t root, value;
    uint32_t size = 0;
    bool found = bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.sha256", &value) &&
                 BSON_ITER_HOLDS_UTF8(&value);
    const char *digits = found ? bson_iter_utf8(&value, &size) : "";
    return size == 64 && strspn(digits, "0123456789abcdef") == 64 ? digits : NULL;
}

static int64_t date_of(const bson_t *document) {
    bson_iter_t iter;
    bool usable = bson_iter_init_find(&iter, document, "uploadDate") && BSON_ITER_HOLDS_DATE_TIME(&iter);
    return usable ? bson_iter_date_time(&iter) : INT64_MIN;
}

/* Length and chunkSize, or what is wrong with them. */
static void read_shape(const bson_t *document, struct revision *revision) {
    int64_t length, chunk_size;
    if (!find_number(document, "length", 0, INT64_MAX - INT32_MAX, &length)) {
        revision->damage = "its length is no usable number";
    } else if (!find_number(document, "chunkSize", 1, INT32_MAX, &chunk_size)) {
        revision->damage = "its chunkSize is no usable number";
    } else if (length / chunk_size >= INT32_MAX) {
        revision->damage = "it would have more chunks than GridFS can number";
    } else {
        revision->length = length;
        revision->chunk_size = (uint32_t)chunk_size;
    }
}

enum { NESTED_MOST = 200 }; /* more than servers allow; the driver may complain of what is deeper */

static bool append_value(bson_t *to, const char *key, const bson_iter_t *value, unsigned depth);

static bool append_array(bson_t *to, const char *key, const bson_iter_t *value, unsigned depth) {
    bson_t array;
    bson_iter_t item;
    uint32_t index = 0;
    bool done = array_begin(to, key, &array);
    for (bool more = done && bson_iter_recurse(value, &item); done && more && bson_iter_next(&item);) {
        char text[16];
        const char *place;
        bson_uint32_to_string(index++, &place, text, sizeof text);
        done = append_value(&array, place, &item, depth + 1);
    }
    return done && bson_append_array_end(to, &array);
}

static bool is_numbered(const bson_iter_t *array) {
    bson_iter_t item;
    return !bson_iter_recurse(array, &item) || !bson_iter_next(&item) || strcmp(bson_iter_key(&item), "0") == 0;
}

static bool append_value(bson_t *to, const char *key, const bson_iter_t *value, unsigned depth) {
    if (BSON_ITER_HOLDS_ARRAY(value) && depth < NESTED_MOST && !is_numbered(value))
        return append_array(to, key, value, depth);
    return bson_append_iter(to, key, -1, value);
}

bool document_append(bson_t *to, const char *key, const bson_iter_t *value) {
    return append_value(to, key ? key : bson_iter_key(value), value, 0);
}

/* Whether two values are the same, type and bytes. */
static bool same_value(const bson_iter_t *one, const unsigned char *id, uint32_t id_size) {
    bson_t other, copy = BSON_INITIALIZER;
    bool same = document_append(&copy, "_id", one) && bson_init_static(&other, id, id_size) &&
                bson_equal(&copy, &other);
    bson_destroy(&copy);
    return same;
}

static void read_mode(bson_iter_t *fields, struct attributes *attributes) {
    int64_t number;
    const char *key = bson_iter_key(fields);
    if (strcmp(key, "mode") == 0 && document_whole_number(fields, 0, UINT32_MAX, &number)) {
        attributes->mode = (uint32_t)number & 07777; /* mounted nosuid: shown, never honoured */
        attributes->has |= ATTRIBUTES_MODE;
    } else if (strcmp(key, "uid") == 0 && document_whole_number(fields, 0, UINT32_MAX - 1, &number)) {
        attributes->uid = (uint32_t)number;
        attributes->has |= ATTRIBUTES_UID;
    } else if (strcmp(key, "gid") == 0 && document_whole_number(fields, 0, UINT32_MAX - 1, &number)) {
        attributes->gid = (uint32_t)number;
        attributes->has |= ATTRIBUTES_GID;
    } else if (strcmp(key, "file") == 0 && BSON_ITER_HOLDS_OID(fields)) {
        attributes_set_file(attributes, bson_iter_oid(fields)->bytes);
    } else if (strcmp(key, "links") == 0 && document_whole_number(fields, 1, INT32_MAX, &number)) {
        attributes->links = (uint32_t)number;
        attributes->has |= ATTRIBUTES_LINKS;
    }
}

static void read_times(bson_iter_t *fields, struct attributes *attributes) {
    int64_t number;
    const char *key = bson_iter_key(fields);
    if (!document_whole_number(fields, INT64_MIN, INT64_MAX, &number))
        return;
    if (strcmp(key, "atime_ns") == 0) {
        attributes->atime_ns = number;
        attributes->has |= ATTRIBUTES_ATIME;
    } else if (strcmp(key, "mtime_ns") == 0) {
        attributes->mtime_ns = number;
        attributes->has |= ATTRIBUTES_MTIME;
    } else if (strcmp(key, "ctime_ns") == 0) {
        attributes->ctime_ns = number;
        attributes->has |= ATTRIBUTES_CTIME;
    }
}

/* ---- holes ---- */

static bool read_hole(const bson_iter_t *iter, int64_t least, int64_t length, struct hole *ret_hole) {
    bson_iter_t pair;
    return BSON_ITER_HOLDS_ARRAY(iter) && bson_iter_recurse(iter, &pair) && bson_iter_next(&pair) &&
           document_whole_number(&pair, least, length, &ret_hole->offset) && bson_iter_next(&pair) &&
           document_whole_number(&pair, 1, length - ret_hole->offset, &ret_hole->length) && !bson_iter_next(&pair);
}

/* All of them or, when one is wrong, none: without them a file only seems to take more room. */
static int read_holes(const bson_iter_t *iter, struct revision *revision) {
    bson_iter_t each;
    uint32_t count = 0;
    int64_t least = 0;
    if (!BSON_ITER_HOLDS_ARRAY(iter) || !bson_iter_recurse(iter, &each) || revision->holes || revision->damage)
        return 0;
    while (count <= REVISION_HOLES_MOST && bson_iter_next(&each))
        count++;
    if (count == 0 || count > REVISION_HOLES_MOST)
        return 0;
    cleanup_free struct hole *holes = malloc(count * sizeof *holes);
    if (!holes)
        return -ENOMEM;
    (void)bson_iter_recurse(iter, &each);
    for (uint32_t i = 0; i < count; i++) {
        if (!bson_iter_next(&each) || !read_hole(&each, least, revision->length, &holes[i]))
            return 0;
        least = holes[i].offset + holes[i].length;
    }
    revision->holes = steal_ptr(&holes);
    revision->hole_count = count;
    return 0;
}

/* Whether a document of metadata.posix says that it was written for this _id. */
static bool is_for(const bson_iter_t *posix, const unsigned char *id, uint32_t id_size) {
    bson_iter_t fields;
    return bson_iter_recurse(posix, &fields) && bson_iter_find(&fields, "rev") && same_value(&fields, id, id_size);
}

/* metadata.posix: times and holes count only for the revision they were written for, modes and owners always. */
static int read_posix(const bson_t *document, struct revision *revision) {
    bson_iter_t root, posix, fields;
    int result = 0;
    if (!bson_iter_init(&root, document) || !bson_iter_find_descendant(&root, "metadata.posix", &posix) ||
        !BSON_ITER_HOLDS_DOCUMENT(&posix))
        return 0;
    bool own = is_for(&posix, revision->id, revision->id_size);
    bool adopted = bson_iter_recurse(&posix, &fields) && bson_iter_find(&fields, "adopted");
    revision->posix = !own ? POSIX_OTHER : adopted ? POSIX_ADOPTED : POSIX_OWN;
    for (bool more = bson_iter_recurse(&posix, &fields); more && result == 0 && bson_iter_next(&fields);) {
        read_mode(&fields, &revision->attributes);
        if (own)
            read_times(&fields, &revision->attributes);
        if (own && strcmp(bson_iter_key(&fields), "holes") == 0)
            result = read_holes(&fields, revision);
    }
    /* A rename that had to lift uploadDate says from where: cache keys and times go on with that. */
    bson_iter_t from, to;
    if (bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.lift.from", &from) &&
        bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.lift.to", &to) &&
        BSON_ITER_HOLDS_DATE_TIME(&from) && BSON_ITER_HOLDS_DATE_TIME(&to) &&
        bson_iter_date_time(&to) == revision->date_ms) {
        revision->content_date_ms = bson_iter_date_time(&from);
    }
    return result;
}

static pthread_once_t fetch_once = PTHREAD_ONCE_INIT;
static EVP_MD *sha256; /* fetched once: looking an algorithm up costs more than using it */

static void fetch_sha256(void) {
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static int make_key(const char *bucket, struct revision *revision) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    pthread_once(&fetch_once, fetch_sha256);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool done = context && sha256 && EVP_DigestInit_ex(context, sha256, NULL) &&
                EVP_DigestUpdate(context, bucket, strlen(bucket) + 1) &&
                EVP_DigestUpdate(context, revision->id, revision->id_size) &&
                EVP_DigestUpdate(context, &revision->content_date_ms, sizeof revision->content_date_ms) &&
                EVP_DigestUpdate(context, &revision->length, sizeof revision->length) &&
                EVP_DigestUpdate(context, &revision->chunk_size, sizeof revision->chunk_size) &&
                EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    if (done)
        memcpy(revision->key, digest, sizeof revision->key);
    return done ? 0 : -ENOMEM;
}

int document_revision(const bson_t *document, struct store *store, struct revision **ret_revision) {
    bson_iter_t iter;
    bson_t id = BSON_INITIALIZER;
    if (!bson_iter_init_find(&iter, document, "_id") || !document_append(&id, "_id", &iter)) {
        bson_destroy(&id);
        return -EINVAL;
    }
    cleanup_with(revision_unref) struct revision *revision = revision_new(bson_get_data(&id), id.len);
    bson_destroy(&id);
    if (!revision)
        return -ENOMEM;
    revision->date_ms = revision->content_date_ms = date_of(document);
    read_shape(document, revision);
    int result = read_posix(document, revision);
    if (result == 0)
        result = make_key(store->bucket, revision);
    revision->store = store;
    if (result == 0)
        *ret_revision = steal_ptr(&revision);
    return result;
}

static const char *const kind_words[] = {
    [STORE_DIRECTORY] = "directory", [STORE_SYMLINK] = "symlink",
    [STORE_FIFO] = "fifo",           [STORE_SOCKET] = "socket",
    [STORE_CHARACTER_DEVICE] = "character", [STORE_BLOCK_DEVICE] = "block",
};

const char *document_kind_word(enum store_kind kind) {
    return kind_words[kind];
}

static bool kind_of(const char *word, enum store_kind *ret_kind) {
    for (size_t i = STORE_DIRECTORY; i < sizeof kind_words / sizeof *kind_words; i++)
        if (strcmp(kind_words[i], word) == 0)
            return *ret_kind = (enum store_kind)i, true;
    return false;
}

/* A text that is not empty; NULL when it is absent or anything else. */
static const char *find_text(const bson_t *document, const char *field) {
    bson_iter_t iter;
    if (!bson_iter_init_find(&iter, document, field) || !BSON_ITER_HOLDS_UTF8(&iter))
        return NULL;
    uint32_t size;
    const char *text = bson_iter_utf8(&iter, &size);
    return size && strlen(text) == size ? text : NULL;
}

int document_link(const bson_t *document, struct document_link *ret_link) {
    struct document_link link = {0};
    bson_iter_t file, node;
    const char *kind = find_text(document, "kind"), *at = find_text(document, "at"), *was = find_text(document, "was");
    if (!kind || strcmp(kind, "link") != 0 || !at || !bson_iter_init_find(&file, document, "file") ||
        !BSON_ITER_HOLDS_OID(&file))
        return -EINVAL;
    memcpy(link.file, bson_iter_oid(&file)->bytes, sizeof link.file);
    link.node = bson_iter_init_find(&node, document, "node") && bson_iter_as_bool(&node);
    link.at = strdup(at);
    link.was = was ? strdup(was) : NULL;
    if (!link.at || (was && !link.was)) {
        document_link_done(&link);
        return -ENOMEM;
    }
    *ret_link = link;
    return 0;
}

void document_link_done(struct document_link *link) {
    free(link->at);
    free(link->was);
    memset(link, 0, sizeof *link);
}

void document_attributes(const bson_t *document, struct attributes *ret_attributes) {
    bson_iter_t iter;
    for (bool more = bson_iter_init(&iter, document); more && bson_iter_next(&iter);) {
        read_mode(&iter, ret_attributes);
        read_times(&iter, ret_attributes);
    }
}

int document_node(const bson_t *document, struct store_entry *ret_entry) {
    struct store_entry entry = {0};
    bson_iter_t iter;
    int64_t device;
    if (!bson_iter_init_find(&iter, document, "kind") || !BSON_ITER_HOLDS_UTF8(&iter) ||
        !kind_of(bson_iter_utf8(&iter, NULL), &entry.kind))
        return -EINVAL;
    document_attributes(document, &entry.attributes);
    if (find_number(document, "device", 0, UINT32_MAX, &device))
        entry.attributes.device = (uint32_t)device;
    if (entry.kind == STORE_SYMLINK) {
        if (!bson_iter_init_find(&iter, document, "target") || !BSON_ITER_HOLDS_UTF8(&iter) ||
            !*bson_iter_utf8(&iter, NULL))
            return -EINVAL;
        entry.target = strdup(bson_iter_utf8(&iter, NULL));
        if (!entry.target)
            return -ENOMEM;
    }
    *ret_entry = entry;
    return 0;
}

static int order(int64_t one, int64_t other) {
    return one < other ? -1 : one > other;
}

static int compare_bytes(const void *one, size_t one_size, const void *other, size_t other_size) {
    int first = memcmp(one, other, one_size < other_size ? one_size : other_size);
    return first ? first : order((int64_t)one_size, (int64_t)other_size);
}

int document_compare_ids(const struct revision *one, const struct revision *other) {
    bson_t documents[2];
    bson_iter_t value, rival; /* not an array: the type is aligned wider than its size */
    int64_t numbers[2];
    bool readable = bson_init_static(&documents[0], one->id, one->id_size) &&
                    bson_init_static(&documents[1], other->id, other->id_size) &&
                    bson_iter_init_find(&value, &documents[0], "_id") &&
                    bson_iter_init_find(&rival, &documents[1], "_id");
    if (readable && document_whole_number(&value, INT64_MIN, INT64_MAX, &numbers[0]) &&
        document_whole_number(&rival, INT64_MIN, INT64_MAX, &numbers[1]))
        return order(numbers[0], numbers[1]);
    if (readable && BSON_ITER_HOLDS_NUMBER(&value) && BSON_ITER_HOLDS_NUMBER(&rival)) {
        double fractions[2] = {bson_iter_as_double(&value), bson_iter_as_double(&rival)};
        if (fractions[0] < fractions[1] || fractions[0] > fractions[1]) /* NaN is neither */
            return fractions[0] < fractions[1] ? -1 : 1;
    }
    if (readable && BSON_ITER_HOLDS_UTF8(&value) && BSON_ITER_HOLDS_UTF8(&rival)) {
        uint32_t sizes[2];
        const char *texts[2] = {bson_iter_utf8(&value, &sizes[0]), bson_iter_utf8(&rival, &sizes[1])};
        return compare_bytes(texts[0], sizes[0], texts[1], sizes[1]);
    }
    if (readable && BSON_ITER_HOLDS_DATE_TIME(&value) && BSON_ITER_HOLDS_DATE_TIME(&rival))
        return order(bson_iter_date_time(&value), bson_iter_date_time(&rival));
    return compare_bytes(one->id, one->id_size, other->id, other->id_size);
}

bool document_is_newer(const struct revision *one, const struct revision *other) {
    int dates = order(one->date_ms, other->date_ms);
    return dates ? dates > 0 : document_compare_ids(one, other) > 0;
}

#include "fs/store/mongo/document.h"

#include <errno.h>
#include <math.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <string.h>

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

/* Whether two values are the same, type and bytes. */
static bool same_value(const bson_iter_t *one, const unsigned char *id, uint32_t id_size) {
    bson_t other, copy = BSON_INITIALIZER;
    bool same = bson_append_iter(&copy, "_id", 3, one) && bson_init_static(&other, id, id_size) &&
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

/* metadata.posix: times count only for the revision they were written for, modes and owners always. */
static void read_posix(const bson_t *document, struct revision *revision) {
    bson_iter_t root, posix, fields;
    if (!bson_iter_init(&root, document) || !bson_iter_find_descendant(&root, "metadata.posix", &posix) ||
        !BSON_ITER_HOLDS_DOCUMENT(&posix))
        return;
    bool own = bson_iter_recurse(&posix, &fields) && bson_iter_find(&fields, "rev") &&
               same_value(&fields, revision->id, revision->id_size);
    for (bool more = bson_iter_recurse(&posix, &fields); more && bson_iter_next(&fields);) {
        read_mode(&fields, &revision->attributes);
        if (own)
            read_times(&fields, &revision->attributes);
    }
    /* A rename that had to lift uploadDate says from where: cache keys and times go on with that. */
    bson_iter_t from, to;
    if (bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.lift.from", &from) &&
        bson_iter_init(&root, document) && bson_iter_find_descendant(&root, "metadata.posix.lift.to", &to) &&
        BSON_ITER_HOLDS_DATE_TIME(&from) && BSON_ITER_HOLDS_DATE_TIME(&to) &&
        bson_iter_date_time(&to) == revision->date_ms) {
        revision->content_date_ms = bson_iter_date_time(&from);
    }
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
    if (!bson_iter_init_find(&iter, document, "_id") || !bson_append_iter(&id, "_id", 3, &iter)) {
        bson_destroy(&id);
        return -EINVAL;
    }
    cleanup_with(revision_unref) struct revision *revision = revision_new(bson_get_data(&id), id.len);
    bson_destroy(&id);
    if (!revision)
        return -ENOMEM;
    revision->date_ms = revision->content_date_ms = date_of(document);
    read_shape(document, revision);
    read_posix(document, revision);
    int result = make_key(store->bucket, revision);
    revision->store = store;
    if (result == 0)
        *ret_revision = steal_ptr(&revision);
    return result;
}

static bool kind_of(const char *word, enum store_kind *ret_kind) {
    static const struct {
        const char *word;
        enum store_kind kind;
    } kinds[] = {{"directory", STORE_DIRECTORY}, {"symlink", STORE_SYMLINK},          {"fifo", STORE_FIFO},
                 {"socket", STORE_SOCKET},       {"character", STORE_CHARACTER_DEVICE}, {"block", STORE_BLOCK_DEVICE}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].word, word) == 0)
            return *ret_kind = kinds[i].kind, true;
    return false;
}

int document_node(const bson_t *document, struct store_entry *ret_entry) {
    struct store_entry entry = {0};
    bson_iter_t iter;
    int64_t device;
    if (!bson_iter_init_find(&iter, document, "kind") || !BSON_ITER_HOLDS_UTF8(&iter) ||
        !kind_of(bson_iter_utf8(&iter, NULL), &entry.kind))
        return -EINVAL;
    for (bool more = bson_iter_init(&iter, document); more && bson_iter_next(&iter);) {
        read_mode(&iter, &entry.attributes);
        read_times(&iter, &entry.attributes);
    }
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

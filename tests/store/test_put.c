// SPDX-License-Identifier: Apache-2.0
/* Put against a real server: what is in the database afterwards, and what it cost. */
#include <errno.h>
#include <string.h>

#include "cache/base/stats.h"
#include "fs/store/mongo/change.h"
#include "fs/store/mongo/chunk_batch.h"
#include "tests/store/sample.h"

enum { CHUNK = 255 << 10 };

static int put(struct real_store *real, const char *path, const struct revision *base, bool follow,
               struct content *content, struct revision **ret_revision) {
    struct attributes attributes = {.has = ATTRIBUTES_MODE | ATTRIBUTES_UID | ATTRIBUTES_GID | ATTRIBUTES_MTIME,
                                    .mode = 0640, .uid = 1000, .gid = 4000000000u, .mtime_ns = 1700000000123456789};
    struct store_put asked = {.path = path, .base = base, .follow = follow, .attributes = &attributes,
                              .content = &content->content};
    if (base && base->attributes.has & ATTRIBUTES_FILE)
        attributes_set_file(&attributes, base->attributes.file);
    else
        attributes_new_file(&attributes);
    return real->store->ops->put(real->store, &asked, ret_revision);
}

/* Puts `length` bytes made of `seed`, and looks whether they are there and the newest. */
static struct revision *put_bytes(struct real_store *real, const char *path, const struct revision *base,
                                  int64_t length, unsigned seed) {
    struct content content;
    struct revision *revision = NULL, *newest = NULL;
    sample_make(&content, length, seed);
    assert_int_equal(put(real, path, base, false, &content, &revision), 0);
    sample_expect(&content, real, revision);
    assert_int_equal(real->store->ops->newest(real->store, path, &newest), 0);
    assert_true(revision_same_content(newest, revision));
    assert_int_equal(newest->date_ms, revision->date_ms);
    revision_unref(newest);
    sample_done(&content);
    return revision;
}

static int64_t count(struct real_store *real, const char *collection, const char *filter) {
    return real_store_count(real, collection, real_store_json("%s", filter));
}

/* A file of another application: {_id: id, …fields} with one chunk "xyz". */
static struct revision *foreign(struct real_store *real, const char *id, const char *filename, const char *fields) {
    struct revision *revision = NULL;
    real_store_insert(real, "chunks",
                      real_store_json("{'files_id': %s, 'n': 0, 'data': {'$binary': {'base64': 'eHl6', 'subType': "
                                      "'00'}}}", id));
    real_store_insert(real, "files",
                      real_store_json("{'_id': %s, 'filename': '%s', 'length': 3, 'chunkSize': 65536, %s}", id,
                                      filename, fields));
    const char *path = filename[0] == '/' ? filename + 1 : filename;
    assert_int_equal(real->store->ops->newest(real->store, path, &revision), 0);
    return revision;
}

static bson_t *files_document(struct real_store *real, const struct revision *revision) {
    bson_t id;
    assert_true(bson_init_static(&id, revision->id, revision->id_size));
    bson_t *document = real_store_first(real, "files", bson_copy(&id));
    assert_non_null(document);
    return document;
}

static bson_iter_t field(const bson_t *document, const char *name) {
    bson_iter_t iter, found;
    if (!bson_iter_init(&iter, document) || !bson_iter_find_descendant(&iter, name, &found))
        fail_msg("there is no field %s", name);
    return found;
}

#define SHA256_OF_ZEROS "f26e892a644abe671af576ab478a8943de6f2fb4f431cd73022ed823727af00c" /* of 40 * CHUNK */
#define OID_1 "{'$oid': '5f0000000000000000000001'}"
#define LONG_AGO "'uploadDate': {'$date': 1500000000000}"
#define FAR_AHEAD "'uploadDate': {'$date': {'$numberLong': '4000000000000'}}"

/* ---- what is written ---- */

static void a_new_file_is_gridfs_to_the_letter(void **state) {
    (void)state;
    struct real_store real = real_store_open("new");
    cleanup_with(revision_unref) struct revision *revision = put_bytes(&real, "a/b", NULL, 1000, 1);
    bson_t *document = files_document(&real, revision);
    bson_iter_t length = field(document, "length"), size = field(document, "chunkSize"),
                date = field(document, "uploadDate"), name = field(document, "filename"),
                mtime = field(document, "metadata.posix.mtime_ns");
    assert_true(BSON_ITER_HOLDS_INT64(&length) && bson_iter_int64(&length) == 1000);
    assert_true(BSON_ITER_HOLDS_INT32(&size) && bson_iter_int32(&size) == CHUNK);
    assert_true(BSON_ITER_HOLDS_DATE_TIME(&date) && bson_iter_date_time(&date) / 60000 - time(NULL) / 60 < 2);
    assert_string_equal(bson_iter_utf8(&name, NULL), "a/b");
    assert_int_equal(bson_iter_int64(&mtime), 1700000000123456789);
    assert_false(bson_has_field(document, "md5"));
    assert_int_equal(revision->attributes.mode, 0640);
    assert_int_equal(revision->attributes.gid, 4000000000u);
    assert_true(revision->attributes.has & ATTRIBUTES_FILE);
    assert_int_equal(revision->attributes.mtime_ns, 1700000000123456789);
    bson_destroy(document);
    real_store_close(&real);
}

static void sizes_around_chunks_and_batches(void **state) {
    (void)state;
    struct real_store real = real_store_open("sizes");
    static const int64_t sizes[] = {0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 17 * CHUNK, 35 * CHUNK + 5};
    for (unsigned i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[16];
        snprintf(name, sizeof name, "file%u", i);
        revision_unref(put_bytes(&real, name, NULL, sizes[i], i));
    }
    real_store_close(&real);
}

static uint64_t trips_of_put(struct real_store *real, const char *name, int64_t length, struct revision *base) {
    struct content content;
    struct revision *revision = NULL;
    sample_make(&content, length, 1);
    uint64_t before = stats_get(STAT_round_trips);
    assert_int_equal(put(real, name, base, false, &content, &revision), 0);
    uint64_t trips = stats_get(STAT_round_trips) - before;
    sample_expect(&content, real, revision);
    sample_done(&content);
    revision_unref(revision);
    return trips;
}

static void round_trips_are_counted(void **state) {
    (void)state;
    struct real_store real = real_store_open("trips");
    for (unsigned one_by_one = 0; one_by_one < 2; one_by_one++) {
        cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "warm", NULL, 10, 1);
        if (!atomic_load(&real.bucket->changing.ordered))
            one_by_one = 1;
        atomic_store(&real.bucket->changing.ordered_refused, one_by_one);
        assert_int_equal(trips_of_put(&real, "empty", 0, NULL), one_by_one ? 2 : 1);
        assert_int_equal(trips_of_put(&real, one_by_one ? "one" : "other", 100, NULL), one_by_one ? 3 : 1);
        assert_int_equal(trips_of_put(&real, "warm", 100, base), 4 + 2 * one_by_one);
        real_store_update(&real, "files", real_store_json("{'filename': 'empty'}"),
                          real_store_json("{'$set': {'filename': 'empty%u'}}", one_by_one));
    }
    real_store_close(&real);
}

/* A record of an earlier try is there, so that the command which inserts it ends before it deletes. */
static void a_replaced_revision_goes_although_its_record_is_there(void **state) {
    (void)state;
    struct real_store real = real_store_open("record");
    cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "f", NULL, 10, 1);
    bson_t *document = files_document(&real, base);
    bson_iter_t id = field(document, "_id");
    bson_t *record = BCON_NEW("_id", BCON_OID(bson_iter_oid(&id)), "due", BCON_DATE_TIME(1));
    real_store_insert(&real, "gridmount.trash", record);
    (void)trips_of_put(&real, "f", 100, base);
    assert_int_equal(real_store_count(&real, "files", bson_new()), 1);
    bson_t *renewed = real_store_first(&real, "gridmount.trash", bson_new());
    assert_true(bson_has_field(renewed, "document.filename"));
    bson_destroy(renewed);
    bson_destroy(document);
    real_store_close(&real);
}

static void a_checksum_is_recorded_when_asked_for(void **state) {
    (void)state;
    struct real_store real = real_store_open("checksum");
    real.bucket->policy.checksum = true;
    struct content content;
    struct revision *revision = NULL;
    sample_make(&content, 40 * CHUNK, 1);
    memset(content.bytes, 0, 40 * CHUNK);
    assert_int_equal(put(&real, "zeros", NULL, false, &content, &revision), 0);
    bson_t *document = files_document(&real, revision);
    bson_iter_t sha256 = field(document, "metadata.sha256");
    assert_string_equal(bson_iter_utf8(&sha256, NULL), SHA256_OF_ZEROS);
    bson_destroy(document);
    /* what it was for is replaced */
    real.bucket->policy.checksum = false;
    cleanup_with(revision_unref) struct revision *next = put_bytes(&real, "zeros", revision, 5, 2);
    document = files_document(&real, next);
    bson_iter_t metadata = field(document, "metadata"), found;
    assert_true(bson_iter_recurse(&metadata, &found) && !bson_iter_find(&found, "sha256"));
    bson_destroy(document);
    sample_done(&content);
    revision_unref(revision);
    real_store_close(&real);
}

static void holes_are_remembered(void **state) {
    (void)state;
    struct real_store real = real_store_open("holes");
    struct content content;
    struct revision *revision = NULL;
    struct hole holes[] = {{0, 4096}, {8192, 100}};
    sample_make(&content, 10000, 1);
    content.content.holes = holes;
    content.content.hole_count = 2;
    assert_int_equal(put(&real, "sparse", NULL, false, &content, &revision), 0);
    if (!atomic_load(&real.bucket->holes_refused)) {
        assert_int_equal(revision->hole_count, 2);
        assert_memory_equal(revision->holes, holes, sizeof holes);
    }
    sample_done(&content);
    revision_unref(revision);
    real_store_close(&real);
}

/* ---- what is kept of others ---- */

static void fields_of_others_are_kept_but_md5(void **state) {
    (void)state;
    struct real_store real = real_store_open("fields");
    cleanup_with(revision_unref) struct revision *base =
        foreign(&real, OID_1, "f", "'md5': 'old', 'aliases': ['x'], 'contentType': 'text/x', '': 1, " LONG_AGO
                ", 'metadata': {'owner': 'app', 'posix': {'mode': 7, 'links': 2, 'xattr': [{'n': 1}], 'holes': 1},"
                " 'contentType': 'text/y', 'sha256': 'old'}, 'last': {'a': [1, 2]}");
    cleanup_with(revision_unref) struct revision *revision = put_bytes(&real, "f", base, 10, 1);
    bson_t *document = files_document(&real, revision);
    bson_iter_t iter;
    static const char *const order[] = {"_id", "filename", "length", "chunkSize", "aliases", "contentType", "",
                                        "uploadDate", "metadata", "last"};
    assert_true(bson_iter_init(&iter, document));
    for (unsigned i = 0; i < sizeof order / sizeof *order; i++) {
        assert_true(bson_iter_next(&iter));
        assert_string_equal(bson_iter_key(&iter), order[i]);
    }
    assert_false(bson_iter_next(&iter));
    assert_int_equal(count(&real, "files", "{'metadata.owner': 'app', 'metadata.contentType': 'text/y',"
                                           " 'metadata.posix.xattr.n': 1, 'metadata.posix.links': 2,"
                                           " 'aliases': 'x', 'contentType': 'text/x', 'last.a': 2,"
                                           " 'metadata.sha256': {'$exists': false},"
                                           " 'metadata.posix.holes': {'$exists': false}}"), 1);
    assert_int_equal(revision->chunk_size, 65536);
    assert_int_equal(revision->attributes.links, 2);
    bson_destroy(document);
    real_store_close(&real);
}

static void metadata_of_another_type_is_left_alone(void **state) {
    (void)state;
    struct real_store real = real_store_open("metadata");
    cleanup_with(revision_unref) struct revision *base = foreign(&real, "'a'", "f", LONG_AGO ", 'metadata': 'text'");
    cleanup_with(revision_unref) struct revision *revision = put_bytes(&real, "f", base, 10, 1);
    assert_int_equal(count(&real, "files", "{'metadata': 'text', 'length': 10}"), 1);
    cleanup_with(revision_unref) struct revision *null = foreign(&real, "'b'", "g", LONG_AGO ", 'metadata': null");
    cleanup_with(revision_unref) struct revision *next = put_bytes(&real, "g", null, 10, 1);
    assert_true(next->attributes.has & ATTRIBUTES_FILE);
    real_store_close(&real);
}

/* ---- names ---- */

static int64_t named(struct real_store *real, const char *filename) {
    return real_store_count(real, "files", real_store_json("{'filename': '%s'}", filename));
}

static void the_spelling_is_kept(void **state) {
    (void)state;
    struct real_store real = real_store_open("spelling");
    cleanup_with(revision_unref) struct revision *base = foreign(&real, OID_1, "/a/b", LONG_AGO);
    cleanup_with(revision_unref) struct revision *known = put_bytes(&real, "a/b", base, 10, 1);
    cleanup_with(revision_unref) struct revision *unknown = put_bytes(&real, "a/b", NULL, 11, 2);
    assert_int_equal(named(&real, "/a/b"), 2); /* the foreign one, and the last */
    assert_int_equal(named(&real, "a/b"), 0);
    real_store_close(&real);
}

/* Content that is renamed by others as soon as it is asked for. */
struct renamed_content {
    struct content content;
    struct real_store *real;
    bool renamed;
};

static int read_and_rename(void *context, int64_t offset, size_t size, void *into) {
    struct renamed_content *renamed = context;
    if (!renamed->renamed)
        real_store_update(renamed->real, "files", real_store_json("{'filename': 'from'}"),
                          real_store_json("{'$set': {'filename': 'to'}}"));
    renamed->renamed = true;
    memcpy(into, renamed->content.bytes + offset, size);
    return 0;
}

/* Of a large file chunks are sent for long before its name is told, of a small one right before. */
static void a_put_follows_a_rename_while_it_goes_on(void **state) {
    (void)state;
    static const int64_t lengths[] = {1000, 3 * CHUNK};
    for (unsigned i = 0; i < 2; i++) {
        struct real_store real = real_store_open("follow_late");
        struct revision *base = put_bytes(&real, "from", NULL, 10, 1), *revision = NULL, *newest = NULL;
        struct renamed_content renamed = {.real = &real};
        sample_make(&renamed.content, lengths[i], 2);
        renamed.content.content.context = &renamed;
        renamed.content.content.read = read_and_rename;
        assert_int_equal(put(&real, "from", base, true, &renamed.content, &revision), 0);
        assert_true(renamed.renamed);
        assert_int_equal(real.store->ops->newest(real.store, "from", &newest), -ENOENT);
        assert_int_equal(real.store->ops->newest(real.store, "to", &newest), 0);
        assert_true(revision_same_content(newest, revision));
        assert_int_equal(count(&real, "files", "{}"), 1); /* what it replaced has been retired */
        sample_done(&renamed.content);
        revision_unref(newest);
        revision_unref(revision);
        revision_unref(base);
        real_store_close(&real);
    }
}

static void a_put_follows_a_rename_of_its_base(void **state) {
    (void)state;
    struct real_store real = real_store_open("follow");
    struct content content;
    struct revision *followed = NULL, *stayed = NULL, *gone = NULL;
    cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "from", NULL, 10, 1);
    real_store_update(&real, "files", real_store_json("{'filename': 'from'}"),
                      real_store_json("{'$set': {'filename': '/to'}}"));
    sample_make(&content, 20, 2);
    assert_int_equal(put(&real, "from", base, true, &content, &followed), 0);
    assert_int_equal(named(&real, "/to"), 1);
    assert_int_equal(put(&real, "here", followed, false, &content, &stayed), 0);
    assert_int_equal(named(&real, "here"), 1);
    assert_int_equal(put(&real, "from", base, true, &content, &gone), 0); /* by now in the trash */
    assert_int_equal(named(&real, "from"), 1);
    sample_done(&content);
    revision_unref(followed);
    revision_unref(stayed);
    revision_unref(gone);
    real_store_close(&real);
}

static void a_name_that_is_no_path_is_refused(void **state) {
    (void)state;
    struct real_store real = real_store_open("badname");
    struct content content;
    struct revision *revision = NULL;
    sample_make(&content, 1, 1);
    assert_int_equal(put(&real, "a//b", NULL, false, &content, &revision), -EINVAL);
    assert_int_equal(put(&real, "/a", NULL, false, &content, &revision), -EINVAL);
    sample_done(&content);
    real_store_close(&real);
}

/* ---- what is replaced ---- */

static void only_own_revisions_are_retired(void **state) {
    (void)state;
    struct real_store real = real_store_open("own");
    cleanup_with(revision_unref) struct revision *theirs = foreign(&real, OID_1, "f", LONG_AGO);
    cleanup_with(revision_unref) struct revision *first = put_bytes(&real, "f", theirs, 10, 1);
    cleanup_with(revision_unref) struct revision *second = put_bytes(&real, "f", first, 11, 2);
    assert_int_equal(named(&real, "f"), 2);
    assert_int_equal(count(&real, "files", "{'_id': " OID_1 "}"), 1);
    assert_int_equal(count(&real, "gridmount.trash", "{'document.length': 10, 'document.filename': 'f'}"), 1);
    struct content content;
    sample_make(&content, 10, 1);
    sample_expect(&content, &real, first); /* who has it open reads on */
    sample_done(&content);
    real_store_close(&real);
}

static void with_replace_the_base_is_retired_too(void **state) {
    (void)state;
    struct real_store real = real_store_open("replace");
    real.bucket->policy.revisions = SERVER_REVISIONS_REPLACE;
    revision_unref(foreign(&real, "'older'", "f", LONG_AGO));
    cleanup_with(revision_unref) struct revision *theirs =
        foreign(&real, OID_1, "f", "'uploadDate': {'$date': 1600000000000}");
    revision_unref(put_bytes(&real, "f", theirs, 10, 1));
    assert_int_equal(named(&real, "f"), 2);
    assert_int_equal(count(&real, "files", "{'_id': 'older'}"), 1);
    assert_int_equal(count(&real, "gridmount.trash", "{'_id': " OID_1 "}"), 1);
    real_store_close(&real);
}

static void with_keep_nothing_is_retired(void **state) {
    (void)state;
    struct real_store real = real_store_open("keep");
    real.bucket->policy.revisions = SERVER_REVISIONS_KEEP;
    cleanup_with(revision_unref) struct revision *first = put_bytes(&real, "f", NULL, 10, 1);
    revision_unref(put_bytes(&real, "f", first, 11, 2));
    assert_int_equal(named(&real, "f"), 2);
    assert_int_equal(count(&real, "gridmount.trash", "{}"), 0);
    real_store_close(&real);
}

static void the_last_close_wins_over_any_clock(void **state) {
    (void)state;
    struct real_store real = real_store_open("lift");
    cleanup_with(revision_unref) struct revision *ahead = foreign(&real, OID_1, "f", FAR_AHEAD);
    cleanup_with(revision_unref) struct revision *based = put_bytes(&real, "f", ahead, 10, 1);
    assert_int_equal(based->date_ms, 4000000000001);
    cleanup_with(revision_unref) struct revision *lifted = put_bytes(&real, "f", NULL, 11, 2);
    assert_int_equal(lifted->date_ms, 4000000000002);
    assert_int_equal(lifted->content_date_ms, lifted->date_ms);
    assert_int_equal(named(&real, "f"), 2); /* the foreign one, and the last */
    cleanup_with(revision_unref) struct revision *next = put_bytes(&real, "f", lifted, 12, 3);
    assert_int_equal(named(&real, "f"), 2); /* the foreign one, and the last */
    real_store_close(&real);
}

static void a_failed_read_leaves_what_was_there(void **state) {
    (void)state;
    struct real_store real = real_store_open("failed");
    cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "f", NULL, 10, 1);
    struct content content;
    struct revision *revision = NULL, *newest = NULL;
    sample_make(&content, 36 * CHUNK, 2);
    content.fails_at = 20 * CHUNK;
    content.fails_with = -EINTR;
    assert_int_equal(put(&real, "f", base, false, &content, &revision), -EINTR);
    assert_null(revision);
    assert_int_equal(real.store->ops->newest(real.store, "f", &newest), 0);
    assert_true(revision_same_content(newest, base));
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    revision_unref(newest);
    sample_done(&content);
    real_store_close(&real);
}

static void an_index_of_the_application_may_refuse(void **state) {
    (void)state;
    struct real_store real = real_store_open("unique");
    struct content content;
    struct revision *revision = NULL;
    cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "f", NULL, 10, 1);
    bson_t *command = real_store_json("{'createIndexes': 'unique.files', 'indexes': [{'key': {'filename': 1},"
                                      " 'name': 'own', 'unique': true}]}");
    assert_true(mongoc_database_write_command_with_opts(real.database, command, NULL, NULL, NULL));
    bson_destroy(command);
    sample_make(&content, 10, 2);
    assert_int_equal(put(&real, "f", base, false, &content, &revision), -EPERM);
    assert_int_equal(count(&real, "chunks", "{}"), 1);
    sample_done(&content);
    real_store_close(&real);
}

static void a_batch_that_is_sent_twice_is_there_once(void **state) {
    (void)state;
    struct real_store real = real_store_open("twice");
    struct content content;
    bson_oid_t id;
    bson_oid_init(&id, NULL);
    sample_make(&content, 3 * CHUNK, 1);
    struct upload upload = {.id = &id, .content = &content.content, .chunk_size = CHUNK};
    cleanup_with(chunk_batch_free) struct chunk_batch *batch = NULL;
    assert_int_equal(chunk_batch_new(&upload, (struct upload_run){0, 3}, &batch), 0);
    assert_int_equal(bucket_begin_changing(real.bucket), 0);
    assert_int_equal(chunk_batch_send(real.bucket, batch, NULL), 0);
    assert_int_equal(chunk_batch_send(real.bucket, batch, NULL), 0);
    assert_int_equal(count(&real, "chunks", "{}"), 3);
    sample_done(&content);
    real_store_close(&real);
}

/* The _id of a base may name another file by now, if an application made it. */
static void a_base_that_was_put_again_is_another_file(void **state) {
    (void)state;
    struct real_store real = real_store_open("again");
    struct content content;
    struct revision *revision = NULL;
    cleanup_with(revision_unref) struct revision *base = foreign(&real, "'mine'", "f", LONG_AGO);
    real_store_update(&real, "files", real_store_json("{'_id': 'mine'}"),
                      real_store_json("{'$set': {'filename': 'g', 'secret': 1, 'uploadDate': {'$date': 1}}}"));
    sample_make(&content, 10, 2);
    assert_int_equal(put(&real, "f", base, true, &content, &revision), 0);
    assert_int_equal(count(&real, "files", "{'filename': 'f', 'secret': {'$exists': false}}"), 1);
    sample_done(&content);
    revision_unref(revision);
    real_store_close(&real);
}

/* ---- copies on the server ---- */

static void clean_chunks_need_not_be_sent(void **state) {
    (void)state;
    struct real_store real = real_store_open("copy");
    struct content content;
    struct revision *revision = NULL;
    int64_t length = 25 * CHUNK + 77;
    sample_make(&content, length, 1);
    cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "f", NULL, length, 1);
    uint64_t sent = stats_get(STAT_chunk_bytes_uploaded), copied = stats_get(STAT_chunk_bytes_copied);
    content.dirty_from = 12 * CHUNK + 5;
    content.dirty_until = 12 * CHUNK + 10;
    content.content.source = base;
    memset(content.bytes + content.dirty_from, 1, 5);
    assert_int_equal(put(&real, "f", base, false, &content, &revision), 0);
    sample_expect(&content, &real, revision);
    sent = stats_get(STAT_chunk_bytes_uploaded) - sent;
    copied = stats_get(STAT_chunk_bytes_copied) - copied;
    assert_int_equal(sent + copied, length);
    if (!atomic_load(&real.bucket->copies_refused_until_ms))
        assert_int_equal(sent, CHUNK);
    revision_unref(revision);
    sample_done(&content);
    real_store_close(&real);
}

static void a_copy_of_another_file_need_not_be_sent(void **state) {
    (void)state;
    struct real_store real = real_store_open("copy_of_another");
    struct content content;
    struct revision *revision = NULL, *newest = NULL;
    sample_make(&content, 12 * CHUNK + 77, 1);
    cleanup_with(revision_unref) struct revision *source = put_bytes(&real, "f", NULL, 12 * CHUNK + 77, 1);
    uint64_t sent = stats_get(STAT_chunk_bytes_uploaded);
    content.dirty_from = content.dirty_until = 0;
    content.content.source = source;
    assert_int_equal(put(&real, "g", NULL, false, &content, &revision), 0);
    sample_expect(&content, &real, revision);
    if (!atomic_load(&real.bucket->copies_refused_until_ms))
        assert_int_equal(stats_get(STAT_chunk_bytes_uploaded), sent);
    assert_int_equal(real.store->ops->newest(real.store, "f", &newest), 0); /* it is none that was replaced */
    assert_true(revision_same_content(newest, source));
    revision_unref(newest);
    revision_unref(revision);
    sample_done(&content);
    real_store_close(&real);
}

static void expect_no_copy_of_what_is_not_whole(const char *name, const char *damage) {
    struct real_store real = real_store_open(name);
    struct content content;
    struct revision *revision = NULL, *newest = NULL;
    sample_make(&content, 12 * CHUNK, 1);
    cleanup_with(revision_unref) struct revision *base = put_bytes(&real, "f", NULL, 12 * CHUNK, 1);
    bson_t *filter = real_store_json("{'n': 7}"), *update = damage ? real_store_json("%s", damage) : NULL;
    assert_int_equal(update ? bucket_update(real.bucket, real.bucket->chunks, filter, update, false, false, NULL)
                            : bucket_delete(real.bucket, real.bucket->chunks, filter, true, NULL), 0);
    bson_destroy(update);
    bson_destroy(filter);
    content.dirty_from = content.dirty_until = 0;
    content.content.source = base;
    int result = put(&real, "f", base, false, &content, &revision);
    if (atomic_load(&real.bucket->copies_refused_until_ms)) { /* sent from here, where it was read sound */
        assert_int_equal(result, 0);
        sample_expect(&content, &real, revision);
    } else {
        assert_int_equal(result, -EIO);
        assert_int_equal(real.store->ops->newest(real.store, "f", &newest), 0);
        assert_true(revision_same_content(newest, base));
        assert_int_equal(count(&real, "chunks", "{}"), damage ? 12 : 11);
    }
    revision_unref(newest);
    revision_unref(revision);
    sample_done(&content);
    real_store_close(&real);
}

static void a_source_that_lacks_chunks_is_not_copied_as_whole(void **state) {
    (void)state;
    expect_no_copy_of_what_is_not_whole("lacking", NULL);
}

static void a_source_that_is_damaged_is_not_copied(void **state) {
    (void)state;
    expect_no_copy_of_what_is_not_whole(
        "short", "{'$set': {'data': {'$binary': {'base64': 'eHl6', 'subType': '00'}}}}");
    expect_no_copy_of_what_is_not_whole("no_data", "{'$set': {'data': 'text'}}");
}

/* ---- many at once ---- */

enum { THREADS = 6, PUTS = 3 };

struct putter {
    struct real_store *real;
    unsigned seed;
};

static void *put_often(void *argument) {
    struct putter *putter = argument;
    for (unsigned i = 0; i < PUTS; i++) {
        struct content content;
        struct revision *revision = NULL;
        sample_make(&content, 2 * CHUNK, putter->seed + i);
        if (put(putter->real, "f", NULL, false, &content, &revision))
            abort();
        revision_unref(revision);
        sample_done(&content);
    }
    return NULL;
}

static void of_many_puts_at_once_one_is_whole_and_newest(void **state) {
    (void)state;
    struct real_store real = real_store_open("many");
    pthread_t threads[THREADS];
    struct putter putters[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        putters[i] = (struct putter){&real, 100 * i};
        assert_int_equal(pthread_create(&threads[i], NULL, put_often, &putters[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    struct revision *newest = NULL;
    assert_int_equal(real.store->ops->newest(real.store, "f", &newest), 0);
    assert_int_equal(count(&real, "chunks", "{}"), THREADS * PUTS * 2); /* none lost, none deleted before it is due */
    revision_unref(put_bytes(&real, "f", newest, 5, 5));
    assert_int_equal(named(&real, "f"), 1);
    revision_unref(newest);
    real_store_close(&real);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_file_is_gridfs_to_the_letter),
        cmocka_unit_test(sizes_around_chunks_and_batches),
        cmocka_unit_test(round_trips_are_counted),
        cmocka_unit_test(a_replaced_revision_goes_although_its_record_is_there),
        cmocka_unit_test(a_checksum_is_recorded_when_asked_for),
        cmocka_unit_test(holes_are_remembered),
        cmocka_unit_test(fields_of_others_are_kept_but_md5),
        cmocka_unit_test(metadata_of_another_type_is_left_alone),
        cmocka_unit_test(the_spelling_is_kept),
        cmocka_unit_test(a_put_follows_a_rename_of_its_base),
        cmocka_unit_test(a_put_follows_a_rename_while_it_goes_on),
        cmocka_unit_test(a_name_that_is_no_path_is_refused),
        cmocka_unit_test(only_own_revisions_are_retired),
        cmocka_unit_test(with_replace_the_base_is_retired_too),
        cmocka_unit_test(with_keep_nothing_is_retired),
        cmocka_unit_test(the_last_close_wins_over_any_clock),
        cmocka_unit_test(a_failed_read_leaves_what_was_there),
        cmocka_unit_test(an_index_of_the_application_may_refuse),
        cmocka_unit_test(a_batch_that_is_sent_twice_is_there_once),
        cmocka_unit_test(a_base_that_was_put_again_is_another_file),
        cmocka_unit_test(clean_chunks_need_not_be_sent),
        cmocka_unit_test(a_copy_of_another_file_need_not_be_sent),
        cmocka_unit_test(a_source_that_lacks_chunks_is_not_copied_as_whole),
        cmocka_unit_test(a_source_that_is_damaged_is_not_copied),
        cmocka_unit_test(of_many_puts_at_once_one_is_whole_and_newest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
